//! The methods themselves, without names and JSON.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use alloy_primitives::{Address, B256, Bytes};
use alloy_rpc_types_engine::{
    ForkchoiceState, ForkchoiceUpdated, PayloadAttributes, PayloadId, PayloadStatus, PayloadStatusEnum,
};
use portico_chainspec::Fork;
use portico_db::RoTxn;
use portico_query::{BadBlock, BadBlockSource, Forkchoice, Query, SyncSource};
use portico_stages::{BuildAttributes, KnownSenders, Tip, Verdict};
use portico_txpool::Pool;

use crate::{
    EngineError,
    clock::Clock,
    jobs::{Best, Jobs},
    payload::{NewPayload, check_attributes, fork_of, parse, withdrawals_of},
    pending::Pending,
};

/// What can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSettings {
    /// Gas limit that blocks aim at which are built here.
    pub gas_limit_target: u64,
    /// Extra data of blocks that are built here, at most 32 bytes.
    pub extra_data: Bytes,
}

/// Mainnet's gas limit, and what other clients aim at.
pub const GAS_LIMIT_TARGET: u64 = 60_000_000;

impl Default for EngineSettings {
    fn default() -> Self {
        Self { gas_limit_target: GAS_LIMIT_TARGET, extra_data: Bytes::from_static(b"portico") }
    }
}

impl EngineSettings {
    /// What is asked of a block, with what is set here.
    pub(crate) fn build_attributes(&self, fork: Fork, attributes: PayloadAttributes) -> BuildAttributes {
        BuildAttributes {
            timestamp: attributes.timestamp,
            prev_randao: attributes.prev_randao,
            fee_recipient: attributes.suggested_fee_recipient,
            withdrawals: withdrawals_of(fork, attributes.withdrawals),
            parent_beacon_block_root: attributes.parent_beacon_block_root,
            slot_number: attributes.slot_number,
            gas_limit_target: attributes.target_gas_limit.unwrap_or(self.gas_limit_target),
            extra_data: self.extra_data.clone(),
        }
    }
}

/// See the module. Clones share everything.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    tip: Tip,
    query: Query,
    settings: EngineSettings,
    jobs: Jobs,
    clock: Arc<Clock>,
    /// None without a pool.
    pending: Option<Arc<Pending>>,
    /// Forkchoice updates are handled one after another.
    forkchoice: Mutex<()>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// Tells readers what the tip knows of blocks that are not on its chain: a head that was chosen but not reached, and those
/// that were refused.
struct Beside(Tip);

impl fmt::Debug for Beside {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Beside").finish_non_exhaustive()
    }
}

impl SyncSource for Beside {
    fn wanted(&self) -> Option<u64> {
        self.0.wanted()
    }
}

impl BadBlockSource for Beside {
    fn bad_blocks(&self) -> Vec<BadBlock> {
        let bad = self.0.bad_blocks().into_iter();
        bad.map(|bad| BadBlock { parts: bad.block, reason: bad.reason }).collect()
    }

    fn begin_at(&self, hash: &B256) -> Option<RoTxn<'_>> {
        let begun = self.0.begin_at(hash);
        begun.inspect_err(|error| tracing::warn!(%error, %hash, "the state is not shown")).ok().flatten()
    }
}

fn status(status: PayloadStatusEnum, latest_valid_hash: Option<B256>) -> PayloadStatus {
    PayloadStatus { status, latest_valid_hash }
}

fn invalid(reason: String, latest_valid: Option<B256>) -> PayloadStatus {
    status(PayloadStatusEnum::Invalid { validation_error: reason }, latest_valid)
}

/// The pool has recovered the senders of its transactions.
struct PoolSenders(Arc<Pool>);

impl KnownSenders for PoolSenders {
    fn sender(&self, tx_hash: &B256) -> Option<Address> {
        self.0.sender_of(tx_hash)
    }
}

impl Engine {
    /// Drives `tip`; `query` is told what is safe and finalized, and, when it has a pool, of pending blocks.
    pub fn new(tip: Tip, query: Query, settings: EngineSettings) -> Self {
        let jobs = Jobs::start(tip.clone(), query.clone());
        let [safe, finalized] = tip.named();
        if safe.or(finalized).is_some() {
            query.set_forkchoice(Forkchoice { safe, finalized });
        }
        let clock = Arc::new(Clock::default());
        let pending = query
            .pool()
            .map(|pool| Arc::new(Pending::new(tip.clone(), pool.clone(), settings.clone(), clock.clone())));
        if let Some(pending) = &pending {
            query.set_pending_source(pending.clone());
        }
        if let Some(pool) = query.pool() {
            tip.ask_for_senders(Arc::new(PoolSenders(pool.clone())));
        }
        let beside = Arc::new(Beside(tip.clone()));
        query.set_sync_source(beside.clone());
        query.set_bad_block_source(beside);
        Self(Arc::new(Shared { tip, query, settings, jobs, clock, pending, forkchoice: Mutex::new(()) }))
    }

    pub(crate) fn tip(&self) -> &Tip {
        &self.0.tip
    }

    /// Somebody chooses heads from now on: there are pending blocks.
    pub(crate) fn drive(&self) {
        if let Some(pending) = &self.0.pending {
            pending.drive();
        }
    }

    /// What time it is for blocks that are made here.
    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn query(&self) -> &Query {
        &self.0.query
    }

    /// `engine_newPayload`.
    ///
    /// # Errors
    /// [`EngineError::InvalidParams`] for another shape, [`EngineError::UnsupportedFork`] for another fork, and internal
    /// faults: a bad block is a status.
    pub fn new_payload(&self, version: u8, new: NewPayload) -> Result<PayloadStatus, EngineError> {
        let parsed = parse(self.0.tip.spec(), version, new)?;
        let block = match parsed.into_block() {
            Ok(block) => block,
            Err(fault) => return Ok(invalid(fault, None)),
        };
        let (hash, number) = (block.hash, block.header.number);
        let started = std::time::Instant::now();
        let verdict = match self.0.tip.verdict(&hash)? {
            Some(known) => known,
            None => self.0.tip.insert(block)?,
        };
        let elapsed = started.elapsed();
        metrics::histogram!("portico_engine_new_payload_seconds").record(elapsed.as_secs_f64());
        tracing::debug!(block_number = number, %hash, ?verdict, elapsed_ms = elapsed.as_millis() as u64, "payload");
        Ok(payload_status(verdict, hash))
    }

    /// `engine_forkchoiceUpdated`.
    ///
    /// # Errors
    /// [`EngineError::InvalidForkchoice`], with nothing changed; [`EngineError::InvalidAttributes`] and
    /// [`EngineError::UnsupportedFork`], with the head changed; internal faults.
    pub fn forkchoice_updated(
        &self,
        version: u8,
        state: ForkchoiceState,
        attributes: Option<PayloadAttributes>,
    ) -> Result<ForkchoiceUpdated, EngineError> {
        let _in_order = self.0.forkchoice.lock().unwrap_or_else(PoisonError::into_inner);
        let tip = &self.0.tip;
        let head = state.head_block_hash;
        if head.is_zero() {
            let reason = "the head's hash is zero".to_owned();
            return Ok(ForkchoiceUpdated::new(invalid(reason, None)));
        }
        if let Some(finalized) = self.0.query.forkchoice().finalized
            && head != finalized
            && tip.is_below(&head, &finalized)?
        {
            return Ok(ForkchoiceUpdated::new(status(PayloadStatusEnum::Valid, Some(head))));
        }
        match tip.prepare(head)? {
            Verdict::Valid => {}
            refused => return Ok(self.not_yet(refused, head)),
        }
        for (named, what) in [
            (state.finalized_block_hash, "the finalized block is not on the head's chain"),
            (state.safe_block_hash, "the safe block is not on the head's chain"),
        ] {
            if !named.is_zero() && !tip.is_ancestor(&named, &head)? {
                return Err(EngineError::InvalidForkchoice(what));
            }
        }
        match tip.set_head(head)? {
            Verdict::Valid => {}
            refused => return Ok(self.not_yet(refused, head)),
        }
        let named = |hash: B256| (!hash.is_zero()).then_some(hash);
        let (safe, finalized) = (named(state.safe_block_hash), named(state.finalized_block_hash));
        tip.set_named(safe, finalized);
        self.0.query.set_forkchoice(Forkchoice { safe, finalized });
        self.drive();
        let mut updated = ForkchoiceUpdated::new(status(PayloadStatusEnum::Valid, Some(head)));
        if let Some(attributes) = attributes {
            updated.payload_id = Some(self.begin_building(version, head, attributes)?);
        }
        Ok(updated)
    }

    /// Answers that a block is not the head, and begins what makes it one where that takes long.
    fn not_yet(&self, verdict: Verdict, head: B256) -> ForkchoiceUpdated {
        match verdict {
            Verdict::Behind => self.0.tip.catch_up(head),
            Verdict::Missing => self.0.tip.want(head),
            Verdict::Valid | Verdict::Invalid { .. } => {}
        }
        ForkchoiceUpdated::new(payload_status(verdict, head))
    }

    /// Makes a canonical block the head again.
    pub(crate) fn set_head_to(&self, number: u64) -> Result<(), EngineError> {
        let tip = &self.0.tip;
        let no_block = || EngineError::InvalidParams(format!("there is no block {number}"));
        let block = tip.header_at(number, &tip.head().1)?.ok_or_else(no_block)?;
        match tip.set_head_in_time(block.hash)? {
            Verdict::Valid => Ok(()),
            Verdict::Missing | Verdict::Behind | Verdict::Invalid { .. } => Err(no_block()),
        }
    }

    /// Executes a canonical block again and makes it the head.
    pub(crate) fn replay_block(&self, number: u64) -> Result<(), EngineError> {
        if number == 0 {
            return Err(EngineError::InvalidParams("the genesis block is not executed".to_owned()));
        }
        match self.0.tip.execute_again(number)? {
            Verdict::Valid => self.set_head_to(number),
            Verdict::Missing => Err(EngineError::InvalidParams(format!("there is no block {number}"))),
            Verdict::Behind => {
                Err(EngineError::Refused(format!("block {number} is too far below the head to be replayed")))
            }
            Verdict::Invalid { reason, .. } => {
                Err(EngineError::Refused(format!("block {number} is no longer valid: {reason}")))
            }
        }
    }

    fn begin_building(
        &self,
        version: u8,
        parent: B256,
        attributes: PayloadAttributes,
    ) -> Result<PayloadId, EngineError> {
        let tip = &self.0.tip;
        let missing = || EngineError::Internal("the head is not at hand".to_owned());
        let header = tip.header(&parent)?.ok_or_else(missing)?;
        if attributes.timestamp <= header.timestamp {
            return Err(EngineError::InvalidAttributes("the timestamp is not after the head's".to_owned()));
        }
        let fork = fork_of(tip.spec(), header.number + 1, attributes.timestamp);
        check_attributes(version, fork, &attributes)?;
        let id = crate::jobs::payload_id(version, parent, &attributes);
        let build = self.build_attributes(fork, attributes);
        self.0.jobs.begin(id, parent, fork, build);
        Ok(id)
    }

    pub(crate) fn build_attributes(&self, fork: Fork, attributes: PayloadAttributes) -> BuildAttributes {
        self.0.settings.build_attributes(fork, attributes)
    }

    /// `engine_getPayload`: the best block so far, which counts as executed from now on, and its fork.
    ///
    /// # Errors
    /// [`EngineError::UnknownPayload`], [`EngineError::UnsupportedFork`] for another version's fork, and what building
    /// failed of.
    pub fn get_payload(&self, version: u8, id: PayloadId) -> Result<(Arc<Best>, Fork), EngineError> {
        let job = self.0.jobs.get(id).ok_or(EngineError::UnknownPayload)?;
        let fork = job.fork();
        let (first, end) = match version {
            1 => (None, Some(Fork::Shanghai)),
            2 => (None, Some(Fork::Cancun)),
            3 => (Some(Fork::Cancun), Some(Fork::Prague)),
            4 => (Some(Fork::Prague), Some(Fork::Osaka)),
            5 => (Some(Fork::Osaka), Some(Fork::Amsterdam)),
            _ => (Some(Fork::Amsterdam), None),
        };
        if first.is_some_and(|first| fork < first) || end.is_some_and(|end| fork >= end) {
            let what = format!("engine_getPayloadV{version} does not give payloads of {fork}");
            return Err(EngineError::UnsupportedFork(what));
        }
        let best = job.finish()?;
        self.0.tip.adopt(&best.built);
        Ok((best, fork))
    }
}

fn payload_status(verdict: Verdict, hash: B256) -> PayloadStatus {
    match verdict {
        Verdict::Valid => status(PayloadStatusEnum::Valid, Some(hash)),
        Verdict::Missing | Verdict::Behind => status(PayloadStatusEnum::Syncing, None),
        Verdict::Invalid { reason, latest_valid } => invalid(reason, latest_valid),
    }
}
