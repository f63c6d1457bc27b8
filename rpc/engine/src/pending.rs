//! The block that would be made now, for those who ask what it will be.
//!
//! It is made when somebody asks and the head, the pool or the time is another one than before. One that took long to make is
//! shown for a while after the pool has changed, so that no more than a fifth of a thread's time goes into it.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_rpc_types_engine::PayloadAttributes;
use portico_chainspec::{ChainSpec, Fork};
use portico_db::Layer;
use portico_query::PendingSource;
use portico_stages::Tip;
use portico_txpool::Pool;

use crate::{EngineSettings, clock::Clock, jobs::FromPool, payload::fork_of};

/// A block that took no longer is made anew for every change.
const QUICK: Duration = Duration::from_millis(20);
/// For how many times as long as it took to make it a block is shown.
const SHOWN: u32 = 4;

/// See the module.
pub(crate) struct Pending {
    tip: Tip,
    pool: Arc<Pool>,
    settings: EngineSettings,
    clock: Arc<Clock>,
    /// Whether somebody has chosen a head: before that the chain stands still, and its head is all there is.
    is_driven: AtomicBool,
    /// Who asks while a block is made waits for it.
    last: Mutex<Option<Last>>,
}

/// What the pool has, as far as a change of it is a change of the pending block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Basis {
    timestamp: u64,
    announced: u64,
    pending: usize,
}

struct Last {
    head: B256,
    basis: Basis,
    made: Instant,
    took: Duration,
    /// None when no block can be made.
    layer: Option<Arc<Layer>>,
}

impl Last {
    fn serves(&self, head: &B256, basis: Basis) -> bool {
        let shown = if self.took > QUICK { self.took * SHOWN } else { Duration::ZERO };
        self.head == *head && (self.basis == basis || self.made.elapsed() < shown)
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pending").finish_non_exhaustive()
    }
}

impl Pending {
    pub fn new(tip: Tip, pool: Arc<Pool>, settings: EngineSettings, clock: Arc<Clock>) -> Self {
        Self { tip, pool, settings, clock, is_driven: AtomicBool::new(false), last: Mutex::default() }
    }

    /// Somebody chooses heads from now on.
    pub fn drive(&self) {
        self.is_driven.store(true, Ordering::Relaxed);
    }

    fn make(&self, parent: &B256, header: &Header, timestamp: u64) -> Option<Arc<Layer>> {
        let spec = self.tip.spec();
        let (fork, attributes) = next_attributes(spec, header, *parent, timestamp)?;
        let build = self.settings.build_attributes(fork, attributes);
        let mut source = FromPool::new(&self.pool, spec, header, timestamp, fork);
        match self.tip.build(parent, &build, &mut source) {
            Ok(built) => built.map(|built| Arc::new(built.into_layer())),
            Err(error) => {
                tracing::debug!(%error, %parent, "there is no pending block");
                None
            }
        }
    }
}

impl PendingSource for Pending {
    fn pending(&self, head: &B256) -> Option<Arc<Layer>> {
        if !self.is_driven.load(Ordering::Relaxed) || self.tip.head().1 != *head {
            return None;
        }
        let header = self.tip.header(head).ok().flatten()?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let timestamp = self.clock.next_after(header.timestamp);
        let (announced, pending) = (self.pool.announced(), self.pool.status().pending);
        let basis = Basis { timestamp, announced, pending };
        if let Some(last) = last.as_ref().filter(|last| last.serves(head, basis)) {
            return last.layer.clone();
        }
        let began = Instant::now();
        let layer = self.make(head, &header, timestamp);
        *last = Some(Last {
            head: *head,
            basis,
            made: Instant::now(),
            took: began.elapsed(),
            layer: layer.clone(),
        });
        layer
    }
}

/// What a block has that this node makes by itself upon `parent`; none when that block is to be mined.
pub(crate) fn next_attributes(
    spec: &ChainSpec,
    parent: &Header,
    parent_hash: B256,
    timestamp: u64,
) -> Option<(Fork, PayloadAttributes)> {
    // A parent without difficulty is a merged one, whatever was before it.
    let total = if parent.difficulty.is_zero() { U256::MAX } else { parent.difficulty };
    let number = parent.number.checked_add(1)?;
    if !spec.block_context(number, timestamp, total).merged {
        return None;
    }
    let fork = fork_of(spec, number, timestamp);
    let attributes = PayloadAttributes {
        timestamp,
        prev_randao: keccak256(parent_hash),
        suggested_fee_recipient: Address::ZERO,
        withdrawals: None,
        parent_beacon_block_root: (fork >= Fork::Cancun).then_some(B256::ZERO),
        slot_number: (fork >= Fork::Amsterdam).then_some(number),
        target_gas_limit: None,
    };
    Some((fork, attributes))
}
