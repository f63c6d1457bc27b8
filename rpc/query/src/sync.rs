//! How far the node is.

use portico_chain::{last_header_number, read_checkpoint};

use crate::{QueryError, Snapshot};

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
    /// The newest header.
    pub highest_block: u64,
    /// Each stage.
    pub stages: Vec<StageProgress>,
}

impl Snapshot<'_> {
    /// How far the stages are; `None` when all of them have reached the newest header.
    pub fn sync_status(&self) -> Result<Option<SyncStatus>, QueryError> {
        let highest_block = last_header_number(&self.txn)?.unwrap_or_default();
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
