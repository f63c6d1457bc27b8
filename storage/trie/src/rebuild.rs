//! The trie from scratch: one walk over the hashed tables, in bounded memory.
//!
//! Nodes are closed children first, but sorted parents first: rows are held back up to a number of bytes and then
//! written in order. Only the few nodes that are open at such a moment come behind rows that sort after them.

use std::sync::atomic::{AtomicBool, Ordering};

use alloy_primitives::B256;
use alloy_trie::EMPTY_ROOT_HASH;
use portico_db::{
    Cursor, DbError, Key, RW, RwTxn, Table,
    models::StorageEntry,
    tables::{AccountsTrie, HashedAccounts, HashedStorage, StoragesTrie},
};

use crate::{
    builder::Builder,
    error::TrieError,
    path::{Path, StoragePath},
    row::{AccountRows, RowBuffer, StorageRows},
    source::slot_with_two_values,
};

/// How far a rebuild got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RebuildProgress {
    /// Accounts done.
    pub accounts: u64,
    /// Slots done.
    pub slots: u64,
    /// The last of those accounts; keys are spread evenly, so that its front says which share is done.
    pub hashed_address: B256,
}

/// Rows that are held back, in bytes.
const BUFFER_BYTES: usize = 64 << 20;
/// Leaves between two looks at the stop flag.
const LEAVES_PER_LOOK: u32 = 1 << 12;

/// Computes the root of the hashed state, and replaces both trie tables by the nodes of its tries.
///
/// Tells `progress` every few thousand leaves.
///
/// # Errors
/// [`TrieError::Stopped`] soon after `stop` was raised: the tables are then incomplete, and the transaction should be
/// dropped. Otherwise when the database fails or a row is damaged.
pub fn rebuild(
    txn: &RwTxn<'_>,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(RebuildProgress),
) -> Result<B256, TrieError> {
    rebuild_with(txn, BUFFER_BYTES, stop, progress)
}

pub(crate) fn rebuild_with(
    txn: &RwTxn<'_>,
    buffer_bytes: usize,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(RebuildProgress),
) -> Result<B256, TrieError> {
    txn.clear::<AccountsTrie>()?;
    txn.clear::<StoragesTrie>()?;
    let mut accounts = txn.cursor::<HashedAccounts>()?;
    let mut writer = Writer::<AccountRows>::new(txn.cursor()?, buffer_bytes);
    let mut storages = StorageRebuild {
        writer: Writer::new(txn.cursor()?, buffer_bytes),
        slots: txn.cursor()?,
        ahead: None,
        builder: Builder::new(),
        watch: Watch { stop, progress, done: RebuildProgress::default(), unseen: 0 },
    };
    storages.ahead = storages.slots.first()?;
    let mut builder = Builder::new();
    let mut next = accounts.first()?;
    while let Some((hashed_address, account)) = next {
        let storage_root = storages.root(&hashed_address)?;
        builder.account(&hashed_address, &account, storage_root);
        writer.take(&mut builder.rows, |path| path)?;
        storages.watch.account(&hashed_address)?;
        next = accounts.next()?;
    }
    let root = builder.root();
    writer.take(&mut builder.rows, |path| path)?;
    writer.flush()?;
    storages.writer.flush()?;
    storages.watch.tell();
    Ok(root)
}

/// Computes the storage tries of accounts that come in ascending order.
struct StorageRebuild<'a, 'p> {
    writer: Writer<'a, StorageRows>,
    slots: Cursor<'a, HashedStorage, RW>,
    /// The first row that was not used.
    ahead: Option<(B256, StorageEntry)>,
    builder: Builder,
    watch: Watch<'p>,
}

impl StorageRebuild<'_, '_> {
    fn root(&mut self, hashed_address: &B256) -> Result<B256, TrieError> {
        if self.ahead.is_some_and(|(address, _)| address < *hashed_address) {
            // Slots without an account are no part of the state.
            self.ahead = self.slots.seek(hashed_address)?;
        }
        let mut last = None;
        while let Some((_, entry)) = self.ahead.filter(|(address, _)| address == hashed_address) {
            if last.is_some_and(|last| last >= entry.slot) {
                return Err(slot_with_two_values().into());
            }
            last = Some(entry.slot);
            self.builder.slot(&entry.slot, entry.value);
            self.store(hashed_address)?;
            self.watch.slot()?;
            self.ahead = self.slots.next()?;
        }
        if last.is_none() {
            return Ok(EMPTY_ROOT_HASH);
        }
        let root = self.builder.root();
        self.store(hashed_address)?;
        Ok(root)
    }

    fn store(&mut self, hashed_address: &B256) -> Result<(), DbError> {
        let hashed_address = *hashed_address;
        self.writer.take(&mut self.builder.rows, |path| StoragePath { hashed_address, path })
    }
}

/// Holds rows back to write them in order.
struct Writer<'a, T: Table> {
    cursor: Cursor<'a, T, RW>,
    buffer_bytes: usize,
    rows: Vec<(T::Key, usize, usize)>,
    bytes: Vec<u8>,
    last: Vec<u8>,
}

impl<'a, T: Table<Key: Ord>> Writer<'a, T> {
    fn new(cursor: Cursor<'a, T, RW>, buffer_bytes: usize) -> Self {
        Self { cursor, buffer_bytes, rows: Vec::new(), bytes: Vec::new(), last: Vec::new() }
    }

    /// Empties `made`.
    fn take(&mut self, made: &mut RowBuffer, key: impl Fn(Path) -> T::Key) -> Result<(), DbError> {
        if made.is_empty() {
            return Ok(());
        }
        for (path, row) in made.iter() {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(row);
            self.rows.push((key(path), start, self.bytes.len()));
        }
        made.clear();
        let held = self.bytes.len() + self.rows.len() * size_of::<(T::Key, usize, usize)>();
        if held >= self.buffer_bytes { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), DbError> {
        self.rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (key, start, end) in self.rows.drain(..) {
            let (key, row) = (key.encode(), &self.bytes[start..end]);
            let key = key.as_ref();
            if self.last.is_empty() || *key > *self.last {
                self.cursor.append_bytes(key, row)?;
                self.last.clear();
                self.last.extend_from_slice(key);
            } else {
                self.cursor.upsert_bytes(key, row)?;
            }
        }
        self.bytes.clear();
        Ok(())
    }
}

/// Counts, tells, and looks at the stop flag now and then.
struct Watch<'p> {
    stop: &'p AtomicBool,
    progress: &'p mut dyn FnMut(RebuildProgress),
    done: RebuildProgress,
    unseen: u32,
}

impl Watch<'_> {
    fn account(&mut self, hashed_address: &B256) -> Result<(), TrieError> {
        self.done.accounts += 1;
        self.done.hashed_address = *hashed_address;
        self.look()
    }

    fn slot(&mut self) -> Result<(), TrieError> {
        self.done.slots += 1;
        self.look()
    }

    fn look(&mut self) -> Result<(), TrieError> {
        self.unseen += 1;
        if self.unseen < LEAVES_PER_LOOK {
            return Ok(());
        }
        self.tell();
        if self.stop.load(Ordering::Relaxed) { Err(TrieError::Stopped) } else { Ok(()) }
    }

    fn tell(&mut self) {
        self.unseen = 0;
        (self.progress)(self.done);
    }
}
