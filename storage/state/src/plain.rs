//! The newest state, keyed by address and slot.

use alloy_primitives::{Address, B256, U256};
use portico_db::{
    Cursor, DbError, DupSort, Key, RW, RwTxn, TransactionKind, Txn,
    models::{Account, StorageEntry},
    tables,
};

/// An account.
pub fn read_account<K: TransactionKind>(
    txn: &Txn<'_, K>,
    address: &Address,
) -> Result<Option<Account>, DbError> {
    txn.get::<tables::PlainAccounts>(address)
}

/// A storage slot; zero when it is not set.
pub fn read_storage<K: TransactionKind>(
    txn: &Txn<'_, K>,
    address: &Address,
    slot: &B256,
) -> Result<U256, DbError> {
    let found = txn.cursor::<tables::PlainStorage>()?.seek_dup_exact(address, slot)?;
    Ok(found.map(|entry| entry.value).unwrap_or_default())
}

/// Contract code by its hash.
pub fn read_code<K: TransactionKind>(txn: &Txn<'_, K>, code_hash: &B256) -> Result<Option<Vec<u8>>, DbError> {
    txn.get::<tables::Bytecodes>(code_hash)
}

/// Reads many accounts and slots of one snapshot through cursors that stay open.
#[derive(Debug)]
pub struct PlainReader<'txn, 'db, K: TransactionKind> {
    txn: &'txn Txn<'db, K>,
    accounts: Cursor<'txn, tables::PlainAccounts, K>,
    storage: Cursor<'txn, tables::PlainStorage, K>,
}

impl<'txn, 'db, K: TransactionKind> PlainReader<'txn, 'db, K> {
    /// Opens the cursors.
    pub fn new(txn: &'txn Txn<'db, K>) -> Result<Self, DbError> {
        Ok(Self { txn, accounts: txn.cursor()?, storage: txn.cursor()? })
    }

    /// An account.
    pub fn account(&mut self, address: &Address) -> Result<Option<Account>, DbError> {
        self.accounts.seek_exact(address)
    }

    /// A storage slot; zero when it is not set.
    pub fn storage(&mut self, address: &Address, slot: &B256) -> Result<U256, DbError> {
        let found = self.storage.seek_dup_exact(address, slot)?;
        Ok(found.map(|entry| entry.value).unwrap_or_default())
    }

    /// Contract code.
    pub fn code(&self, code_hash: &B256) -> Result<Option<Vec<u8>>, DbError> {
        read_code(self.txn, code_hash)
    }

    /// Whether an account has any slot that is set.
    pub fn has_storage(&mut self, address: &Address) -> Result<bool, DbError> {
        Ok(self.storage.seek_exact(address)?.is_some())
    }

    /// All slots of an account, in order.
    pub fn slots(&mut self, address: &Address) -> Result<Vec<StorageEntry>, DbError> {
        let mut slots = Vec::new();
        let mut entry = self.storage.seek_exact(address)?;
        while let Some(slot) = entry {
            slots.push(slot);
            entry = self.storage.next_dup()?;
        }
        Ok(slots)
    }
}

/// Every account, in order.
pub fn iter_accounts<K: TransactionKind, E: From<DbError>>(
    txn: &Txn<'_, K>,
    mut visit: impl FnMut(Address, Account) -> Result<(), E>,
) -> Result<(), E> {
    let mut cursor = txn.cursor::<tables::PlainAccounts>()?;
    for row in cursor.walk_all() {
        let (address, account) = row?;
        visit(address, account)?;
    }
    Ok(())
}

/// Every storage slot that is set, in order.
pub fn iter_storage<K: TransactionKind, E: From<DbError>>(
    txn: &Txn<'_, K>,
    mut visit: impl FnMut(Address, StorageEntry) -> Result<(), E>,
) -> Result<(), E> {
    let mut cursor = txn.cursor::<tables::PlainStorage>()?;
    for row in cursor.walk_all() {
        let (address, entry) = row?;
        visit(address, entry)?;
    }
    Ok(())
}

pub(crate) fn put_or_delete<T>(
    cursor: &mut Cursor<'_, T, RW>,
    key: &T::Key,
    account: Option<&Account>,
) -> Result<(), DbError>
where
    T: portico_db::Table<Value = Account>,
{
    match account {
        Some(account) => cursor.upsert(key, account),
        None if cursor.seek_exact(key)?.is_some() => cursor.delete_current(),
        None => Ok(()),
    }
}

/// Writes the duplicate of `slot`, or deletes it when the value is zero.
pub(crate) fn put_or_delete_dup<T>(
    cursor: &mut Cursor<'_, T, RW>,
    key: &T::Key,
    slot: &B256,
    value: U256,
) -> Result<(), DbError>
where
    T: DupSort<Value = StorageEntry, SubKey = B256>,
{
    match value.is_zero() {
        true => cursor.delete_dup(key, slot).map(drop),
        false => cursor.replace_dup(key, &StorageEntry { slot: *slot, value }),
    }
}

/// Keeps contract code.
pub fn write_code(txn: &RwTxn<'_>, code_hash: &B256, code: &[u8]) -> Result<(), DbError> {
    txn.put_bytes::<tables::Bytecodes>(&Key::encode(code_hash), code)
}

/// Writes accounts and slots through cursors that stay open; fastest in key order.
#[derive(Debug)]
pub struct PlainWriter<'txn, 'db> {
    txn: &'txn RwTxn<'db>,
    accounts: Cursor<'txn, tables::PlainAccounts, RW>,
    storage: Cursor<'txn, tables::PlainStorage, RW>,
}

impl<'txn, 'db> PlainWriter<'txn, 'db> {
    /// Opens the cursors.
    pub fn new(txn: &'txn RwTxn<'db>) -> Result<Self, DbError> {
        Ok(Self { txn, accounts: txn.cursor()?, storage: txn.cursor()? })
    }

    /// Writes an account, or deletes it for `None`.
    pub fn set_account(&mut self, address: &Address, account: Option<&Account>) -> Result<(), DbError> {
        put_or_delete(&mut self.accounts, address, account)
    }

    /// Writes a slot, or deletes it when the value is zero.
    pub fn set_slot(&mut self, address: &Address, slot: &B256, value: U256) -> Result<(), DbError> {
        put_or_delete_dup(&mut self.storage, address, slot, value)
    }

    /// Writes a slot that has no row, whose value is not zero.
    pub fn add_slot(&mut self, address: &Address, slot: &B256, value: U256) -> Result<(), DbError> {
        debug_assert!(!value.is_zero(), "zero has no row");
        self.storage.upsert(address, &StorageEntry { slot: *slot, value })
    }

    /// Deletes all slots of an account.
    pub fn wipe_storage(&mut self, address: &Address) -> Result<(), DbError> {
        self.txn.delete::<tables::PlainStorage>(address).map(drop)
    }
}
