//! What this node can answer, and from which block on.

use alloy_primitives::B256;

use crate::{Kept, QueryError, Snapshot};

/// The head, and the first block that each kind of data is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Number of the head.
    pub head: u64,
    /// Hash of the head.
    pub head_hash: B256,
    /// Accounts, code, storage, calls.
    pub state: u64,
    /// Transactions.
    pub transactions: u64,
    /// Logs by address and topic.
    pub logs: u64,
    /// Receipts.
    pub receipts: u64,
    /// Blocks with their bodies.
    pub blocks: u64,
    /// Proofs of accounts and storage.
    pub proofs: u64,
}

impl Snapshot<'_> {
    /// What this node can answer now.
    pub fn capabilities(&self) -> Result<Capabilities, QueryError> {
        let blocks = self.first_block_with(Kept::Bodies)?;
        let receipts = self.first_block_with(Kept::Receipts)?.max(blocks);
        Ok(Capabilities {
            head: self.head,
            head_hash: self.known_header(self.head)?.hash(),
            state: self.first_block_with(Kept::History)?,
            transactions: blocks.max(self.first_block_with(Kept::Senders)?),
            logs: receipts.max(self.first_block_with(Kept::LogIndex)?),
            receipts,
            blocks,
            proofs: self.first_provable_block()?,
        })
    }
}
