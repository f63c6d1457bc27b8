//! Whole blocks with their senders, and the counts that need no transaction.

use alloy_consensus::{Block, Header, transaction::SignerRecoverable};
use alloy_eip7928::BlockAccessList;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Sealed, U256};
use portico_chain::{
    BlockParts, ChainError, StoredBody, Transaction, block_number_of, is_canonical, read_access_list,
    read_block, read_body, read_senders, read_side_block, read_total_difficulty,
};

use crate::{Kept, QueryError, Snapshot};

/// A block with the sender of each transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullBlock {
    /// The block.
    pub parts: BlockParts,
    /// Senders, in the order of the transactions.
    pub senders: Vec<Address>,
}

impl Snapshot<'_> {
    /// The canonical block with this number, up to the head.
    ///
    /// # Errors
    /// [`QueryError::Pruned`] when only the header is left.
    pub fn block(&self, block_number: u64) -> Result<Option<FullBlock>, QueryError> {
        if self.canonical_hash(block_number)?.is_none() {
            return Ok(None);
        }
        let body = self.body(block_number)?;
        let parts = read_block(&self.txn, block_number)?.ok_or(missing("body", block_number))?;
        let senders = self.senders(&body, block_number)?;
        Ok(Some(FullBlock { parts, senders }))
    }

    /// A block by hash, whether or not it is canonical.
    ///
    /// # Errors
    /// [`QueryError::Pruned`] when only the header is left.
    pub fn block_by_hash(&self, hash: &B256) -> Result<Option<FullBlock>, QueryError> {
        let Some(block_number) = block_number_of(&self.txn, hash)? else { return Ok(None) };
        if is_canonical(&self.txn, block_number, hash)? {
            return self.block(block_number);
        }
        let Some(rlp) = read_side_block(&self.txn, block_number, *hash)? else { return Ok(None) };
        let block: Block<Transaction> =
            alloy_rlp::decode_exact(&rlp).map_err(|_| missing("readable side block", block_number))?;
        side_block(block, *hash)
    }

    /// What the canonical block holds besides its header and the transactions themselves; the number was resolved
    /// before.
    pub(crate) fn body(&self, block_number: u64) -> Result<StoredBody, QueryError> {
        self.check_kept(Kept::Bodies, block_number)?;
        Ok(read_body(&self.txn, block_number)?.ok_or(missing("body", block_number))?)
    }

    pub(crate) fn senders(&self, body: &StoredBody, block_number: u64) -> Result<Vec<Address>, QueryError> {
        if body.tx_count > 0 {
            self.check_kept(Kept::Senders, block_number)?;
        }
        Ok(read_senders(&self.txn, body, block_number)?)
    }

    /// A header by hash, whether or not it is canonical.
    pub fn header_by_hash(&self, hash: &B256) -> Result<Option<Sealed<Header>>, QueryError> {
        let Some(block_number) = block_number_of(&self.txn, hash)? else { return Ok(None) };
        if is_canonical(&self.txn, block_number, hash)? {
            return self.header(block_number);
        }
        let block = self.block_by_hash(hash)?;
        Ok(block.map(|block| Sealed::new_unchecked(block.parts.header, *hash)))
    }

    /// The access list of the canonical block with this number (EIP-7928).
    ///
    /// # Errors
    /// [`QueryError::NoAccessList`] for a block before Amsterdam, [`QueryError::Pruned`] when it is not kept.
    pub fn block_access_list(&self, block_number: u64) -> Result<BlockAccessList, QueryError> {
        if self.known_header(block_number)?.block_access_list_hash.is_none() {
            return Err(QueryError::NoAccessList { block_number });
        }
        let Some(rlp) = read_access_list(&self.txn, block_number)? else {
            let (what, setting) = ("the block access list", Kept::Bodies.setting());
            return Err(QueryError::Pruned { what, block_number, first_block: block_number + 1, setting });
        };
        alloy_rlp::decode_exact(&rlp).map_err(|_| missing("readable block access list", block_number).into())
    }

    /// Number of transactions in the canonical block with this number.
    pub fn transaction_count(&self, block_number: u64) -> Result<u64, QueryError> {
        Ok(self.body(block_number)?.tx_count)
    }

    /// Withdrawals of the canonical block with this number; `None` before Shanghai.
    pub fn withdrawals(&self, block_number: u64) -> Result<Option<Vec<Withdrawal>>, QueryError> {
        Ok(self.body(block_number)?.withdrawals)
    }

    /// Sum of the difficulties from genesis to the canonical block with this number.
    pub fn total_difficulty(&self, block_number: u64) -> Result<Option<U256>, QueryError> {
        Ok(read_total_difficulty(&self.txn, block_number)?)
    }

    /// Ommers of the canonical block with this number.
    pub fn ommers(&self, block_number: u64) -> Result<Vec<Header>, QueryError> {
        Ok(self.body(block_number)?.ommers)
    }
}

impl Snapshot<'_> {
    /// A block from its RLP, with its senders recovered. Nothing about it is checked but its form.
    ///
    /// # Errors
    /// [`QueryError::Undecodable`].
    pub fn decode_block(&self, rlp: &[u8]) -> Result<FullBlock, QueryError> {
        let undecodable = |reason: String| QueryError::Undecodable { what: "block", reason };
        let block: Block<Transaction> =
            alloy_rlp::decode_exact(rlp).map_err(|error| undecodable(error.to_string()))?;
        let hash = block.header.hash_slow();
        match side_block(block, hash) {
            Ok(Some(block)) => Ok(block),
            Ok(None) | Err(_) => Err(undecodable("a signature is invalid".to_owned())),
        }
    }
}

/// Side blocks have no senders in the database.
fn side_block(block: Block<Transaction>, hash: B256) -> Result<Option<FullBlock>, QueryError> {
    let Block { header, body } = block;
    let senders = body.transactions.iter().map(|transaction| transaction.recover_signer()).collect();
    let Ok(senders) = senders else { return Err(missing("sender in side block", header.number).into()) };
    let withdrawals = body.withdrawals.map(|withdrawals| withdrawals.0);
    let parts =
        BlockParts { hash, header, transactions: body.transactions, ommers: body.ommers, withdrawals };
    Ok(Some(FullBlock { parts, senders }))
}

pub(crate) fn missing(what: &'static str, block_number: u64) -> ChainError {
    ChainError::Missing { what, block_number }
}
