//! Blocks that are being built: one at a time on a thread of its own, better and better until somebody takes it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use alloy_consensus::Header;
use alloy_primitives::{B64, B256};
use alloy_rpc_types_engine::{PayloadAttributes, PayloadId};
use portico_chain::BlockParts;
use portico_chainspec::{ChainSpec, Fork};
use portico_query::Query;
use portico_stages::{
    BuildAttributes, BuiltBlock, Candidate, CandidateSource, Refusal, Room, StageError, Tip,
};
use portico_txpool::{BestFor, BestTransactions, Pool, Sidecar};
use sha2::{Digest, Sha256};

use crate::EngineError;

/// Jobs that are remembered.
const JOBS_MAX: usize = 10;
/// How long a job is improved.
const IMPROVE_MAX: Duration = Duration::from_secs(12);
/// Between two tries to do better.
const IMPROVE_EVERY: Duration = Duration::from_millis(500);

/// No transactions at all.
pub(crate) struct Nothing;

impl CandidateSource for Nothing {
    fn next(&mut self, _: Room) -> Option<Candidate> {
        None
    }

    fn refused(&mut self, _: &Candidate, _: &Refusal) -> Result<(), StageError> {
        Ok(())
    }
}

/// Gas that the cheapest transaction takes.
const TRANSACTION_GAS_MIN: u64 = 21_000;

/// What the pool has, the best paying first.
pub(crate) struct FromPool {
    best: BestTransactions,
    /// Of the blob transactions that were given.
    sidecars: HashMap<B256, Arc<Sidecar>>,
}

impl FromPool {
    /// For the block after `parent`.
    pub fn new(pool: &Pool, spec: &ChainSpec, parent: &Header, timestamp: u64, fork: Fork) -> Self {
        let base_fee = portico_consensus::next_base_fee(spec, parent).unwrap_or_default();
        let blob_fee = portico_consensus::next_blob_fee(spec, parent, timestamp);
        Self { best: pool.best(BestFor { base_fee, blob_fee, fork }), sidecars: HashMap::new() }
    }

    /// The sidecars of a block's transactions, in their order.
    pub fn sidecars_of(&self, block: &BlockParts) -> Vec<Arc<Sidecar>> {
        block.transactions.iter().filter_map(|tx| self.sidecars.get(tx.tx_hash()).cloned()).collect()
    }
}

impl CandidateSource for FromPool {
    fn next(&mut self, room: Room) -> Option<Candidate> {
        if room.gas < TRANSACTION_GAS_MIN {
            return None;
        }
        let pooled = self.best.next()?;
        if let Some(sidecar) = pooled.sidecar() {
            self.sidecars.insert(pooled.hash(), sidecar.clone());
        }
        Some(Candidate { transaction: pooled.transaction().clone(), sender: pooled.sender() })
    }

    fn refused(&mut self, _: &Candidate, _: &Refusal) -> Result<(), StageError> {
        self.best.skip_sender();
        Ok(())
    }
}

/// A block with the blobs of its transactions.
#[derive(Debug)]
pub struct Best {
    /// The block.
    pub built: BuiltBlock,
    /// In the order of the transactions that have one.
    pub sidecars: Vec<Arc<Sidecar>>,
}

/// One block that is asked for.
#[derive(Clone)]
pub struct Job(Arc<JobState>);

struct JobState {
    id: PayloadId,
    parent: B256,
    fork: Fork,
    attributes: BuildAttributes,
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Default)]
struct Progress {
    best: Option<Arc<Best>>,
    failure: Option<String>,
    /// Nobody wants it better any more.
    taken: bool,
}

impl Job {
    /// Fork of the block.
    pub fn fork(&self) -> Fork {
        self.0.fork
    }

    /// The best block so far, which stays the best one from now on; waits for the first.
    ///
    /// # Errors
    /// When no block can be built.
    pub fn finish(&self) -> Result<Arc<Best>, EngineError> {
        let mut progress = self.lock();
        progress.taken = true;
        loop {
            match (&progress.best, &progress.failure) {
                (Some(best), _) => return Ok(best.clone()),
                (None, Some(failure)) => return Err(EngineError::Internal(failure.clone())),
                (None, None) => {
                    progress = self.0.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.0.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, result: Result<Best, String>) {
        let mut progress = self.lock();
        match result {
            // The first one is there at once, and may be what was promised to somebody.
            Ok(_) if progress.taken && progress.best.is_some() => {}
            Ok(built) => {
                if progress.best.as_ref().is_none_or(|best| best.built.fees < built.built.fees) {
                    progress.best = Some(Arc::new(built));
                }
            }
            Err(failure) => progress.failure = Some(failure),
        }
        drop(progress);
        self.0.changed.notify_all();
    }
}

/// All jobs, and the thread that works on the newest.
pub(crate) struct Jobs {
    shared: Arc<Shared>,
}

struct Shared {
    query: Query,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    next: Option<Job>,
    stopped: bool,
}

impl Jobs {
    pub fn start(tip: Tip, query: Query) -> Self {
        let shared = Arc::new(Shared { query, queue: Mutex::default(), changed: Condvar::new() });
        let worker = shared.clone();
        std::thread::Builder::new()
            .name("build".to_owned())
            .spawn(move || worker.run(&tip))
            .expect("the system starts a thread");
        Self { shared }
    }

    /// Begins a job, unless it is there already.
    pub fn begin(&self, id: PayloadId, parent: B256, fork: Fork, attributes: BuildAttributes) {
        let mut queue = self.shared.lock();
        if queue.jobs.iter().any(|job| job.0.id == id) {
            return;
        }
        let (progress, changed) = (Mutex::default(), Condvar::new());
        let job = Job(Arc::new(JobState { id, parent, fork, attributes, progress, changed }));
        if queue.jobs.len() == JOBS_MAX {
            queue.jobs.pop_front();
        }
        queue.jobs.push_back(job.clone());
        if let Some(skipped) = queue.next.replace(job) {
            skipped.note(Err("another block was asked for before this one was begun".to_owned()));
        }
        drop(queue);
        self.shared.changed.notify_all();
    }

    pub fn get(&self, id: PayloadId) -> Option<Job> {
        self.shared.lock().jobs.iter().find(|job| job.0.id == id).cloned()
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, tip: &Tip) {
        loop {
            let mut queue = self.lock();
            while queue.next.is_none() && !queue.stopped {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            if queue.stopped {
                return;
            }
            let Some(job) = queue.next.take() else { continue };
            drop(queue);
            self.work_on(tip, &job);
        }
    }

    /// An empty block at once, then better ones until it is taken, too old, or another one is asked for.
    fn work_on(&self, tip: &Tip, job: &Job) {
        let begun = Instant::now();
        let empty = build(tip, job, &mut Nothing).map(|built| Best { built, sidecars: Vec::new() });
        let failed = empty.is_err();
        job.note(empty);
        let Some(pool) = self.query.pool().filter(|_| !failed) else { return };
        if let Err(error) = self.query.follow_head() {
            tracing::warn!(%error, "the transaction pool cannot follow the head");
        }
        let Ok(Some(parent)) = tip.header(&job.0.parent) else { return };
        let mut tried = None;
        while begun.elapsed() < IMPROVE_MAX && !job.lock().taken {
            let announced = pool.announced();
            if tried != Some(announced) {
                tried = Some(announced);
                let JobState { attributes, fork, .. } = &*job.0;
                let mut source = FromPool::new(pool, tip.spec(), &parent, attributes.timestamp, *fork);
                match build(tip, job, &mut source) {
                    Ok(built) => {
                        let sidecars = source.sidecars_of(&built.block);
                        job.note(Ok(Best { built, sidecars }));
                    }
                    Err(error) => tracing::warn!(error, "a block could not be made better"),
                }
            }
            let queue = self.lock();
            let (queue, _) = self
                .changed
                .wait_timeout_while(queue, IMPROVE_EVERY, |queue| queue.next.is_none() && !queue.stopped)
                .unwrap_or_else(PoisonError::into_inner);
            if queue.next.is_some() || queue.stopped {
                return;
            }
        }
    }
}

fn build(tip: &Tip, job: &Job, source: &mut dyn CandidateSource) -> Result<BuiltBlock, String> {
    let built = tip.build(&job.0.parent, &job.0.attributes, source);
    built.map_err(|error| error.to_string())?.ok_or_else(|| "its parent is no longer at hand".to_owned())
}

/// The version, and seven bytes of a hash over parent and attributes: the same wish has the same name.
pub(crate) fn payload_id(version: u8, parent: B256, attributes: &PayloadAttributes) -> PayloadId {
    let mut hash = Sha256::new();
    hash.update(parent);
    hash.update(attributes.timestamp.to_be_bytes());
    hash.update(attributes.prev_randao);
    hash.update(attributes.suggested_fee_recipient);
    if let Some(withdrawals) = &attributes.withdrawals {
        hash.update([1]);
        for withdrawal in withdrawals {
            hash.update(withdrawal.index.to_be_bytes());
            hash.update(withdrawal.validator_index.to_be_bytes());
            hash.update(withdrawal.address);
            hash.update(withdrawal.amount.to_be_bytes());
        }
    }
    for part in [attributes.slot_number, attributes.target_gas_limit] {
        hash.update([u8::from(part.is_some())]);
        hash.update(part.unwrap_or_default().to_be_bytes());
    }
    hash.update(attributes.parent_beacon_block_root.unwrap_or_default());
    let digest = hash.finalize();
    let mut id = B64::ZERO;
    id[0] = version;
    id[1..].copy_from_slice(&digest[..7]);
    PayloadId(id)
}
