//! Single transactions and where they are in the chain.

use alloy_consensus::{Header, Transaction as _};
use alloy_primitives::{Address, B256, Sealed};
use portico_chain::{
    StoredBody, Transaction, block_of_transaction, find_transaction, read_sender, read_transaction,
};

use crate::{FullBlock, Kept, QueryError, Snapshot, blocks::missing};

/// The block that something is in, as far as answers repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockPosition {
    /// Block number.
    pub block_number: u64,
    /// Block hash.
    pub block_hash: B256,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// In wei, from London on.
    pub base_fee: Option<u64>,
}

impl BlockPosition {
    /// The position of what is in the block with this header.
    pub fn of(header: &Header, block_hash: B256) -> Self {
        Self {
            block_number: header.number,
            block_hash,
            timestamp: header.timestamp,
            base_fee: header.base_fee_per_gas,
        }
    }
}

impl From<&Sealed<Header>> for BlockPosition {
    fn from(header: &Sealed<Header>) -> Self {
        Self::of(header, header.hash())
    }
}

/// A transaction in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionAt {
    /// The transaction.
    pub transaction: Transaction,
    /// Who signed it.
    pub sender: Address,
    /// The block.
    pub block: BlockPosition,
    /// Position in the block.
    pub tx_index: u64,
}

impl TransactionAt {
    /// A block's transactions, which have these senders.
    pub fn of_block(
        block: BlockPosition,
        transactions: Vec<Transaction>,
        senders: Vec<Address>,
    ) -> impl Iterator<Item = Self> {
        let signed = transactions.into_iter().zip(senders);
        (0..).zip(signed).map(move |(tx_index, (transaction, sender))| Self {
            transaction,
            sender,
            block,
            tx_index,
        })
    }

    /// Wei per gas that the sender paid (EIP-1559).
    pub fn effective_gas_price(&self) -> u128 {
        self.transaction.effective_gas_price(self.block.base_fee)
    }
}

impl FullBlock {
    /// The block's position.
    pub fn position(&self) -> BlockPosition {
        BlockPosition::of(&self.parts.header, self.parts.hash)
    }

    /// The block's transactions with their positions.
    pub fn into_transactions(self) -> impl Iterator<Item = TransactionAt> {
        TransactionAt::of_block(self.position(), self.parts.transactions, self.senders)
    }
}

/// A transaction that was found by hash, before its row is turned into an answer.
pub(crate) struct Found {
    pub transaction: Transaction,
    pub tx_number: u64,
    pub block_number: u64,
    pub body: StoredBody,
}

impl Snapshot<'_> {
    /// The transaction with this hash, up to the head. `None` also when the row that leads to it was pruned: a
    /// client that waits for its transaction must be able to tell "not yet" from an error.
    pub fn transaction(&self, hash: &B256) -> Result<Option<TransactionAt>, QueryError> {
        let Some(found) = self.find(hash)? else { return Ok(None) };
        self.locate(found).map(Some)
    }

    /// The transaction at a position of the canonical block with this number.
    pub fn transaction_in_block(
        &self,
        block_number: u64,
        tx_index: u64,
    ) -> Result<Option<TransactionAt>, QueryError> {
        let Some(found) = self.find_in_block(block_number, tx_index)? else { return Ok(None) };
        self.locate(found).map(Some)
    }

    pub(crate) fn find_in_block(
        &self,
        block_number: u64,
        tx_index: u64,
    ) -> Result<Option<Found>, QueryError> {
        let body = self.body(block_number)?;
        if tx_index >= body.tx_count {
            return Ok(None);
        }
        let tx_number = body.first_tx_number + tx_index;
        let transaction =
            read_transaction(&self.txn, tx_number)?.ok_or(missing("transaction", block_number))?;
        Ok(Some(Found { transaction, tx_number, block_number, body }))
    }

    pub(crate) fn find(&self, hash: &B256) -> Result<Option<Found>, QueryError> {
        let Some((tx_number, transaction)) = find_transaction(&self.txn, hash)? else { return Ok(None) };
        let Some((block_number, body)) = block_of_transaction(&self.txn, tx_number, self.head)? else {
            return Ok(None);
        };
        Ok(Some(Found { transaction, tx_number, block_number, body }))
    }

    pub(crate) fn locate(&self, found: Found) -> Result<TransactionAt, QueryError> {
        let Found { transaction, tx_number, block_number, body } = found;
        self.check_kept(Kept::Senders, block_number)?;
        let header = self.known_header(block_number)?;
        let sender = read_sender(&self.txn, tx_number)?.ok_or(missing("sender", block_number))?;
        let tx_index = tx_number - body.first_tx_number;
        Ok(TransactionAt { transaction, sender, block: BlockPosition::from(&header), tx_index })
    }
}
