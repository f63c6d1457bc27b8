//! Roots of storage tries: of those that changed, and for the leaves beside a changed account, of the others.

use alloy_primitives::{B256, U256};
use alloy_trie::EMPTY_ROOT_HASH;
use portico_db::{Cursor, TransactionKind, models::StorageEntry, tables::HashedStorage};
use rayon::prelude::*;

use crate::{
    builder::Builder,
    changed::{SortedChanges, StorageChanges},
    error::TrieError,
    path::{Path, StoragePath},
    proof::Recorder,
    row::{Row, RowBuffer, StorageRows},
    source::{Leaves, Nodes, Rows, StorageLeaves, StorageNodes, View, successor},
    updates::{NodeChanges, StorageTrieUpdates, difference},
    walker::{LeafFeed, Part, Walker, join_children, walk_children},
};

/// From this many changed slots on, storage tries are worth several threads. (Tests want both ways.)
const PARALLEL_SLOTS: usize = if cfg!(test) { 8 } else { 256 };

/// The new root of an account's storage trie, and how its rows change.
#[derive(Debug)]
pub(crate) struct ChangedStorage {
    pub hashed_address: B256,
    pub root: B256,
    pub updates: StorageTrieUpdates,
}

/// The roots of all storage tries in `changed`, by account.
pub(crate) fn changed_storages<K: TransactionKind>(
    view: View<'_, K>,
    changed: &SortedChanges,
) -> Result<Vec<ChangedStorage>, TrieError> {
    let storages = &changed.storages;
    let slots: usize = storages.iter().map(|storage| changed.slots_of(storage).len() + 1).sum();
    if slots < PARALLEL_SLOTS || storages.len() < 2 {
        return roots_of(view, storages, changed);
    }
    let parts = rayon::current_num_threads() * 4;
    let parts = storages.par_chunks(storages.len().div_ceil(parts)).map(|part| roots_of(view, part, changed));
    Ok(parts.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

fn roots_of<K: TransactionKind>(
    view: View<'_, K>,
    storages: &[StorageChanges],
    changed: &SortedChanges,
) -> Result<Vec<ChangedStorage>, TrieError> {
    let mut tries = StorageTries::new(view)?;
    storages.iter().map(|storage| tries.update(storage, changed.slots_of(storage))).collect()
}

/// Computes one storage trie after the other, with the same cursors.
pub(crate) struct StorageTries<'a, K: TransactionKind> {
    view: View<'a, K>,
    slots: Cursor<'a, HashedStorage, K>,
    nodes: Cursor<'a, StorageRows, K>,
    builder: Builder,
    /// The first account with slots at or behind the last one that was asked for.
    slots_ahead: Ahead,
    /// That account's first slot, as long as the cursor stands on it.
    slot_ahead: Option<StorageEntry>,
    /// The first account with nodes at or behind the last one that was asked for.
    nodes_ahead: Ahead,
}

/// Where the next account with rows is.
#[derive(Debug, Clone, Copy)]
enum Ahead {
    Unknown,
    At(B256),
    End,
}

impl Ahead {
    /// Whether this account has rows, if that is known.
    fn holds(&self, hashed_address: &B256) -> Option<bool> {
        match self {
            Self::At(next) if next >= hashed_address => Some(next == hashed_address),
            Self::At(_) | Self::Unknown => None,
            Self::End => Some(false),
        }
    }

    fn found(next: Option<B256>) -> Self {
        next.map_or(Self::End, Self::At)
    }
}

impl<'a, K: TransactionKind> StorageTries<'a, K> {
    pub fn new(view: View<'a, K>) -> Result<Self, TrieError> {
        Ok(Self {
            view,
            slots: view.txn.cursor()?,
            nodes: view.txn.cursor()?,
            builder: Builder::new(),
            slots_ahead: Ahead::Unknown,
            slot_ahead: None,
            nodes_ahead: Ahead::Unknown,
        })
    }

    /// The root of a trie in which these slots changed.
    fn update(&mut self, storage: &StorageChanges, slots: &[B256]) -> Result<ChangedStorage, TrieError> {
        let hashed_address = storage.hashed_address;
        let stored = self.nodes_of(&hashed_address).seek(&Path::default())?;
        let wiped = storage.wiped && stored.is_some();
        let (root, nodes) = match stored.filter(|_| !storage.wiped) {
            Some((path, row)) if path.is_empty() && slots.len() >= PARALLEL_SLOTS => {
                self.update_in_parallel(&hashed_address, &row, slots)?
            }
            first => {
                let visited = self.feed(&hashed_address, first, slots)?;
                (self.builder.root(), difference(&visited, &self.builder.rows))
            }
        };
        Ok(ChangedStorage { hashed_address, root, updates: StorageTrieUpdates { wiped, nodes } })
    }

    /// The root of the account's trie, and the nodes on the way to `slots`, which are sorted.
    pub fn prove(&mut self, hashed_address: &B256, slots: &[B256]) -> Result<(B256, Recorder), TrieError> {
        let first = self.nodes_of(hashed_address).seek(&Path::default())?;
        self.builder.recorder = Recorder::of(slots.to_vec());
        self.feed(hashed_address, first, slots)?;
        let root = self.builder.root();
        Ok((root, std::mem::take(&mut self.builder.recorder)))
    }

    /// The root of a trie in which nothing changed, in the common cases with one seek or none.
    ///
    /// Accounts must come in ascending order.
    pub fn unchanged_root(&mut self, hashed_address: &B256) -> Result<B256, TrieError> {
        let first = if self.is_overlaid(hashed_address) {
            self.nodes_of(hashed_address).seek(&Path::default())?
        } else if self.has_slots(hashed_address)? {
            let first = self.first_node(hashed_address)?;
            if first.is_none()
                && let Some(entry) = self.slot_ahead.take()
            {
                return self.small_root(hashed_address, entry);
            }
            first
        } else {
            return Ok(EMPTY_ROOT_HASH);
        };
        if let Some((path, row)) = &first
            && path.is_empty()
            && let Some(root) = row.root_hash()
        {
            return Ok(root);
        }
        self.feed(hashed_address, first, &[])?;
        Ok(self.builder.root())
    }

    fn is_overlaid(&self, hashed_address: &B256) -> bool {
        self.view.state.is_some_and(|state| state.storages.contains_key(hashed_address))
            || self.view.nodes.is_some_and(|nodes| nodes.storages.contains_key(hashed_address))
    }

    /// Whether the table has slots of the account.
    fn has_slots(&mut self, hashed_address: &B256) -> Result<bool, TrieError> {
        if let Some(known) = self.slots_ahead.holds(hashed_address) {
            return Ok(known);
        }
        let found = self.slots.seek(hashed_address)?;
        self.slot_ahead = found.map(|(_, entry)| entry);
        self.slots_ahead = Ahead::found(found.map(|(address, _)| address));
        Ok(self.slots_ahead.holds(hashed_address) == Some(true))
    }

    /// The first row that the table has of the account.
    fn first_node(&mut self, hashed_address: &B256) -> Result<Option<(Path, Row)>, TrieError> {
        if self.nodes_ahead.holds(hashed_address) == Some(false) {
            return Ok(None);
        }
        let key = StoragePath { hashed_address: *hashed_address, path: Path::default() };
        let found = self.nodes.seek(&key)?;
        self.nodes_ahead = Ahead::found(found.map(|(key, _)| key.hashed_address));
        Ok(found.filter(|(key, _)| key.hashed_address == *hashed_address).map(|(key, row)| (key.path, row)))
    }

    /// The root of a trie without stored nodes, of whose slots the cursor stands on the first.
    fn small_root(&mut self, hashed_address: &B256, first: StorageEntry) -> Result<B256, TrieError> {
        let rows = StorageLeaves { cursor: &mut self.slots, hashed_address: *hashed_address };
        let mut feed = SlotFeed(Leaves::new(rows, None).standing_on(first.slot, first.value));
        feed.feed(&Path::default(), &[], &mut self.builder)?;
        let root = self.builder.root();
        self.builder.rows.clear();
        Ok(root)
    }

    fn nodes_of(&mut self, hashed_address: &B256) -> StorageNodes<'_, 'a, K> {
        storage_nodes(self.view, &mut self.nodes, hashed_address)
    }

    /// Brings a whole trie to the builder; what it makes replaces the rows that are returned.
    fn feed(
        &mut self,
        hashed_address: &B256,
        first: Option<(Path, Row)>,
        changed: &[B256],
    ) -> Result<RowBuffer, TrieError> {
        self.builder.rows.clear();
        self.slot_ahead = None;
        let mut walker = Walker {
            nodes: storage_nodes(self.view, &mut self.nodes, hashed_address),
            leaves: SlotFeed(storage_leaves(self.view, &mut self.slots, hashed_address)),
            builder: &mut self.builder,
            visited: RowBuffer::default(),
        };
        walker.trie(first, changed)?;
        Ok(walker.visited)
    }

    fn update_in_parallel(
        &mut self,
        hashed_address: &B256,
        root: &Row,
        changed: &[B256],
    ) -> Result<(B256, NodeChanges), TrieError> {
        let view = self.view;
        let parts = walk_children(root, changed, |nibble, changed| {
            let (mut nodes, mut slots) = (view.txn.cursor()?, view.txn.cursor()?);
            let mut builder = Builder::new();
            let mut walker = Walker {
                nodes: storage_nodes(view, &mut nodes, hashed_address),
                leaves: SlotFeed(storage_leaves(view, &mut slots, hashed_address)),
                builder: &mut builder,
                visited: RowBuffer::default(),
            };
            walker.child(&Path::default(), root, nibble, changed)?;
            let visited = walker.visited;
            Ok(Part { top: builder.finish(), made: builder.rows, visited, gone: Vec::new() })
        })?;
        let joined = join_children(&mut self.builder, root, &parts);
        Ok((self.builder.root(), difference(&joined, &self.builder.rows)))
    }
}

fn storage_nodes<'c, 'a, K: TransactionKind>(
    view: View<'a, K>,
    cursor: &'c mut Cursor<'a, StorageRows, K>,
    hashed_address: &B256,
) -> StorageNodes<'c, 'a, K> {
    let overlay = view.nodes.and_then(|nodes| nodes.storages.get(hashed_address));
    StorageNodes { cursor, hashed_address: *hashed_address, overlay }
}

fn storage_leaves<'c, 'a, K: TransactionKind>(
    view: View<'a, K>,
    cursor: &'c mut Cursor<'a, HashedStorage, K>,
    hashed_address: &B256,
) -> Leaves<'a, StorageLeaves<'c, 'a, K>> {
    let overlay = view.state.and_then(|state| state.storages.get(hashed_address));
    let rows = StorageLeaves { cursor, hashed_address: *hashed_address };
    let leaves = Leaves::new(rows, overlay.map(|overlay| &overlay.slots));
    if overlay.is_some_and(|overlay| overlay.wiped) { leaves.hide_table() } else { leaves }
}

/// Slots as leaves.
struct SlotFeed<'o, R: Rows>(Leaves<'o, R>);

impl<R: Rows<Value = U256>> LeafFeed for SlotFeed<'_, R> {
    fn feed(&mut self, prefix: &Path, _changed: &[B256], builder: &mut Builder) -> Result<(), TrieError> {
        let mut from = *prefix.first_key();
        while let Some((slot, value)) = self.0.seek(&from)?.filter(|(slot, _)| prefix.covers(slot)) {
            builder.slot(&slot, value);
            let Some(next) = successor(&slot) else { break };
            from = next;
        }
        Ok(())
    }
}
