//! How the stored branch nodes change.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use portico_db::{Cursor, DbError, Key, RW, RwTxn, Table};

use crate::{
    path::{Path, StoragePath},
    row::{AccountRows, RowBuffer, StorageRows},
};

/// Rows that are written (as their bytes) or deleted (`None`).
pub(crate) type NodeChanges = BTreeMap<Path, Option<Box<[u8]>>>;

/// Changes of both trie tables, from the trie that a root was computed upon to the one that it belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrieUpdates {
    pub(crate) accounts: NodeChanges,
    pub(crate) storages: BTreeMap<B256, StorageTrieUpdates>,
}

/// Changes of the rows of one storage trie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StorageTrieUpdates {
    /// All rows that were there are deleted first.
    pub wiped: bool,
    pub nodes: NodeChanges,
}

impl TrieUpdates {
    /// Whether the tables stay as they are.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.storages.is_empty()
    }

    /// Rows that are written or deleted; a wiped storage trie counts as one.
    pub fn len(&self) -> usize {
        let storages = self.storages.values().map(|storage| storage.nodes.len() + usize::from(storage.wiped));
        self.accounts.len() + storages.sum::<usize>()
    }

    /// Puts `later`, computed upon these, on top.
    pub fn extend(&mut self, later: Self) {
        self.accounts.extend(later.accounts);
        for (hashed_address, storage) in later.storages {
            let ours = self.storages.entry(hashed_address).or_default();
            if storage.wiped {
                *ours = storage;
            } else {
                ours.nodes.extend(storage.nodes);
            }
        }
    }

    /// Writes the changes, in key order.
    ///
    /// # Errors
    /// When the database fails; the transaction should then be dropped.
    pub fn write(&self, txn: &RwTxn<'_>) -> Result<(), DbError> {
        let mut cursor = txn.cursor::<AccountRows>()?;
        for (path, row) in &self.accounts {
            write_row(&mut cursor, path, row.as_deref())?;
        }
        let mut cursor = txn.cursor::<StorageRows>()?;
        for (hashed_address, storage) in &self.storages {
            if storage.wiped {
                delete_storage(&mut cursor, hashed_address)?;
            }
            for (path, row) in &storage.nodes {
                let key = StoragePath { hashed_address: *hashed_address, path: *path };
                write_row(&mut cursor, &key, row.as_deref())?;
            }
        }
        Ok(())
    }
}

fn write_row<T: Table>(
    cursor: &mut Cursor<'_, T, RW>,
    key: &T::Key,
    row: Option<&[u8]>,
) -> Result<(), DbError> {
    match row {
        Some(row) => cursor.upsert_bytes(key.encode().as_ref(), row),
        None if cursor.seek_exact(key)?.is_some() => cursor.delete_current(),
        None => Ok(()),
    }
}

fn delete_storage(cursor: &mut Cursor<'_, StorageRows, RW>, hashed_address: &B256) -> Result<(), DbError> {
    let mut end = hashed_address.0;
    // The lowest key that does not begin with the address.
    let end: &[u8] = match end.iter().rposition(|byte| *byte != 0xff) {
        Some(last) => {
            end[last] += 1;
            &end[..=last]
        }
        None => return cursor.delete_from(hashed_address.as_slice()).map(drop),
    };
    cursor.delete_range(hashed_address.as_slice(), Some(end)).map(drop)
}

/// What turns the rows `before` into those `after`.
pub(crate) fn difference(before: &RowBuffer, after: &RowBuffer) -> NodeChanges {
    let (before, after) = (before.sorted(), after.sorted());
    let mut before = before.into_iter().peekable();
    let mut changes = Vec::with_capacity(after.len());
    for (path, row) in after {
        while let Some((gone, _)) = before.next_if(|(old_path, _)| *old_path < path) {
            changes.push((gone, None));
        }
        if before.next_if(|(old_path, _)| *old_path == path).is_none_or(|(_, old_row)| old_row != row) {
            changes.push((path, Some(row.into())));
        }
    }
    changes.extend(before.map(|(gone, _)| (gone, None)));
    changes.into_iter().collect()
}
