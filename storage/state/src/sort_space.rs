//! Memory and disk for sorting.

use std::path::Path;

use portico_db::{
    DbError,
    etl::{Collector, SortedRows},
};

/// What a sorted load may use: a batch that fits `bytes` stays in memory, a larger one spills into `folder`.
#[derive(Debug, Clone, Copy)]
pub struct SortSpace<'a> {
    /// Folder for what does not fit; must exist.
    pub folder: &'a Path,
    /// Bytes that one sort holds in memory. Hashing runs two sorts at a time.
    pub bytes: usize,
}

impl SortSpace<'_> {
    pub(crate) fn collector(self) -> Collector {
        Collector::new(self.folder, self.bytes)
    }
}

/// Hands on, of the rows whose keys share their first `prefix_len` bytes, the first one: the prefix and the value.
pub(crate) fn for_each_first<E: From<DbError>>(
    rows: SortedRows,
    prefix_len: usize,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut current = Vec::new();
    rows.for_each(|key, value| {
        let prefix = &key[..prefix_len];
        if current == prefix {
            return Ok(());
        }
        current.clear();
        current.extend_from_slice(prefix);
        visit(prefix, value)
    })
}
