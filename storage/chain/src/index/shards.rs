//! Adding blocks to a subject's shards, cutting them off at the end, pruning them at the front.

use portico_db::{
    Cursor, Key, RW, RwTxn,
    models::{BlockSet, SHARD_BLOCKS},
};

use super::OPEN;
use crate::{BlockIndex, ChainError};

/// Writes one index. Subjects should come in ascending order: the cursor then moves forward only.
#[derive(Debug)]
pub(super) struct ShardWriter<'txn, I: BlockIndex> {
    cursor: Cursor<'txn, I, RW>,
    /// Subject of the table's last row, as long as it lies ahead.
    last: Option<I::Subject>,
    rows: u64,
}

impl<'txn, I: BlockIndex> ShardWriter<'txn, I> {
    pub(super) fn new(txn: &'txn RwTxn<'_>) -> Result<Self, ChainError> {
        let mut cursor = txn.cursor::<I>()?;
        let last = cursor.last()?.map(|(key, _)| I::key_parts(&key).0);
        Ok(Self { cursor, last, rows: 0 })
    }

    /// Rows written or deleted so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds `blocks`, ascending, behind those of `subject`; passes over those that are not behind.
    pub(super) fn append(&mut self, subject: &I::Subject, blocks: &[u64]) -> Result<(), ChainError> {
        if self.last.is_none_or(|last| last < *subject) {
            self.last = None;
            return self.put_shards(subject, blocks, Cursor::append);
        }
        let Some(open) = self.cursor.seek_exact(&I::shard_key(subject, OPEN))? else {
            return self.put_shards(subject, blocks, Cursor::upsert);
        };
        let mut all = open.0;
        let known = all.last().copied();
        all.extend(blocks.iter().filter(|block| known.is_none_or(|known| known < **block)));
        self.put_shards(subject, &all, Cursor::upsert)
    }

    /// Writes the blocks from the open shard on.
    fn put_shards(
        &mut self,
        subject: &I::Subject,
        blocks: &[u64],
        put: impl Fn(&mut Cursor<'txn, I, RW>, &I::Key, &BlockSet) -> Result<(), portico_db::DbError>,
    ) -> Result<(), ChainError> {
        let mut shards = blocks.chunks(SHARD_BLOCKS).peekable();
        while let Some(shard) = shards.next() {
            let last_block = match shards.peek() {
                Some(_) => *shard.last().expect("chunks are not empty"),
                None => OPEN,
            };
            put(&mut self.cursor, &I::shard_key(subject, last_block), &BlockSet(shard.to_vec()))?;
            self.rows += 1;
        }
        Ok(())
    }

    /// Takes the blocks above `block_number` from `subject`. What remains is as if they had never come.
    pub(super) fn cut_above(&mut self, subject: &I::Subject, block_number: u64) -> Result<(), ChainError> {
        let Some((last_block, mut shard)) = self.shard_from(subject, block_number.saturating_add(1))? else {
            return Ok(());
        };
        let kept = shard.0.partition_point(|block| *block <= block_number);
        if last_block == OPEN && kept == shard.0.len() {
            return Ok(());
        }
        shard.0.truncate(kept);
        let start = I::shard_key(subject, last_block).encode();
        let end = I::shard_key(subject, OPEN).encode();
        self.rows += self.cursor.delete_range(start.as_ref(), Some(end.as_ref()))?;
        if shard.0.is_empty() {
            match self.take_shard_before(subject, last_block)? {
                Some(before) => shard = before,
                None => return self.delete(subject, OPEN),
            }
        }
        self.cursor.upsert(&I::shard_key(subject, OPEN), &shard)?;
        self.rows += 1;
        Ok(())
    }

    /// Deletes the shard in front of the one that ends in `last_block`, and returns it.
    fn take_shard_before(
        &mut self,
        subject: &I::Subject,
        last_block: u64,
    ) -> Result<Option<BlockSet>, ChainError> {
        // The open shard is still there, so the seek finds a row of the subject.
        self.cursor.seek(&I::shard_key(subject, last_block))?;
        let Some((key, shard)) = self.cursor.prev()? else { return Ok(None) };
        if I::key_parts(&key).0 != *subject {
            return Ok(None);
        }
        self.cursor.delete_current()?;
        self.rows += 1;
        Ok(Some(shard))
    }

    /// Takes the blocks up to and with `block_number` from `subject`.
    pub(super) fn prune(&mut self, subject: &I::Subject, block_number: u64) -> Result<(), ChainError> {
        while let Some((last_block, mut shard)) = self.shard_from(subject, 0)? {
            let gone = shard.0.partition_point(|block| *block <= block_number);
            if gone == 0 {
                break;
            }
            shard.0.drain(..gone);
            if !shard.0.is_empty() {
                self.cursor.upsert(&I::shard_key(subject, last_block), &shard)?;
                self.rows += 1;
                break;
            }
            self.delete(subject, last_block)?;
        }
        Ok(())
    }

    /// First shard of `subject` that ends at or after `last_block`.
    fn shard_from(
        &mut self,
        subject: &I::Subject,
        last_block: u64,
    ) -> Result<Option<(u64, BlockSet)>, ChainError> {
        let found = self.cursor.seek(&I::shard_key(subject, last_block))?;
        Ok(found.and_then(|(key, shard)| {
            let (found, last_block) = I::key_parts(&key);
            (found == *subject).then_some((last_block, shard))
        }))
    }

    fn delete(&mut self, subject: &I::Subject, last_block: u64) -> Result<(), ChainError> {
        if self.cursor.seek_exact(&I::shard_key(subject, last_block))?.is_some() {
            self.cursor.delete_current()?;
            self.rows += 1;
        }
        Ok(())
    }

    /// First subject after `subject`, or of all.
    fn subject_after(&mut self, subject: Option<&I::Subject>) -> Result<Option<I::Subject>, ChainError> {
        let mut found = match subject {
            Some(subject) => self.cursor.seek(&I::shard_key(subject, OPEN))?,
            None => self.cursor.first()?,
        };
        if found.as_ref().is_some_and(|(key, _)| Some(&I::key_parts(key).0) == subject) {
            found = self.cursor.next()?;
        }
        Ok(found.map(|(key, _)| I::key_parts(&key).0))
    }
}

/// Takes the blocks above `block_number` out of every list of index `I`: for when nothing tells any more which
/// subjects they concern. Reads the whole table.
///
/// # Errors
/// The database's, and those of `check`, which is asked before each subject.
pub fn cut_index_above<I: BlockIndex, E: From<ChainError>>(
    txn: &RwTxn<'_>,
    block_number: u64,
    check: impl FnMut() -> Result<(), E>,
) -> Result<u64, E> {
    for_all::<I, E>(txn, check, |writer, subject| writer.cut_above(subject, block_number))
}

/// Takes the blocks up to and with `block_number` out of every list of index `I`. Reads the whole table.
///
/// # Errors
/// As in [`cut_index_above`].
pub fn prune_index<I: BlockIndex, E: From<ChainError>>(
    txn: &RwTxn<'_>,
    block_number: u64,
    check: impl FnMut() -> Result<(), E>,
) -> Result<u64, E> {
    for_all::<I, E>(txn, check, |writer, subject| writer.prune(subject, block_number))
}

fn for_all<I: BlockIndex, E: From<ChainError>>(
    txn: &RwTxn<'_>,
    mut check: impl FnMut() -> Result<(), E>,
    mut change: impl FnMut(&mut ShardWriter<'_, I>, &I::Subject) -> Result<(), ChainError>,
) -> Result<u64, E> {
    let mut writer = ShardWriter::<I>::new(txn)?;
    let mut subject = writer.subject_after(None)?;
    while let Some(current) = subject {
        check()?;
        change(&mut writer, &current)?;
        subject = writer.subject_after(Some(&current))?;
    }
    Ok(writer.rows())
}

/// Deletes all of index `I`.
pub fn clear_index<I: BlockIndex>(txn: &RwTxn<'_>) -> Result<(), ChainError> {
    Ok(txn.clear::<I>()?)
}
