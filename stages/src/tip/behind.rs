//! Far behind: the pipeline brings the database to a head that was chosen, while calls are answered at once.
//!
//! Blocks that nobody has executed are put aside in the database, where they wait for their ancestors without taking
//! memory. When a head is chosen to which too many of them lead, the worker writes what is canonical in memory, then
//! hands the blocks to the pipeline, a batch and a commit at a time, as an import does: readers see the head move with
//! each. A branch from below the head changes over in the transaction of its first batch. Nothing is executed in memory
//! meanwhile; what comes is put aside.

use std::{cell::RefCell, collections::HashSet, rc::Rc, sync::Arc, time::Duration};

use alloy_primitives::B256;
use portico_chain::{BlockParts, delete_side_block, prune_side_blocks, put_block_aside};
use portico_db::RwTxn;

use super::{Tip, Verdict, cost, worker::Work};
use crate::{
    BlockRange, Counters, InvalidReason, Pipeline, PipelineConfig, PipelineObserver, Progress, SharedSource,
    SourceError, StageError, StageId, StageOutput, held_blocks::HeldBlocks,
};

/// Blocks in a batch at most: the head that readers see moves with each.
const BATCH_BLOCKS: usize = 1_000;
/// What the blocks of a batch cost, about: they are in memory together.
const BATCH_COST: u64 = 20_000_000_000;

/// How a chosen head hangs together with the chain.
enum Way {
    /// Upon a block in memory, the base, or a canonical block of the database with this number; then these blocks, oldest
    /// first.
    From { number: u64, hash: B256, blocks: Vec<B256> },
    /// A block on the way is not at hand.
    Missing(B256),
    /// A block on the way is known to be bad.
    Invalid,
}

impl Tip {
    /// Notes that a head was chosen that cannot be one yet, for those who ask how far the node is.
    pub fn want(&self, head: B256) {
        self.lock().wanted = Some(head);
    }

    /// Begins to bring the database to a head of which the verdict was [`Verdict::Behind`]; goes on by itself when another
    /// one is chosen meanwhile.
    pub fn catch_up(&self, head: B256) {
        let mut tree = self.lock();
        tree.wanted = Some(head);
        if !tree.catching_up {
            tree.catching_up = true;
            drop(tree);
            self.send(Work::CatchUp);
        }
    }

    /// Waits until nothing is caught up with.
    ///
    /// # Errors
    /// When the worker has failed.
    pub fn wait_caught_up(&self) -> Result<(), StageError> {
        let mut tree = self.lock();
        while tree.catching_up {
            tree.check()?;
            tree = self.wait(tree);
        }
        tree.check()
    }

    /// [`Tip::set_head`] for callers with time: whatever has to be caught up with is.
    ///
    /// # Errors
    /// As [`Tip::set_head`].
    pub fn set_head_in_time(&self, head: B256) -> Result<Verdict, StageError> {
        let verdict = self.set_head(head)?;
        if verdict != Verdict::Behind {
            return Ok(verdict);
        }
        self.catch_up(head);
        self.wait_caught_up()?;
        self.set_head(head)
    }

    /// Number of the head that was chosen but could not be one at once, if that is known.
    pub fn wanted(&self) -> Option<u64> {
        let tree = self.lock();
        let hash = tree.wanted?;
        let waiting = tree.waiting(&hash).map(|block| block.header.number);
        waiting.or_else(|| tree.aside(&hash)).or_else(|| tree.number_of(&hash))
    }

    /// Writes the blocks that were put aside.
    pub(super) fn write_aside(&self) -> Result<(), StageError> {
        let blocks = self.lock().take_unwritten();
        if blocks.is_empty() {
            return Ok(());
        }
        let txn = self.live().database().begin_rw()?;
        for block in &blocks {
            put_block_aside(&txn, block)?;
        }
        Ok(txn.commit()?)
    }

    /// Deletes from beside the chain what is on it now, and what is too old to ever be.
    pub(super) fn tidy_beside(&self, txn: &RwTxn<'_>, blocks: &[(u64, B256)]) -> Result<(), StageError> {
        for (number, hash) in blocks {
            delete_side_block(txn, *number, *hash)?;
        }
        let head = blocks.last().map_or(0, |(number, _)| *number);
        let through = head.saturating_sub(self.0.config.stages.unwind_horizon);
        if through > 0 {
            prune_side_blocks(txn, through)?;
        }
        self.lock().forget_aside(blocks.iter().map(|(_, hash)| hash), through);
        Ok(())
    }

    /// On the worker's thread: brings the database to the head that is wanted.
    pub(super) fn catch_up_now(&self, unkept: &mut HashSet<B256>) -> Result<(), StageError> {
        let result = self.follow(unkept);
        let mut tree = self.lock();
        tree.catching_up = false;
        tree.persisting.clear();
        drop(tree);
        self.0.changed.notify_all();
        match result {
            Err(StageError::Stopped) => Ok(()),
            Err(error @ StageError::UnwindTooDeep { .. }) => {
                tracing::warn!(%error, "the chosen head cannot be reached");
                Ok(())
            }
            other => other,
        }
    }

    fn follow(&self, unkept: &mut HashSet<B256>) -> Result<(), StageError> {
        let _alone = self.executing();
        loop {
            let Some(wanted) = self.lock().wanted else { return Ok(()) };
            self.0.leave.check()?;
            self.write_aside()?;
            let start = match self.way_to(wanted)? {
                Way::From { hash, .. } => hash,
                Way::Missing(hash) => {
                    tracing::info!(head = %wanted, missing = %hash, "the chosen head waits for a block");
                    return Ok(());
                }
                Way::Invalid => return Ok(()),
            };
            self.leave_memory(start, unkept)?;
            let Way::From { number, hash, blocks } = self.way_to(wanted)? else { return Ok(()) };
            if !self.go((number, hash), &blocks)? {
                return Ok(());
            }
            let mut tree = self.lock();
            if tree.wanted == Some(wanted) {
                tree.wanted = None;
            }
        }
    }

    /// The blocks from the chain to `head`.
    fn way_to(&self, head: B256) -> Result<Way, StageError> {
        let mut blocks = Vec::new();
        let mut next = head;
        loop {
            let tree = self.lock();
            if let Some(number) = tree.number_of(&next) {
                blocks.reverse();
                return Ok(Way::From { number, hash: next, blocks });
            }
            let fault = tree.fault(&next).cloned();
            drop(tree);
            if let Some(fault) = fault {
                self.refuse(blocks, fault);
                return Ok(Way::Invalid);
            }
            if let Some(number) = self.canonical_number(&next)? {
                blocks.reverse();
                return Ok(Way::From { number, hash: next, blocks });
            }
            let Some(parent) = self.parent_beside(&next)? else { return Ok(Way::Missing(next)) };
            blocks.push(next);
            next = parent;
        }
    }

    /// The block before one that is at hand. It is read only when nobody knows.
    fn parent_beside(&self, hash: &B256) -> Result<Option<B256>, StageError> {
        if let Some(parent) = self.lock().parent_beside(hash) {
            return Ok(Some(parent));
        }
        let Some(block) = self.block_beside(*hash)? else { return Ok(None) };
        let parent = block.header.parent_hash;
        self.lock().set_parent_beside(hash, parent);
        Ok(Some(parent))
    }

    /// Writes what is canonical in memory, up to `start` when that is above the head, and empties the memory.
    fn leave_memory(&self, start: B256, unkept: &mut HashSet<B256>) -> Result<(), StageError> {
        self.keep_blocks(unkept)?;
        unkept.clear();
        let path: Vec<B256> = {
            let mut tree = self.lock();
            let is_above = tree.head == tree.base.1 || tree.descends(&start, &tree.head);
            if is_above && tree.nodes.contains_key(&start) {
                tree.head = start;
            }
            tree.path_to(&tree.head).iter().map(|node| node.hash).collect()
        };
        for hash in path {
            self.index(hash)?;
        }
        self.persist_all()?;
        let mut tree = self.lock();
        tree.nodes.clear();
        tree.head = tree.base.1;
        self.publish_head(&tree)
    }

    /// Brings the database, which holds block `ancestor`, to the last of the blocks that follow it; says whether it is there.
    fn go(&self, ancestor: (u64, B256), blocks: &[B256]) -> Result<bool, StageError> {
        let source = Rc::new(RefCell::new(HeldBlocks::default()));
        let shared: SharedSource = source.clone();
        let mut below = ancestor;
        let mut rest = blocks;
        loop {
            let batch = self.load(rest)?;
            if let (true, Some(missing)) = (batch.is_empty(), rest.first()) {
                tracing::warn!(%missing, "a block on the way to the chosen head is gone");
                return Ok(false);
            }
            let path: Vec<(u64, B256)> = (below.0 + 1..).zip(batch.iter().map(|block| block.hash)).collect();
            let to = path.last().copied().unwrap_or(below);
            let base = self.lock().base;
            tracing::info!(from = below.0, to = to.0, blocks_left = rest.len(), "catching up");
            source.borrow_mut().hold_behind(below.0, batch);
            let watch = Watch { tip: self, below, path: &path };
            let config = PipelineConfig { stop: &self.0.leave, observer: &watch, ..self.pipeline_config() };
            let mut pipeline = Pipeline::new(config, &shared);
            let result =
                if below.0 < base.0 { pipeline.reorganize(below.0, to.0) } else { pipeline.run(Some(to.0)) };
            match result {
                Ok(reached) if reached == to.0 => {}
                Ok(reached) => {
                    let message = format!("the pipeline stopped at block {reached} of {}", to.0);
                    return Err(SourceError { message }.into());
                }
                Err(StageError::InvalidBlock { number, reason, .. }) => {
                    let bad = (number.saturating_sub(below.0 + 1) as usize).min(path.len().saturating_sub(1));
                    let parent = bad.checked_sub(1).map_or(below.1, |last| path[last].1);
                    self.note_fault(parent, &reason, rest.get(bad..).unwrap_or_default())?;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
            let txn = self.live().database().begin_rw()?;
            self.tidy_beside(&txn, &path)?;
            txn.commit()?;
            self.write_aside()?;
            rest = &rest[path.len()..];
            below = to;
            if rest.is_empty() {
                return Ok(true);
            }
        }
    }

    fn note_fault(&self, parent: B256, reason: &InvalidReason, bad: &[B256]) -> Result<(), StageError> {
        tracing::warn!(%reason, hash = ?bad.first(), "the chosen head has a bad block before it");
        let fault = self.fault_upon(parent, reason)?;
        if let Some(first) = bad.first()
            && let Some(block) = self.block_beside(*first)?
        {
            self.keep_bad(block, &fault.reason);
        }
        self.refuse(bad.iter().copied(), fault);
        Ok(())
    }

    /// The first of these blocks, as many as a batch takes, up to one that is not at hand.
    fn load(&self, hashes: &[B256]) -> Result<Vec<BlockParts>, StageError> {
        let mut blocks = Vec::new();
        let mut together = 0_u64;
        for hash in hashes.iter().take(BATCH_BLOCKS) {
            let Some(block) = self.block_beside(*hash)? else { break };
            together = together.saturating_add(cost(&block.header));
            blocks.push(Arc::unwrap_or_clone(block));
            if together > BATCH_COST {
                break;
            }
        }
        Ok(blocks)
    }
}

/// Moves the base with each commit, and tells the tip's own observer.
struct Watch<'a> {
    tip: &'a Tip,
    below: (u64, B256),
    path: &'a [(u64, B256)],
}

impl Watch<'_> {
    fn block(&self, number: u64) -> (u64, B256) {
        let position = number.checked_sub(self.below.0 + 1).map(|position| position as usize);
        position.and_then(|position| self.path.get(position)).copied().unwrap_or(self.below)
    }

    fn observer(&self) -> &dyn PipelineObserver {
        &*self.tip.0.config.observer
    }
}

impl Progress for Watch<'_> {
    fn at(&self, block_number: u64, counters: Counters) {
        self.observer().at(block_number, counters);
    }
}

impl PipelineObserver for Watch<'_> {
    fn stage_started(&self, stage: StageId, range: BlockRange) {
        self.observer().stage_started(stage, range);
    }

    fn stage_finished(&self, stage: StageId, range: BlockRange, output: StageOutput, elapsed: Duration) {
        self.observer().stage_finished(stage, range, output, elapsed);
    }

    fn committing(&self, head: u64) {
        self.tip.lock().persisting = vec![self.block(head)];
    }

    fn committed(&self, head: u64, elapsed: Duration) {
        let mut tree = self.tip.lock();
        tree.base = self.block(head);
        tree.head = tree.base.1;
        tree.persisting.clear();
        if let Err(error) = self.tip.publish_head(&tree) {
            tracing::error!(%error, "readers are not told of the new head");
        }
        drop(tree);
        self.tip.0.changed.notify_all();
        self.observer().committed(head, elapsed);
    }

    fn retrying(&self, to: u64, error: &StageError) {
        self.observer().retrying(to, error);
    }
}
