//! The newest state keyed by hashes: the leaves of the tries.

use std::ops::RangeInclusive;

use alloy_primitives::{Address, B256, U256};
use portico_db::{
    Cursor, DbError, RW, RwTxn, Table, TransactionKind, Txn, Value,
    models::{Account, StorageEntry},
    tables,
};

use crate::{
    PlainReader,
    change_rows::{
        ADDRESS_LEN, Accounts, Half, SortSpace, Storage, changed_keys, changes_by_key, for_each_first,
        slot_key,
    },
    hashing::Hasher,
    plain::{iter_accounts, iter_storage, put_or_delete, put_or_delete_dup},
};

/// An account by the keccak of its address.
pub fn read_hashed_account<K: TransactionKind>(
    txn: &Txn<'_, K>,
    hashed_address: &B256,
) -> Result<Option<Account>, DbError> {
    txn.get::<tables::HashedAccounts>(hashed_address)
}

/// Writes an account, or deletes it for `None`.
pub fn write_hashed_account(
    cursor: &mut Cursor<'_, tables::HashedAccounts, RW>,
    hashed_address: &B256,
    account: Option<&Account>,
) -> Result<(), DbError> {
    put_or_delete(cursor, hashed_address, account)
}

/// Writes a slot, or deletes it when the value is zero.
pub fn write_hashed_slot(
    cursor: &mut Cursor<'_, tables::HashedStorage, RW>,
    hashed_address: &B256,
    hashed_slot: &B256,
    value: U256,
) -> Result<(), DbError> {
    put_or_delete_dup(cursor, hashed_address, hashed_slot, value)
}

/// Deletes all slots of an account.
pub fn wipe_hashed_storage(txn: &RwTxn<'_>, hashed_address: &B256) -> Result<(), DbError> {
    txn.delete::<tables::HashedStorage>(hashed_address).map(drop)
}

/// Deletes all hashed accounts.
pub fn clear_hashed_accounts(txn: &RwTxn<'_>) -> Result<(), DbError> {
    txn.clear::<tables::HashedAccounts>()
}

/// Deletes all hashed storage.
pub fn clear_hashed_storage(txn: &RwTxn<'_>) -> Result<(), DbError> {
    txn.clear::<tables::HashedStorage>()
}

/// Writes the newest plain value of every account that `blocks` changed under its hash, or deletes it there. The
/// changes must be there. Returns the number of accounts; `at` is called with each block read, then with the last.
pub fn update_hashed_accounts<E: From<DbError>>(
    txn: &RwTxn<'_>,
    blocks: RangeInclusive<u64>,
    space: SortSpace<'_>,
    mut at: impl FnMut(u64) -> Result<(), E>,
) -> Result<u64, E> {
    let last_block = *blocks.end();
    let changed = changed_keys::<Accounts, E>(txn, blocks, space, &mut at)?;
    let mut plain = PlainReader::new(txn)?;
    let mut hasher = Hasher::new(space);
    let mut value = Vec::new();
    for_each_first::<Accounts, E>(changed, |address, _| {
        at(last_block)?;
        value.clear();
        plain.account(&Address::from_slice(address))?.encode(&mut value);
        Ok(hasher.insert(address, &value)?)
    })?;
    put_accounts(txn, hasher, || at(last_block))
}

/// Writes the newest plain value of every slot that `blocks` changed under its hash, or deletes it there; as
/// [`update_hashed_accounts`].
pub fn update_hashed_storage<E: From<DbError>>(
    txn: &RwTxn<'_>,
    blocks: RangeInclusive<u64>,
    space: SortSpace<'_>,
    mut at: impl FnMut(u64) -> Result<(), E>,
) -> Result<u64, E> {
    let last_block = *blocks.end();
    let changed = changed_keys::<Storage, E>(txn, blocks, space, &mut at)?;
    let mut plain = PlainReader::new(txn)?;
    let mut hasher = Hasher::new(space);
    let mut value = Vec::new();
    for_each_first::<Storage, E>(changed, |key, _| {
        at(last_block)?;
        let (address, slot) = key.split_at(ADDRESS_LEN);
        value.clear();
        plain.storage(&Address::from_slice(address), &B256::from_slice(slot))?.encode(&mut value);
        Ok(hasher.insert(key, &value)?)
    })?;
    put_storage(txn, hasher, || at(last_block))
}

/// Takes `blocks`, the newest ones, back: every account that they changed gets the value from before them. The
/// changes must be there; plain state is not looked at. `at` is called with each block read, then with the last.
pub fn revert_hashed_accounts<E: From<DbError>>(
    txn: &RwTxn<'_>,
    blocks: RangeInclusive<u64>,
    space: SortSpace<'_>,
    mut at: impl FnMut(u64) -> Result<(), E>,
) -> Result<u64, E> {
    let last_block = *blocks.end();
    let hasher = hash_values_before::<Accounts, E>(txn, blocks, space, &mut at)?;
    put_accounts(txn, hasher, || at(last_block))
}

/// Takes `blocks`, the newest ones, back from hashed storage; as [`revert_hashed_accounts`].
pub fn revert_hashed_storage<E: From<DbError>>(
    txn: &RwTxn<'_>,
    blocks: RangeInclusive<u64>,
    space: SortSpace<'_>,
    mut at: impl FnMut(u64) -> Result<(), E>,
) -> Result<u64, E> {
    let last_block = *blocks.end();
    let hasher = hash_values_before::<Storage, E>(txn, blocks, space, &mut at)?;
    put_storage(txn, hasher, || at(last_block))
}

/// Makes hashed accounts anew from the plain ones; returns their number. `at` is called for each row.
pub fn rebuild_hashed_accounts<E: From<DbError>>(
    txn: &RwTxn<'_>,
    space: SortSpace<'_>,
    mut at: impl FnMut() -> Result<(), E>,
) -> Result<u64, E> {
    clear_hashed_accounts(txn)?;
    let mut hasher = Hasher::new(space);
    let mut value = Vec::new();
    iter_accounts(txn, |address, account| {
        at()?;
        value.clear();
        account.encode(&mut value);
        Ok::<(), E>(hasher.insert(address.as_slice(), &value)?)
    })?;
    let mut cursor = txn.cursor::<tables::HashedAccounts>()?;
    let mut rows = 0;
    hasher.into_sorted()?.for_each(|key, value| {
        at()?;
        rows += 1;
        Ok::<(), E>(cursor.append_bytes(key, value)?)
    })?;
    Ok(rows)
}

/// Makes hashed storage anew from the plain one; returns the number of slots. `at` is called for each row.
pub fn rebuild_hashed_storage<E: From<DbError>>(
    txn: &RwTxn<'_>,
    space: SortSpace<'_>,
    mut at: impl FnMut() -> Result<(), E>,
) -> Result<u64, E> {
    clear_hashed_storage(txn)?;
    let mut hasher = Hasher::new(space);
    let mut value = Vec::new();
    iter_storage(txn, |address, entry| {
        at()?;
        value.clear();
        entry.value.encode(&mut value);
        Ok::<(), E>(hasher.insert(&slot_key(&address, &entry.slot), &value)?)
    })?;
    let mut cursor = txn.cursor::<tables::HashedStorage>()?;
    let mut last = None;
    let mut rows = 0;
    hasher.into_sorted()?.for_each(|key, value| {
        at()?;
        rows += 1;
        let (hashed_address, entry) = hashed_entry(key, value)?;
        if last.replace(hashed_address) == Some(hashed_address) {
            cursor.append_dup(&hashed_address, &entry)?;
        } else {
            cursor.append(&hashed_address, &entry)?;
        }
        Ok::<(), E>(())
    })?;
    Ok(rows)
}

/// The values before all of `blocks`, which are those before the first block that changed each.
fn hash_values_before<H: Half, E: From<DbError>>(
    txn: &RwTxn<'_>,
    blocks: RangeInclusive<u64>,
    space: SortSpace<'_>,
    at: impl FnMut(u64) -> Result<(), E>,
) -> Result<Hasher, E> {
    let changes = changes_by_key::<H, E>(txn, blocks, space, at)?;
    let mut hasher = Hasher::new(space);
    for_each_first::<H, E>(changes, |key, before| Ok(hasher.insert(key, before)?))?;
    Ok(hasher)
}

fn put_accounts<E: From<DbError>>(
    txn: &RwTxn<'_>,
    hasher: Hasher,
    mut at: impl FnMut() -> Result<(), E>,
) -> Result<u64, E> {
    let mut cursor = txn.cursor::<tables::HashedAccounts>()?;
    let mut rows = 0;
    hasher.into_sorted()?.for_each(|key, value| {
        at()?;
        rows += 1;
        if !value.is_empty() {
            cursor.upsert_bytes(key, value)?;
        } else if cursor.seek_exact(&B256::from_slice(key))?.is_some() {
            cursor.delete_current()?;
        }
        Ok::<(), E>(())
    })?;
    Ok(rows)
}

fn put_storage<E: From<DbError>>(
    txn: &RwTxn<'_>,
    hasher: Hasher,
    mut at: impl FnMut() -> Result<(), E>,
) -> Result<u64, E> {
    let mut cursor = txn.cursor::<tables::HashedStorage>()?;
    let mut rows = 0;
    hasher.into_sorted()?.for_each(|key, value| {
        at()?;
        rows += 1;
        let (hashed_address, entry) = hashed_entry(key, value)?;
        Ok::<(), E>(write_hashed_slot(&mut cursor, &hashed_address, &entry.slot, entry.value)?)
    })?;
    Ok(rows)
}

/// keccak(address) and the entry of a row keccak(address) ‖ keccak(slot) → value.
fn hashed_entry(key: &[u8], value: &[u8]) -> Result<(B256, StorageEntry), DbError> {
    let (hashed_address, slot) = key.split_at(32);
    let value = U256::decode(value)
        .map_err(|source| DbError::Corrupt { table: tables::HashedStorage::NAME, source })?;
    Ok((B256::from_slice(hashed_address), StorageEntry { slot: B256::from_slice(slot), value }))
}

/// Leaves of all tries: accounts and slots.
pub fn hashed_leaf_count<K: TransactionKind>(txn: &Txn<'_, K>) -> Result<u64, DbError> {
    Ok((txn.entries::<tables::HashedAccounts>()? + txn.entries::<tables::HashedStorage>()?) as u64)
}
