//! How far the node is.

use std::{fmt::Debug, sync::Arc};

use portico_chain::{last_header_number, read_checkpoint};

use crate::{Query, QueryError, Snapshot};

/// Stages whose progress is shown, in the order in which blocks go through them.
const STAGES: [&str; 13] = [
    "Headers",
    "Bodies",
    "Senders",
    "Execution",
    "AccountHashing",
    "StorageHashing",
    "Trie",
    "History",
    "LogIndex",
    "CallTraceIndex",
    "TxLookup",
    "Prune",
    "Finish",
];

/// How far one stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageProgress {
    /// The stage's name.
    pub stage: &'static str,
    /// Last block that it has done.
    pub block_number: u64,
}

/// How far the stages are while they are behind the newest header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncStatus {
    /// The head: the newest block that every stage has done.
    pub current_block: u64,
    /// The newest header, or a newer head that was chosen already.
    pub highest_block: u64,
    /// Each stage.
    pub stages: Vec<StageProgress>,
}

/// Who knows of a head that was chosen but not reached.
pub trait SyncSource: Debug + Send + Sync {
    /// That block's number, if there is such a one and its number is known.
    fn wanted(&self) -> Option<u64>;
}

impl Query {
    /// Says who knows of heads that were not reached yet. Only the first one counts.
    pub fn set_sync_source(&self, source: Arc<dyn SyncSource>) {
        let _ = self.inner.sync_source.set(source);
    }
}

impl Snapshot<'_> {
    /// How far the stages are; `None` when all of them have reached the newest header, and the head that was chosen last.
    pub fn sync_status(&self) -> Result<Option<SyncStatus>, QueryError> {
        let wanted = self.query.inner.sync_source.get().and_then(|source| source.wanted());
        let highest_block = last_header_number(&self.txn)?.max(wanted).unwrap_or_default();
        if highest_block <= self.head {
            return Ok(None);
        }
        let stages = STAGES.iter().map(|stage| {
            let block_number = read_checkpoint(&self.txn, stage)?;
            Ok(StageProgress { stage, block_number })
        });
        let stages = stages.collect::<Result<_, QueryError>>()?;
        Ok(Some(SyncStatus { current_block: self.head, highest_block, stages }))
    }
}
