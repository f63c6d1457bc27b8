//! Reading the indexes: ascending streams of block numbers, alone, united and intersected.
//!
//! A stream is asked for the first block at or after a given one and moves forward only. It holds one shard (at
//! most 4 KiB) and a cursor per subject, loads the next shard when it is asked for a block behind this one, and so
//! skips the shards between. An intersection asks its parts in turn for the block that the last one answered, until
//! all agree: what a rare topic does not have is never read from a busy address.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
    ops::RangeInclusive,
};

use alloy_primitives::{Address, B256};
use portico_db::{Cursor, DbError, TransactionKind, Txn};

use super::OPEN;
use crate::{BlockIndex, CallFromIndex, CallToIndex, ChainError, LogAddressIndex, LogTopicIndex};

/// Block numbers, ascending and without repeats: an iterator that can also jump ahead.
#[derive(Debug)]
pub struct BlockStream<'txn, K: TransactionKind> {
    blocks: RangeInclusive<u64>,
    source: Source<'txn, K>,
}

#[derive(Debug)]
enum Source<'txn, K: TransactionKind> {
    All,
    LogAddress(Shards<'txn, LogAddressIndex, K>),
    LogTopic(Shards<'txn, LogTopicIndex, K>),
    CallFrom(Shards<'txn, CallFromIndex, K>),
    CallTo(Shards<'txn, CallToIndex, K>),
    Union(Union<'txn, K>),
    Intersection(Vec<BlockStream<'txn, K>>),
}

/// The blocks in `blocks` in which `address` logged.
pub fn blocks_with_log_address<'txn, K: TransactionKind>(
    txn: &'txn Txn<'_, K>,
    address: Address,
    blocks: RangeInclusive<u64>,
) -> Result<BlockStream<'txn, K>, ChainError> {
    Ok(BlockStream { blocks, source: Source::LogAddress(Shards::new(txn, address)?) })
}

/// The blocks in `blocks` in which a log has `topic`, at whatever position.
pub fn blocks_with_log_topic<'txn, K: TransactionKind>(
    txn: &'txn Txn<'_, K>,
    topic: B256,
    blocks: RangeInclusive<u64>,
) -> Result<BlockStream<'txn, K>, ChainError> {
    Ok(BlockStream { blocks, source: Source::LogTopic(Shards::new(txn, topic)?) })
}

/// The blocks in `blocks` in which `address` called, created or destroyed itself.
pub fn blocks_with_call_from<'txn, K: TransactionKind>(
    txn: &'txn Txn<'_, K>,
    address: Address,
    blocks: RangeInclusive<u64>,
) -> Result<BlockStream<'txn, K>, ChainError> {
    Ok(BlockStream { blocks, source: Source::CallFrom(Shards::new(txn, address)?) })
}

/// The blocks in `blocks` in which `address` was called, created, or received a reward or a destroyed contract's
/// balance.
pub fn blocks_with_call_to<'txn, K: TransactionKind>(
    txn: &'txn Txn<'_, K>,
    address: Address,
    blocks: RangeInclusive<u64>,
) -> Result<BlockStream<'txn, K>, ChainError> {
    Ok(BlockStream { blocks, source: Source::CallTo(Shards::new(txn, address)?) })
}

impl<'txn, K: TransactionKind> BlockStream<'txn, K> {
    /// Every block in `blocks`.
    pub fn all(blocks: RangeInclusive<u64>) -> Self {
        Self { blocks, source: Source::All }
    }

    /// The blocks in `blocks` that are in at least one of `parts`.
    pub fn union(blocks: RangeInclusive<u64>, parts: Vec<Self>) -> Self {
        Self { blocks, source: Source::Union(Union { parts, heads: None }) }
    }

    /// The blocks in `blocks` that are in every one of `parts`; all of them when there is no part. Parts that are
    /// probably rare should come first.
    pub fn intersection(blocks: RangeInclusive<u64>, parts: Vec<Self>) -> Self {
        Self { blocks, source: Source::Intersection(parts) }
    }

    /// Moves to the first block at or after both `block_number` and the position; stays there, so that asking again
    /// gives the same answer.
    ///
    /// # Errors
    /// The database's; the stream must not be used any further.
    pub fn seek(&mut self, block_number: u64) -> Result<Option<u64>, ChainError> {
        if self.blocks.is_empty() {
            return Ok(None);
        }
        let start = block_number.max(*self.blocks.start());
        let end = *self.blocks.end();
        let found = if start > end { None } else { self.source.seek(start)?.filter(|found| *found <= end) };
        self.blocks = match found {
            Some(found) => found..=end,
            None => NO_BLOCKS,
        };
        Ok(found)
    }
}

#[expect(clippy::reversed_empty_ranges, reason = "meant to be empty")]
const NO_BLOCKS: RangeInclusive<u64> = 1..=0;

impl<K: TransactionKind> Iterator for BlockStream<'_, K> {
    type Item = Result<u64, ChainError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.seek(0) {
            Ok(Some(found)) => {
                // Past the last number the range becomes empty.
                self.blocks.next();
                Some(Ok(found))
            }
            Ok(None) => None,
            Err(error) => {
                self.blocks = NO_BLOCKS;
                Some(Err(error))
            }
        }
    }
}

impl<K: TransactionKind> Source<'_, K> {
    /// First block at or after `block_number`, which never descends.
    fn seek(&mut self, block_number: u64) -> Result<Option<u64>, ChainError> {
        match self {
            Self::All => Ok(Some(block_number)),
            Self::LogAddress(shards) => Ok(shards.seek(block_number)?),
            Self::LogTopic(shards) => Ok(shards.seek(block_number)?),
            Self::CallFrom(shards) => Ok(shards.seek(block_number)?),
            Self::CallTo(shards) => Ok(shards.seek(block_number)?),
            Self::Union(union) => union.seek(block_number),
            Self::Intersection(parts) => seek_in_all(parts, block_number),
        }
    }
}

/// First block at or after `block_number` that all `parts` have.
fn seek_in_all<K: TransactionKind>(
    parts: &mut [BlockStream<'_, K>],
    block_number: u64,
) -> Result<Option<u64>, ChainError> {
    let mut candidate = block_number;
    let mut agreeing = 0;
    while agreeing < parts.len() {
        agreeing = 0;
        for part in &mut *parts {
            let Some(found) = part.seek(candidate)? else { return Ok(None) };
            if found != candidate {
                candidate = found;
                break;
            }
            agreeing += 1;
        }
    }
    Ok(Some(candidate))
}

/// What is in any of several streams.
#[derive(Debug)]
struct Union<'txn, K: TransactionKind> {
    parts: Vec<BlockStream<'txn, K>>,
    /// The block that each part is at, and which part; `None` before the first question. A part at its end is gone.
    heads: Option<BinaryHeap<Reverse<(u64, usize)>>>,
}

impl<K: TransactionKind> Union<'_, K> {
    fn seek(&mut self, block_number: u64) -> Result<Option<u64>, ChainError> {
        let heads = match &mut self.heads {
            Some(heads) => heads,
            None => self.heads.insert(heads_at(&mut self.parts, block_number)?),
        };
        while let Some(mut head) = heads.peek_mut() {
            let Reverse((found, part)) = *head;
            if found >= block_number {
                return Ok(Some(found));
            }
            match self.parts[part].seek(block_number)? {
                Some(found) => *head = Reverse((found, part)),
                None => drop(PeekMut::pop(head)),
            }
        }
        Ok(None)
    }
}

fn heads_at<K: TransactionKind>(
    parts: &mut [BlockStream<'_, K>],
    block_number: u64,
) -> Result<BinaryHeap<Reverse<(u64, usize)>>, ChainError> {
    let mut heads = BinaryHeap::with_capacity(parts.len());
    for (part, stream) in parts.iter_mut().enumerate() {
        heads.extend(stream.seek(block_number)?.map(|found| Reverse((found, part))));
    }
    Ok(heads)
}

/// The blocks of one subject, shard by shard.
#[derive(Debug)]
struct Shards<'txn, I: BlockIndex, K: TransactionKind> {
    cursor: Cursor<'txn, I, K>,
    subject: I::Subject,
    /// Blocks of the current shard.
    shard: Vec<u64>,
    position: usize,
    /// No shard comes behind the current one.
    is_last: bool,
}

impl<'txn, I: BlockIndex, K: TransactionKind> Shards<'txn, I, K> {
    fn new(txn: &'txn Txn<'_, K>, subject: I::Subject) -> Result<Self, DbError> {
        Ok(Self { cursor: txn.cursor::<I>()?, subject, shard: Vec::new(), position: 0, is_last: false })
    }

    fn seek(&mut self, block_number: u64) -> Result<Option<u64>, DbError> {
        if !self.is_last && self.shard.last().is_none_or(|last| *last < block_number) {
            self.load(block_number)?;
        }
        let ahead = &self.shard[self.position..];
        self.position += ahead.partition_point(|block| *block < block_number);
        Ok(self.shard.get(self.position).copied())
    }

    /// Loads the shard that would hold `block_number`.
    fn load(&mut self, block_number: u64) -> Result<(), DbError> {
        self.position = 0;
        let found = self.cursor.seek(&I::shard_key(&self.subject, block_number))?;
        let shard = found.filter(|(key, _)| I::key_parts(key).0 == self.subject);
        self.is_last = shard.as_ref().is_none_or(|(key, _)| I::key_parts(key).1 == OPEN);
        self.shard = shard.map(|(_, shard)| shard.0).unwrap_or_default();
        Ok(())
    }
}
