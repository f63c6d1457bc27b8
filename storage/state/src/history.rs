//! State as of any block, from the history tables.

use alloy_primitives::{Address, B256, U256};
use portico_db::{
    Cursor, DbError, Table, TransactionKind, Txn, Value,
    models::{Account, AccountHistoryKey, StorageHistoryKey, StoredChunk},
    tables,
};

use crate::{PlainReader, StateError, read_account, read_storage};

/// The blocks as of which state can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryBounds {
    /// First block whose state can be read.
    pub first: u64,
    /// Newest executed block, whose state is the plain one.
    pub head: u64,
}

impl HistoryBounds {
    fn check(&self, block_number: u64) -> Result<(), StateError> {
        if block_number > self.head {
            return Err(StateError::Ahead { block_number, head: self.head });
        }
        if block_number < self.first {
            return Err(StateError::Pruned { block_number, first_block: self.first });
        }
        Ok(())
    }
}

/// An account as of the end of `block_number`; the caller has checked the bounds.
pub fn account_at<K: TransactionKind>(
    txn: &Txn<'_, K>,
    address: &Address,
    block_number: u64,
) -> Result<Option<Account>, DbError> {
    let mut cursor = txn.cursor::<tables::AccountHistory>()?;
    match account_before_next_change(&mut cursor, address, block_number)? {
        Some(before) => Ok(before),
        None => read_account(txn, address),
    }
}

/// A slot as of the end of `block_number`; the caller has checked the bounds.
pub fn storage_at<K: TransactionKind>(
    txn: &Txn<'_, K>,
    address: &Address,
    slot: &B256,
    block_number: u64,
) -> Result<U256, DbError> {
    let mut cursor = txn.cursor::<tables::StorageHistory>()?;
    match slot_before_next_change(&mut cursor, address, slot, block_number)? {
        Some(before) => Ok(before),
        None => read_storage(txn, address, slot),
    }
}

fn account_before_next_change<K: TransactionKind>(
    cursor: &mut Cursor<'_, tables::AccountHistory, K>,
    address: &Address,
    block_number: u64,
) -> Result<Option<Option<Account>>, DbError> {
    let key = AccountHistoryKey { address: *address, last_block: block_number.saturating_add(1) };
    match cursor.seek(&key)? {
        Some((found, chunk)) if found.address == *address => {
            before_next::<tables::AccountHistory, _>(&chunk, block_number)
        }
        _ => Ok(None),
    }
}

fn slot_before_next_change<K: TransactionKind>(
    cursor: &mut Cursor<'_, tables::StorageHistory, K>,
    address: &Address,
    slot: &B256,
    block_number: u64,
) -> Result<Option<U256>, DbError> {
    let key =
        StorageHistoryKey { address: *address, slot: *slot, last_block: block_number.saturating_add(1) };
    match cursor.seek(&key)? {
        Some((found, chunk)) if found.address == *address && found.slot == *slot => {
            before_next::<tables::StorageHistory, _>(&chunk, block_number)
        }
        _ => Ok(None),
    }
}

fn before_next<T: Table, V: Value>(chunk: &StoredChunk, block_number: u64) -> Result<Option<V>, DbError> {
    let corrupt = |source| DbError::Corrupt { table: T::NAME, source };
    match chunk.chunk().value_after(block_number).map_err(corrupt)? {
        Some(before) => V::decode(before).map(Some).map_err(corrupt),
        None => Ok(None),
    }
}

/// The state as of one block, read through cursors that stay open.
#[derive(Debug)]
pub struct StateAt<'txn, 'db, K: TransactionKind> {
    plain: PlainReader<'txn, 'db, K>,
    history: Option<HistoryCursors<'txn, K>>,
    block_number: u64,
}

#[derive(Debug)]
struct HistoryCursors<'txn, K: TransactionKind> {
    accounts: Cursor<'txn, tables::AccountHistory, K>,
    storage: Cursor<'txn, tables::StorageHistory, K>,
}

impl<'txn, 'db, K: TransactionKind> StateAt<'txn, 'db, K> {
    /// The state as of the end of `block_number`.
    ///
    /// # Errors
    /// [`StateError::Ahead`] or [`StateError::Pruned`] outside `bounds`.
    pub fn new(txn: &'txn Txn<'db, K>, block_number: u64, bounds: HistoryBounds) -> Result<Self, StateError> {
        bounds.check(block_number)?;
        let history = if block_number == bounds.head {
            None
        } else {
            Some(HistoryCursors { accounts: txn.cursor()?, storage: txn.cursor()? })
        };
        Ok(Self { plain: PlainReader::new(txn)?, history, block_number })
    }

    /// Which block.
    pub fn block_number(&self) -> u64 {
        self.block_number
    }

    /// An account.
    pub fn account(&mut self, address: &Address) -> Result<Option<Account>, StateError> {
        if let Some(history) = &mut self.history
            && let Some(before) =
                account_before_next_change(&mut history.accounts, address, self.block_number)?
        {
            return Ok(before);
        }
        Ok(self.plain.account(address)?)
    }

    /// A storage slot; zero when it was not set.
    pub fn storage(&mut self, address: &Address, slot: &B256) -> Result<U256, StateError> {
        if let Some(history) = &mut self.history
            && let Some(before) =
                slot_before_next_change(&mut history.storage, address, slot, self.block_number)?
        {
            return Ok(before);
        }
        Ok(self.plain.storage(address, slot)?)
    }

    /// Contract code.
    pub fn code(&self, code_hash: &B256) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.plain.code(code_hash)?)
    }
}
