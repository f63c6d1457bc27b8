//! Receipts, with what clients expect in them beyond what is stored.

use alloy_consensus::{Eip658Value, Header, ReceiptEnvelope, Transaction as _};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes};
use portico_chain::{Receipt, read_block_receipts, read_receipt, read_state_root_after};
use portico_chainspec::Fork;

use crate::{FullBlock, Kept, QueryError, Snapshot, TransactionAt, blocks::missing, transactions::Found};

/// A receipt and its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptAt {
    /// As it is stored.
    pub receipt: Receipt,
    /// The transaction.
    pub transaction: TransactionAt,
    /// Gas that this transaction alone used, after refunds.
    pub gas_used: u64,
    /// Position in the block of the receipt's first log.
    pub first_log_index: u64,
    /// Wei per blob gas, of blob transactions (EIP-4844).
    pub blob_gas_price: Option<u128>,
    /// Whether the receipt, as the block commits to it, says if the transaction succeeded. Before Byzantium
    /// (EIP-658) it has the state root after the transaction instead.
    pub commits_to_status: bool,
    /// That state root, unless it was not computed.
    pub state_root: Option<B256>,
}

/// What the receipts of a block have in common.
#[derive(Debug, Clone, Copy)]
struct BlockRules {
    blob_base_fee: Option<u128>,
    commits_to_status: bool,
}

impl ReceiptAt {
    /// Address of the contract that the transaction created, whether or not it succeeded.
    pub fn created_address(&self) -> Option<Address> {
        let transaction = &self.transaction;
        transaction
            .transaction
            .is_create()
            .then(|| transaction.sender.create(transaction.transaction.nonce()))
    }

    /// The receipt as the receipts trie holds it (EIP-2718): type byte, unless legacy, and RLP with the bloom filter.
    pub fn encoded(&self) -> Bytes {
        let Self { receipt, state_root, .. } = self;
        let body = alloy_consensus::Receipt {
            status: state_root.map_or(Eip658Value::Eip658(receipt.success), Eip658Value::PostState),
            cumulative_gas_used: receipt.cumulative_gas_used,
            logs: receipt.logs.clone(),
        };
        ReceiptEnvelope::from_typed(receipt.tx_type, body).encoded_2718().into()
    }
}

/// What the receipts before one in its block add up to.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    cumulative_gas_used: u64,
    logs: u64,
}

impl Before {
    fn add(&mut self, receipt: &Receipt) {
        self.cumulative_gas_used = receipt.cumulative_gas_used;
        self.logs += receipt.logs.len() as u64;
    }

    fn receipt_at(
        self,
        receipt: Receipt,
        state_root: Option<B256>,
        transaction: TransactionAt,
        rules: BlockRules,
    ) -> ReceiptAt {
        let has_blobs = transaction.transaction.blob_versioned_hashes().is_some();
        ReceiptAt {
            gas_used: receipt.cumulative_gas_used.saturating_sub(self.cumulative_gas_used),
            first_log_index: self.logs,
            blob_gas_price: rules.blob_base_fee.filter(|_| has_blobs),
            commits_to_status: rules.commits_to_status,
            state_root,
            receipt,
            transaction,
        }
    }
}

impl Snapshot<'_> {
    /// The receipt of the transaction with this hash, up to the head.
    pub fn receipt(&self, hash: &B256) -> Result<Option<ReceiptAt>, QueryError> {
        let Some(found) = self.find(hash)? else { return Ok(None) };
        self.receipt_of(found).map(Some)
    }

    /// The receipt at a position of the canonical block with this number.
    pub fn receipt_in_block(
        &self,
        block_number: u64,
        tx_index: u64,
    ) -> Result<Option<ReceiptAt>, QueryError> {
        let Some(found) = self.find_in_block(block_number, tx_index)? else { return Ok(None) };
        self.receipt_of(found).map(Some)
    }

    fn receipt_of(&self, found: Found) -> Result<ReceiptAt, QueryError> {
        let (block_number, first, tx_number) =
            (found.block_number, found.body.first_tx_number, found.tx_number);
        self.check_kept(Kept::Receipts, block_number)?;
        let read = |number| -> Result<Receipt, QueryError> {
            Ok(read_receipt(&self.txn, number)?.ok_or(missing("receipt", block_number))?)
        };
        let mut before = Before::default();
        for earlier in first..tx_number {
            before.add(&read(earlier)?);
        }
        let receipt = read(tx_number)?;
        let rules = self.receipt_rules(&*self.known_header(block_number)?)?;
        let state_root = self.state_root_after(tx_number, rules)?;
        Ok(before.receipt_at(receipt, state_root, self.locate(found)?, rules))
    }

    /// All receipts of the canonical block with this number; the number was resolved before.
    pub fn block_receipts(&self, block_number: u64) -> Result<Vec<ReceiptAt>, QueryError> {
        let body = self.body(block_number)?;
        if body.tx_count == 0 {
            return Ok(Vec::new());
        }
        self.check_kept(Kept::Receipts, block_number)?;
        let receipts = read_block_receipts(&self.txn, &body, block_number)?;
        let block = self.block(block_number)?.ok_or(QueryError::BlockNotFound(block_number.into()))?;
        let rules = self.receipt_rules(&block.parts.header)?;
        let roots = body.tx_numbers().map(|tx_number| self.state_root_after(tx_number, rules));
        let roots = roots.collect::<Result<Vec<_>, QueryError>>()?;
        Ok(with_transactions(receipts, roots, rules, block))
    }

    /// What a receipt before Byzantium commits to.
    fn state_root_after(&self, tx_number: u64, rules: BlockRules) -> Result<Option<B256>, QueryError> {
        if rules.commits_to_status { Ok(None) } else { Ok(read_state_root_after(&self.txn, tx_number)?) }
    }

    fn receipt_rules(&self, header: &Header) -> Result<BlockRules, QueryError> {
        let commits_to_status = self.spec().is_active(Fork::Byzantium, self.block_context(header)?);
        Ok(BlockRules { blob_base_fee: self.blob_base_fee(header), commits_to_status })
    }

    /// Wei per blob gas in a block; `None` before Cancun.
    pub fn blob_base_fee(&self, header: &Header) -> Option<u128> {
        header.blob_fee(self.spec().blob_params_at(header.timestamp)?)
    }
}

fn with_transactions(
    receipts: Vec<Receipt>,
    state_roots: Vec<Option<B256>>,
    rules: BlockRules,
    block: FullBlock,
) -> Vec<ReceiptAt> {
    let mut before = Before::default();
    let parts = receipts.into_iter().zip(state_roots).zip(block.into_transactions());
    parts
        .map(|((receipt, state_root), transaction)| {
            let so_far = before;
            before.add(&receipt);
            so_far.receipt_at(receipt, state_root, transaction, rules)
        })
        .collect()
}
