//! One hash per table: same content, same hash.

use alloy_primitives::{B256, Keccak256};

use crate::{DbError, RoTxn, tables::TABLES};

/// The content of one table, as a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDigest {
    /// Table name.
    pub table: &'static str,
    /// Rows, counting duplicates.
    pub entries: u64,
    /// Keccak over all rows in order: key length (4 bytes, big-endian) ‖ key ‖ value length (4 bytes) ‖ value.
    pub hash: B256,
}

impl TableDigest {
    /// The digest of every table, in the order of [`TABLES`].
    pub fn of_all(txn: &RoTxn<'_>) -> Result<Vec<Self>, DbError> {
        (0..TABLES.len()).map(|index| Self::of(txn, index)).collect()
    }

    /// The digest of the table at `index` in [`TABLES`].
    pub fn of(txn: &RoTxn<'_>, index: usize) -> Result<Self, DbError> {
        let mut hasher = Keccak256::new();
        let mut entries = 0;
        txn.for_each_raw(index, |key, value| {
            entries += 1;
            for part in [key, value] {
                hasher.update((part.len() as u32).to_be_bytes());
                hasher.update(part);
            }
            true
        })?;
        Ok(Self { table: TABLES[index].name, entries, hash: hasher.finalize() })
    }
}
