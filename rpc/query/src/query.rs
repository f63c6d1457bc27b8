//! Where snapshots come from, and the settings that bound what one call may cost.

use std::{
    cell::OnceCell,
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use alloy_primitives::B256;
use portico_chain::read_checkpoint;
use portico_chainspec::ChainSpec;
use portico_db::{LiveDatabase, RoTxn};
use portico_tracers::Budget;
use portico_txpool::Pool;

use crate::{
    BadBlockSource, Helpers, PendingSource, QueryError, SeenBlock, SubmitObserver, SyncSource,
    past_trie::PastTrieCache,
};

/// Bounds on what one call may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuerySettings {
    /// Logs that one call returns at most.
    pub log_results_max: usize,
    /// Blocks whose receipts one call for logs reads at most; blocks that the indexes rule out do not count.
    pub log_blocks_max: u64,
    /// Gas that a call executes at most; also the gas limit of a call that names none.
    pub call_gas_max: u64,
    /// How long one call works at most, where whoever calls does not say.
    pub call_time_max: Duration,
    /// Blocks back from the head whose state can be proven, and on which blocks can be simulated. Every one of them
    /// costs the work of its changes, as the trie is taken back to the block; the changes must be kept too (setting
    /// `unwind_horizon`).
    pub proof_blocks_max: u64,
    /// Accounts and slots that changed since a block whose state is to be proven, at most; each takes about a
    /// kilobyte while the call runs, and until the next one for another block.
    pub proof_leaves_max: usize,
    /// Wei that a transaction which is sent here may pay for gas at most; 0 for no bound.
    pub tx_fee_max: u128,
    /// Whether tracers may be scripts, whose memory nothing bounds.
    pub scripts_allowed: bool,
    /// Whether transactions that are valid on every chain (without EIP-155) may be sent here.
    pub unprotected_allowed: bool,
}

impl Default for QuerySettings {
    fn default() -> Self {
        Self {
            log_results_max: 20_000,
            log_blocks_max: 100_000,
            call_gas_max: 50_000_000,
            call_time_max: Duration::from_secs(5),
            proof_blocks_max: 10_000,
            proof_leaves_max: 200_000,
            tx_fee_max: 1_000_000_000_000_000_000,
            scripts_allowed: true,
            unprotected_allowed: false,
        }
    }
}

/// The blocks that a consensus client named last; none before it spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forkchoice {
    /// Hash of the safe block.
    pub safe: Option<B256>,
    /// Hash of the finalized block.
    pub finalized: Option<B256>,
}

/// Where calls begin. Clones share everything.
#[derive(Debug, Clone)]
pub struct Query {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    live: Arc<LiveDatabase>,
    spec: Arc<ChainSpec>,
    settings: QuerySettings,
    forkchoice: RwLock<Forkchoice>,
    past_trie: PastTrieCache,
    pub(crate) pool: OnceLock<Arc<Pool>>,
    /// The head that the pool knows.
    pub(crate) pool_seen: Mutex<Option<SeenBlock>>,
    /// Who knows of a head that was chosen but not reached.
    pub(crate) sync_source: OnceLock<Arc<dyn SyncSource>>,
    /// Who sees bad blocks.
    pub(crate) bad_block_source: OnceLock<Arc<dyn BadBlockSource>>,
    /// Who makes pending blocks.
    pub(crate) pending_source: OnceLock<Arc<dyn PendingSource>>,
    /// Who is told of what our users send.
    pub(crate) submit_observer: OnceLock<Arc<dyn SubmitObserver>>,
}

impl Query {
    /// Queries on a database that holds the chain of `spec`, and on what is published on top of it.
    pub fn new(live: Arc<LiveDatabase>, spec: Arc<ChainSpec>, settings: QuerySettings) -> Self {
        let (forkchoice, past_trie) = (RwLock::default(), PastTrieCache::default());
        Self {
            inner: Arc::new(Inner {
                live,
                spec,
                settings,
                forkchoice,
                past_trie,
                pool: OnceLock::new(),
                pool_seen: Mutex::default(),
                sync_source: OnceLock::new(),
                bad_block_source: OnceLock::new(),
                pending_source: OnceLock::new(),
                submit_observer: OnceLock::new(),
            }),
        }
    }

    /// Opens a snapshot at the newest state. It must not outlive one call: the database keeps what it
    /// sees for as long.
    ///
    /// # Errors
    /// When the database refuses another reader.
    pub fn snapshot(&self) -> Result<Snapshot<'_>, QueryError> {
        self.snapshot_within(Budget::lasting(self.inner.settings.call_time_max))
    }

    /// Opens a snapshot for work within a budget.
    ///
    /// # Errors
    /// As [`Query::snapshot`].
    pub fn snapshot_within(&self, budget: Budget) -> Result<Snapshot<'_>, QueryError> {
        let txn = self.inner.live.begin_ro()?;
        let head = read_checkpoint(&txn, "Finish")?;
        Ok(Snapshot {
            query: self,
            txn,
            head,
            budget,
            helpers: None,
            is_pending: false,
            pending: OnceCell::new(),
        })
    }

    /// The chain.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.inner.spec
    }

    /// Where the database lies.
    pub fn database_path(&self) -> &Path {
        self.inner.live.database().path()
    }

    /// The bounds on a call.
    pub fn settings(&self) -> &QuerySettings {
        &self.inner.settings
    }

    /// The trie that was taken back last.
    pub(crate) fn past_trie_cache(&self) -> &PastTrieCache {
        &self.inner.past_trie
    }

    /// What the tags `safe` and `finalized` mean now.
    pub fn forkchoice(&self) -> Forkchoice {
        *self.inner.forkchoice.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the consensus client said.
    pub fn set_forkchoice(&self, forkchoice: Forkchoice) {
        *self.inner.forkchoice.write().unwrap_or_else(PoisonError::into_inner) = forkchoice;
    }
}

/// One read transaction, from which a whole call is answered.
#[derive(Debug)]
pub struct Snapshot<'q> {
    pub(crate) query: &'q Query,
    pub(crate) txn: RoTxn<'q>,
    pub(crate) head: u64,
    pub(crate) helpers: Option<Arc<dyn Helpers>>,
    /// Whether the head is one that nobody has made yet.
    pub(crate) is_pending: bool,
    /// The snapshot of the pending block, once somebody asked for it.
    pub(crate) pending: OnceCell<Option<Box<Snapshot<'q>>>>,
    pub(crate) budget: Budget,
}

impl Snapshot<'_> {
    /// The same, for a call that other threads may help.
    pub fn helped_by(self, helpers: Arc<dyn Helpers>) -> Self {
        Self { helpers: Some(helpers), ..self }
    }

    /// Number of the newest block that every stage has done.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// The chain.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        self.query.spec()
    }

    /// The bounds on this call.
    pub fn settings(&self) -> &QuerySettings {
        self.query.settings()
    }

    /// What is left to this call.
    pub fn budget(&self) -> Budget {
        self.budget.clone()
    }

    /// To be asked within long work.
    ///
    /// # Errors
    /// [`QueryError::TimedOut`] when the call has worked for too long, [`QueryError::Cancelled`] when nobody waits
    /// for it.
    pub fn check_deadline(&self) -> Result<(), QueryError> {
        if self.budget.is_spent() { Err(self.timed_out()) } else { Ok(()) }
    }

    /// Why the budget is spent.
    pub(crate) fn timed_out(&self) -> QueryError {
        if self.budget.is_cancelled() {
            return QueryError::Cancelled;
        }
        QueryError::TimedOut { limit: self.budget.limit() }
    }
}
