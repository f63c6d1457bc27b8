//! The loop over the stages: transactions, checkpoints, progress, metrics, and what to do about a bad block.
//!
//! ```text
//!  cycle:  begin ─ Headers ─ Bodies ─ … ─ Finish ─ commit      every stage: blocks since its checkpoint
//! ```
//! A cycle takes a batch of blocks through all stages in one transaction, so that the database always stands at a
//! block whose state root was checked. When a block turns out bad, the transaction is dropped and the blocks before
//! it are done again: in one go when the rule names the block, by halves when only a batch's last state root was
//! wrong.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use portico_chain::{
    prune_checkpoint, read_block, read_checkpoint, write_checkpoint, write_prune_checkpoint, write_side_block,
};
use portico_chainspec::ChainSpec;
use portico_consensus::ethash::LightCaches;
use portico_db::{Database, RwTxn, TransactionKind, Txn};

use crate::{
    AccountHashing, BlockRange, Bodies, CallTraceIndex, Execution, FORWARD, Finish, Headers, History,
    InvalidReason, KnownSenders, LogIndex, Progress, Prune, Senders, SharedSource, SourceError, Stage,
    StageContext, StageError, StageId, StageOutput, StageSettings, StopSignal, StorageHashing, Trie,
    TxLookup, UNWIND, metrics,
    trie::{check_root, rebuild_trie, update_root},
};

/// Stages whose data can be pruned, in an order in which each still finds what it needs of the others.
const PRUNABLE: [StageId; 4] =
    [StageId::History, StageId::LogIndex, StageId::CallTraceIndex, StageId::TxLookup];

/// Watches a pipeline at work: a progress line, a log, a benchmark's table.
pub trait PipelineObserver: Progress {
    /// A stage begins.
    fn stage_started(&self, _stage: StageId, _range: BlockRange) {}

    /// A stage did its part of a cycle.
    fn stage_finished(&self, _stage: StageId, _range: BlockRange, _output: StageOutput, _elapsed: Duration) {}

    /// A cycle is about to be committed; `head` is the new head.
    fn committing(&self, _head: u64) {}

    /// A cycle was committed; `head` is the new head.
    fn committed(&self, _head: u64, _elapsed: Duration) {}

    /// A bad block was met; the blocks before it are done again.
    fn retrying(&self, _to: u64, _error: &StageError) {}
}

/// Nobody watches.
impl PipelineObserver for () {}

/// What a pipeline works with.
#[derive(Clone)]
pub struct PipelineConfig<'a> {
    /// The database; the pipeline is its only writer while it runs.
    pub database: &'a Database,
    /// Rules of the chain.
    pub spec: &'a Arc<ChainSpec>,
    /// Limits and choices.
    pub settings: &'a StageSettings,
    /// Set when the node is to stop.
    pub stop: &'a StopSignal,
    /// Who watches.
    pub observer: &'a dyn PipelineObserver,
    /// Folder for sorted loads that do not fit memory.
    pub scratch: PathBuf,
    /// What proof-of-work seals are verified with: slow to make, so shared by those who make many pipelines.
    pub light_caches: Arc<LightCaches>,
}

/// All stages in order; see the module.
pub struct Pipeline<'a> {
    config: PipelineConfig<'a>,
    stages: Vec<Box<dyn Stage>>,
}

/// What a cycle did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cycle {
    /// New head.
    head: u64,
    /// Whether any stage had anything to do.
    advanced: bool,
}

impl<'a> Pipeline<'a> {
    /// The stages, fed by `source`.
    pub fn new(config: PipelineConfig<'a>, source: &SharedSource) -> Self {
        let caches = config.light_caches.clone();
        let stages: Vec<Box<dyn Stage>> = vec![
            Box::new(Headers::new(source.clone(), caches.clone())),
            Box::new(Bodies::new(source.clone(), caches)),
            Box::<Senders>::default(),
            Box::new(Execution),
            Box::new(AccountHashing),
            Box::new(StorageHashing),
            Box::new(Trie),
            Box::new(History),
            Box::new(LogIndex),
            Box::new(CallTraceIndex),
            Box::new(TxLookup),
            Box::new(Prune),
            Box::new(Finish),
        ];
        debug_assert!(stages.iter().map(|stage| stage.id()).eq(FORWARD), "all stages, in order");
        Self { config, stages }
    }

    /// Runs cycles until the source has no more blocks or `to` is reached; gives the head.
    ///
    /// # Errors
    /// For a bad block [`StageError::InvalidBlock`], with the database at its parent; for a failed source
    /// [`StageError::Source`], with everything before done; [`StageError::Stopped`] with all finished cycles kept.
    pub fn run(&mut self, to: Option<u64>) -> Result<u64, StageError> {
        loop {
            self.config.stop.check()?;
            let error = match self.cycle(to) {
                Ok(Cycle { head, advanced: false }) => return Ok(head),
                Ok(Cycle { head, .. }) if Some(head) == to => return Ok(head),
                Ok(_) => continue,
                Err(error) => error,
            };
            return Err(match &error {
                StageError::InvalidBlock { number, .. } => self.settle_before(*number, error)?,
                _ => error,
            });
        }
    }

    /// Asks `known` for senders before they are recovered from signatures.
    #[must_use]
    pub fn knowing_senders(mut self, known: Arc<dyn KnownSenders>) -> Self {
        *stage_box(&mut self.stages, StageId::Senders) = Box::new(Senders::knowing(known));
        self
    }

    /// Takes all stages back to block `to`, in one transaction.
    ///
    /// # Errors
    /// [`StageError::UnwindTooDeep`] when changes are not kept that far back.
    pub fn unwind(&mut self, to: u64) -> Result<(), StageError> {
        let txn = self.config.database.begin_rw()?;
        self.unwind_within(&txn, to)?;
        txn.commit()?;
        Ok(())
    }

    /// Takes all stages back to block `to` within the caller's transaction.
    ///
    /// # Errors
    /// As [`Pipeline::unwind`]; the caller then drops the transaction.
    pub fn unwind_within(&mut self, txn: &RwTxn<'_>, to: u64) -> Result<(), StageError> {
        for id in UNWIND {
            self.unwind_stage(txn, id, to)?;
        }
        Ok(())
    }

    /// Changes over to the branch that leaves the chain behind block `ancestor` and that the source has up to block
    /// `to`; gives the new head. The blocks that lose are kept as side blocks. All of it is one transaction: either
    /// the whole branch is good, or nothing has changed.
    ///
    /// # Errors
    /// [`StageError::InvalidBlock`] for the first bad block of the branch; [`StageError::UnwindTooDeep`] when changes
    /// are not kept back to the ancestor.
    pub fn reorganize(&mut self, ancestor: u64, to: u64) -> Result<u64, StageError> {
        let batch = self.config.settings.batch_blocks;
        match self.reorganize_by(ancestor, to, batch) {
            // Only a batch's last root is looked at: find the block.
            Err(error) if names_batch(&error) && to > ancestor + 1 => self.reorganize_by(ancestor, to, 1),
            result => result,
        }
    }

    fn reorganize_by(&mut self, ancestor: u64, to: u64, batch: u64) -> Result<u64, StageError> {
        let started = Instant::now();
        let txn = self.config.database.begin_rw()?;
        let old_head = read_checkpoint(&txn, StageId::Finish.name())?;
        for number in ancestor + 1..=old_head {
            if let Some(block) = read_block(&txn, number)? {
                write_side_block(&txn, block)?;
            }
        }
        self.unwind_within(&txn, ancestor)?;
        let mut head = ancestor;
        while head < to {
            self.config.stop.check()?;
            match self.advance(&txn, Some(to.min(head + batch)))? {
                Cycle { advanced: false, .. } => break,
                Cycle { head: reached, .. } => head = reached,
            }
        }
        self.commit(txn, head, started)?;
        Ok(head)
    }

    /// Takes one stage back; the caller keeps the order.
    pub fn unwind_stage(&mut self, txn: &RwTxn<'_>, id: StageId, to: u64) -> Result<(), StageError> {
        let reached = read_checkpoint(txn, id.name())?;
        if reached <= to {
            return Ok(());
        }
        self.check_horizon(txn, id, to)?;
        let context = context(&self.config);
        let stage = stage_mut(&mut self.stages, id);
        stage.unwind(&context, txn, BlockRange { done: to, to: reached })?;
        Ok(write_checkpoint(txn, id.name(), to)?)
    }

    /// Stages that unwind by the changes of blocks can do so only where those are kept.
    fn check_horizon(&self, txn: &RwTxn<'_>, id: StageId, to: u64) -> Result<(), StageError> {
        let by_changes = match id {
            StageId::Execution
            | StageId::AccountHashing
            | StageId::StorageHashing
            | StageId::Trie
            | StageId::History
            | StageId::CallTraceIndex => true,
            StageId::Headers
            | StageId::Bodies
            | StageId::Senders
            | StageId::LogIndex
            | StageId::TxLookup
            | StageId::Prune
            | StageId::Finish => false,
        };
        if by_changes { check_changes_kept(txn, self.config.settings, to) } else { Ok(()) }
    }

    /// Runs one stage up to `to`, for working on single stages; gives its new checkpoint.
    pub fn run_stage(&mut self, txn: &RwTxn<'_>, id: StageId, to: u64) -> Result<u64, StageError> {
        let mut done = read_checkpoint(txn, id.name())?;
        while done < to {
            let output = self.forward(txn, id, BlockRange { done, to })?;
            if output.reached == done {
                break;
            }
            done = output.reached;
        }
        Ok(done)
    }

    /// Takes blocks up to `to` through some stages, which follow each other, within the caller's transaction.
    ///
    /// # Errors
    /// [`StageError::InvalidBlock`], [`StageError::Source`] when the source has no such blocks, internal faults; the
    /// caller then drops the transaction.
    pub fn forward_within(&mut self, txn: &RwTxn<'_>, stages: &[StageId], to: u64) -> Result<(), StageError> {
        for id in stages {
            let reached = self.run_stage(txn, *id, to)?;
            if reached < to {
                let message = format!("stage {id} stopped at block {reached} of {to}");
                return Err(SourceError { message }.into());
            }
        }
        Ok(())
    }

    /// Brings the trie to what the blocks in `range` changed, without comparing the root, which it gives.
    pub(crate) fn update_root(&self, txn: &RwTxn<'_>, range: BlockRange) -> Result<B256, StageError> {
        Ok(update_root(&context(&self.config), txn, range)?.0)
    }

    /// Deletes what a stage derived from other tables and derives it anew.
    ///
    /// # Errors
    /// [`StageError::NotDerived`] for a stage whose data come from outside or would change the state, or whose
    /// sources are pruned.
    pub fn rebuild_stage(&mut self, txn: &RwTxn<'_>, id: StageId) -> Result<(), StageError> {
        let reached = read_checkpoint(txn, id.name())?;
        let context = context(&self.config);
        match id {
            StageId::AccountHashing => AccountHashing::rebuild(&context, txn).map(drop),
            StageId::StorageHashing => StorageHashing::rebuild(&context, txn).map(drop),
            StageId::Trie => check_root(txn, reached, rebuild_trie(&context, txn)?),
            StageId::Senders | StageId::LogIndex | StageId::TxLookup => self.derive_again(txn, id, reached),
            StageId::History | StageId::CallTraceIndex => {
                match prune_checkpoint(txn, StageId::Execution.name())? {
                    Some(pruned) if pruned > 0 => Err(StageError::NotDerived {
                        stage: id,
                        why: "the changes that it is made of are pruned behind the unwind horizon",
                    }),
                    _ => self.derive_again(txn, id, reached),
                }
            }
            StageId::Headers | StageId::Bodies => {
                Err(StageError::NotDerived { stage: id, why: "its data come from outside" })
            }
            StageId::Execution | StageId::Prune | StageId::Finish => Err(StageError::NotDerived {
                stage: id,
                why: "nothing it writes is derived: unwind and run instead",
            }),
        }
    }

    fn derive_again(&mut self, txn: &RwTxn<'_>, id: StageId, reached: u64) -> Result<(), StageError> {
        self.unwind_stage(txn, id, 0)?;
        self.run_stage(txn, id, reached).map(drop)
    }

    /// Prunes the data of the stages that keep some per block, for the blocks up to `block_number`.
    pub fn prune(&mut self, txn: &RwTxn<'_>, block_number: u64) -> Result<(), StageError> {
        let context = context(&self.config);
        for id in PRUNABLE {
            let reached = read_checkpoint(txn, id.name())?;
            let pruned = prune_checkpoint(txn, id.name())?.unwrap_or_default();
            let through = block_number.min(reached);
            if through > pruned {
                stage_mut(&mut self.stages, id).prune(&context, txn, through)?;
                write_prune_checkpoint(txn, id.name(), through)?;
            }
        }
        Ok(())
    }

    /// One batch through all stages, one commit.
    fn cycle(&mut self, cap: Option<u64>) -> Result<Cycle, StageError> {
        let started = Instant::now();
        let txn = self.config.database.begin_rw()?;
        let cycle = self.advance(&txn, cap)?;
        if cycle.advanced {
            self.commit(txn, cycle.head, started)?;
        }
        Ok(cycle)
    }

    /// One batch through all stages.
    fn advance(&mut self, txn: &RwTxn<'_>, cap: Option<u64>) -> Result<Cycle, StageError> {
        let before = read_checkpoint(txn, StageId::Finish.name())?;
        let mut to = self.headers_target(txn, cap)?;
        for id in FORWARD {
            let done = read_checkpoint(txn, id.name())?;
            to = if to > done {
                self.forward(txn, id, BlockRange { done, to })?.reached
            } else {
                to.min(done)
            };
        }
        if to <= before {
            return Ok(Cycle { head: before, advanced: false });
        }
        Ok(Cycle { head: to, advanced: true })
    }

    fn commit(&self, txn: RwTxn<'_>, head: u64, started: Instant) -> Result<(), StageError> {
        self.config.observer.committing(head);
        metrics::observe("Commit", || txn.commit())?;
        metrics::head(head);
        self.config.observer.committed(head, started.elapsed());
        Ok(())
    }

    /// How far Headers may go: only on when every stage has done what is there.
    fn headers_target(&self, txn: &RwTxn<'_>, cap: Option<u64>) -> Result<u64, StageError> {
        let headers = read_checkpoint(txn, StageId::Headers.name())?;
        let finished = read_checkpoint(txn, StageId::Finish.name())?;
        let target = if finished < headers {
            headers
        } else {
            headers.saturating_add(self.config.settings.batch_blocks)
        };
        Ok(cap.map_or(target, |cap| target.min(cap)))
    }

    fn forward(
        &mut self,
        txn: &RwTxn<'_>,
        id: StageId,
        range: BlockRange,
    ) -> Result<StageOutput, StageError> {
        let started = Instant::now();
        self.config.observer.stage_started(id, range);
        let context = context(&self.config);
        let output = stage_mut(&mut self.stages, id).forward(&context, txn, range)?;
        debug_assert!((range.done..=range.to).contains(&output.reached), "a stage stays within its range");
        if output.reached > range.done {
            write_checkpoint(txn, id.name(), output.reached)?;
        }
        let elapsed = started.elapsed();
        metrics::stage(id, range, output, elapsed);
        self.config.observer.stage_finished(id, range, output, elapsed);
        Ok(output)
    }

    /// Does the blocks before the bad one and gives the error for the lowest bad block.
    fn settle_before(&mut self, bad: u64, error: StageError) -> Result<StageError, StageError> {
        let (mut bad, mut error) = (bad, error);
        loop {
            self.config.stop.check()?;
            let head = read_checkpoint(&self.config.database.begin_ro()?, StageId::Finish.name())?;
            if head + 1 >= bad {
                return Ok(error);
            }
            let to = if names_batch(&error) { head + (bad - head) / 2 } else { bad - 1 };
            self.config.observer.retrying(to, &error);
            match self.cycle(Some(to)) {
                Ok(Cycle { advanced: true, .. }) => {}
                Ok(Cycle { advanced: false, .. }) => return Ok(error),
                Err(StageError::InvalidBlock { number, hash, reason }) => {
                    error = StageError::InvalidBlock { number, hash, reason };
                    if number >= bad {
                        // A source that gives other blocks each time: what is good about them cannot be found out.
                        return Ok(error);
                    }
                    bad = number;
                }
                Err(other) => return Err(other),
            }
        }
    }
}

/// Whether the changes are there by which the chain can be taken back to block `to`.
///
/// # Errors
/// [`StageError::UnwindTooDeep`] when they are not.
pub(crate) fn check_changes_kept<K: TransactionKind>(
    txn: &Txn<'_, K>,
    settings: &StageSettings,
    to: u64,
) -> Result<(), StageError> {
    let pruned = prune_checkpoint(txn, StageId::Execution.name())?.unwrap_or_default();
    if to >= pruned {
        return Ok(());
    }
    let head = read_checkpoint(txn, StageId::Execution.name())?;
    let (horizon, needed) = (settings.unwind_horizon, head.saturating_sub(to));
    Err(StageError::UnwindTooDeep { to, first: pruned, horizon, needed })
}

/// Whether the error is about the last of a batch of blocks of which any may be at fault.
fn names_batch(error: &StageError) -> bool {
    matches!(error, StageError::InvalidBlock { reason, .. }
        if matches!(**reason, InvalidReason::StateRoot { .. }))
}

fn context<'a>(config: &'a PipelineConfig<'_>) -> StageContext<'a> {
    StageContext {
        spec: config.spec,
        settings: config.settings,
        stop: config.stop,
        progress: config.observer,
        scratch: config.scratch.clone(),
    }
}

fn stage_mut(stages: &mut [Box<dyn Stage>], id: StageId) -> &mut dyn Stage {
    &mut **stage_box(stages, id)
}

fn stage_box(stages: &mut [Box<dyn Stage>], id: StageId) -> &mut Box<dyn Stage> {
    let position = FORWARD.iter().position(|stage| *stage == id).expect("every stage is in the order");
    &mut stages[position]
}
