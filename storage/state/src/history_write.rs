//! Writing the history tables: appending the changes of new blocks, taking blocks back, pruning.
//!
//! ```text
//!  key ‖ 17  [3 9 17]      closed: named by its last block
//!  key ‖ 40  [21 22 40]
//!  key ‖ ff… [47]          open: the next entries go here until it is full
//! ```
//! Chunks are filled greedily, so where one ends depends only on the entries up to there: appending block by block or
//! in one go gives the same rows, and taking blocks back is to cut at the end and reopen what is then the last chunk.
//! All work is done in key order with one cursor.

use std::ops::RangeInclusive;

use portico_db::{
    Cursor, DbError, DecodeError, Key, RW, RwTxn, Table,
    models::{HistoryChunk, HistoryChunkBuilder, StoredChunk},
    tables,
};

use crate::change_rows::{
    Accounts, Half, SLOT_KEY_LEN, SortSpace, Storage, changed_keys, changes_by_key, for_each_first,
};

/// What the open chunk's key ends in.
const OPEN: u64 = u64::MAX;

/// Which keys [`prune_account_history`] and [`prune_storage_history`] look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PruneKeys {
    /// Those that the kept changes of these blocks name: no more work than the blocks changed.
    ChangedIn(RangeInclusive<u64>),
    /// All: a walk over the whole table, for when changes are gone that history was not pruned for.
    All,
}

/// Appends the account changes of `blocks`; returns the rows written.
///
/// The blocks must follow those that history has. `at` is called with each block that is read, and with the last one
/// while rows are written; its error ends the work.
///
/// # Errors
/// [`DbError::Corrupt`] when a changed key already has entries at or after its first change.
pub fn append_account_history<E: From<DbError>>(
    txn: &RwTxn<'_>,
    blocks: RangeInclusive<u64>,
    space: SortSpace<'_>,
    at: impl FnMut(u64) -> Result<(), E>,
) -> Result<u64, E> {
    append::<tables::AccountHistory, E>(txn, blocks, space, at)
}

/// Appends the storage changes of `blocks`; as [`append_account_history`].
///
/// # Errors
/// [`DbError::Corrupt`] when a changed key already has entries at or after its first change.
pub fn append_storage_history<E: From<DbError>>(
    txn: &RwTxn<'_>,
    blocks: RangeInclusive<u64>,
    space: SortSpace<'_>,
    at: impl FnMut(u64) -> Result<(), E>,
) -> Result<u64, E> {
    append::<tables::StorageHistory, E>(txn, blocks, space, at)
}

/// Takes the account changes of `blocks`, the newest ones, out of history; the rows are then those that appending up
/// to the block before gives. The changes must still be there. `at` is called with each block read, then with the
/// last.
pub fn unwind_account_history<E: From<DbError>>(
    txn: &RwTxn<'_>,
    blocks: RangeInclusive<u64>,
    space: SortSpace<'_>,
    at: impl FnMut(u64) -> Result<(), E>,
) -> Result<(), E> {
    let first = *blocks.start();
    cut::<tables::AccountHistory, E>(txn, blocks, space, at, |cursor, prefix| cut_from(cursor, prefix, first))
}

/// Takes the storage changes of `blocks` out of history; as [`unwind_account_history`].
pub fn unwind_storage_history<E: From<DbError>>(
    txn: &RwTxn<'_>,
    blocks: RangeInclusive<u64>,
    space: SortSpace<'_>,
    at: impl FnMut(u64) -> Result<(), E>,
) -> Result<(), E> {
    let first = *blocks.start();
    cut::<tables::StorageHistory, E>(txn, blocks, space, at, |cursor, prefix| cut_from(cursor, prefix, first))
}

/// Deletes the entries of `through` and earlier blocks from account history. State can still be read as of `through`
/// and later, so that block `through + 1` can be run again.
///
/// A chunk that straddles is rewritten without its first entries, under the key that it has: so pruning and unwinding
/// give the same rows in either order. `at` is called with a block for each change or key that is looked at.
pub fn prune_account_history<E: From<DbError>>(
    txn: &RwTxn<'_>,
    through: u64,
    keys: PruneKeys,
    space: SortSpace<'_>,
    at: impl FnMut(u64) -> Result<(), E>,
) -> Result<(), E> {
    prune::<tables::AccountHistory, E>(txn, through, keys, space, at)
}

/// Deletes the entries of `through` and earlier blocks from storage history; as [`prune_account_history`].
pub fn prune_storage_history<E: From<DbError>>(
    txn: &RwTxn<'_>,
    through: u64,
    keys: PruneKeys,
    space: SortSpace<'_>,
    at: impl FnMut(u64) -> Result<(), E>,
) -> Result<(), E> {
    prune::<tables::StorageHistory, E>(txn, through, keys, space, at)
}

/// A table of chunks: its keys are a plain key and a block number.
trait HistoryTable: Table<Value = StoredChunk> {
    /// Whose changes it holds.
    type Of: Half;
    /// Bytes of the key before the block number.
    const PREFIX_LEN: usize = <Self::Of as Half>::KEY_LEN;
}

impl HistoryTable for tables::AccountHistory {
    type Of = Accounts;
}

impl HistoryTable for tables::StorageHistory {
    type Of = Storage;
}

/// prefix ‖ block number 8, big-endian.
#[derive(Debug, Clone, Copy)]
struct ChunkKey {
    bytes: [u8; SLOT_KEY_LEN + 8],
    len: usize,
}

impl ChunkKey {
    fn new(prefix: &[u8], block_number: u64) -> Self {
        let mut bytes = [0; SLOT_KEY_LEN + 8];
        let len = prefix.len() + 8;
        bytes[..prefix.len()].copy_from_slice(prefix);
        bytes[prefix.len()..len].copy_from_slice(&block_number.to_be_bytes());
        Self { bytes, len }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The first bytes behind this key: in these tables, of the next account or slot when this is an open chunk's.
    fn successor(&self) -> Vec<u8> {
        [self.bytes(), &[0]].concat()
    }
}

fn append<T: HistoryTable, E: From<DbError>>(
    txn: &RwTxn<'_>,
    blocks: RangeInclusive<u64>,
    space: SortSpace<'_>,
    mut at: impl FnMut(u64) -> Result<(), E>,
) -> Result<u64, E> {
    let last_block = *blocks.end();
    let changes = changes_by_key::<T::Of, E>(txn, blocks, space, &mut at)?;
    let mut writer = ChunkWriter::<T>::new(txn)?;
    changes.for_each(|row, before| {
        at(last_block)?;
        let (key, block_number) = row.split_at(T::PREFIX_LEN);
        let block_number =
            u64::from_be_bytes(block_number.try_into().expect("rows were made with 8 bytes of block"));
        Ok::<(), E>(writer.push(key, block_number, before)?)
    })?;
    writer.finish_key()?;
    Ok(writer.rows)
}

fn prune<T: HistoryTable, E: From<DbError>>(
    txn: &RwTxn<'_>,
    through: u64,
    keys: PruneKeys,
    space: SortSpace<'_>,
    mut at: impl FnMut(u64) -> Result<(), E>,
) -> Result<(), E> {
    match keys {
        PruneKeys::ChangedIn(blocks) => {
            cut::<T, E>(txn, blocks, space, at, |cursor, prefix| cut_through(cursor, prefix, through))
        }
        PruneKeys::All => prune_all::<T, E>(txn, through, || at(through)),
    }
}

/// Cuts the chunks of every key that `blocks` changed.
fn cut<T: HistoryTable, E: From<DbError>>(
    txn: &RwTxn<'_>,
    blocks: RangeInclusive<u64>,
    space: SortSpace<'_>,
    mut at: impl FnMut(u64) -> Result<(), E>,
    mut cut_key: impl FnMut(&mut Cursor<'_, T, RW>, &[u8]) -> Result<(), DbError>,
) -> Result<(), E> {
    let last_block = *blocks.end();
    let changed = changed_keys::<T::Of, E>(txn, blocks, space, &mut at)?;
    let mut cursor = txn.cursor::<T>()?;
    for_each_first::<T::Of, E>(changed, |key, _| {
        at(last_block)?;
        Ok(cut_key(&mut cursor, key)?)
    })
}

/// Continues the open chunks of keys that come in order.
struct ChunkWriter<'txn, T: HistoryTable> {
    cursor: Cursor<'txn, T, RW>,
    /// Prefix of the last key that the table had: behind it nothing has to be looked up, and rows are appended.
    table_end: Option<Vec<u8>>,
    behind_end: bool,
    prefix: Vec<u8>,
    chunk: HistoryChunkBuilder,
    rows: u64,
}

impl<'txn, T: HistoryTable> ChunkWriter<'txn, T> {
    fn new(txn: &'txn RwTxn<'_>) -> Result<Self, DbError> {
        let mut cursor = txn.cursor::<T>()?;
        let table_end = cursor.last()?.map(|(key, _)| key.encode().as_ref()[..T::PREFIX_LEN].to_vec());
        let (prefix, chunk) = (Vec::new(), HistoryChunkBuilder::default());
        Ok(Self { cursor, table_end, behind_end: false, prefix, chunk, rows: 0 })
    }

    fn push(&mut self, prefix: &[u8], block_number: u64, value: &[u8]) -> Result<(), DbError> {
        if prefix != self.prefix {
            self.finish_key()?;
            self.begin_key(prefix)?;
        }
        if !self.chunk.is_empty() && block_number <= self.chunk.last_block() {
            let source = DecodeError::Malformed { what: "history that has these blocks already" };
            return Err(DbError::Corrupt { table: T::NAME, source });
        }
        if !self.chunk.try_push(block_number, value) {
            self.write_chunk(self.chunk.last_block())?;
            let fits = self.chunk.try_push(block_number, value);
            debug_assert!(fits, "an empty chunk takes any entry");
        }
        Ok(())
    }

    fn begin_key(&mut self, prefix: &[u8]) -> Result<(), DbError> {
        self.prefix.clear();
        self.prefix.extend_from_slice(prefix);
        self.behind_end = self.table_end.as_deref().is_none_or(|end| end < prefix);
        if self.behind_end {
            return Ok(());
        }
        let open = ChunkKey::new(prefix, OPEN);
        if let Some((_, stored)) = seek_prefix(&mut self.cursor, &open)? {
            self.chunk = HistoryChunkBuilder::reopen(stored.chunk()).map_err(corrupt::<T>)?;
        }
        Ok(())
    }

    fn finish_key(&mut self) -> Result<(), DbError> {
        if self.chunk.is_empty() { Ok(()) } else { self.write_chunk(OPEN) }
    }

    fn write_chunk(&mut self, last_block: u64) -> Result<(), DbError> {
        let key = ChunkKey::new(&self.prefix, last_block);
        let chunk = self.chunk.take();
        self.rows += 1;
        if self.behind_end {
            self.cursor.append_bytes(key.bytes(), &chunk)
        } else {
            self.cursor.upsert_bytes(key.bytes(), &chunk)
        }
    }
}

fn corrupt<T: Table>(source: DecodeError) -> DbError {
    DbError::Corrupt { table: T::NAME, source }
}

/// The first chunk at or behind `key` of the same account or slot: its key bytes and the row.
fn seek_prefix<T: HistoryTable>(
    cursor: &mut Cursor<'_, T, RW>,
    key: &ChunkKey,
) -> Result<Option<(ChunkKey, StoredChunk)>, DbError> {
    let found = cursor.seek_bytes(key.bytes())?;
    Ok(found.and_then(|row| of_prefix::<T>(row, &key.bytes()[..T::PREFIX_LEN])))
}

fn of_prefix<T: HistoryTable>(
    (key, chunk): (T::Key, StoredChunk),
    prefix: &[u8],
) -> Option<(ChunkKey, StoredChunk)> {
    let encoded = key.encode();
    let (found, block) = encoded.as_ref().split_at(T::PREFIX_LEN);
    let last_block = u64::from_be_bytes(block.try_into().expect("decoded keys have 8 bytes of block"));
    (found == prefix).then(|| (ChunkKey::new(prefix, last_block), chunk))
}

/// Deletes a key's entries of `first` and later blocks, and leaves the last chunk that remains open.
fn cut_from<T: HistoryTable>(
    cursor: &mut Cursor<'_, T, RW>,
    prefix: &[u8],
    first: u64,
) -> Result<(), DbError> {
    let open = ChunkKey::new(prefix, OPEN);
    let start = ChunkKey::new(prefix, first);
    let Some((_, chunk)) = seek_prefix(cursor, &start)? else { return Ok(()) };
    let kept = entries_where::<T>(chunk.chunk(), |block_number| block_number < first)?;
    if !kept.is_empty() {
        cursor.delete_range(start.bytes(), Some(open.bytes()))?;
        return cursor.upsert_bytes(open.bytes(), &kept);
    }
    let previous = cursor.prev()?.and_then(|row| of_prefix::<T>(row, prefix));
    let end = open.successor();
    match previous {
        Some((key, chunk)) => {
            cursor.delete_range(key.bytes(), Some(&end))?;
            cursor.upsert_bytes(open.bytes(), &chunk.0)
        }
        None => cursor.delete_range(start.bytes(), Some(&end)).map(drop),
    }
}

/// Deletes a key's entries of `through` and earlier blocks.
fn cut_through<T: HistoryTable>(
    cursor: &mut Cursor<'_, T, RW>,
    prefix: &[u8],
    through: u64,
) -> Result<(), DbError> {
    let first_kept = ChunkKey::new(prefix, through.saturating_add(1));
    cursor.delete_range(ChunkKey::new(prefix, 0).bytes(), Some(first_kept.bytes()))?;
    let Some((key, chunk)) = seek_prefix(cursor, &first_kept)? else { return Ok(()) };
    let kept = entries_where::<T>(chunk.chunk(), |block_number| block_number > through)?;
    if kept == chunk.0 {
        return Ok(());
    }
    if kept.is_empty() {
        return cursor.delete_range(key.bytes(), Some(&key.successor())).map(drop);
    }
    cursor.upsert_bytes(key.bytes(), &kept)
}

/// The chunk with only these entries; empty bytes for none.
fn entries_where<T: Table>(chunk: HistoryChunk<'_>, keep: impl Fn(u64) -> bool) -> Result<Vec<u8>, DbError> {
    let mut builder = HistoryChunkBuilder::default();
    for (block_number, value) in chunk.entries().map_err(corrupt::<T>)? {
        if keep(block_number) {
            let fits = builder.try_push(block_number, value);
            debug_assert!(fits, "fewer entries take less room");
        }
    }
    Ok(if builder.is_empty() { Vec::new() } else { builder.take() })
}

fn prune_all<T: HistoryTable, E: From<DbError>>(
    txn: &RwTxn<'_>,
    through: u64,
    mut at: impl FnMut() -> Result<(), E>,
) -> Result<(), E> {
    let mut cursor = txn.cursor::<T>()?;
    let mut row = cursor.first()?;
    while let Some((key, _)) = row {
        at()?;
        let prefix = &key.encode().as_ref()[..T::PREFIX_LEN].to_vec();
        cut_through(&mut cursor, prefix, through)?;
        row = cursor.seek_bytes(&ChunkKey::new(prefix, OPEN).successor())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
