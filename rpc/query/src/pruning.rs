//! What a database may have deleted, and the errors that say so.

use portico_chain::{prune_checkpoint, read_checkpoint};

use crate::{QueryError, Snapshot};

/// Data that can be pruned on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Transactions, ommers and withdrawals.
    Bodies,
    /// Senders of transactions.
    Senders,
    /// Receipts and their logs.
    Receipts,
    /// State as of past blocks.
    History,
    /// Blocks by log address and topic.
    LogIndex,
    /// Blocks by caller and callee.
    CallIndex,
}

impl Kept {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bodies => "the body",
            Self::Senders => "the senders",
            Self::Receipts => "the receipts",
            Self::History => "the state",
            Self::LogIndex => "the log index",
            Self::CallIndex => "the call index",
        }
    }

    /// The stage that writes it.
    pub fn stage(self) -> &'static str {
        match self {
            Self::Bodies => "Bodies",
            Self::Senders => "Senders",
            Self::Receipts => "Execution",
            Self::History => "History",
            Self::LogIndex => "LogIndex",
            Self::CallIndex => "CallTraceIndex",
        }
    }

    /// Name of the prune checkpoint. That of the Execution stage is about changes, not about receipts.
    fn prune_checkpoint(self) -> &'static str {
        match self {
            Self::Receipts => "Receipts",
            Self::Bodies | Self::Senders | Self::History | Self::LogIndex | Self::CallIndex => self.stage(),
        }
    }

    /// The setting that keeps it.
    pub fn setting(self) -> &'static str {
        "--prune.mode"
    }
}

impl Snapshot<'_> {
    /// The first block that has `kept`.
    pub fn first_block_with(&self, kept: Kept) -> Result<u64, QueryError> {
        Ok(prune_checkpoint(&self.txn, kept.prune_checkpoint())?.map_or(0, |pruned| pruned + 1))
    }

    /// # Errors
    /// [`QueryError::Pruned`] when the block's data was deleted.
    pub(crate) fn check_kept(&self, kept: Kept, block_number: u64) -> Result<(), QueryError> {
        let first_block = self.first_block_with(kept)?;
        if block_number >= first_block {
            return Ok(());
        }
        Err(QueryError::Pruned { what: kept.name(), block_number, first_block, setting: kept.setting() })
    }

    /// # Errors
    /// When the log index does not cover `from` to `to`.
    pub(crate) fn check_log_index(&self, span: crate::logs::BlockSpan) -> Result<(), QueryError> {
        self.check_kept(Kept::LogIndex, span.from)?;
        self.check_reached(Kept::LogIndex, span.to)
    }

    /// # Errors
    /// When the call index does not cover `from` to `to`.
    pub(crate) fn check_call_index(&self, span: crate::logs::BlockSpan) -> Result<(), QueryError> {
        self.check_kept(Kept::CallIndex, span.from)?;
        self.check_reached(Kept::CallIndex, span.to)
    }

    /// # Errors
    /// [`QueryError::NotIndexed`] when the stage that writes `kept` has not done the block.
    pub(crate) fn check_reached(&self, kept: Kept, block_number: u64) -> Result<(), QueryError> {
        let (what, stage) = (kept.name(), kept.stage());
        let reached = read_checkpoint(&self.txn, stage)?;
        if reached >= block_number {
            return Ok(());
        }
        Err(QueryError::NotIndexed { what, block_number, stage, reached })
    }
}
