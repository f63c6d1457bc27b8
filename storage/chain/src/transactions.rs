//! Transactions, senders and receipts by running number, and through their blocks.

use alloy_primitives::{Address, B256};
use portico_db::{
    Key, RwTxn, TransactionKind, Txn,
    models::{Receipt, StoredBody, Transaction, TransactionHashPrefix, TxNumber},
    tables,
};

use crate::{ChainError, read_body};

/// Number that the next transaction of the chain gets: one more than the last one's.
pub fn tx_number_limit<K: TransactionKind>(txn: &Txn<'_, K>, block_number: u64) -> Result<u64, ChainError> {
    let body = read_body(txn, block_number)?.ok_or(ChainError::Missing { what: "body", block_number })?;
    Ok(body.tx_numbers().end)
}

/// One transaction by number.
pub fn read_transaction<K: TransactionKind>(
    txn: &Txn<'_, K>,
    tx_number: u64,
) -> Result<Option<Transaction>, ChainError> {
    Ok(txn.get::<tables::Transactions>(&tx_number)?)
}

/// The transactions of the block with this body.
pub fn read_transactions<K: TransactionKind>(
    txn: &Txn<'_, K>,
    body: &StoredBody,
    block_number: u64,
) -> Result<Vec<Transaction>, ChainError> {
    collect::<tables::Transactions, K>(txn, body, block_number, "transaction")
}

/// The senders of the block with this body.
pub fn read_senders<K: TransactionKind>(
    txn: &Txn<'_, K>,
    body: &StoredBody,
    block_number: u64,
) -> Result<Vec<Address>, ChainError> {
    collect::<tables::TransactionSenders, K>(txn, body, block_number, "sender")
}

/// The receipts of the block with this body.
pub fn read_block_receipts<K: TransactionKind>(
    txn: &Txn<'_, K>,
    body: &StoredBody,
    block_number: u64,
) -> Result<Vec<Receipt>, ChainError> {
    collect::<tables::Receipts, K>(txn, body, block_number, "receipt")
}

fn collect<T: portico_db::Table<Key = u64>, K: TransactionKind>(
    txn: &Txn<'_, K>,
    body: &StoredBody,
    block_number: u64,
    what: &'static str,
) -> Result<Vec<T::Value>, ChainError> {
    if body.tx_count == 0 {
        return Ok(Vec::new());
    }
    let mut cursor = txn.cursor::<T>()?;
    let mut values = Vec::with_capacity(body.tx_count as usize);
    for (expected, row) in body.tx_numbers().zip(cursor.walk(&body.first_tx_number)) {
        let (number, value) = row?;
        if number != expected {
            break;
        }
        values.push(value);
    }
    if values.len() as u64 == body.tx_count {
        Ok(values)
    } else {
        Err(ChainError::Missing { what, block_number })
    }
}

/// One sender by transaction number.
pub fn read_sender<K: TransactionKind>(
    txn: &Txn<'_, K>,
    tx_number: u64,
) -> Result<Option<Address>, ChainError> {
    Ok(txn.get::<tables::TransactionSenders>(&tx_number)?)
}

/// One receipt by transaction number.
pub fn read_receipt<K: TransactionKind>(
    txn: &Txn<'_, K>,
    tx_number: u64,
) -> Result<Option<Receipt>, ChainError> {
    Ok(txn.get::<tables::Receipts>(&tx_number)?)
}

/// Transactions from `start` on, in order, until `visit` says `false`.
pub fn iter_transactions<K: TransactionKind, E: From<ChainError>>(
    txn: &Txn<'_, K>,
    start: u64,
    visit: impl FnMut(u64, Transaction) -> Result<bool, E>,
) -> Result<(), E> {
    iterate::<tables::Transactions, K, E>(txn, start, visit)
}

/// Stored forms of transactions from `start` on, in order, until `visit` says `false`; see [`decode_row`].
pub fn iter_transaction_rows<K: TransactionKind>(
    txn: &Txn<'_, K>,
    start: u64,
    visit: impl FnMut(u64, Vec<u8>) -> bool,
) -> Result<(), ChainError> {
    let mut cursor = txn.cursor::<tables::Transactions>()?;
    cursor.for_each_row_from(&start, visit)?;
    Ok(())
}

/// Inverse of [`encode_row`].
pub fn decode_row<V: portico_db::Value>(row: &[u8]) -> Result<V, portico_db::DecodeError> {
    V::decode(row)
}

/// Receipts from `start` on, in order, until `visit` says `false`.
pub fn iter_receipts<K: TransactionKind, E: From<ChainError>>(
    txn: &Txn<'_, K>,
    start: u64,
    visit: impl FnMut(u64, Receipt) -> Result<bool, E>,
) -> Result<(), E> {
    iterate::<tables::Receipts, K, E>(txn, start, visit)
}

fn iterate<T: portico_db::Table<Key = u64>, K: TransactionKind, E: From<ChainError>>(
    txn: &Txn<'_, K>,
    start: u64,
    mut visit: impl FnMut(u64, T::Value) -> Result<bool, E>,
) -> Result<(), E> {
    let mut cursor = txn.cursor::<T>().map_err(ChainError::from)?;
    for row in cursor.walk(&start) {
        let (number, value) = row.map_err(ChainError::from)?;
        if !visit(number, value)? {
            break;
        }
    }
    Ok(())
}

/// Appends senders from `first_tx_number` on.
pub fn append_senders(txn: &RwTxn<'_>, first_tx_number: u64, senders: &[Address]) -> Result<(), ChainError> {
    let mut cursor = txn.cursor::<tables::TransactionSenders>()?;
    for (tx_number, sender) in (first_tx_number..).zip(senders) {
        cursor.append(&tx_number, sender)?;
    }
    Ok(())
}

/// Deletes the senders from `tx_number` on.
pub fn delete_senders_from(txn: &RwTxn<'_>, tx_number: u64) -> Result<(), ChainError> {
    txn.cursor::<tables::TransactionSenders>()?.delete_from(&tx_number.encode())?;
    Ok(())
}

/// Appends encoded receipts from `first_tx_number` on; see [`encode_row`].
pub fn append_receipts(
    txn: &RwTxn<'_>,
    first_tx_number: u64,
    receipts: &[Vec<u8>],
) -> Result<(), ChainError> {
    let mut cursor = txn.cursor::<tables::Receipts>()?;
    for (tx_number, receipt) in (first_tx_number..).zip(receipts) {
        cursor.append_bytes(&tx_number.encode(), receipt)?;
    }
    Ok(())
}

/// Appends the state roots after the transactions from `first_tx_number` on.
pub fn append_state_roots(
    txn: &RwTxn<'_>,
    first_tx_number: u64,
    state_roots: &[B256],
) -> Result<(), ChainError> {
    if state_roots.is_empty() {
        return Ok(());
    }
    let mut cursor = txn.cursor::<tables::ReceiptStateRoots>()?;
    for (tx_number, root) in (first_tx_number..).zip(state_roots) {
        cursor.append(&tx_number, root)?;
    }
    Ok(())
}

/// The state root after a transaction before Byzantium, when it was computed.
pub fn read_state_root_after<K: TransactionKind>(
    txn: &Txn<'_, K>,
    tx_number: u64,
) -> Result<Option<B256>, ChainError> {
    Ok(txn.get::<tables::ReceiptStateRoots>(&tx_number)?)
}

/// Deletes the receipts from `tx_number` on, and the state roots that belong to them.
pub fn delete_receipts_from(txn: &RwTxn<'_>, tx_number: u64) -> Result<(), ChainError> {
    txn.cursor::<tables::Receipts>()?.delete_from(&tx_number.encode())?;
    txn.cursor::<tables::ReceiptStateRoots>()?.delete_from(&tx_number.encode())?;
    Ok(())
}

/// Appends encoded transactions from `first_tx_number` on; see [`encode_row`].
pub fn append_transactions(
    txn: &RwTxn<'_>,
    first_tx_number: u64,
    rows: &[Vec<u8>],
) -> Result<(), ChainError> {
    let mut cursor = txn.cursor::<tables::Transactions>()?;
    for (tx_number, row) in (first_tx_number..).zip(rows) {
        cursor.append_bytes(&tx_number.encode(), row)?;
    }
    Ok(())
}

/// The stored form of a transaction or receipt, so that workers can encode while one thread writes.
pub fn encode_row<V: portico_db::Value>(value: &V) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

/// Number of the transaction with this hash, and the transaction.
pub fn find_transaction<K: TransactionKind>(
    txn: &Txn<'_, K>,
    hash: &B256,
) -> Result<Option<(u64, Transaction)>, ChainError> {
    let mut cursor = txn.cursor::<tables::TransactionLookup>()?;
    let mut candidate = cursor.seek_exact(&TransactionHashPrefix::from(*hash))?;
    while let Some(TxNumber(tx_number)) = candidate {
        let transaction = read_transaction(txn, tx_number)?;
        if let Some(transaction) = transaction.filter(|transaction| transaction.tx_hash() == hash) {
            return Ok(Some((tx_number, transaction)));
        }
        candidate = cursor.next_dup()?;
    }
    Ok(None)
}

/// Block that holds the transaction with this number: binary search over the bodies up to `head`.
pub fn block_of_transaction<K: TransactionKind>(
    txn: &Txn<'_, K>,
    tx_number: u64,
    head: u64,
) -> Result<Option<(u64, StoredBody)>, ChainError> {
    let (mut low, mut high) = (0, head);
    while low <= high {
        let middle = low + (high - low) / 2;
        let body =
            read_body(txn, middle)?.ok_or(ChainError::Missing { what: "body", block_number: middle })?;
        let numbers = body.tx_numbers();
        if numbers.contains(&tx_number) {
            return Ok(Some((middle, body)));
        }
        if numbers.end <= tx_number {
            low = middle + 1;
        } else if middle == 0 {
            break;
        } else {
            high = middle - 1;
        }
    }
    Ok(None)
}
