//! Transactions with typed access to the tables.

use std::marker::PhantomData;

use libmdbx::{Decodable, NoWriteMap, RO, RW, TransactionKind, WriteFlags};

use crate::{Cursor, DbError, Key, Table, Value};

/// A snapshot of the database; see [`RoTxn`] and [`RwTxn`].
#[derive(Debug)]
pub struct Txn<'db, K: TransactionKind> {
    inner: libmdbx::Transaction<'db, K, NoWriteMap>,
    tables: &'db [libmdbx::Table<'static>],
}

/// A read transaction: an unchanging snapshot, as long as it lives.
pub type RoTxn<'db> = Txn<'db, RO>;

/// The write transaction, of which there is one at a time; dropped without [`RwTxn::commit`] it leaves nothing.
pub type RwTxn<'db> = Txn<'db, RW>;

/// A row as bytes: key and value.
pub type RawRow = (Vec<u8>, Vec<u8>);

/// Decodes a row's value while it still lies in its page.
pub(crate) struct ValueOf<T: Table>(pub T::Value, PhantomData<T>);

/// Decodes a row's key while it still lies in its page.
pub(crate) struct KeyOf<T: Table>(pub T::Key, PhantomData<T>);

impl<T: Table> Decodable<'_> for ValueOf<T> {
    fn decode(bytes: &[u8]) -> Result<Self, libmdbx::Error> {
        match T::Value::decode(bytes) {
            Ok(value) => Ok(Self(value, PhantomData)),
            Err(error) => Err(libmdbx::Error::DecodeError(Box::new(error))),
        }
    }
}

impl<T: Table> Decodable<'_> for KeyOf<T> {
    fn decode(bytes: &[u8]) -> Result<Self, libmdbx::Error> {
        match T::Key::decode(bytes) {
            Ok(key) => Ok(Self(key, PhantomData)),
            Err(error) => Err(libmdbx::Error::DecodeError(Box::new(error))),
        }
    }
}

pub(crate) fn table_error(table: &'static str, operation: &'static str, source: libmdbx::Error) -> DbError {
    match source {
        libmdbx::Error::DecodeError(cause) => match cause.downcast::<crate::DecodeError>() {
            Ok(source) => DbError::Corrupt { table, source: *source },
            Err(cause) => DbError::Table { table, operation, source: libmdbx::Error::DecodeError(cause) },
        },
        source => DbError::Table { table, operation, source },
    }
}

impl<'db, K: TransactionKind> Txn<'db, K> {
    pub(crate) fn new(
        inner: libmdbx::Transaction<'db, K, NoWriteMap>,
        tables: &'db [libmdbx::Table<'static>],
    ) -> Self {
        Self { inner, tables }
    }

    /// MDBX's number of this snapshot: grows by one with each commit.
    pub fn id(&self) -> u64 {
        self.inner.id()
    }

    /// The value at `key`; of a table with duplicates, the first one.
    pub fn get<T: Table>(&self, key: &T::Key) -> Result<Option<T::Value>, DbError> {
        self.inner
            .get::<ValueOf<T>>(&self.tables[T::INDEX], key.encode().as_ref())
            .map(|found| found.map(|value| value.0))
            .map_err(|source| table_error(T::NAME, "reading", source))
    }

    /// A cursor over `T`, unpositioned.
    pub fn cursor<T: Table>(&self) -> Result<Cursor<'_, T, K>, DbError> {
        let cursor = self
            .inner
            .cursor(&self.tables[T::INDEX])
            .map_err(|source| table_error(T::NAME, "opening a cursor", source))?;
        Ok(Cursor::new(cursor))
    }

    /// Number of rows in `T`, counting duplicates.
    pub fn entries<T: Table>(&self) -> Result<usize, DbError> {
        Ok(self.stat(T::INDEX)?.entries())
    }

    pub(crate) fn stat(&self, table: usize) -> Result<libmdbx::Stat, DbError> {
        let name = crate::tables::TABLES[table].name;
        self.inner
            .table_stat(&self.tables[table])
            .map_err(|source| table_error(name, "reading statistics", source))
    }

    /// Walks all rows of the table at `index` in [`crate::tables::TABLES`] as bytes, until `visit` says `false`.
    pub fn for_each_raw(
        &self,
        index: usize,
        mut visit: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), DbError> {
        let name = crate::tables::TABLES[index].name;
        let error = |source| table_error(name, "walking", source);
        let mut cursor = self.inner.cursor(&self.tables[index]).map_err(error)?;
        for row in cursor.iter_start::<Vec<u8>, Vec<u8>>() {
            let (key, value) = row.map_err(error)?;
            if !visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    /// All rows of the table at `index` that begin at `key`, as bytes: for looking at a database by hand.
    pub fn raw_from(&self, index: usize, key: &[u8], limit: usize) -> Result<Vec<RawRow>, DbError> {
        let name = crate::tables::TABLES[index].name;
        let error = |source| table_error(name, "reading", source);
        let mut cursor = self.inner.cursor(&self.tables[index]).map_err(error)?;
        cursor.iter_from::<Vec<u8>, Vec<u8>>(key).take(limit).map(|row| row.map_err(error)).collect()
    }
}

impl RwTxn<'_> {
    /// Writes a row, replacing the one that is there; in a table with duplicates it adds one.
    pub fn put<T: Table>(&self, key: &T::Key, value: &T::Value) -> Result<(), DbError> {
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        self.put_bytes::<T>(key.encode().as_ref(), &bytes)
    }

    /// [`RwTxn::put`] for a caller that has the stored form already.
    pub fn put_bytes<T: Table>(&self, key: &[u8], value: &[u8]) -> Result<(), DbError> {
        self.inner
            .put(&self.tables[T::INDEX], key, value, WriteFlags::UPSERT)
            .map_err(|source| table_error(T::NAME, "writing", source))
    }

    /// Deletes a row, or in a table with duplicates all rows of `key`; says whether there was one.
    pub fn delete<T: Table>(&self, key: &T::Key) -> Result<bool, DbError> {
        self.inner
            .del(&self.tables[T::INDEX], key.encode().as_ref(), None)
            .map_err(|source| table_error(T::NAME, "deleting", source))
    }

    /// Deletes every row of `T`.
    pub fn clear<T: Table>(&self) -> Result<(), DbError> {
        self.inner
            .clear_table(&self.tables[T::INDEX])
            .map_err(|source| table_error(T::NAME, "clearing", source))
    }

    /// Deletes every row of every table, as if the database had just been created.
    pub fn clear_all(&self) -> Result<(), DbError> {
        for (info, table) in crate::tables::TABLES.iter().zip(self.tables) {
            self.inner.clear_table(table).map_err(|source| table_error(info.name, "clearing", source))?;
        }
        crate::environment::write_schema_version(&self.inner, &self.tables[crate::tables::Metadata::INDEX])
            .map_err(|source| table_error("Metadata", "writing", source))
    }

    /// Makes everything written since the start visible and, unless the database is in bulk mode, durable.
    pub fn commit(self) -> Result<(), DbError> {
        self.inner
            .commit()
            .map(drop)
            .map_err(|source| DbError::Transaction { operation: "committing", source })
    }

    /// Appends all rows of the table at `index` of another database to the empty one here, in order.
    pub fn append_all_raw<K: TransactionKind>(&self, index: usize, from: &Txn<'_, K>) -> Result<(), DbError> {
        let info = &crate::tables::TABLES[index];
        let error = |source| table_error(info.name, "copying", source);
        let flags = if info.dup_sort { WriteFlags::APPEND_DUP } else { WriteFlags::APPEND };
        self.inner.clear_table(&self.tables[index]).map_err(error)?;
        let mut target = self.inner.cursor(&self.tables[index]).map_err(error)?;
        let mut result = Ok(());
        from.for_each_raw(index, |key, value| {
            result = target.put(key, value, flags);
            result.is_ok()
        })?;
        result.map_err(error)
    }
}
