//! What happens behind the answers: blocks are made findable, and written.

use std::{cell::RefCell, collections::HashSet, rc::Rc, sync::Arc, thread::JoinHandle};

use alloy_primitives::B256;
use crossbeam_channel::{Receiver, Sender};
use portico_chain::{read_forkchoice, write_forkchoice, write_side_block};
use portico_db::Layer;

use super::Tip;
use crate::{
    Pipeline, SharedSource, StageError, StopSignal, held_blocks::HeldBlocks, order::validating_and_indexing,
};

/// What the worker is asked for.
#[derive(Debug)]
pub(super) enum Work {
    /// To run the rest of the stages for a block.
    Index(B256),
    /// To write the blocks that were put aside.
    PutAside,
    /// To bring the database to the head that is wanted.
    CatchUp,
    /// To look whether there are blocks to write.
    Persist,
    /// To tell when all before it is done and the blocks in memory are kept beside the chain.
    Settle(Sender<()>),
    /// To write all that is canonical, and to tell when that is done.
    Flush(Sender<()>),
    /// To write all that is canonical, and to end.
    Stop,
}

/// The thread behind a [`Tip`].
#[derive(Debug)]
pub struct TipWorker {
    thread: Option<JoinHandle<Result<(), StageError>>>,
    work: Sender<Work>,
    leave: StopSignal,
}

impl TipWorker {
    pub(super) fn start(tip: Tip, orders: Receiver<Work>) -> Self {
        let (work, leave) = (tip.0.work.clone(), tip.0.leave.clone());
        let run = move || {
            let result = run(&tip, &orders);
            if let Err(error) = &result {
                tracing::error!(%error, "the newest blocks can no longer be written");
                tip.lock().failure = Some(error.to_string());
                tip.live().retract();
                tip.0.changed.notify_all();
            }
            result
        };
        let thread = std::thread::Builder::new().name("tip".to_owned()).spawn(run);
        Self { thread: Some(thread.expect("the system starts a thread")), work, leave }
    }

    /// Writes the canonical blocks and ends.
    ///
    /// # Errors
    /// What the worker failed of, now or before.
    pub fn stop(mut self) -> Result<(), StageError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), StageError> {
        self.leave.stop();
        let _ = self.work.send(Work::Stop);
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().unwrap_or(Err(StageError::TipFailed("its thread panicked".to_owned())))
    }
}

/// As [`TipWorker::stop`], for those who do not ask how it went.
impl Drop for TipWorker {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "the newest blocks were not written");
        }
    }
}

impl Tip {
    /// Writes all canonical blocks; returns when that is done.
    ///
    /// # Errors
    /// When the worker has failed.
    pub fn flush(&self) -> Result<(), StageError> {
        let (done, wait) = crossbeam_channel::bounded(1);
        self.send(Work::Flush(done));
        let _ = wait.recv();
        self.lock().check()
    }

    /// Waits until every block in memory is findable and would be at hand after a crash.
    ///
    /// # Errors
    /// When the worker has failed.
    pub fn settle(&self) -> Result<(), StageError> {
        let (done, wait) = crossbeam_channel::bounded(1);
        self.send(Work::Settle(done));
        let _ = wait.recv();
        self.lock().check()
    }

    /// Runs the stages that make a block findable.
    pub(super) fn index(&self, hash: B256) -> Result<(), StageError> {
        let tree = self.lock();
        let Some(node) = tree.nodes.get(&hash).filter(|node| !node.indexed).cloned() else { return Ok(()) };
        // Within the lock: the base does not move under the view. Nothing but this thread moves it anyway.
        let txn = self.live().database().begin_in_memory(&node.view)?;
        drop(tree);
        let source: SharedSource = Rc::new(RefCell::new(HeldBlocks::default()));
        let (_, indexing) = validating_and_indexing();
        Pipeline::new(self.pipeline_config(), &source).forward_within(&txn, indexing, node.header.number)?;
        let (view, rest) = txn.into_layer()?;
        let mut layer = Arc::unwrap_or_clone(node.layer);
        layer.extend(&rest);
        let mut tree = self.lock();
        if let Some(node) = tree.nodes.get_mut(&hash) {
            (node.view, node.layer, node.indexed) = (view, Arc::new(layer), true);
            if tree.head == hash {
                self.publish_head(&tree)?;
            }
        }
        drop(tree);
        self.0.changed.notify_all();
        Ok(())
    }

    /// Writes the oldest canonical blocks in memory, all but `keep` of them.
    fn persist(&self, keep: usize) -> Result<(), StageError> {
        let (blocks, layers) = {
            let mut tree = self.lock();
            let path = tree.path_to(&tree.head);
            let count = path.len().saturating_sub(keep);
            // Readers must see a block before it is written.
            if count == 0 || path.iter().any(|node| !node.indexed) {
                return Ok(());
            }
            let chosen = &path[..count];
            let blocks: Vec<(u64, B256)> =
                chosen.iter().map(|node| (node.header.number, node.hash)).collect();
            let layers: Vec<Arc<Layer>> = chosen.iter().map(|node| node.layer.clone()).collect();
            let target = blocks[count - 1].1;
            // No other branch can be entered from here on: its rows would be relative to a state that is gone.
            tree.retain_descendants(&target);
            tree.persisting = blocks.clone();
            (blocks, layers)
        };
        self.write(&blocks, &layers)?;
        let mut tree = self.lock();
        tree.persisting.clear();
        tree.move_base(blocks[blocks.len() - 1]);
        self.publish_head(&tree)?;
        drop(tree);
        self.0.changed.notify_all();
        Ok(())
    }

    /// Writes all that is canonical, and what is safe and finalized even when there is no block to write.
    pub(super) fn persist_all(&self) -> Result<(), StageError> {
        self.persist(0)?;
        let named = self.named();
        if named == read_forkchoice(&self.live().database().begin_ro()?)? {
            return Ok(());
        }
        let txn = self.live().database().begin_rw()?;
        write_forkchoice(&txn, named)?;
        Ok(txn.commit()?)
    }

    fn write(&self, blocks: &[(u64, B256)], layers: &[Arc<Layer>]) -> Result<(), StageError> {
        let started = std::time::Instant::now();
        let mut all = Layer::clone(&layers[0]);
        layers[1..].iter().for_each(|layer| all.extend(layer));
        let txn = self.live().database().begin_rw()?;
        txn.apply(&all)?;
        let named = self.named();
        if named != read_forkchoice(&txn)? {
            write_forkchoice(&txn, named)?;
        }
        let head = blocks.last().map_or(0, |(number, _)| *number);
        self.tidy_beside(&txn, blocks)?;
        txn.commit()?;
        crate::metrics::head(head);
        tracing::debug!(
            block_number = head,
            blocks = blocks.len(),
            rows = all.rows(),
            elapsed_ms = started.elapsed().as_millis() as u64,
            "written"
        );
        Ok(())
    }

    /// Keeps blocks beside the chain, so that they are at hand after a crash.
    pub(super) fn keep_blocks(&self, hashes: &HashSet<B256>) -> Result<(), StageError> {
        let blocks: Vec<_> = {
            let tree = self.lock();
            hashes
                .iter()
                .filter(|hash| tree.nodes.contains_key(*hash))
                .filter_map(|hash| tree.waiting(hash).cloned())
                .collect()
        };
        if blocks.is_empty() {
            return Ok(());
        }
        let txn = self.live().database().begin_rw()?;
        for block in blocks {
            write_side_block(&txn, Arc::unwrap_or_clone(block))?;
        }
        Ok(txn.commit()?)
    }
}

fn run(tip: &Tip, orders: &Receiver<Work>) -> Result<(), StageError> {
    let settings = tip.0.config.settings;
    let mut unkept = HashSet::new();
    for work in orders {
        match work {
            Work::Index(hash) => {
                tip.index(hash)?;
                unkept.insert(hash);
            }
            Work::PutAside => tip.write_aside()?,
            Work::CatchUp => tip.catch_up_now(&mut unkept)?,
            Work::Persist => {
                let tree = tip.lock();
                let blocks = tree.path_to(&tree.head).len();
                drop(tree);
                if blocks > settings.memory_blocks_max {
                    tip.persist(settings.memory_blocks_min)?;
                }
            }
            Work::Settle(done) => {
                tip.keep_blocks(&unkept)?;
                unkept.clear();
                let _ = done.send(());
            }
            Work::Flush(done) => {
                tip.persist_all()?;
                let _ = done.send(());
            }
            Work::Stop => return tip.persist_all(),
        }
        if orders.is_empty() && !unkept.is_empty() {
            tip.keep_blocks(&unkept)?;
            unkept.clear();
        }
    }
    Ok(())
}
