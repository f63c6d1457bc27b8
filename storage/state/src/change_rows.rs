//! Changes as rows of bytes, for sorting: plain key → value before.
//!
//! The plain key is the address of an account, or address ‖ slot. The value is as it is stored: empty for no account
//! and for zero.

use std::{ops::RangeInclusive, path::Path};

use alloy_primitives::{Address, B256};
use portico_db::{
    DbError, RwTxn, Value,
    etl::{Collector, SortedRows},
};

use crate::changes::{iter_account_changes, iter_storage_changes};

/// Bytes of an address.
pub(crate) const ADDRESS_LEN: usize = 20;
/// Bytes of an address and a slot.
pub(crate) const SLOT_KEY_LEN: usize = 52;

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

/// One of the two halves of the state.
pub(crate) trait Half {
    /// Bytes of the plain key.
    const KEY_LEN: usize;

    /// Hands on every change of `blocks`: block number, plain key, value before; in order of block and key.
    fn for_each_change<E: From<DbError>>(
        txn: &RwTxn<'_>,
        blocks: RangeInclusive<u64>,
        visit: impl FnMut(u64, &[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E>;
}

/// The accounts.
pub(crate) struct Accounts;
/// The storage slots.
pub(crate) struct Storage;

impl Half for Accounts {
    const KEY_LEN: usize = ADDRESS_LEN;

    fn for_each_change<E: From<DbError>>(
        txn: &RwTxn<'_>,
        blocks: RangeInclusive<u64>,
        mut visit: impl FnMut(u64, &[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut before = Vec::new();
        iter_account_changes(txn, blocks, |block_number, change| {
            before.clear();
            change.before.encode(&mut before);
            visit(block_number, change.address.as_slice(), &before)
        })
    }
}

impl Half for Storage {
    const KEY_LEN: usize = SLOT_KEY_LEN;

    fn for_each_change<E: From<DbError>>(
        txn: &RwTxn<'_>,
        blocks: RangeInclusive<u64>,
        mut visit: impl FnMut(u64, &[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut before = Vec::new();
        iter_storage_changes(txn, blocks, |block_number, change| {
            before.clear();
            change.before.encode(&mut before);
            visit(block_number, &slot_key(&change.address, &change.slot), &before)
        })
    }
}

pub(crate) fn slot_key(address: &Address, slot: &B256) -> [u8; SLOT_KEY_LEN] {
    let mut key = [0; SLOT_KEY_LEN];
    key[..ADDRESS_LEN].copy_from_slice(address.as_slice());
    key[ADDRESS_LEN..].copy_from_slice(slot.as_slice());
    key
}

/// The changes of `blocks` by plain key, then block: plain key ‖ block 8, big-endian → value before. `at` is called
/// with each block that is read.
pub(crate) fn changes_by_key<H: Half, E: From<DbError>>(
    txn: &RwTxn<'_>,
    blocks: RangeInclusive<u64>,
    space: SortSpace<'_>,
    mut at: impl FnMut(u64) -> Result<(), E>,
) -> Result<SortedRows, E> {
    let mut sorted = space.collector();
    let mut row = Vec::with_capacity(H::KEY_LEN + 8);
    H::for_each_change(txn, blocks, |block_number, key, before| {
        at(block_number)?;
        row.clear();
        row.extend_from_slice(key);
        row.extend_from_slice(&block_number.to_be_bytes());
        Ok::<(), E>(sorted.insert(&row, before)?)
    })?;
    Ok(sorted.into_sorted()?)
}

/// The plain keys that `blocks` changed, in order, each as often as it changed. `at` is called with each block that is
/// read.
pub(crate) fn changed_keys<H: Half, E: From<DbError>>(
    txn: &RwTxn<'_>,
    blocks: RangeInclusive<u64>,
    space: SortSpace<'_>,
    mut at: impl FnMut(u64) -> Result<(), E>,
) -> Result<SortedRows, E> {
    let mut sorted = space.collector();
    H::for_each_change(txn, blocks, |block_number, key, _| {
        at(block_number)?;
        Ok::<(), E>(sorted.insert(key, &[])?)
    })?;
    Ok(sorted.into_sorted()?)
}

/// Of the rows with the same plain key hands on the first one: plain key and value.
pub(crate) fn for_each_first<H: Half, E: From<DbError>>(
    rows: SortedRows,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut current = Vec::new();
    rows.for_each(|row, value| {
        let key = &row[..H::KEY_LEN];
        if current == key {
            return Ok(());
        }
        current.clear();
        current.extend_from_slice(key);
        visit(key, value)
    })
}
