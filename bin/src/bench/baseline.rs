//! The work of two stages done by the bare libraries, on the blocks of a database: how fast the stages could be.
//!
//! Blocks are read, decoded and prepared in portions, off the clock.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use alloy_consensus::{EthereumReceipt, Header, TxType, transaction::Recovered};
use alloy_evm::{
    EthEvmFactory, Evm, EvmFactory,
    block::BlockExecutor,
    eth::{
        EthBlockExecutionCtx, EthBlockExecutor,
        receipt_builder::{ReceiptBuilder, ReceiptBuilderCtx},
    },
};
use alloy_primitives::{Address, U256};
use eyre::{Result, ensure, eyre};
use portico_chain::{
    BlockParts, iter_transactions, read_block, read_body, read_senders, read_total_difficulty,
};
use portico_chainspec::{BlockContext, ChainSpec};
use portico_db::{Database, RoTxn};
use portico_evm::{Beneficiary, BlockRules, Receipt, Transaction, block_environment};
use rayon::prelude::*;
use revm::{
    database::InMemoryDB,
    state::{AccountInfo, Bytecode},
};
use secp256k1::{
    Message, SECP256K1,
    ecdsa::{RecoverableSignature, RecoveryId},
};

use crate::import::head;

/// Transactions that are prepared together.
const PORTION_TRANSACTIONS: usize = 1 << 16;
/// Blocks that are prepared together.
const PORTION_BLOCKS: u64 = 256;

/// How much was done in which time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Measured {
    /// Transactions or gas.
    pub count: u64,
    pub elapsed: Duration,
}

impl Measured {
    pub(super) fn per_second(self) -> f64 {
        self.count as f64 / self.elapsed.as_secs_f64()
    }
}

/// Recovers the public key behind every transaction on all cores; counts transactions.
pub(super) fn recover_public_keys(database: &Database) -> Result<Measured> {
    let mut measured = Measured::default();
    loop {
        let transactions = read_portion(database, measured.count)?;
        if transactions.is_empty() {
            return Ok(measured);
        }
        let signed: Vec<_> = transactions.par_iter().map(digest_and_signature).collect::<Result<_>>()?;
        let started = Instant::now();
        let recovered = signed
            .par_iter()
            .with_min_len(64)
            .filter(|(digest, signature)| black_box(SECP256K1.recover_ecdsa(*digest, signature)).is_ok());
        let recovered = recovered.count();
        measured.elapsed += started.elapsed();
        measured.count += signed.len() as u64;
        ensure!(recovered == signed.len(), "{} signatures without a key", signed.len() - recovered);
    }
}

fn read_portion(database: &Database, first: u64) -> Result<Vec<Transaction>> {
    let mut transactions = Vec::with_capacity(PORTION_TRANSACTIONS);
    iter_transactions(&database.begin_ro()?, first, |_, transaction| {
        transactions.push(transaction);
        Ok::<bool, eyre::Report>(transactions.len() < PORTION_TRANSACTIONS)
    })?;
    Ok(transactions)
}

fn digest_and_signature(transaction: &Transaction) -> Result<(Message, RecoverableSignature)> {
    let signature = transaction.signature();
    let recovery_id = RecoveryId::try_from(i32::from(signature.v()))?;
    let mut compact = [0; 64];
    compact[..32].copy_from_slice(&signature.r().to_be_bytes::<32>());
    compact[32..].copy_from_slice(&signature.s().to_be_bytes::<32>());
    let digest = Message::from_digest(transaction.signature_hash().0);
    Ok((digest, RecoverableSignature::from_compact(&compact, recovery_id)?))
}

/// Executes every block from genesis on with revm, the whole state in a map in memory; counts gas.
///
/// `None` when a block's rewards are not what revm's own block executor knows (Clique).
pub(super) fn run_revm(database: &Database, spec: &ChainSpec) -> Result<Option<Measured>> {
    let mut state = genesis_state(spec)?;
    let mut measured = Measured::default();
    let last = head(database)?;
    let mut first = 1;
    while first <= last {
        let end = last.min(first + PORTION_BLOCKS - 1);
        let blocks: Vec<PreparedBlock> = (first..=end)
            .into_par_iter()
            .map(|number| PreparedBlock::read(database, spec, number))
            .collect::<Result<_>>()?;
        for block in &blocks {
            if !matches!(Beneficiary::of(block.rules(spec), block.header())?, Beneficiary::Header) {
                return Ok(None);
            }
            let started = Instant::now();
            let gas_used = execute(&mut state, spec, block)?;
            measured.elapsed += started.elapsed();
            measured.count += gas_used;
            let header = block.header();
            let expected = header.gas_used;
            ensure!(
                gas_used == expected,
                "block {}: bare revm uses {gas_used} gas, not {expected}",
                header.number
            );
            state.cache.block_hashes.insert(U256::from(header.number), block.parts.hash);
        }
        first = end + 1;
    }
    Ok(Some(measured))
}

fn genesis_state(spec: &ChainSpec) -> Result<InMemoryDB> {
    let mut state = InMemoryDB::default();
    for (address, account) in spec.genesis_alloc().iter() {
        let code = AccountInfo::from_bytecode(Bytecode::new_raw(account.code.clone()));
        let info = AccountInfo { nonce: account.nonce, ..code.with_balance(account.balance) };
        state.insert_account_info(*address, info);
        for (slot, value) in &account.storage {
            state.insert_account_storage(*address, (*slot).into(), *value)?;
        }
    }
    state.cache.block_hashes.insert(U256::ZERO, spec.genesis_hash());
    Ok(state)
}

/// A block in the form that the executor takes.
struct PreparedBlock {
    parts: BlockParts,
    senders: Vec<Address>,
    context: BlockContext,
}

impl PreparedBlock {
    fn read(database: &Database, spec: &ChainSpec, number: u64) -> Result<Self> {
        let txn: RoTxn<'_> = database.begin_ro()?;
        let missing = || eyre!("block {number} is not in the database");
        let parts = read_block(&txn, number)?.ok_or_else(missing)?;
        let body = read_body(&txn, number)?.ok_or_else(missing)?;
        let senders = read_senders(&txn, &body, number)?;
        let parent_difficulty = read_total_difficulty(&txn, number - 1)?.ok_or_else(missing)?;
        let context = spec.block_context(number, parts.header.timestamp, parent_difficulty);
        Ok(Self { parts, senders, context })
    }

    fn rules<'a>(&self, spec: &'a ChainSpec) -> BlockRules<'a> {
        BlockRules::new(spec, self.context)
    }

    fn header(&self) -> &Header {
        &self.parts.header
    }
}

/// Gives the gas used.
fn execute(state: &mut InMemoryDB, spec: &ChainSpec, block: &PreparedBlock) -> Result<u64> {
    let (rules, header) = (block.rules(spec), block.header());
    let context = EthBlockExecutionCtx {
        parent_hash: header.parent_hash,
        parent_beacon_block_root: header.parent_beacon_block_root,
        ommers: &block.parts.ommers,
        withdrawals: block.parts.withdrawals.as_deref().map(Into::into),
        extra_data: header.extra_data.clone(),
        tx_count_hint: Some(block.parts.transactions.len()),
        slot_number: header.slot_number,
    };
    let environment = block_environment(rules, header, header.beneficiary);
    let evm = EthEvmFactory::default().create_evm(state, environment);
    let mut executor = EthBlockExecutor::new(evm, context, rules, Receipts);
    executor.apply_pre_execution_changes()?;
    for (transaction, sender) in block.parts.transactions.iter().zip(&block.senders) {
        executor.execute_transaction(Recovered::new_unchecked(transaction, *sender))?;
    }
    Ok(executor.apply_post_execution_changes()?.gas_used)
}

/// Builds receipts without blooms.
#[derive(Debug, Clone, Copy)]
struct Receipts;

impl ReceiptBuilder for Receipts {
    type Transaction = Transaction;
    type Receipt = Receipt;

    fn build_receipt<E: Evm>(&self, built: ReceiptBuilderCtx<'_, TxType, E>) -> Receipt {
        EthereumReceipt {
            tx_type: built.tx_type,
            success: built.result.is_success(),
            cumulative_gas_used: built.cumulative_gas_used,
            logs: built.result.into_logs(),
        }
    }
}
