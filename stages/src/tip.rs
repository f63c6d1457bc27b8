//! The newest blocks in memory: executed when they are seen, canonical when somebody says so, written behind.
//!
//! ```text
//!  database, at the base ── unwound in memory to an older block ── B1' ─ B2'       a branch from below the base
//!        │
//!        └─ B1 ─ B2 ─ B3 (head)        each block: what its stages would have written, as a layer of rows
//!                └── C3
//! ```
//! A block goes through the very stages of the pipeline, in a transaction that stays in memory. After the state root
//! was compared it is valid and the caller has its answer; the stages that make it findable run behind, on the worker's
//! thread. Choosing a head publishes its rows to all readers at once. When enough blocks are in memory, the worker
//! applies the oldest layers of the canonical chain to the database: these are the rows that the stages would have
//! written, because the stages did write them.
//!
//! A head that is not above the base is no special case: unwinding is work of the same stages, in memory too.
//!
//! What would take long, many blocks at once or a head far below the base, is not done while somebody waits: the
//! answer is [`Verdict::Behind`], and the worker has the pipeline do it in the database (`behind`).

mod bad;
mod behind;
mod build;
mod insert;
mod tree;
mod worker;

use std::{
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
};

use alloy_consensus::Header;
use alloy_primitives::B256;
use crossbeam_channel::Sender;
use portico_chain::{
    ChainError, aside_blocks, block_number_of, canonical_hash, read_checkpoint, read_forkchoice, read_header,
};
use portico_chainspec::ChainSpec;
use portico_consensus::ethash::LightCaches;
use portico_db::{LiveDatabase, RoTxn};

use crate::{
    FORWARD, KnownSenders, PipelineConfig, PipelineObserver, StageError, StageId, StageSettings, StopSignal,
    tip::tree::{Node, Tree},
};

pub use bad::BadBlock;
pub use build::{BuildAttributes, BuiltBlock, Candidate, CandidateSource, Refusal, Room};
pub use worker::TipWorker;
use worker::Work;

/// Bounds of what is held in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TipSettings {
    /// Canonical blocks that stay in memory when older ones are written.
    pub memory_blocks_min: usize,
    /// Canonical blocks in memory from which on the older ones are written.
    pub memory_blocks_max: usize,
    /// Executed blocks in memory at most, with those of other branches.
    pub nodes_max: usize,
    /// Blocks whose parents are missing, or that were not executed again, at most.
    pub waiting_blocks_max: usize,
    /// Cost of the blocks that are executed within one call, about; one block always is. A block costs its gas and
    /// [`BLOCK_COST`].
    pub at_once_cost: u64,
    /// Cost of the blocks in memory up to which one more is put upon them.
    pub ahead_cost: u64,
}

/// What a block costs besides its gas: about what an empty one takes.
pub const BLOCK_COST: u64 = 2_000_000;

/// See [`TipSettings::at_once_cost`].
fn cost(header: &Header) -> u64 {
    header.gas_used.saturating_add(BLOCK_COST)
}

impl Default for TipSettings {
    fn default() -> Self {
        Self {
            memory_blocks_min: 8,
            memory_blocks_max: 16,
            nodes_max: 256,
            waiting_blocks_max: 256,
            at_once_cost: 1_000_000_000,
            ahead_cost: 8_000_000_000,
        }
    }
}

/// What a tip works with.
pub struct TipConfig {
    /// The database, of which the tip is the only writer, and where it shows readers what it holds.
    pub live: Arc<LiveDatabase>,
    /// Rules of the chain.
    pub spec: Arc<ChainSpec>,
    /// Limits of the stages.
    pub stages: StageSettings,
    /// Bounds of the memory.
    pub settings: TipSettings,
    /// Folder for sorted loads that do not fit memory.
    pub scratch: PathBuf,
    /// Who watches the stages.
    pub observer: Box<dyn PipelineObserver + Send + Sync>,
}

/// What became of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was executed, now or before.
    Valid,
    /// It, or a block that it builds upon, breaks a rule.
    Invalid {
        /// Which rule, in words.
        reason: String,
        /// The newest of its ancestors that is valid: zero when that one was mined; none when it is not known.
        latest_valid: Option<B256>,
    },
    /// A block before it is not at hand.
    Missing,
    /// Not known yet: to find out takes more work than is done while somebody waits. [`Tip::catch_up`] does it.
    Behind,
}

/// See the module. Clones share everything.
#[derive(Clone)]
pub struct Tip(Arc<Shared>);

struct Shared {
    config: TipConfig,
    stop: StopSignal,
    /// Tells a catching up that it is to end.
    leave: StopSignal,
    light_caches: Arc<LightCaches>,
    known_senders: OnceLock<Arc<dyn KnownSenders>>,
    tree: Mutex<Tree>,
    /// Told whenever the tree has changed.
    changed: Condvar,
    /// Held by whoever executes: one block at a time has both processors.
    executing: Mutex<()>,
    work: Sender<Work>,
}

/// A block that can be named, and what it is a part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TipBlock {
    /// Its hash.
    pub hash: B256,
    /// Its header.
    pub header: Header,
}

impl Tip {
    /// Begins at the database's head. The worker ends, after writing what is canonical, when it is told to.
    ///
    /// # Errors
    /// When the database has no chain, or its stages do not all stand at the same block.
    pub fn start(config: TipConfig) -> Result<(Self, TipWorker), StageError> {
        let txn = config.live.database().begin_ro()?;
        let number = read_checkpoint(&txn, StageId::Finish.name())?;
        for id in FORWARD {
            let reached = read_checkpoint(&txn, id.name())?;
            if reached != number {
                return Err(StageError::Uneven { stage: id, reached, head: number });
            }
        }
        let hash = canonical_hash(&txn, number)?
            .ok_or(ChainError::Missing { what: "hash", block_number: number })?;
        let named = read_forkchoice(&txn)?;
        let aside = aside_blocks(&txn)?;
        drop(txn);
        let (work, orders) = crossbeam_channel::unbounded();
        let settings = config.settings;
        let tip = Self(Arc::new(Shared {
            config,
            stop: StopSignal::default(),
            leave: StopSignal::default(),
            light_caches: Arc::default(),
            known_senders: OnceLock::new(),
            tree: Mutex::new(Tree::new((number, hash), named, aside, settings)),
            changed: Condvar::new(),
            executing: Mutex::new(()),
            work,
        }));
        let worker = TipWorker::start(tip.clone(), orders);
        Ok((tip, worker))
    }

    /// The head that was chosen last; in the beginning the database's.
    pub fn head(&self) -> (u64, B256) {
        let tree = self.lock();
        (tree.number_of(&tree.head).unwrap_or_default(), tree.head)
    }

    /// The safe and the finalized block, as they were noted last, before a restart too.
    pub fn named(&self) -> [Option<B256>; 2] {
        self.lock().named
    }

    /// Notes what the consensus client says is safe and finalized; written with the next blocks.
    pub fn set_named(&self, safe: Option<B256>, finalized: Option<B256>) {
        self.lock().named = [safe, finalized];
    }

    /// Header of a block that was executed and whose state is at hand or can be had again: in memory or canonical.
    ///
    /// # Errors
    /// When the database fails.
    pub fn header(&self, hash: &B256) -> Result<Option<Header>, StageError> {
        if let Some(node) = self.lock().nodes.get(hash) {
            return Ok(Some(node.header.clone()));
        }
        let txn = self.0.config.live.database().begin_ro()?;
        Ok(portico_chain::read_header_by_hash(&txn, hash)?)
    }

    /// Whether `ancestor` is `hash` or before it, both known.
    ///
    /// # Errors
    /// When the database fails.
    pub fn is_ancestor(&self, ancestor: &B256, hash: &B256) -> Result<bool, StageError> {
        let Some(txn) = self.begin_at(hash)? else { return Ok(false) };
        let Some(number) = block_number_of(&txn, ancestor)? else { return Ok(false) };
        Ok(canonical_hash(&txn, number)?.as_ref() == Some(ancestor))
    }

    /// Whether `hash` is before `block`, which is canonical or in memory; also when both are below the base.
    ///
    /// # Errors
    /// When the database fails.
    pub fn is_below(&self, hash: &B256, block: &B256) -> Result<bool, StageError> {
        let head = self.head().1;
        let Some(txn) = self.begin_at(&head)? else { return Ok(false) };
        let number = |hash: &B256| -> Result<Option<u64>, StageError> {
            let Some(number) = block_number_of(&txn, hash)? else { return Ok(None) };
            Ok((canonical_hash(&txn, number)?.as_ref() == Some(hash)).then_some(number))
        };
        Ok(number(hash)?.zip(number(block)?).is_some_and(|(below, above)| below < above))
    }

    /// Begins a read transaction on the state after an executed block in memory, or after the base. Waits until the
    /// block is findable.
    ///
    /// # Errors
    /// When the database refuses another reader, or the worker has failed.
    pub fn begin_at(&self, hash: &B256) -> Result<Option<RoTxn<'_>>, StageError> {
        let (tree, known) = self.wait_indexed(self.lock(), hash)?;
        if !known {
            return Ok(None);
        }
        // Within the lock: the base does not move under the view.
        Ok(Some(self.0.config.live.database().begin_ro_on(&tree.view_of(hash))?))
    }

    /// Waits until an executed block is findable; says whether it is in memory at all, or the base.
    fn wait_indexed<'a>(
        &self,
        mut tree: MutexGuard<'a, Tree>,
        hash: &B256,
    ) -> Result<(MutexGuard<'a, Tree>, bool), StageError> {
        loop {
            tree.check()?;
            match tree.nodes.get(hash) {
                Some(Node { indexed: false, .. }) => tree = self.wait(tree),
                Some(_) => return Ok((tree, true)),
                // The database may be beyond the base already.
                None if tree.base.1 == *hash && !tree.persisting.is_empty() => tree = self.wait(tree),
                None => {
                    let is_base = tree.base.1 == *hash;
                    return Ok((tree, is_base));
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tree> {
        self.0.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, tree: MutexGuard<'a, Tree>) -> MutexGuard<'a, Tree> {
        self.0.changed.wait(tree).unwrap_or_else(PoisonError::into_inner)
    }

    /// For a pipeline whose transactions are the caller's.
    fn pipeline_config(&self) -> PipelineConfig<'_> {
        let config = &self.0.config;
        PipelineConfig {
            database: config.live.database(),
            spec: &config.spec,
            settings: &config.stages,
            stop: &self.0.stop,
            observer: &*config.observer,
            scratch: config.scratch.clone(),
            light_caches: self.0.light_caches.clone(),
        }
    }

    /// Asks `known` for the senders of new blocks' transactions, from now on; the first one who is named stays.
    pub fn ask_for_senders(&self, known: Arc<dyn KnownSenders>) {
        let _ = self.0.known_senders.set(known);
    }

    /// Where readers find what is published.
    pub fn live(&self) -> &Arc<LiveDatabase> {
        &self.0.config.live
    }

    /// Rules of the chain.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.0.config.spec
    }

    /// The canonical header at a number, as of a block.
    ///
    /// # Errors
    /// As [`Tip::begin_at`].
    pub fn header_at(&self, number: u64, as_of: &B256) -> Result<Option<TipBlock>, StageError> {
        let Some(txn) = self.begin_at(as_of)? else { return Ok(None) };
        let Some(hash) = canonical_hash(&txn, number)? else { return Ok(None) };
        Ok(read_header(&txn, number)?.map(|header| TipBlock { hash, header }))
    }
}
