//! What a stage is.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use portico_chainspec::ChainSpec;
use portico_consensus::{HeaderChecks, ethash::VerifyPow};
use portico_db::RwTxn;

use crate::StageError;

/// The stages, by name. The names are stored with the checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StageId {
    /// Headers from a source, checked against their parents.
    Headers,
    /// Bodies from a source, checked against their headers.
    Bodies,
    /// Senders recovered from signatures.
    Senders,
    /// Plain state, receipts and changes by running the transactions.
    Execution,
    /// Hashed accounts from changed plain ones.
    AccountHashing,
    /// Hashed storage from changed plain slots.
    StorageHashing,
    /// Trie nodes, and the state root compared with the header's.
    Trie,
    /// History columns from changes.
    History,
    /// Blocks by log address and topic.
    LogIndex,
    /// Blocks by address in calls.
    CallTraceIndex,
    /// Transactions by hash.
    TxLookup,
    /// Deletes what the settings do not keep.
    Prune,
    /// Makes the new head visible.
    Finish,
}

impl StageId {
    /// The name, as stored and as users type it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Headers => "Headers",
            Self::Bodies => "Bodies",
            Self::Senders => "Senders",
            Self::Execution => "Execution",
            Self::AccountHashing => "AccountHashing",
            Self::StorageHashing => "StorageHashing",
            Self::Trie => "Trie",
            Self::History => "History",
            Self::LogIndex => "LogIndex",
            Self::CallTraceIndex => "CallTraceIndex",
            Self::TxLookup => "TxLookup",
            Self::Prune => "Prune",
            Self::Finish => "Finish",
        }
    }
}

impl std::fmt::Display for StageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// From as many first blocks on, hashed state is made anew instead of updated.
pub(crate) const REBUILD_BLOCKS_MIN: u64 = 1_000;

/// Blocks that a stage is to do: all after `done`, up to and with `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRange {
    /// The stage's checkpoint.
    pub done: u64,
    /// Last block to do; at least `done`.
    pub to: u64,
}

impl BlockRange {
    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        self.to <= self.done
    }

    /// Number of blocks.
    pub fn len(&self) -> u64 {
        self.to - self.done
    }

    /// First block to do.
    pub fn first(&self) -> u64 {
        self.done + 1
    }

    /// The block numbers.
    pub fn blocks(&self) -> std::ops::RangeInclusive<u64> {
        self.done + 1..=self.to
    }
}

/// What one call of [`Stage::forward`] got done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageOutput {
    /// The new checkpoint: `range.to`, or less when the stage ended its batch early.
    pub reached: u64,
    /// Work done, for metrics and the progress line.
    pub counters: Counters,
}

impl StageOutput {
    /// Everything asked for was done.
    pub fn all(range: BlockRange) -> Self {
        Self { reached: range.to, counters: Counters::default() }
    }
}

/// Work done by a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Transactions that passed through.
    pub transactions: u64,
    /// Gas executed.
    pub gas: u64,
    /// Rows written.
    pub rows: u64,
}

/// Limits and choices for the stages.
#[derive(Debug, Clone)]
pub struct StageSettings {
    /// Blocks in a batch, at most.
    pub batch_blocks: u64,
    /// Bytes of block bodies in a batch, about.
    pub batch_body_bytes: u64,
    /// Bytes that the execution overlay may take before its batch ends, about.
    pub overlay_bytes: u64,
    /// Gas in an execution batch, at most.
    pub batch_gas: u64,
    /// Bytes that a sorted load holds in memory before it spills.
    pub etl_bytes: usize,
    /// Blocks behind the head whose changes are kept, so that they can be unwound.
    pub unwind_horizon: u64,
    /// Changed leaves, as a share of all leaves in 1/1000, above which the trie is rebuilt.
    pub trie_rebuild_permille: u64,
    /// Whether the state root after each transaction before Byzantium is computed, so that the receipts root of those
    /// blocks is checked and receipts can show it.
    pub receipt_state_roots: bool,
    /// Header rules that test chains may leave out.
    pub header_checks: HeaderChecks,
    /// Proof-of-work seals to verify; without it those of [`VerifyPow::default_for`] the chain.
    pub verify_pow: Option<VerifyPow>,
}

impl Default for StageSettings {
    fn default() -> Self {
        Self {
            batch_blocks: 100_000,
            batch_body_bytes: 128 << 20,
            overlay_bytes: 384 << 20,
            batch_gas: 400_000_000_000,
            etl_bytes: 192 << 20,
            unwind_horizon: 10_000,
            trie_rebuild_permille: 100,
            receipt_state_roots: true,
            header_checks: HeaderChecks::default(),
            verify_pow: None,
        }
    }
}

/// A request to stop at the next safe point; clones share it.
#[derive(Debug, Clone, Default)]
pub struct StopSignal(Arc<AtomicBool>);

impl StopSignal {
    /// Asks to stop.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether someone asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The flag itself, for workers that know no stages.
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }

    /// # Errors
    /// [`StageError::Stopped`] when someone asked to stop.
    pub fn check(&self) -> Result<(), StageError> {
        if self.is_stopped() { Err(StageError::Stopped) } else { Ok(()) }
    }
}

/// Where a stage says how far it is within its range; called often, so it must be cheap.
pub trait Progress: Sync {
    /// `block_number` is done within the running stage; `counters` since the stage began.
    fn at(&self, block_number: u64, counters: Counters);
}

/// No progress display.
impl Progress for () {
    fn at(&self, _: u64, _: Counters) {}
}

/// What every stage is given.
pub struct StageContext<'a> {
    /// Rules of the chain.
    pub spec: &'a Arc<ChainSpec>,
    /// Limits and choices.
    pub settings: &'a StageSettings,
    /// Set when the node is to stop.
    pub stop: &'a StopSignal,
    /// Progress within the stage.
    pub progress: &'a dyn Progress,
    /// Folder for sorted loads that do not fit memory.
    pub scratch: PathBuf,
}

impl StageContext<'_> {
    /// Proof-of-work seals to verify: what the settings say, or what the chain's default is.
    pub fn verify_pow(&self) -> VerifyPow {
        self.settings.verify_pow.unwrap_or_else(|| VerifyPow::default_for(self.spec))
    }
}

/// A step of the sync: a blocking function from tables to tables.
///
/// All three verbs work within the transaction that they are given and leave checkpoints to the pipeline. After
/// an error the caller drops the transaction.
pub trait Stage {
    /// Which one.
    fn id(&self) -> StageId;

    /// Does the blocks in `range`, or the first part of them.
    ///
    /// # Errors
    /// [`StageError::InvalidBlock`] for the lowest block that breaks a rule; [`StageError::Stopped`] when asked to
    /// stop; anything else is an internal fault.
    fn forward(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        range: BlockRange,
    ) -> Result<StageOutput, StageError>;

    /// Takes back the blocks in `range`, so that `range.done` becomes the checkpoint again.
    fn unwind(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        range: BlockRange,
    ) -> Result<(), StageError>;

    /// Deletes data that only serves questions about blocks up to and with `block_number`. No answer about later
    /// blocks may change.
    fn prune(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        block_number: u64,
    ) -> Result<(), StageError>;
}
