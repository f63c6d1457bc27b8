//! Sorted bulk loading: collect rows in any order, sort them (in memory, spilling to files), hand them out in order.
//!
//! A B-tree that is filled in key order is written once, front to back, in full pages; filled at random it is
//! rewritten page by page. Stages whose rows come out of order go through a [`Collector`].

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{BufReader, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
};

use rayon::slice::ParallelSliceMut;

use crate::DbError;

/// Rows in memory before they are spilled to a file, in bytes.
pub const DEFAULT_BUFFER_BYTES: usize = 256 << 20;

/// Where one row lies in the arena.
#[derive(Debug, Clone, Copy)]
struct Slot {
    start: usize,
    key_len: u32,
    value_len: u32,
}

/// Collects rows; see the module.
#[derive(Debug)]
pub struct Collector {
    folder: PathBuf,
    buffer_bytes: usize,
    arena: Vec<u8>,
    slots: Vec<Slot>,
    runs: Vec<File>,
    rows: u64,
}

impl Collector {
    /// Spills into unnamed files in `folder` when more than `buffer_bytes` are held.
    pub fn new(folder: &Path, buffer_bytes: usize) -> Self {
        Self {
            folder: folder.to_owned(),
            buffer_bytes,
            arena: Vec::new(),
            slots: Vec::new(),
            runs: Vec::new(),
            rows: 0,
        }
    }

    /// Rows collected so far.
    pub fn len(&self) -> u64 {
        self.rows
    }

    /// Whether nothing was collected.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds a row. Rows with equal keys come out in the order of their values.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<(), DbError> {
        let bytes = self.arena.len() + self.slots.len() * size_of::<Slot>();
        if bytes + key.len() + value.len() > self.buffer_bytes && !self.slots.is_empty() {
            self.spill()?;
        }
        self.slots.push(Slot {
            start: self.arena.len(),
            key_len: key.len() as u32,
            value_len: value.len() as u32,
        });
        self.arena.extend_from_slice(key);
        self.arena.extend_from_slice(value);
        self.rows += 1;
        Ok(())
    }

    /// Ends collecting; rows come in ascending order of key, then value.
    pub fn into_sorted(mut self) -> Result<SortedRows, DbError> {
        self.sort();
        let mut runs = Vec::with_capacity(self.runs.len());
        for mut file in std::mem::take(&mut self.runs) {
            file.rewind()
                .map_err(|error| DbError::io("reading back a sorted run in", &self.folder, error))?;
            runs.push(BufReader::with_capacity(1 << 20, file));
        }
        let mut rows = SortedRows {
            folder: self.folder,
            arena: self.arena,
            slots: self.slots,
            next_slot: 0,
            runs,
            heap: BinaryHeap::new(),
        };
        for run in 0..rows.runs.len() {
            rows.refill(run)?;
        }
        Ok(rows)
    }

    fn sort(&mut self) {
        let arena = &self.arena;
        let parts = |slot: &Slot| {
            let key_end = slot.start + slot.key_len as usize;
            (&arena[slot.start..key_end], &arena[key_end..key_end + slot.value_len as usize])
        };
        self.slots.par_sort_unstable_by(|a, b| parts(a).cmp(&parts(b)));
    }

    fn spill(&mut self) -> Result<(), DbError> {
        self.sort();
        let error = |error| DbError::io("spilling a sorted run to", &self.folder, error);
        let file = tempfile::tempfile_in(&self.folder).map_err(error)?;
        let mut writer = BufWriter::with_capacity(1 << 20, file);
        for slot in &self.slots {
            let len = (slot.key_len + slot.value_len) as usize;
            writer.write_all(&slot.key_len.to_le_bytes()).map_err(error)?;
            writer.write_all(&slot.value_len.to_le_bytes()).map_err(error)?;
            writer.write_all(&self.arena[slot.start..slot.start + len]).map_err(error)?;
        }
        let file = writer.into_inner().map_err(|failed| error(failed.into_error()))?;
        self.runs.push(file);
        self.arena.clear();
        self.slots.clear();
        Ok(())
    }
}

/// The next row of a spilled run.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    key: Vec<u8>,
    value: Vec<u8>,
    run: usize,
}

/// Rows in order; see [`Collector::into_sorted`].
#[derive(Debug)]
pub struct SortedRows {
    folder: PathBuf,
    arena: Vec<u8>,
    slots: Vec<Slot>,
    next_slot: usize,
    runs: Vec<BufReader<File>>,
    heap: BinaryHeap<Reverse<Head>>,
}

impl SortedRows {
    /// Hands every row to `visit`, in order.
    pub fn for_each<E: From<DbError>>(
        mut self,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            let memory = self.memory_row();
            let from_file = match (&memory, self.heap.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => false,
                (None, Some(_)) => true,
                (Some((key, value)), Some(Reverse(head))) => (&head.key[..], &head.value[..]) < (key, value),
            };
            if !from_file {
                let (key, value) = memory.expect("one of the two is there");
                visit(key, value)?;
                self.next_slot += 1;
            } else if let Some(Reverse(head)) = self.heap.pop() {
                self.refill(head.run)?;
                visit(&head.key, &head.value)?;
            }
        }
    }

    fn memory_row(&self) -> Option<(&[u8], &[u8])> {
        let slot = self.slots.get(self.next_slot)?;
        let key_end = slot.start + slot.key_len as usize;
        Some((&self.arena[slot.start..key_end], &self.arena[key_end..key_end + slot.value_len as usize]))
    }

    fn refill(&mut self, run: usize) -> Result<(), DbError> {
        let error = |error| DbError::io("reading back a sorted run in", &self.folder, error);
        let reader = &mut self.runs[run];
        let mut lengths = [0; 8];
        match reader.read_exact(&mut lengths) {
            Ok(()) => {}
            Err(end) if end.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(failed) => return Err(error(failed)),
        }
        let length = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("4 bytes")) as usize;
        let mut key = vec![0; length(&lengths[..4])];
        let mut value = vec![0; length(&lengths[4..])];
        reader.read_exact(&mut key).map_err(error)?;
        reader.read_exact(&mut value).map_err(error)?;
        self.heap.push(Reverse(Head { key, value, run }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_come_out_sorted_however_often_they_spill(rows in proptest::collection::vec((any::<Vec<u8>>(), any::<[u8; 3]>()), 0..200), buffer in 1usize..5000) {
            let folder = tempfile::tempdir().unwrap();
            let mut collector = Collector::new(folder.path(), buffer);
            for (key, value) in &rows {
                collector.insert(key, value).unwrap();
            }
            let mut sorted = Vec::new();
            collector
                .into_sorted()
                .unwrap()
                .for_each(|key, value| {
                    sorted.push((key.to_vec(), value.try_into().unwrap()));
                    Ok::<(), DbError>(())
                })
                .unwrap();
            let mut expected = rows.clone();
            expected.sort();
            prop_assert_eq!(sorted, expected);
        }
    }

    #[test]
    fn a_folder_that_is_gone_is_named() {
        let mut collector = Collector::new(Path::new("/nowhere/at/all"), 1);
        collector.insert(b"a", b"b").unwrap();
        let error = collector.insert(b"c", b"d").unwrap_err().to_string();
        assert!(error.contains("/nowhere/at/all"), "{error}");
    }
}
