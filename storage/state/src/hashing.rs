//! From plain rows to hashed ones: many keys are hashed at a time, on all cores, and come out sorted by their
//! hashes, so that the tables are written in key order.

use alloy_primitives::keccak256;
use portico_db::{
    DbError,
    etl::{Collector, SortedRows},
};
use rayon::prelude::*;

use crate::change_rows::{ADDRESS_LEN, SortSpace};

/// Rows that are hashed together.
const BATCH_ROWS: usize = 1 << 15;
/// Rows that one core hashes at a time: a block's changes are mostly fewer, and not worth waking another.
const ROWS_PER_TASK: usize = 512;

/// Takes plain rows: address, or address ‖ slot, and the value as it is to be stored.
#[derive(Debug)]
pub(crate) struct Hasher {
    bytes: Vec<u8>,
    rows: Vec<Row>,
    sorted: Collector,
}

/// Where a row lies in `bytes`.
#[derive(Debug, Clone, Copy)]
struct Row {
    start: usize,
    value: usize,
    end: usize,
}

impl Hasher {
    pub(crate) fn new(space: SortSpace<'_>) -> Self {
        Self { bytes: Vec::new(), rows: Vec::new(), sorted: space.collector() }
    }

    pub(crate) fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<(), DbError> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.rows.push(Row { start, value: start + key.len(), end: self.bytes.len() });
        if self.rows.len() == BATCH_ROWS { self.hash_batch() } else { Ok(()) }
    }

    /// The rows by keccak(address), or keccak(address) ‖ keccak(slot).
    pub(crate) fn into_sorted(mut self) -> Result<SortedRows, DbError> {
        self.hash_batch()?;
        self.sorted.into_sorted()
    }

    fn hash_batch(&mut self) -> Result<(), DbError> {
        let bytes = &self.bytes;
        let hashed: Vec<Vec<[u8; 64]>> = self
            .rows
            .par_chunks(ROWS_PER_TASK)
            .map(|rows| hash_keys(rows.iter().map(|row| &bytes[row.start..row.value])))
            .collect();
        for (row, hashed) in self.rows.iter().zip(hashed.iter().flatten()) {
            let len = if row.value - row.start == ADDRESS_LEN { 32 } else { 64 };
            self.sorted.insert(&hashed[..len], &bytes[row.value..row.end])?;
        }
        self.rows.clear();
        self.bytes.clear();
        Ok(())
    }
}

/// keccak(address) ‖ keccak(slot) of each key, or ‖ 0 when there is no slot. Keys of one account lie together: the
/// address is hashed once.
fn hash_keys<'a>(keys: impl Iterator<Item = &'a [u8]>) -> Vec<[u8; 64]> {
    let mut hashed: [u8; 64] = [0; 64];
    let mut current: &[u8] = &[];
    keys.map(|key| {
        let (address, slot) = key.split_at(ADDRESS_LEN);
        if address != current {
            hashed[..32].copy_from_slice(keccak256(address).as_slice());
            current = address;
        }
        if !slot.is_empty() {
            hashed[32..].copy_from_slice(keccak256(slot).as_slice());
        }
        hashed
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_batches_come_out_hashed_and_sorted() {
        let keys: Vec<[u8; 52]> = (0..BATCH_ROWS as u32 + 1000)
            .map(|row| {
                let mut key = [0; 52];
                key[16..20].copy_from_slice(&(row / 700).to_be_bytes());
                key[48..].copy_from_slice(&row.to_be_bytes());
                key
            })
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let mut hasher = Hasher::new(SortSpace { folder: folder.path(), bytes: 1 << 20 });
        for key in &keys {
            hasher.insert(key, &key[48..]).unwrap();
        }
        let mut rows = Vec::new();
        let collect = |key: &[u8], value: &[u8]| {
            rows.push((key.to_vec(), value.to_vec()));
            Ok::<(), DbError>(())
        };
        hasher.into_sorted().unwrap().for_each(collect).unwrap();
        let hashed = |key: &[u8; 52]| [keccak256(&key[..20]).0, keccak256(&key[20..]).0].concat();
        let mut expected: Vec<_> = keys.iter().map(|key| (hashed(key), key[48..].to_vec())).collect();
        expected.sort();
        assert_eq!(rows, expected);
    }
}
