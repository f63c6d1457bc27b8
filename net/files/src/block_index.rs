//! The index at the end of an archive: where each block's records are.
//!
//! ```text
//! era1  66 32 | first number | offset ...                                | count
//! ere   67 32 | first number | header body receipts? difficulty? proof? ... | components | count
//! ```
//! All values are 8 bytes, little-endian. Offsets are signed and relative to the start of the index record.

use crate::{
    accumulator::ACCUMULATOR_BLOCKS_MAX,
    e2store::{RECORD_HEADER_BYTES, Record, RecordKind, Records},
    error::{Fault, Problem},
    source::Source,
};

/// Bytes read at a time to look at the index.
const BUFFER_BYTES: usize = 16 << 10;

/// Components a block can have in an ere file: at least header and body.
const COMPONENTS: std::ops::RangeInclusive<u64> = 2..=5;

/// Which archive the index belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArchiveKind {
    Era1,
    Ere,
}

/// The index, as it stands in the file.
#[derive(Clone, Debug)]
pub(crate) struct BlockIndex {
    pub(crate) kind: ArchiveKind,
    /// Where the index record starts.
    pub(crate) offset: u64,
    /// Number of the first block.
    pub(crate) start: u64,
    /// Number of blocks, 1 to 8192.
    pub(crate) count: u64,
    /// Offsets a block has, 1 in era1.
    pub(crate) components: u64,
    /// Offsets relative to the index record, block by block.
    relative: Vec<i64>,
}

impl BlockIndex {
    /// Finds and reads the index of an e2store file.
    pub(crate) fn read(source: &Source) -> Result<Self, Fault> {
        let mut records = Records::open(source, BUFFER_BYTES)?;
        let (kind, record, components, count) = find(&mut records)?;
        let data = records.raw(record)?;
        let mut values = data
            .chunks_exact(8)
            .map(|value| u64::from_le_bytes(value.try_into().expect("chunks of exactly 8 bytes")));
        let start = values.next().expect("an index with at least one block starts with its number");
        let relative =
            values.take((count * components) as usize).map(|offset| offset as i64).collect::<Vec<_>>();
        if start.checked_add(count).is_none() {
            return Err(Fault::new(record.offset, Problem::IndexStart { start, blocks: count }));
        }
        Ok(Self { kind, offset: record.offset, start, count, components, relative })
    }

    /// Number of the last block.
    pub(crate) fn last(&self) -> u64 {
        self.start + (self.count - 1)
    }

    /// Where the index says that a component of the `position`-th block is; may be anywhere.
    fn indexed(&self, position: u64, component: u64) -> i64 {
        let relative = self.relative[(position * self.components + component) as usize];
        i64::try_from(self.offset).expect("a file's size is an i64").saturating_add(relative)
    }

    /// Where a component of the `position`-th block is, once it is known to lie before the index.
    pub(crate) fn offset_of(&self, position: u64, component: u64, kind: RecordKind) -> Result<u64, Fault> {
        let indexed = self.indexed(position, component);
        match u64::try_from(indexed) {
            Ok(offset) if offset < self.offset => Ok(offset),
            _ => {
                let problem = Problem::IndexOffset { kind, indexed, found: self.offset };
                Err(Fault::new(self.offset, problem).in_block(self.start + position))
            }
        }
    }

    /// Refuses an index that points elsewhere than to the record that was found.
    pub(crate) fn check(&self, position: u64, component: u64, record: Record) -> Result<(), Fault> {
        let indexed = self.indexed(position, component);
        match u64::try_from(indexed) == Ok(record.offset) {
            true => Ok(()),
            false => {
                let problem = Problem::IndexOffset { kind: record.kind, indexed, found: record.offset };
                Err(Fault::new(record.offset, problem).in_block(self.start + position))
            }
        }
    }
}

/// Finds the index record from the counts it ends with: its kind, itself, components and count.
fn find(records: &mut Records) -> Result<(ArchiveKind, Record, u64, u64), Fault> {
    let length = records.length();
    let missing = || Fault::new(length, Problem::IndexMissing);
    let mut tail = [0; 16];
    let tail_offset = length.checked_sub(16).ok_or_else(missing)?;
    records.seek(tail_offset)?;
    records.read_exact(&mut tail)?;
    let [components, count] =
        [0, 8].map(|at| u64::from_le_bytes(tail[at..at + 8].try_into().expect("two values of 8 bytes")));
    if !(1..=ACCUMULATOR_BLOCKS_MAX as u64).contains(&count) {
        return Err(missing());
    }
    let candidates = [
        (ArchiveKind::Era1, RecordKind::BLOCK_INDEX, 1, 16),
        (ArchiveKind::Ere, RecordKind::DYNAMIC_BLOCK_INDEX, components, 24),
    ];
    for (archive, kind, components, other_bytes) in candidates {
        if archive == ArchiveKind::Ere && !COMPONENTS.contains(&components) {
            continue;
        }
        let data_length = other_bytes + 8 * count * components;
        let Some(offset) = length.checked_sub(RECORD_HEADER_BYTES + data_length) else { continue };
        records.seek(offset)?;
        match records.record() {
            Ok(record) if record.kind == kind && record.end() == length => {
                return Ok((archive, record, components, count));
            }
            Ok(_) | Err(_) => {}
        }
    }
    Err(missing())
}

/// Encodes an index record's data; `offsets` are relative to the record's start.
pub(crate) fn encode_index(kind: ArchiveKind, start: u64, offsets: &[i64], components: u64) -> Vec<u8> {
    let mut data = Vec::with_capacity(8 * offsets.len() + 24);
    data.extend_from_slice(&start.to_le_bytes());
    data.extend(offsets.iter().flat_map(|offset| offset.to_le_bytes()));
    if kind == ArchiveKind::Ere {
        data.extend_from_slice(&components.to_le_bytes());
    }
    data.extend_from_slice(&(offsets.len() as u64 / components).to_le_bytes());
    data
}
