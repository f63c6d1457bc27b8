//! Typed cursors: ordered walks, seeks, and writes at a position.

use libmdbx::{RW, TransactionKind, WriteFlags};

use crate::{
    DbError, DupSort, Key, Table, Value,
    layer::MergedCursor,
    txn::{KeyOf, ValueOf, decode_row, decode_value, table_error},
};

/// A position in table `T` of one transaction.
///
/// The moving verbs return the row at the new position, or `None` past an end. After a delete the position is
/// unspecified: seek again.
#[derive(Debug)]
pub struct Cursor<'txn, T: Table, K: TransactionKind> {
    inner: Inner<'txn, K>,
    scratch: Vec<u8>,
    table: std::marker::PhantomData<T>,
}

#[derive(Debug)]
enum Inner<'txn, K: TransactionKind> {
    Disk(libmdbx::Cursor<'txn, K>),
    Memory(MergedCursor<'txn>),
}

/// A row as its key and value types.
pub type Row<T> = (<T as Table>::Key, <T as Table>::Value);

type RawRow<T> = Option<(KeyOf<T>, ValueOf<T>)>;

fn row<T: Table>(found: Result<RawRow<T>, libmdbx::Error>) -> Result<Option<Row<T>>, DbError> {
    match found {
        Ok(row) => Ok(row.map(|(key, value)| (key.0, value.0))),
        Err(source) => Err(table_error(T::NAME, "reading", source)),
    }
}

fn value<T: Table>(found: Result<Option<ValueOf<T>>, libmdbx::Error>) -> Result<Option<T::Value>, DbError> {
    match found {
        Ok(value) => Ok(value.map(|value| value.0)),
        Err(source) => Err(table_error(T::NAME, "reading", source)),
    }
}

impl<'txn, T: Table, K: TransactionKind> Cursor<'txn, T, K> {
    pub(crate) fn new(inner: libmdbx::Cursor<'txn, K>) -> Self {
        Self { inner: Inner::Disk(inner), scratch: Vec::new(), table: std::marker::PhantomData }
    }

    pub(crate) fn merged(inner: MergedCursor<'txn>) -> Self {
        Self { inner: Inner::Memory(inner), scratch: Vec::new(), table: std::marker::PhantomData }
    }

    /// First row of the table.
    pub fn first(&mut self) -> Result<Option<Row<T>>, DbError> {
        match &mut self.inner {
            Inner::Disk(inner) => row::<T>(inner.first()),
            Inner::Memory(inner) => decode_row::<T>(inner.first()?),
        }
    }

    /// Last row of the table.
    pub fn last(&mut self) -> Result<Option<Row<T>>, DbError> {
        match &mut self.inner {
            Inner::Disk(inner) => row::<T>(inner.last()),
            Inner::Memory(inner) => decode_row::<T>(inner.last()?),
        }
    }

    /// The row after this one; the first one for a cursor that was not positioned.
    #[expect(clippy::should_implement_trait, reason = "fallible and borrowing: not an iterator")]
    pub fn next(&mut self) -> Result<Option<Row<T>>, DbError> {
        match &mut self.inner {
            Inner::Disk(inner) => row::<T>(inner.next()),
            Inner::Memory(inner) => decode_row::<T>(inner.next()?),
        }
    }

    /// The row before this one; the last one for a cursor that was not positioned.
    pub fn prev(&mut self) -> Result<Option<Row<T>>, DbError> {
        match &mut self.inner {
            Inner::Disk(inner) => row::<T>(inner.prev()),
            Inner::Memory(inner) => decode_row::<T>(inner.prev()?),
        }
    }

    /// First row with a key at or after `key`.
    pub fn seek(&mut self, key: &T::Key) -> Result<Option<Row<T>>, DbError> {
        self.seek_bytes(key.encode().as_ref())
    }

    /// First row with a key whose bytes are at or after `key`.
    pub fn seek_bytes(&mut self, key: &[u8]) -> Result<Option<Row<T>>, DbError> {
        match &mut self.inner {
            Inner::Disk(inner) => row::<T>(inner.set_range(key)),
            Inner::Memory(inner) => decode_row::<T>(inner.seek(key)?),
        }
    }

    /// The row at exactly `key`; of a table with duplicates, the first one.
    pub fn seek_exact(&mut self, key: &T::Key) -> Result<Option<T::Value>, DbError> {
        let key = key.encode();
        match &mut self.inner {
            Inner::Disk(inner) => value::<T>(inner.set(key.as_ref())),
            Inner::Memory(inner) => {
                let found = inner.seek(key.as_ref())?.filter(|(found, _)| **found == *key.as_ref());
                found.map(|(_, value)| decode_value::<T>(&value)).transpose()
            }
        }
    }

    /// First row of the next key.
    pub fn next_key(&mut self) -> Result<Option<Row<T>>, DbError> {
        match &mut self.inner {
            Inner::Disk(inner) => row::<T>(inner.next_nodup()),
            Inner::Memory(inner) => decode_row::<T>(inner.next_key()?),
        }
    }

    /// Rows from `start` on, in order.
    pub fn walk(&mut self, start: &T::Key) -> Walk<'_, 'txn, T, K> {
        Walk { start: Some(start.encode().as_ref().to_vec()), cursor: self }
    }

    /// Hands stored forms of rows from `start` on to `visit`, in order, until it says `false`.
    pub fn for_each_row_from(
        &mut self,
        start: &T::Key,
        mut visit: impl FnMut(T::Key, Vec<u8>) -> bool,
    ) -> Result<(), DbError> {
        match &mut self.inner {
            Inner::Disk(inner) => {
                for found in inner.iter_from::<KeyOf<T>, Vec<u8>>(start.encode().as_ref()) {
                    let (key, value) = found.map_err(|source| table_error(T::NAME, "reading", source))?;
                    if !visit(key.0, value) {
                        break;
                    }
                }
            }
            Inner::Memory(inner) => {
                let mut found = inner.seek(start.encode().as_ref())?;
                while let Some((key, value)) = found {
                    let key =
                        T::Key::decode(&key).map_err(|source| DbError::Corrupt { table: T::NAME, source })?;
                    if !visit(key, value.to_vec()) {
                        break;
                    }
                    found = inner.next()?;
                }
            }
        }
        Ok(())
    }

    /// Hands the keys from `start` on to `visit`, in order, until it says `false`; values are not read.
    pub fn for_each_key_from(
        &mut self,
        start: &T::Key,
        mut visit: impl FnMut(T::Key) -> bool,
    ) -> Result<(), DbError> {
        match &mut self.inner {
            Inner::Disk(inner) => {
                for found in inner.iter_from::<KeyOf<T>, ()>(start.encode().as_ref()) {
                    let (key, ()) = found.map_err(|source| table_error(T::NAME, "reading", source))?;
                    if !visit(key.0) {
                        break;
                    }
                }
            }
            Inner::Memory(inner) => {
                let mut found = inner.seek(start.encode().as_ref())?;
                while let Some((key, _)) = found {
                    let key =
                        T::Key::decode(&key).map_err(|source| DbError::Corrupt { table: T::NAME, source })?;
                    if !visit(key) {
                        break;
                    }
                    found = inner.next()?;
                }
            }
        }
        Ok(())
    }

    /// All rows, in order.
    pub fn walk_all(&mut self) -> Walk<'_, 'txn, T, K> {
        Walk { start: Some(Vec::new()), cursor: self }
    }
}

impl<T: DupSort, K: TransactionKind> Cursor<'_, T, K> {
    /// The value of `key` with the first sub-key at or after `sub_key`.
    pub fn seek_dup(&mut self, key: &T::Key, sub_key: &T::SubKey) -> Result<Option<T::Value>, DbError> {
        let (key, sub_key) = (key.encode(), sub_key.encode());
        match &mut self.inner {
            Inner::Disk(inner) => value::<T>(inner.get_both_range(key.as_ref(), sub_key.as_ref())),
            Inner::Memory(inner) => {
                let found = inner.seek_dup(key.as_ref(), sub_key.as_ref())?;
                let found = found.filter(|(found, _)| **found == *key.as_ref());
                found.map(|(_, value)| decode_value::<T>(&value)).transpose()
            }
        }
    }

    /// The value of `key` with exactly `sub_key`.
    pub fn seek_dup_exact(&mut self, key: &T::Key, sub_key: &T::SubKey) -> Result<Option<T::Value>, DbError> {
        let found = self.seek_dup(key, sub_key)?;
        Ok(found.filter(|value| T::sub_key(value).encode().as_ref() == sub_key.encode().as_ref()))
    }

    /// The next value of the same key.
    pub fn next_dup(&mut self) -> Result<Option<T::Value>, DbError> {
        match &mut self.inner {
            Inner::Disk(inner) => match inner.next_dup::<KeyOf<T>, ValueOf<T>>() {
                Ok(found) => Ok(found.map(|(_, value)| value.0)),
                Err(source) => Err(table_error(T::NAME, "reading", source)),
            },
            Inner::Memory(inner) => inner.next_dup()?.map(|(_, value)| decode_value::<T>(&value)).transpose(),
        }
    }
}

impl<T: Table> Cursor<'_, T, RW> {
    /// Writes a row, replacing the one at its key; in a table with duplicates it adds one.
    pub fn upsert(&mut self, key: &T::Key, value: &T::Value) -> Result<(), DbError> {
        self.write(key, value, WriteFlags::UPSERT, "writing")
    }

    /// Writes a row behind the table's last one: faster than [`Cursor::upsert`], and fills pages.
    ///
    /// # Errors
    /// When the key does not sort behind all others (in memory the row is put anyway).
    pub fn append(&mut self, key: &T::Key, value: &T::Value) -> Result<(), DbError> {
        self.write(key, value, WriteFlags::APPEND, "appending")
    }

    /// [`Cursor::append`] for a row that is encoded already.
    pub fn append_bytes(&mut self, key: &[u8], value: &[u8]) -> Result<(), DbError> {
        self.put(key, value, WriteFlags::APPEND, "appending")
    }

    /// [`Cursor::upsert`] for a row that is encoded already.
    pub fn upsert_bytes(&mut self, key: &[u8], value: &[u8]) -> Result<(), DbError> {
        self.put(key, value, WriteFlags::UPSERT, "writing")
    }

    /// Deletes the row at the position.
    pub fn delete_current(&mut self) -> Result<(), DbError> {
        match &mut self.inner {
            Inner::Disk(inner) => {
                inner.del(WriteFlags::CURRENT).map_err(|source| table_error(T::NAME, "deleting", source))
            }
            Inner::Memory(inner) => {
                inner.delete_current();
                Ok(())
            }
        }
    }

    /// Deletes all rows whose keys lie at or after `start`; says how many.
    pub fn delete_from(&mut self, start: &[u8]) -> Result<u64, DbError> {
        self.delete_range(start, None)
    }

    /// Deletes all rows with `start <= key < end`; says how many (a key's duplicates count as one).
    pub fn delete_range(&mut self, start: &[u8], end: Option<&[u8]>) -> Result<u64, DbError> {
        let error = |source| table_error(T::NAME, "deleting", source);
        let within = |key: &[u8]| end.is_none_or(|end| key < end);
        let mut deleted = 0;
        match &mut self.inner {
            Inner::Disk(inner) => {
                while let Some((key, ())) = inner.set_range::<Vec<u8>, ()>(start).map_err(error)? {
                    if !within(&key) {
                        break;
                    }
                    inner.del(WriteFlags::ALLDUPS).map_err(error)?;
                    deleted += 1;
                }
            }
            Inner::Memory(inner) => {
                let mut last = None;
                let mut found = inner.seek(start)?;
                while let Some((key, _)) = found.filter(|(key, _)| within(key)) {
                    inner.delete_current();
                    deleted += u64::from(last.as_deref() != Some(&*key));
                    last = Some(key);
                    found = inner.next()?;
                }
            }
        }
        Ok(deleted)
    }

    fn write(
        &mut self,
        key: &T::Key,
        value: &T::Value,
        flags: WriteFlags,
        operation: &'static str,
    ) -> Result<(), DbError> {
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        value.encode(&mut bytes);
        let result = self.put(key.encode().as_ref(), &bytes, flags, operation);
        self.scratch = bytes;
        result
    }

    fn put(
        &mut self,
        key: &[u8],
        value: &[u8],
        flags: WriteFlags,
        operation: &'static str,
    ) -> Result<(), DbError> {
        match &mut self.inner {
            Inner::Disk(inner) => {
                inner.put(key, value, flags).map_err(|source| table_error(T::NAME, operation, source))
            }
            Inner::Memory(inner) => {
                inner.put(key, value);
                Ok(())
            }
        }
    }
}

impl<T: DupSort> Cursor<'_, T, RW> {
    /// Adds a value behind the last one of the table's last key.
    pub fn append_dup(&mut self, key: &T::Key, value: &T::Value) -> Result<(), DbError> {
        self.write(key, value, WriteFlags::APPEND_DUP, "appending")
    }

    /// Writes a value of `key`, replacing the one with its sub-key. (In memory there is nothing to look for first.)
    pub fn replace_dup(&mut self, key: &T::Key, value: &T::Value) -> Result<(), DbError> {
        if matches!(self.inner, Inner::Disk(_)) {
            self.delete_dup(key, &T::sub_key(value))?;
        }
        self.upsert(key, value)
    }

    /// Deletes the value of `key` with exactly `sub_key`; says whether there was one.
    pub fn delete_dup(&mut self, key: &T::Key, sub_key: &T::SubKey) -> Result<bool, DbError> {
        let found = self.seek_dup_exact(key, sub_key)?.is_some();
        if found {
            self.delete_current()?;
        }
        Ok(found)
    }
}

/// Rows of a table in order; see [`Cursor::walk`].
#[derive(Debug)]
pub struct Walk<'cursor, 'txn, T: Table, K: TransactionKind> {
    start: Option<Vec<u8>>,
    cursor: &'cursor mut Cursor<'txn, T, K>,
}

impl<T: Table, K: TransactionKind> Iterator for Walk<'_, '_, T, K> {
    type Item = Result<Row<T>, DbError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.start.take() {
            Some(start) if start.is_empty() => self.cursor.first().transpose(),
            Some(start) => self.cursor.seek_bytes(&start).transpose(),
            None => self.cursor.next().transpose(),
        }
    }
}
