//! What each block changed, kept from the unwind horizon to the head.

use portico_db::{
    DbError, Key, RwTxn, Table, TransactionKind, Txn,
    models::{AccountChange, BlockChunkKey, ChangeChunks, StorageChange, TraceAddress},
    tables,
};

/// Everything that one block changed, each list sorted and without repeats.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockChanges {
    /// Accounts before the block, by address.
    pub accounts: Vec<AccountChange>,
    /// Slots before the block, by address and slot.
    pub storage: Vec<StorageChange>,
    /// Addresses in the block's calls.
    pub traces: Vec<TraceAddress>,
}

impl BlockChanges {
    /// Puts each list into its order.
    pub fn sort(&mut self) {
        self.accounts.sort_unstable_by_key(|change| change.address);
        self.storage.sort_unstable_by_key(|change| (change.address, change.slot));
        self.traces.sort_unstable();
    }
}

/// Appends a block's changes.
pub fn write_changes(txn: &RwTxn<'_>, block_number: u64, changes: &BlockChanges) -> Result<(), DbError> {
    append::<tables::AccountChanges>(txn, block_number, &changes.accounts)?;
    append::<tables::StorageChanges>(txn, block_number, &changes.storage)?;
    append::<tables::CallTraces>(txn, block_number, &changes.traces)
}

fn append<T>(
    txn: &RwTxn<'_>,
    block_number: u64,
    changes: &[<T::Value as ChangeChunks>::Change],
) -> Result<(), DbError>
where
    T: Table<Key = BlockChunkKey, Value: ChangeChunks>,
{
    if changes.is_empty() {
        return Ok(());
    }
    let mut cursor = txn.cursor::<T>()?;
    for (chunk, row) in (0..).zip(T::Value::rows(changes)) {
        cursor.append(&BlockChunkKey { number: block_number, chunk }, &row)?;
    }
    Ok(())
}

/// Account changes of the blocks in `blocks`, in order of block and address.
pub fn iter_account_changes<K: TransactionKind, E: From<DbError>>(
    txn: &Txn<'_, K>,
    blocks: std::ops::RangeInclusive<u64>,
    visit: impl FnMut(u64, &AccountChange) -> Result<(), E>,
) -> Result<(), E> {
    iterate::<tables::AccountChanges, K, E>(txn, blocks, visit)
}

/// Storage changes of the blocks in `blocks`, in order of block, address and slot.
pub fn iter_storage_changes<K: TransactionKind, E: From<DbError>>(
    txn: &Txn<'_, K>,
    blocks: std::ops::RangeInclusive<u64>,
    visit: impl FnMut(u64, &StorageChange) -> Result<(), E>,
) -> Result<(), E> {
    iterate::<tables::StorageChanges, K, E>(txn, blocks, visit)
}

/// Trace addresses of the blocks in `blocks`, in order of block and address.
pub fn iter_call_traces<K: TransactionKind, E: From<DbError>>(
    txn: &Txn<'_, K>,
    blocks: std::ops::RangeInclusive<u64>,
    visit: impl FnMut(u64, &TraceAddress) -> Result<(), E>,
) -> Result<(), E> {
    iterate::<tables::CallTraces, K, E>(txn, blocks, visit)
}

fn iterate<T, K: TransactionKind, E: From<DbError>>(
    txn: &Txn<'_, K>,
    blocks: std::ops::RangeInclusive<u64>,
    mut visit: impl FnMut(u64, &<T::Value as ChangeChunks>::Change) -> Result<(), E>,
) -> Result<(), E>
where
    T: Table<Key = BlockChunkKey, Value: ChangeChunks>,
{
    let mut cursor = txn.cursor::<T>()?;
    for row in cursor.walk(&BlockChunkKey { number: *blocks.start(), chunk: 0 }) {
        let (key, row) = row?;
        if key.number > *blocks.end() {
            break;
        }
        for change in row.changes() {
            visit(key.number, change)?;
        }
    }
    Ok(())
}

/// Account changes of one block.
pub fn read_account_changes<K: TransactionKind>(
    txn: &Txn<'_, K>,
    block_number: u64,
) -> Result<Vec<AccountChange>, DbError> {
    collect::<tables::AccountChanges, K>(txn, block_number)
}

/// Storage changes of one block.
pub fn read_storage_changes<K: TransactionKind>(
    txn: &Txn<'_, K>,
    block_number: u64,
) -> Result<Vec<StorageChange>, DbError> {
    collect::<tables::StorageChanges, K>(txn, block_number)
}

/// Trace addresses of one block.
pub fn read_call_traces<K: TransactionKind>(
    txn: &Txn<'_, K>,
    block_number: u64,
) -> Result<Vec<TraceAddress>, DbError> {
    collect::<tables::CallTraces, K>(txn, block_number)
}

fn collect<T, K: TransactionKind>(
    txn: &Txn<'_, K>,
    block_number: u64,
) -> Result<Vec<<T::Value as ChangeChunks>::Change>, DbError>
where
    T: Table<Key = BlockChunkKey, Value: ChangeChunks>,
{
    let mut changes = Vec::new();
    iterate::<T, K, DbError>(txn, block_number..=block_number, |_, change| {
        changes.push(*change);
        Ok(())
    })?;
    Ok(changes)
}

/// Deletes the changes of the blocks above `block_number`.
pub fn delete_changes_above(txn: &RwTxn<'_>, block_number: u64) -> Result<(), DbError> {
    let start = BlockChunkKey { number: block_number + 1, chunk: 0 }.encode();
    txn.cursor::<tables::AccountChanges>()?.delete_from(&start)?;
    txn.cursor::<tables::StorageChanges>()?.delete_from(&start)?;
    txn.cursor::<tables::CallTraces>()?.delete_from(&start)?;
    Ok(())
}

/// Deletes the changes of the blocks below `block_number`.
pub fn delete_changes_below(txn: &RwTxn<'_>, block_number: u64) -> Result<(), DbError> {
    let end = BlockChunkKey { number: block_number, chunk: 0 }.encode();
    txn.cursor::<tables::AccountChanges>()?.delete_range(&[], Some(&end))?;
    txn.cursor::<tables::StorageChanges>()?.delete_range(&[], Some(&end))?;
    txn.cursor::<tables::CallTraces>()?.delete_range(&[], Some(&end))?;
    Ok(())
}

/// The first block whose changes are kept, as far as rows tell: a block may change nothing.
pub fn first_changes_block<K: TransactionKind>(txn: &Txn<'_, K>) -> Result<Option<u64>, DbError> {
    let accounts = txn.cursor::<tables::AccountChanges>()?.first()?.map(|(key, _)| key.number);
    let storage = txn.cursor::<tables::StorageChanges>()?.first()?.map(|(key, _)| key.number);
    Ok(accounts.into_iter().chain(storage).min())
}
