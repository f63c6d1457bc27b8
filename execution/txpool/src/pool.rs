//! The pool as others use it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use alloy_primitives::{Address, B256};
use crossbeam_channel::Receiver;
use portico_chainspec::ChainSpec;
use portico_evm::BlockRules;

use crate::{
    BestFor, BestTransactions, PoolTransaction, PooledBlob, Settings, events::Announcements, head::Head,
    journal::Journal, sender::Sender, state::State,
};

/// Pending transactions. Shared between threads; no call holds a lock while it reads state, recovers signatures or checks
/// blobs.
///
/// Time is passed in, in seconds since 1970: it decides under which fork the next block falls, and what waited too long.
#[derive(Debug)]
pub struct Pool {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) settings: Arc<Settings>,
    state: RwLock<State>,
    pub(crate) announcements: Announcements,
    pub(crate) journal: Mutex<Option<Journal>>,
    sequence: AtomicU64,
}

/// Transactions by account and nonce.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Those that a block could execute one after the other.
    pub pending: BTreeMap<Address, Vec<Arc<PoolTransaction>>>,
    /// Those that wait for a nonce or for funds.
    pub queued: BTreeMap<Address, Vec<Arc<PoolTransaction>>>,
}

/// How full the pool is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status {
    /// Transactions that a block could execute.
    pub pending: usize,
    /// Transactions that wait for a nonce or for funds.
    pub queued: usize,
    /// Blob transactions among both.
    pub blobs: usize,
    /// Accounts.
    pub senders: usize,
    /// Memory of all transactions, about, in bytes.
    pub bytes: usize,
    /// Included transactions that are remembered in case their blocks are taken back.
    pub kept: usize,
    /// Memory of these, about, in bytes.
    pub kept_bytes: usize,
}

impl Pool {
    /// An empty pool on top of the genesis block; tell it of the head with [`Self::on_new_head`], then read the journal
    /// with [`Self::load_journal`].
    pub fn new(settings: Settings, spec: Arc<ChainSpec>) -> Self {
        let settings = Arc::new(settings);
        let genesis = spec.genesis_header();
        let head = Head::new(&spec, genesis, genesis.difficulty, 0);
        let fork = BlockRules::new(&spec, head.next_block(&spec, 0)).fork();
        Self {
            state: RwLock::new(State::new(settings.clone(), head, fork)),
            spec,
            settings,
            announcements: Announcements::default(),
            journal: Mutex::new(None),
            sequence: AtomicU64::new(0),
        }
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect("nothing panics while it changes the pool")
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().expect("nothing panics while it changes the pool")
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    /// Forgets all transactions; the head stays.
    pub fn clear(&self) {
        let mut state = self.write();
        *state = State::new(self.settings.clone(), state.head, state.fork);
    }

    /// What it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A transaction in the pool.
    pub fn get(&self, hash: &B256) -> Option<Arc<PoolTransaction>> {
        self.read().by_hash.get(hash).cloned()
    }

    /// Who signed a transaction in the pool. For those whose work is not the pool's: they do without it should it be broken.
    pub fn sender_of(&self, hash: &B256) -> Option<Address> {
        self.state.read().ok()?.by_hash.get(hash).map(|transaction| transaction.sender())
    }

    /// The nonce after the last pending transaction of an account; `None` when it has none pending, and its state says.
    pub fn next_nonce(&self, address: Address) -> Option<u64> {
        let state = self.read();
        let sender = state.senders.get(&address).filter(|sender| sender.pending_len() > 0)?;
        Some(sender.next_nonce())
    }

    /// All pending transactions, best first, as of now.
    pub fn best(&self, wanted: BestFor) -> BestTransactions {
        let state = self.read();
        let ready = state.senders.values().filter(|sender| sender.pending_len() > 0);
        let accounts = ready.map(|sender| sender.pending().cloned().collect()).collect();
        drop(state);
        BestTransactions::new(wanted, accounts)
    }

    /// Everything, by account and nonce.
    pub fn contents(&self) -> Contents {
        let state = self.read();
        let mut contents = Contents::default();
        for (address, sender) in &state.senders {
            contents.add(*address, sender);
        }
        contents
    }

    /// An account's transactions, by nonce: pending and queued.
    pub fn contents_from(&self, address: Address) -> (Vec<Arc<PoolTransaction>>, Vec<Arc<PoolTransaction>>) {
        let state = self.read();
        let Some(sender) = state.senders.get(&address) else { return Default::default() };
        (sender.pending().cloned().collect(), sender.queued().cloned().collect())
    }

    /// How full the pool is.
    pub fn status(&self) -> Status {
        let state = self.read();
        let totals = state.standing.totals;
        Status {
            pending: totals.pending,
            queued: totals.queued,
            blobs: totals.blobs,
            senders: state.senders.len(),
            bytes: totals.bytes,
            kept: state.kept.len(),
            kept_bytes: state.kept.bytes(),
        }
    }

    /// Blobs by their versioned hashes, in that order; also of transactions that blocks included lately.
    pub fn blobs(&self, versioned_hashes: &[B256]) -> Vec<Option<PooledBlob>> {
        let state = self.read();
        versioned_hashes.iter().map(|hash| state.blobs.get(hash).cloned()).collect()
    }

    /// Tells the hash of each transaction that becomes pending from now on. Who falls `capacity` of them behind is dropped:
    /// the receiver ends.
    pub fn subscribe(&self, capacity: usize) -> Receiver<B256> {
        self.announcements.listen(capacity)
    }

    /// How many transactions became pending up to now, for [`Self::announced_since`].
    pub fn announced(&self) -> u64 {
        self.announcements.count()
    }

    /// Hashes of the transactions that became pending after the first `count`, as far as they are remembered (the last
    /// 16,384), and how many there are now in all. For those who ask from time to time.
    pub fn announced_since(&self, count: u64) -> (Vec<B256>, u64) {
        self.announcements.since(count)
    }
}

impl Contents {
    fn add(&mut self, address: Address, sender: &Sender) {
        let pending: Vec<_> = sender.pending().cloned().collect();
        let queued: Vec<_> = sender.queued().cloned().collect();
        if !pending.is_empty() {
            self.pending.insert(address, pending);
        }
        if !queued.is_empty() {
            self.queued.insert(address, queued);
        }
    }
}
