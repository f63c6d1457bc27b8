//! The trie as of a block before the head: the newest one with what changed since taken back.
//!
//! ```text
//!  changes of blocks N+1 .. head ──> first value before, by key ──> HashedOverlay ─┐
//!                                                                                  ├─> root, = that of N's header
//!  trie tables, as of the head ───────────────────────────────────> TrieUpdates ───┘
//! ```
//! The work is in proportion to what changed since. The last result is kept: whoever proves one account of a block
//! mostly proves more of them.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    time::Duration,
};

use alloy_primitives::{Address, B256, U256, keccak256};
use portico_chain::{canonical_hash, prune_checkpoint, read_checkpoint};
use portico_state::{Account, iter_account_changes, iter_storage_changes};
use portico_trie::{ChangedKeys, HashedOverlay, TrieUpdates, overlay_root};

use crate::{QueryError, Snapshot, blocks::missing};

/// Leaves that are taken back between two looks at the clock: some milliseconds.
const LEAVES_BETWEEN: usize = 256;

/// What lies on top of the tables to give the state and the trie of a past block.
#[derive(Debug, Clone, Default)]
pub(crate) struct PastTrie {
    /// On top of the hashed tables.
    pub state: HashedOverlay,
    /// On top of the trie tables.
    pub nodes: TrieUpdates,
}

/// A leaf that changed, by hashes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Leaf {
    /// An account.
    Account(B256),
    /// An account's slot.
    Slot(B256, B256),
    /// All slots of an account.
    Wiped(B256),
}

impl Leaf {
    /// Wipes come before slots, which may have been set again.
    fn place(&self) -> (B256, u8, B256) {
        match self {
            Self::Wiped(hashed_address) => (*hashed_address, 0, B256::ZERO),
            Self::Account(hashed_address) => (*hashed_address, 1, B256::ZERO),
            Self::Slot(hashed_address, hashed_slot) => (*hashed_address, 2, *hashed_slot),
        }
    }
}

/// The trie that was taken back last: hashes of the head and of the block, and what lies between.
#[derive(Debug, Default)]
pub(crate) struct PastTrieCache {
    last: Mutex<Option<(Versions, Arc<PastTrie>)>>,
    /// Held while a trie is taken back: two at a time would take twice the memory, and calls for the same block twice
    /// the time.
    turn: Mutex<()>,
}

/// How long a call waits before it asks again whether it is its turn.
const TURN_WAIT: Duration = Duration::from_millis(2);

/// Which head, and which block before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Versions {
    head: B256,
    block: B256,
}

impl PastTrieCache {
    fn get(&self, versions: Versions) -> Option<Arc<PastTrie>> {
        let cached = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        cached.as_ref().filter(|(known, _)| *known == versions).map(|(_, trie)| trie.clone())
    }

    fn put(&self, versions: Versions, trie: &Arc<PastTrie>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((versions, trie.clone()));
    }
}

impl Snapshot<'_> {
    /// The first block whose trie can be had.
    pub(crate) fn first_provable_block(&self) -> Result<u64, QueryError> {
        let window = self.head.saturating_sub(self.settings().proof_blocks_max);
        Ok(window.max(self.first_undoable_block()?))
    }

    /// The first block after which all changes are kept.
    fn first_undoable_block(&self) -> Result<u64, QueryError> {
        Ok(prune_checkpoint(&self.txn, "Execution")?.unwrap_or_default())
    }

    /// The trie after the canonical block with this number; the number was resolved before.
    ///
    /// # Errors
    /// [`QueryError::Pruned`] for a block too far back, [`QueryError::TooManyChanges`], [`QueryError::TimedOut`].
    pub(crate) fn past_trie(&self, block_number: u64) -> Result<Arc<PastTrie>, QueryError> {
        self.check_provable(block_number)?;
        let executed = read_checkpoint(&self.txn, "Execution")?;
        if block_number >= executed {
            return Ok(Arc::default());
        }
        let hash = |number| -> Result<B256, QueryError> {
            Ok(canonical_hash(&self.txn, number)?.ok_or(missing("canonical hash", number))?)
        };
        let versions = Versions { head: hash(executed)?, block: hash(block_number)? };
        let cache = self.query.past_trie_cache();
        if let Some(trie) = cache.get(versions) {
            return Ok(trie);
        }
        let _turn = self.await_turn(&cache.turn)?;
        if let Some(trie) = cache.get(versions) {
            return Ok(trie);
        }
        let trie = Arc::new(self.take_back(block_number, executed)?);
        cache.put(versions, &trie);
        Ok(trie)
    }

    fn await_turn<'m>(&self, turn: &'m Mutex<()>) -> Result<MutexGuard<'m, ()>, QueryError> {
        loop {
            match turn.try_lock() {
                Ok(guard) => return Ok(guard),
                Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(TURN_WAIT),
            }
            self.check_deadline()?;
        }
    }

    fn check_provable(&self, block_number: u64) -> Result<(), QueryError> {
        let undoable = self.first_undoable_block()?;
        let first_block = self.first_provable_block()?;
        if block_number >= first_block {
            return Ok(());
        }
        let setting = if first_block == undoable { "unwind_horizon" } else { "proof_blocks_max" };
        Err(QueryError::Pruned { what: "the state trie", block_number, first_block, setting })
    }

    fn take_back(&self, block_number: u64, executed: u64) -> Result<PastTrie, QueryError> {
        let before = self.values_before(block_number, executed)?;
        let mut trie = PastTrie::default();
        let mut leaves = Vec::with_capacity(before.accounts.len() + before.slots.len());
        for (address, account) in &before.accounts {
            let hashed_address = keccak256(address);
            trie.state.set_account(hashed_address, *account);
            leaves.push(Leaf::Account(hashed_address));
        }
        for ((address, slot), value) in &before.slots {
            let (hashed_address, hashed_slot) = (keccak256(address), keccak256(slot));
            trie.state.set_slot(hashed_address, hashed_slot, *value);
            leaves.push(Leaf::Slot(hashed_address, hashed_slot));
        }
        let expected = self.known_header(block_number)?.state_root;
        match self.update_trie(&mut trie, leaves)? {
            Some(found) if found != expected => Err(QueryError::StateRoot { block_number, expected, found }),
            _ => Ok(trie),
        }
    }

    /// Brings the nodes of `trie` up to its state, in which these leaves changed, and gives its root; `None` when
    /// nothing changed.
    ///
    /// # Errors
    /// [`QueryError::TimedOut`].
    pub(crate) fn update_trie(
        &self,
        trie: &mut PastTrie,
        mut leaves: Vec<Leaf>,
    ) -> Result<Option<B256>, QueryError> {
        // Parts that lie together share the nodes above them.
        leaves.sort_unstable_by_key(Leaf::place);
        let mut root = None;
        for part in leaves.chunks(LEAVES_BETWEEN) {
            self.check_deadline()?;
            let mut changed = ChangedKeys::new();
            for leaf in part {
                match leaf {
                    Leaf::Account(hashed_address) => changed.add_account(*hashed_address),
                    Leaf::Slot(hashed_address, hashed_slot) => {
                        changed.add_slot(*hashed_address, *hashed_slot)
                    }
                    Leaf::Wiped(hashed_address) => changed.wipe_storage(*hashed_address),
                }
            }
            let (found, updates) = overlay_root(&self.txn, &trie.state, &trie.nodes, &changed)?;
            trie.nodes.extend(updates);
            root = Some(found);
        }
        Ok(root)
    }

    /// Of everything that the blocks after `block_number` changed, the value at its end.
    fn values_before(&self, block_number: u64, executed: u64) -> Result<ValuesBefore, QueryError> {
        let limit = self.settings().proof_leaves_max;
        let blocks = || block_number + 1..=executed;
        let mut before = ValuesBefore::default();
        let mut seen = 0_usize;
        let mut check = |leaves: usize| {
            seen += 1;
            if leaves > limit {
                return Err(QueryError::TooManyChanges { block_number, limit });
            }
            if seen.is_multiple_of(LEAVES_BETWEEN) { self.check_deadline() } else { Ok(()) }
        };
        iter_account_changes(&self.txn, blocks(), |_, change| {
            if let Entry::Vacant(entry) = before.accounts.entry(change.address) {
                entry.insert(change.before);
            }
            check(before.accounts.len())
        })?;
        let accounts = before.accounts.len();
        iter_storage_changes(&self.txn, blocks(), |_, change| {
            if let Entry::Vacant(entry) = before.slots.entry((change.address, change.slot)) {
                entry.insert(change.before);
            }
            check(accounts + before.slots.len())
        })?;
        Ok(before)
    }
}

#[derive(Debug, Default)]
struct ValuesBefore {
    accounts: HashMap<Address, Option<Account>>,
    slots: HashMap<(Address, B256), U256>,
}
