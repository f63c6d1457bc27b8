//! The tip of a generated chain in a database, executed by Portico itself.
//!
//! ```text
//!  block ──> overlay on plain state ──> plain tables ──> hashed tables ──> trie tables ──> state root
//! ```
//! One write transaction goes over many blocks, so that a page that every block changes is written once for all of
//! them. Nothing but the newest state is kept.

use crate::{
    builder::{ChainState, ExecutedBlock, HeaderTemplate},
    config::Fork,
    plan::Transaction,
};
use alloy_consensus::{Header, ReceiptEnvelope, transaction::Recovered};
use alloy_eips::eip4895::Withdrawal;
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, U256, keccak256};
use portico_chainspec::ChainSpec;
use portico_db::{Database, DatabaseSettings, DbError, RwTxn, SyncMode, tables};
use portico_evm::{
    BlockInput, BlockOutcome, BlockRules, ExecutionError, Overlay, OverlayWrites, Receipt, WrittenSlot,
    execute_block,
};
use portico_stages::{StageContext, StageSettings, StopSignal, initialize, write_overlay};
use portico_state::{PlainReader, wipe_hashed_storage, write_hashed_account, write_hashed_slot};
use portico_trie::{ChangedKeys, incremental_root};
use rayon::prelude::*;
use std::{collections::VecDeque, error::Error, path::Path, sync::Arc};

/// Blocks that one transaction goes over.
const BLOCKS_PER_COMMIT: u64 = 1000;
/// How far back `BLOCKHASH` sees.
const BLOCK_HASHES: usize = 256;

/// Opens a database for a [`DatabaseState`] in this folder, which should be a temporary one.
///
/// # Errors
/// When the disk refuses.
pub fn open_state_database(folder: &Path) -> Result<Database, DbError> {
    let settings = DatabaseSettings {
        sync_mode: SyncMode::Bulk,
        dirty_bytes_max: 2 << 30,
        ..DatabaseSettings::default()
    };
    Database::open(folder, &settings)
}

/// The state of a generated chain, and the rules that it is changed by.
#[derive(Debug)]
pub struct DatabaseState<'db> {
    database: &'db Database,
    spec: Arc<ChainSpec>,
    txn: Option<RwTxn<'db>>,
    blocks_in_txn: u64,
    /// Hashes of the newest blocks, the newest one last.
    block_hashes: VecDeque<B256>,
    /// What the last block changed, until its root is asked for.
    unwritten: OverlayWrites,
}

impl<'db> DatabaseState<'db> {
    /// Writes a genesis into a database that is new. What is sorted on the way may spill into the folder `scratch`.
    ///
    /// # Errors
    /// When the rules are not Portico's, or the database refuses.
    pub fn new(
        database: &'db Database,
        genesis: &Genesis,
        scratch: &Path,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let spec = Arc::new(ChainSpec::from_genesis_json(&serde_json::to_vec(genesis)?)?);
        let context = StageContext {
            spec: &spec,
            settings: &StageSettings::default(),
            stop: &StopSignal::default(),
            progress: &(),
            scratch: scratch.to_owned(),
        };
        initialize(database, &context, env!("CARGO_PKG_VERSION"))?;
        Ok(Self {
            database,
            spec,
            txn: None,
            blocks_in_txn: 0,
            block_hashes: VecDeque::new(),
            unwritten: OverlayWrites::default(),
        })
    }
}

/// The open transaction; begins it when there is none.
fn open_txn<'txn, 'db>(
    txn: &'txn mut Option<RwTxn<'db>>,
    database: &'db Database,
) -> Result<&'txn RwTxn<'db>, DbError> {
    Ok(match txn {
        Some(txn) => txn,
        None => txn.insert(database.begin_rw()?),
    })
}

impl ChainState for DatabaseState<'_> {
    fn execute(
        &mut self,
        header: &HeaderTemplate,
        transactions: &[Recovered<Transaction>],
        withdrawals: &[Withdrawal],
    ) -> Result<ExecutedBlock, Box<dyn Error + Send + Sync>> {
        if self.block_hashes.len() == BLOCK_HASHES {
            self.block_hashes.pop_front();
        }
        self.block_hashes.push_back(header.parent_hash);
        let txn = open_txn(&mut self.txn, self.database)?;
        let Executed { refused, outcome, writes } =
            Executed::new(txn, &self.spec, &self.block_hashes, header, transactions, withdrawals)?;
        self.unwritten = writes;
        Ok(ExecutedBlock {
            refused,
            receipts: outcome.receipts.into_par_iter().map(envelope).collect(),
            gas_used: outcome.gas_used,
            requests_hash: outcome.requests.map(|requests| requests.requests_hash()),
        })
    }

    fn state_root(&mut self) -> Result<B256, Box<dyn Error + Send + Sync>> {
        let txn = open_txn(&mut self.txn, self.database)?;
        let writes = std::mem::take(&mut self.unwritten);
        write_overlay(txn, &writes)?;
        let changed = write_hashed(txn, &writes)?;
        let (state_root, updates) = incremental_root(txn, &changed)?;
        updates.write(txn)?;
        self.blocks_in_txn += 1;
        if self.blocks_in_txn >= BLOCKS_PER_COMMIT {
            self.blocks_in_txn = 0;
            self.txn.take().map_or(Ok(()), RwTxn::commit)?;
        }
        Ok(state_root)
    }
}

/// A block that was executed, before anything of it is written.
struct Executed {
    refused: Vec<usize>,
    outcome: BlockOutcome,
    writes: OverlayWrites,
}

impl Executed {
    /// Leaves the transactions out, one after the other, that the rules refuse.
    fn new(
        txn: &RwTxn<'_>,
        spec: &ChainSpec,
        block_hashes: &VecDeque<B256>,
        template: &HeaderTemplate,
        transactions: &[Recovered<Transaction>],
        withdrawals: &[Withdrawal],
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let header = unsealed(template);
        let context = spec.block_context(header.number, header.timestamp, U256::ZERO);
        let signed = transactions.iter().cloned().map(Recovered::into_parts);
        let (mut transactions, mut senders): (Vec<Transaction>, Vec<Address>) = signed.unzip();
        let mut refused = Vec::new();
        loop {
            let mut overlay = Overlay::new(PlainReader::new(txn)?);
            for (hash, back) in block_hashes.iter().rev().zip(1..) {
                overlay.set_block_hash(header.number - back, *hash);
            }
            overlay.begin_block(header.number);
            let input = BlockInput {
                header: &header,
                transactions: &transactions,
                senders: &senders,
                ommers: &[],
                withdrawals: (template.fork >= Fork::Shanghai).then_some(withdrawals),
            };
            match execute_block(&mut overlay, BlockRules::new(spec, context), input) {
                Ok(outcome) => return Ok(Self { refused, outcome, writes: overlay.into_writes() }),
                Err(ExecutionError::Invalid { tx_index: Some(index), .. }) => {
                    // Those before it were fine and are so again, so positions come in order.
                    refused.push(index + refused.len());
                    transactions.remove(index);
                    senders.remove(index);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The header as far as execution looks at it.
fn unsealed(template: &HeaderTemplate) -> Header {
    Header {
        parent_hash: template.parent_hash,
        number: template.number,
        timestamp: template.timestamp,
        beneficiary: template.beneficiary,
        gas_limit: template.gas_limit,
        base_fee_per_gas: Some(template.base_fee_per_gas),
        mix_hash: template.prev_randao,
        parent_beacon_block_root: template.parent_beacon_block_root,
        excess_blob_gas: template.excess_blob_gas,
        extra_data: template.extra_data.clone(),
        ..Header::default()
    }
}

/// Writes a block's changes under their hashed keys, which it returns.
fn write_hashed(txn: &RwTxn<'_>, writes: &OverlayWrites) -> Result<ChangedKeys, DbError> {
    let mut changed = ChangedKeys::new();
    let mut accounts = txn.cursor::<tables::HashedAccounts>()?;
    let mut storage = txn.cursor::<tables::HashedStorage>()?;
    for written in &writes.accounts {
        let hashed_address = keccak256(written.address);
        if let Some(account) = &written.account {
            write_hashed_account(&mut accounts, &hashed_address, account.as_ref())?;
            changed.add_account(hashed_address);
        }
        if written.wipe_storage {
            wipe_hashed_storage(txn, &hashed_address)?;
            changed.wipe_storage(hashed_address);
        }
        for WrittenSlot { slot, value, .. } in &written.slots {
            let hashed_slot = keccak256(slot);
            write_hashed_slot(&mut storage, &hashed_address, &hashed_slot, *value)?;
            changed.add_slot(hashed_address, hashed_slot);
        }
    }
    Ok(changed)
}

fn envelope(receipt: Receipt) -> ReceiptEnvelope {
    let Receipt { tx_type, success, cumulative_gas_used, logs } = receipt;
    let receipt = alloy_consensus::Receipt { status: success.into(), cumulative_gas_used, logs };
    ReceiptEnvelope::from_typed(tx_type, receipt.with_bloom())
}
