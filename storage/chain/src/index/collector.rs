//! Collecting (subject, block) pairs of a batch and bringing them in the order of the table.
//!
//! Pairs come block by block. Each subject gets a running number when it first appears; a pair is then 4 bytes, and
//! a subject that a block names again is seen to be a repeat by the last block noted beside it. Sorting is sorting
//! the subjects, and a counting sort of the pairs. What outgrows the buffer goes, one row per subject, through a
//! [`Collector`] that spills to files.

use std::path::Path;

use alloy_primitives::map::HashMap;
use portico_db::{Key, RwTxn, etl::Collector};

use crate::{BlockIndex, ChainError, index::shards::ShardWriter};

/// Collects which blocks concern which subjects, in the order of the chain; see the module.
#[derive(Debug)]
pub struct BlockCollector<I: BlockIndex> {
    /// Running number of each subject.
    ids: HashMap<I::Subject, u32>,
    /// Beside each subject, by its number.
    seen: Vec<Seen>,
    /// Subjects in order of arrival.
    pairs: Vec<u32>,
    /// The blocks, and where in `pairs` their subjects begin.
    blocks: Vec<(u64, usize)>,
    /// Subject → first block 8 ‖ next block 8 ‖ …: what did not fit the buffer.
    spilled: Collector,
    buffer_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    last_block: u64,
    count: u32,
}

impl<I: BlockIndex> BlockCollector<I> {
    /// Holds about `buffer_bytes` in memory and spills what is more into unnamed files in `folder`.
    pub fn new(folder: &Path, buffer_bytes: usize) -> Self {
        Self {
            ids: HashMap::default(),
            seen: Vec::new(),
            pairs: Vec::new(),
            blocks: Vec::new(),
            spilled: Collector::new(folder, buffer_bytes / 2),
            buffer_bytes: buffer_bytes / 2,
        }
    }

    /// Notes that `block_number` concerns `subject`. Repeats within a block are passed over; blocks must not
    /// descend.
    pub fn insert(&mut self, subject: &I::Subject, block_number: u64) -> Result<(), ChainError> {
        if self.blocks.last().is_none_or(|(last, _)| *last != block_number) {
            debug_assert!(self.blocks.last().is_none_or(|(last, _)| *last < block_number), "blocks ascend");
            if self.held_bytes() > self.buffer_bytes {
                self.spill()?;
            }
            self.blocks.push((block_number, self.pairs.len()));
        }
        let next = self.seen.len() as u32;
        let id = *self.ids.entry(*subject).or_insert(next);
        if id == next {
            self.seen.push(Seen { last_block: block_number, count: 1 });
        } else {
            let seen = &mut self.seen[id as usize];
            if seen.last_block == block_number {
                return Ok(());
            }
            *seen = Seen { last_block: block_number, count: seen.count + 1 };
        }
        self.pairs.push(id);
        Ok(())
    }

    /// Adds the blocks to the index, at the end of each subject's list; says how many rows were written. Blocks up
    /// to the last one that a subject has are passed over.
    ///
    /// # Errors
    /// The database's, and those of `check`, which is asked before each subject.
    pub fn append<E: From<ChainError>>(
        self,
        txn: &RwTxn<'_>,
        check: impl FnMut() -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut writer = ShardWriter::<I>::new(txn)?;
        self.for_each(check, |subject, blocks| writer.append(subject, blocks))?;
        Ok(writer.rows())
    }

    /// Takes the blocks above `block_number` out of the lists of the collected subjects; which blocks were collected
    /// with them does not matter.
    ///
    /// # Errors
    /// As in [`Self::append`].
    pub fn cut_above<E: From<ChainError>>(
        self,
        txn: &RwTxn<'_>,
        block_number: u64,
        check: impl FnMut() -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut writer = ShardWriter::<I>::new(txn)?;
        self.for_each(check, |subject, _| writer.cut_above(subject, block_number))?;
        Ok(writer.rows())
    }

    /// Takes the blocks up to and with `block_number` out of the lists of the collected subjects.
    ///
    /// # Errors
    /// As in [`Self::append`].
    pub fn prune<E: From<ChainError>>(
        self,
        txn: &RwTxn<'_>,
        block_number: u64,
        check: impl FnMut() -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut writer = ShardWriter::<I>::new(txn)?;
        self.for_each(check, |subject, _| writer.prune(subject, block_number))?;
        Ok(writer.rows())
    }

    /// Hands over each subject with its blocks, both ascending and without repeats.
    fn for_each<E: From<ChainError>>(
        mut self,
        mut check: impl FnMut() -> Result<(), E>,
        mut visit: impl FnMut(&I::Subject, &[u64]) -> Result<(), ChainError>,
    ) -> Result<(), E> {
        if self.spilled.is_empty() {
            return self.drain(|subject, blocks| {
                check()?;
                Ok(visit(subject, blocks)?)
            });
        }
        self.spill()?;
        let mut groups = Groups { key: Vec::new(), blocks: Vec::new() };
        let rows = self.spilled.into_sorted().map_err(ChainError::from)?;
        rows.for_each(|key, value| -> Result<(), Passed<E>> {
            if key != groups.key {
                check().map_err(Passed)?;
                groups.end::<I>(&mut visit).map_err(|error| Passed(error.into()))?;
                groups.key = key.to_vec();
            }
            groups.blocks.extend(value.chunks_exact(8).map(block_of));
            Ok(())
        })
        .map_err(|passed| passed.0)?;
        Ok(groups.end::<I>(&mut visit)?)
    }

    /// Bytes in memory, about, with what sorting will take.
    fn held_bytes(&self) -> usize {
        let per_subject =
            3 * (size_of::<I::Subject>() + size_of::<u32>()) + size_of::<Seen>() + size_of::<usize>();
        self.seen.len() * per_subject + self.pairs.len() * 2 * size_of::<u32>() + self.blocks.len() * 16
    }

    fn spill(&mut self) -> Result<(), ChainError> {
        let mut spilled = std::mem::replace(&mut self.spilled, Collector::new(Path::new(""), 0));
        let mut value = Vec::new();
        let result = self.drain(|subject, blocks| {
            value.clear();
            value.extend(blocks.iter().flat_map(|block| block.to_be_bytes()));
            Ok(spilled.insert(subject.encode().as_ref(), &value)?)
        });
        self.spilled = spilled;
        result
    }

    /// Hands over what is in memory, in order, and empties it.
    fn drain<E>(&mut self, mut visit: impl FnMut(&I::Subject, &[u64]) -> Result<(), E>) -> Result<(), E> {
        let mut order: Vec<_> = std::mem::take(&mut self.ids).into_iter().collect();
        order.sort_unstable();
        let positions = self.blocks_by_subject();
        let mut blocks = Vec::new();
        for (subject, id) in order {
            let end = positions.ends[id as usize];
            let start = end - self.seen[id as usize].count as usize;
            blocks.clear();
            blocks.extend(
                positions.blocks[start..end].iter().map(|position| self.blocks[*position as usize].0),
            );
            visit(&subject, &blocks)?;
        }
        self.seen.clear();
        self.pairs.clear();
        self.blocks.clear();
        Ok(())
    }

    /// A counting sort of the pairs by subject number; within a subject the order stays.
    fn blocks_by_subject(&self) -> Positions {
        let mut ends = Vec::with_capacity(self.seen.len());
        let mut start = 0;
        for seen in &self.seen {
            ends.push(start);
            start += seen.count as usize;
        }
        let mut blocks = vec![0; self.pairs.len()];
        for (position, (_, first)) in self.blocks.iter().enumerate() {
            let end = self.blocks.get(position + 1).map_or(self.pairs.len(), |(_, end)| *end);
            for id in &self.pairs[*first..end] {
                let free = &mut ends[*id as usize];
                blocks[*free] = position as u32;
                *free += 1;
            }
        }
        Positions { ends, blocks }
    }
}

/// The pairs by subject.
struct Positions {
    /// Where the blocks of each subject end.
    ends: Vec<usize>,
    /// Positions in the collector's list of blocks.
    blocks: Vec<u32>,
}

/// The subject whose spilled rows are being read back.
struct Groups {
    key: Vec<u8>,
    blocks: Vec<u64>,
}

impl Groups {
    fn end<I: BlockIndex>(
        &mut self,
        visit: &mut impl FnMut(&I::Subject, &[u64]) -> Result<(), ChainError>,
    ) -> Result<(), ChainError> {
        if self.blocks.is_empty() {
            return Ok(());
        }
        let subject = I::Subject::decode(&self.key).expect("encoded by this collector");
        visit(&subject, &self.blocks)?;
        self.blocks.clear();
        Ok(())
    }
}

fn block_of(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("8 bytes"))
}

/// Carries an error of the caller, or of the database, through the sorted rows.
pub(super) struct Passed<E>(pub E);

impl<E: From<ChainError>> From<portico_db::DbError> for Passed<E> {
    fn from(error: portico_db::DbError) -> Self {
        Self(ChainError::from(error).into())
    }
}
