//! Transactions and receipts of a range of blocks in their stored form, so that workers can decode them.

use std::ops::{Range, RangeInclusive};

use portico_db::{
    Cursor, DbError, Table, TransactionKind, Txn, Value,
    models::{Receipt, Transaction},
    tables,
};

use crate::ChainError;

/// Consecutive blocks with the numbers of their transactions, and the stored rows of these.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TxChunk {
    /// Number of the first transaction in the chunk.
    pub first_tx_number: u64,
    /// The blocks, and the positions in `rows` of what belongs to each.
    pub blocks: Vec<(u64, Range<usize>)>,
    /// Stored rows, in order; see [`decode_transaction`] and [`decode_receipt`].
    pub rows: Vec<Vec<u8>>,
}

/// The table of transactions, with the values as they are stored.
struct StoredTransactions;

impl Table for StoredTransactions {
    const INDEX: usize = tables::Transactions::INDEX;
    const NAME: &'static str = tables::Transactions::NAME;
    type Key = u64;
    type Value = Vec<u8>;
}

/// The table of receipts, with the values as they are stored.
struct StoredReceipts;

impl Table for StoredReceipts {
    const INDEX: usize = tables::Receipts::INDEX;
    const NAME: &'static str = tables::Receipts::NAME;
    type Key = u64;
    type Value = Vec<u8>;
}

/// Hands over the transactions of `blocks` in chunks of whole blocks that hold `chunk_len` or little more.
///
/// # Errors
/// [`ChainError::Missing`] when a body or a row is not there; those of `visit`.
pub fn iter_tx_chunks<K: TransactionKind, E: From<ChainError>>(
    txn: &Txn<'_, K>,
    blocks: RangeInclusive<u64>,
    chunk_len: usize,
    visit: impl FnMut(TxChunk) -> Result<(), E>,
) -> Result<(), E> {
    iterate::<StoredTransactions, K, E>(txn, blocks, chunk_len, "transaction", visit)
}

/// [`iter_tx_chunks`] with receipts.
///
/// # Errors
/// As there.
pub fn iter_receipt_chunks<K: TransactionKind, E: From<ChainError>>(
    txn: &Txn<'_, K>,
    blocks: RangeInclusive<u64>,
    chunk_len: usize,
    visit: impl FnMut(TxChunk) -> Result<(), E>,
) -> Result<(), E> {
    iterate::<StoredReceipts, K, E>(txn, blocks, chunk_len, "receipt", visit)
}

fn iterate<T: Table<Key = u64, Value = Vec<u8>>, K: TransactionKind, E: From<ChainError>>(
    txn: &Txn<'_, K>,
    blocks: RangeInclusive<u64>,
    chunk_len: usize,
    what: &'static str,
    mut visit: impl FnMut(TxChunk) -> Result<(), E>,
) -> Result<(), E> {
    let mut bodies = txn.cursor::<tables::BlockBodies>().map_err(ChainError::from)?;
    let mut bodies = bodies.walk(blocks.start());
    let mut rows = Rows { cursor: txn.cursor::<T>().map_err(ChainError::from)?, next: None, what };
    let mut chunk = TxChunk::default();
    for block_number in blocks {
        let body = match bodies.next().transpose().map_err(ChainError::from)? {
            Some((found, body)) if found == block_number => body,
            _ => return Err(ChainError::Missing { what: "body", block_number }.into()),
        };
        if chunk.blocks.is_empty() {
            chunk.first_tx_number = body.first_tx_number;
        }
        let start = chunk.rows.len();
        rows.take(body.tx_numbers(), block_number, &mut chunk.rows)?;
        chunk.blocks.push((block_number, start..chunk.rows.len()));
        if chunk.rows.len() >= chunk_len {
            visit(std::mem::take(&mut chunk))?;
        }
    }
    if chunk.blocks.is_empty() { Ok(()) } else { visit(chunk) }
}

/// Rows by running number, front to back.
struct Rows<'txn, T: Table, K: TransactionKind> {
    cursor: Cursor<'txn, T, K>,
    /// Number behind the row that the cursor is at.
    next: Option<u64>,
    what: &'static str,
}

impl<T: Table<Key = u64, Value = Vec<u8>>, K: TransactionKind> Rows<'_, T, K> {
    /// Appends the rows of one block to `out`.
    fn take(
        &mut self,
        numbers: Range<u64>,
        block_number: u64,
        out: &mut Vec<Vec<u8>>,
    ) -> Result<(), ChainError> {
        for number in numbers {
            let row =
                if self.next == Some(number) { self.cursor.next()? } else { self.cursor.seek(&number)? };
            match row {
                Some((found, bytes)) if found == number => out.push(bytes),
                _ => return Err(ChainError::Missing { what: self.what, block_number }),
            }
            self.next = Some(number + 1);
        }
        Ok(())
    }
}

/// A transaction from its stored form.
///
/// # Errors
/// [`DbError::Corrupt`].
pub fn decode_transaction(bytes: &[u8]) -> Result<Transaction, ChainError> {
    decode::<tables::Transactions>(bytes)
}

/// A receipt from its stored form.
///
/// # Errors
/// [`DbError::Corrupt`].
pub fn decode_receipt(bytes: &[u8]) -> Result<Receipt, ChainError> {
    decode::<tables::Receipts>(bytes)
}

fn decode<T: Table>(bytes: &[u8]) -> Result<T::Value, ChainError> {
    T::Value::decode(bytes).map_err(|source| DbError::Corrupt { table: T::NAME, source }.into())
}
