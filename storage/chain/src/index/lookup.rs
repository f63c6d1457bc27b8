//! Transaction numbers by hash: only the first 8 bytes of a hash are stored, and a prefix may have several numbers.

use std::path::Path;

use alloy_primitives::B256;
use portico_db::{
    RwTxn,
    etl::Collector,
    models::{TransactionHashPrefix, TxNumber},
    tables,
};

use super::collector::Passed;
use crate::ChainError;

/// Collects hashes of transactions, to write or delete their rows in the order of the table.
#[derive(Debug)]
pub struct LookupCollector {
    /// Prefix as a number, transaction number.
    rows: Vec<(u64, u64)>,
    rows_max: usize,
    /// Prefix 8 → transaction number 8: what did not fit the buffer.
    spilled: Collector,
}

impl LookupCollector {
    /// Holds about `buffer_bytes` in memory and spills what is more into unnamed files in `folder`.
    pub fn new(folder: &Path, buffer_bytes: usize) -> Self {
        let rows_max = buffer_bytes / 2 / size_of::<(u64, u64)>();
        Self { rows: Vec::new(), rows_max, spilled: Collector::new(folder, buffer_bytes / 2) }
    }

    /// Adds a transaction.
    pub fn insert(&mut self, hash: &B256, tx_number: u64) -> Result<(), ChainError> {
        if self.rows.len() >= self.rows_max {
            self.spill()?;
        }
        let TransactionHashPrefix(prefix) = TransactionHashPrefix::from(*hash);
        self.rows.push((u64::from_be_bytes(prefix), tx_number));
        Ok(())
    }

    /// Writes the rows; those that are there already stay.
    ///
    /// # Errors
    /// The database's, and those of `check`, which is asked before each row.
    pub fn append<E: From<ChainError>>(
        self,
        txn: &RwTxn<'_>,
        check: impl FnMut() -> Result<(), E>,
    ) -> Result<(), E> {
        let mut cursor = txn.cursor::<tables::TransactionLookup>().map_err(ChainError::from)?;
        let mut last = cursor.last().map_err(ChainError::from)?.map(|(prefix, _)| prefix);
        self.for_each(check, |prefix, tx_number| {
            if last.is_some_and(|last| prefix <= last) {
                cursor.upsert(&prefix, &tx_number)?;
            } else {
                cursor.append(&prefix, &tx_number)?;
                last = Some(prefix);
            }
            Ok(())
        })
    }

    /// Deletes the rows, where they are there.
    ///
    /// # Errors
    /// As in [`Self::append`].
    pub fn delete<E: From<ChainError>>(
        self,
        txn: &RwTxn<'_>,
        check: impl FnMut() -> Result<(), E>,
    ) -> Result<(), E> {
        let mut cursor = txn.cursor::<tables::TransactionLookup>().map_err(ChainError::from)?;
        self.for_each(check, |prefix, tx_number| Ok(cursor.delete_dup(&prefix, &tx_number).map(drop)?))
    }

    fn for_each<E: From<ChainError>>(
        mut self,
        mut check: impl FnMut() -> Result<(), E>,
        mut visit: impl FnMut(TransactionHashPrefix, TxNumber) -> Result<(), ChainError>,
    ) -> Result<(), E> {
        if self.spilled.is_empty() {
            self.rows.sort_unstable();
            for (prefix, tx_number) in self.rows {
                check()?;
                visit(TransactionHashPrefix(prefix.to_be_bytes()), TxNumber(tx_number))?;
            }
            return Ok(());
        }
        self.spill()?;
        let rows = self.spilled.into_sorted().map_err(ChainError::from)?;
        rows.for_each(|prefix, tx_number| -> Result<(), Passed<E>> {
            check().map_err(Passed)?;
            let prefix = TransactionHashPrefix(prefix.try_into().expect("8 bytes"));
            let tx_number = u64::from_be_bytes(tx_number.try_into().expect("8 bytes"));
            visit(prefix, TxNumber(tx_number)).map_err(|error| Passed(error.into()))
        })
        .map_err(|passed| passed.0)
    }

    fn spill(&mut self) -> Result<(), ChainError> {
        for (prefix, tx_number) in self.rows.drain(..) {
            self.spilled.insert(&prefix.to_be_bytes(), &tx_number.to_be_bytes())?;
        }
        Ok(())
    }
}

/// Rows that [`prune_lookup`] deletes between two steps of its walk.
const PRUNED_TOGETHER: usize = 16 << 10;

/// Deletes the rows of the transactions below `tx_number`: for when the transactions are gone and their hashes with
/// them. Reads the whole table.
///
/// # Errors
/// The database's, and those of `check`, which is asked now and then.
pub fn prune_lookup<E: From<ChainError>>(
    txn: &RwTxn<'_>,
    tx_number: u64,
    mut check: impl FnMut() -> Result<(), E>,
) -> Result<(), E> {
    let mut start = TransactionHashPrefix([0; 8]);
    loop {
        check()?;
        let doomed = rows_below(txn, tx_number, &start)?;
        let mut cursor = txn.cursor::<tables::TransactionLookup>().map_err(ChainError::from)?;
        for (prefix, tx_number) in &doomed {
            cursor.delete_dup(prefix, tx_number).map_err(ChainError::from)?;
        }
        match doomed.last() {
            Some((last, _)) if doomed.len() == PRUNED_TOGETHER => start = *last,
            _ => return Ok(()),
        }
    }
}

/// The first rows from `start` on that belong to transactions below `tx_number`.
fn rows_below(
    txn: &RwTxn<'_>,
    tx_number: u64,
    start: &TransactionHashPrefix,
) -> Result<Vec<(TransactionHashPrefix, TxNumber)>, ChainError> {
    let mut cursor = txn.cursor::<tables::TransactionLookup>()?;
    let below = |row: &Result<(_, TxNumber), _>| row.as_ref().map_or(true, |(_, found)| found.0 < tx_number);
    Ok(cursor.walk(start).filter(below).take(PRUNED_TOGETHER).collect::<Result<_, _>>()?)
}

/// Deletes all rows.
pub fn clear_lookup(txn: &RwTxn<'_>) -> Result<(), ChainError> {
    Ok(txn.clear::<tables::TransactionLookup>()?)
}
