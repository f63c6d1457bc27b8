//! The trie from scratch: one walk over the hashed tables, in bounded memory.
//!
//! Nodes are closed children first, but sorted parents first: rows are held back up to a number of bytes and then
//! written in order. Only the few nodes that are open at such a moment come behind rows that sort after them.

use std::sync::atomic::{AtomicBool, Ordering};

use alloy_primitives::{B256, U256};
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
};

/// How far a rebuild got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebuildProgress {
    /// Accounts done.
    pub accounts: u64,
    /// Slots done.
    pub slots: u64,
    /// The account that is next; keys are spread evenly, so that its front says which share is done.
    pub hashed_address: B256,
}

/// Rows that are held back, in bytes.
const BUFFER_BYTES: usize = 64 << 20;
/// Leaves between two looks at the stop flag.
const LEAVES_PER_LOOK: u64 = 1 << 12;

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
    let mut rebuild = Rebuild {
        accounts: Writer::new(txn.cursor()?, buffer_bytes),
        storages: StorageRebuild::new(txn, buffer_bytes)?,
        builder: Builder::new(),
        stop,
        progress,
        done: RebuildProgress { accounts: 0, slots: 0, hashed_address: B256::ZERO },
        next_look: LEAVES_PER_LOOK,
    };
    rebuild.run(txn.cursor()?)
}

struct Rebuild<'a, 'p> {
    accounts: Writer<'a, AccountRows>,
    storages: StorageRebuild<'a>,
    builder: Builder,
    stop: &'p AtomicBool,
    progress: &'p mut dyn FnMut(RebuildProgress),
    done: RebuildProgress,
    next_look: u64,
}
