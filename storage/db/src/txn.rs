//! Transactions with typed access to the tables.

use std::marker::PhantomData;

use libmdbx::{Decodable, NoWriteMap, RO, RW, TransactionKind, WriteFlags};

use crate::{
    Cursor, DbError, Key, Layer, Table, Value, View,
    cursor::Row,
    layer::{Layered, MergedCursor, MergedRow},
    tables::TABLES,
};

/// A snapshot of the database; see [`RoTxn`] and [`RwTxn`].
#[derive(Debug)]
pub struct Txn<'db, K: TransactionKind> {
    inner: Inner<'db, K>,
    tables: &'db [libmdbx::Table<'static>],
}

#[derive(Debug)]
enum Inner<'db, K: TransactionKind> {
    /// The database itself.
    Disk(libmdbx::Transaction<'db, K, NoWriteMap>),
    /// Rows in memory on top of it.
    Memory(Box<Layered<'db>>),
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

pub(crate) fn decode_value<T: Table>(bytes: &[u8]) -> Result<T::Value, DbError> {
    T::Value::decode(bytes).map_err(|source| DbError::Corrupt { table: T::NAME, source })
}

pub(crate) fn decode_row<T: Table>(row: Option<MergedRow<'_>>) -> Result<Option<Row<T>>, DbError> {
    let Some((key, value)) = row else { return Ok(None) };
    let key = T::Key::decode(&key).map_err(|source| DbError::Corrupt { table: T::NAME, source })?;
    Ok(Some((key, decode_value::<T>(&value)?)))
}

impl<'db, K: TransactionKind> Txn<'db, K> {
    pub(crate) fn new(
        inner: libmdbx::Transaction<'db, K, NoWriteMap>,
        tables: &'db [libmdbx::Table<'static>],
    ) -> Self {
        Self { inner: Inner::Disk(inner), tables }
    }

    pub(crate) fn layered(layered: Layered<'db>, tables: &'db [libmdbx::Table<'static>]) -> Self {
        Self { inner: Inner::Memory(Box::new(layered)), tables }
    }

    /// MDBX's number of this snapshot, or of the one below the rows in memory: grows by one with each commit.
    pub fn id(&self) -> u64 {
        match &self.inner {
            Inner::Disk(inner) => inner.id(),
            Inner::Memory(layered) => layered.base.id(),
        }
    }

    /// The value at `key`; of a table with duplicates, the first one.
    pub fn get<T: Table>(&self, key: &T::Key) -> Result<Option<T::Value>, DbError> {
        let key = key.encode();
        let found = match &self.inner {
            Inner::Disk(inner) => inner.get::<ValueOf<T>>(&self.tables[T::INDEX], key.as_ref()),
            Inner::Memory(_) if TABLES[T::INDEX].dup_sort => {
                let row = self.merged(T::INDEX)?.seek(key.as_ref())?;
                let row = row.filter(|(found, _)| **found == *key.as_ref());
                return row.map(|(_, value)| decode_value::<T>(&value)).transpose();
            }
            Inner::Memory(layered) => match layered.find(T::INDEX, key.as_ref()) {
                Some(value) => return value.map(|value| decode_value::<T>(&value)).transpose(),
                None => layered.base.get::<ValueOf<T>>(&self.tables[T::INDEX], key.as_ref()),
            },
        };
        found
            .map(|found| found.map(|value| value.0))
            .map_err(|source| table_error(T::NAME, "reading", source))
    }

    /// A cursor over `T`, unpositioned.
    pub fn cursor<T: Table>(&self) -> Result<Cursor<'_, T, K>, DbError> {
        match &self.inner {
            Inner::Disk(inner) => {
                let cursor = inner
                    .cursor(&self.tables[T::INDEX])
                    .map_err(|source| table_error(T::NAME, "opening a cursor", source))?;
                Ok(Cursor::new(cursor))
            }
            Inner::Memory(_) => Ok(Cursor::merged(self.merged(T::INDEX)?)),
        }
    }

    /// A cursor over rows in memory and those below.
    ///
    /// # Errors
    /// [`DbError::NotInMemory`] for a transaction of the database itself.
    fn merged(&self, table: usize) -> Result<MergedCursor<'_>, DbError> {
        let Inner::Memory(layered) = &self.inner else { return Err(DbError::NotInMemory) };
        let disk = layered
            .base
            .cursor(&self.tables[table])
            .map_err(|source| table_error(TABLES[table].name, "opening a cursor", source))?;
        Ok(MergedCursor::new(layered, disk, table))
    }

    /// Number of rows in `T`, counting duplicates. With rows in memory it is the number below them: good enough for
    /// choosing a way, no more.
    pub fn entries<T: Table>(&self) -> Result<usize, DbError> {
        Ok(self.stat(T::INDEX)?.entries())
    }

    pub(crate) fn stat(&self, table: usize) -> Result<libmdbx::Stat, DbError> {
        let stat = match &self.inner {
            Inner::Disk(inner) => inner.table_stat(&self.tables[table]),
            Inner::Memory(layered) => layered.base.table_stat(&self.tables[table]),
        };
        stat.map_err(|source| table_error(TABLES[table].name, "reading statistics", source))
    }

    /// Walks all rows of the table at `index` in [`crate::tables::TABLES`] as bytes, until `visit` says `false`.
    pub fn for_each_raw(&self, index: usize, visit: impl FnMut(&[u8], &[u8]) -> bool) -> Result<(), DbError> {
        self.for_each_raw_from(index, &[], visit)
    }

    /// All rows of the table at `index` that begin at `key`, as bytes: for looking at a database by hand.
    pub fn raw_from(&self, index: usize, key: &[u8], limit: usize) -> Result<Vec<RawRow>, DbError> {
        let mut rows = Vec::new();
        if limit > 0 {
            self.for_each_raw_from(index, key, |key, value| {
                rows.push((key.to_vec(), value.to_vec()));
                rows.len() < limit
            })?;
        }
        Ok(rows)
    }

    fn for_each_raw_from(
        &self,
        index: usize,
        start: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), DbError> {
        let error = |source| table_error(TABLES[index].name, "walking", source);
        match &self.inner {
            Inner::Disk(inner) => {
                let mut cursor = inner.cursor(&self.tables[index]).map_err(error)?;
                let rows = if start.is_empty() {
                    cursor.iter_start::<Vec<u8>, Vec<u8>>()
                } else {
                    cursor.iter_from::<Vec<u8>, Vec<u8>>(start)
                };
                for row in rows {
                    let (key, value) = row.map_err(error)?;
                    if !visit(&key, &value) {
                        break;
                    }
                }
            }
            Inner::Memory(_) => {
                let mut cursor = self.merged(index)?;
                let mut row = if start.is_empty() { cursor.first()? } else { cursor.seek(start)? };
                while let Some((key, value)) = row {
                    if !visit(&key, &value) {
                        break;
                    }
                    row = cursor.next()?;
                }
            }
        }
        Ok(())
    }
}

impl<'db> RoTxn<'db> {
    /// This snapshot with the rows of `view` on top; of one that has rows in memory already, they are replaced.
    pub(crate) fn under(self, view: &View) -> Self {
        let base = match self.inner {
            Inner::Disk(base) => base,
            Inner::Memory(layered) => layered.base,
        };
        Self::layered(Layered::fixed(base, view), self.tables)
    }

    /// This snapshot with the rows of `layer` on top, which was made upon it.
    #[must_use]
    pub fn topped_by(self, layer: &Layer) -> Self {
        let view = match &self.inner {
            Inner::Disk(_) => View::default(),
            Inner::Memory(layered) => layered.view(),
        };
        self.under(&view.with(layer))
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
        match &self.inner {
            Inner::Disk(inner) => inner
                .put(&self.tables[T::INDEX], key, value, WriteFlags::UPSERT)
                .map_err(|source| table_error(T::NAME, "writing", source)),
            Inner::Memory(layered) => {
                layered.put(T::INDEX, key, value);
                Ok(())
            }
        }
    }

    /// Deletes a row, or in a table with duplicates all rows of `key`; says whether there was one.
    pub fn delete<T: Table>(&self, key: &T::Key) -> Result<bool, DbError> {
        let key = key.encode();
        match &self.inner {
            Inner::Disk(inner) => inner
                .del(&self.tables[T::INDEX], key.as_ref(), None)
                .map_err(|source| table_error(T::NAME, "deleting", source)),
            Inner::Memory(_) => {
                let mut cursor = self.merged(T::INDEX)?;
                let mut found = cursor.seek(key.as_ref())?.is_some_and(|(found, _)| *found == *key.as_ref());
                let any = found;
                while found {
                    cursor.delete_current();
                    found = cursor.next_dup()?.is_some();
                }
                Ok(any)
            }
        }
    }

    /// Deletes every row of `T`.
    pub fn clear<T: Table>(&self) -> Result<(), DbError> {
        self.clear_table(T::INDEX)
    }

    fn clear_table(&self, table: usize) -> Result<(), DbError> {
        match &self.inner {
            Inner::Disk(inner) => inner
                .clear_table(&self.tables[table])
                .map_err(|source| table_error(TABLES[table].name, "clearing", source)),
            Inner::Memory(layered) => {
                layered.clear(table);
                Ok(())
            }
        }
    }

    /// Deletes every row of every table, as if the database had just been created.
    pub fn clear_all(&self) -> Result<(), DbError> {
        (0..TABLES.len()).try_for_each(|table| self.clear_table(table))?;
        self.put_bytes::<crate::tables::Metadata>(
            crate::environment::SCHEMA_KEY,
            &crate::SCHEMA_VERSION.to_be_bytes(),
        )
    }

    /// Makes everything written since the start visible and, unless the database is in bulk mode, durable.
    ///
    /// # Errors
    /// [`DbError::NotInMemory`] for a transaction in memory; otherwise what MDBX says.
    pub fn commit(self) -> Result<(), DbError> {
        let Inner::Disk(inner) = self.inner else { return Err(DbError::NotInMemory) };
        inner.commit().map(drop).map_err(|source| DbError::Transaction { operation: "committing", source })
    }

    /// Ends a transaction in memory: what those see who read after it, and what it changed.
    ///
    /// # Errors
    /// [`DbError::NotInMemory`] for a transaction of the database itself.
    pub fn into_layer(self) -> Result<(View, Layer), DbError> {
        match self.inner {
            Inner::Disk(_) => Err(DbError::NotInMemory),
            Inner::Memory(layered) => layered.finish(),
        }
    }

    /// Writes the rows that a transaction in memory changed.
    ///
    /// # Errors
    /// [`DbError::NotInMemory`] for a transaction in memory; otherwise what MDBX says.
    pub fn apply(&self, layer: &Layer) -> Result<(), DbError> {
        let Inner::Disk(inner) = &self.inner else { return Err(DbError::NotInMemory) };
        for (index, (cleared, rows)) in layer.tables().enumerate() {
            let info = &TABLES[index];
            let error = |source| table_error(info.name, "applying", source);
            if cleared {
                inner.clear_table(&self.tables[index]).map_err(error)?;
            }
            if rows.is_empty() {
                continue;
            }
            let mut cursor = inner.cursor(&self.tables[index]).map_err(error)?;
            for (name, value) in rows {
                let (key, sub_key) = name.split_at(name.len() - info.sub_key_len);
                let old = if info.dup_sort {
                    let old = cursor.get_both_range::<Vec<u8>>(key, sub_key).map_err(error)?;
                    old.is_some_and(|old| old.starts_with(sub_key))
                } else {
                    value.is_none() && cursor.set::<()>(key).map_err(error)?.is_some()
                };
                if old {
                    cursor.del(WriteFlags::CURRENT).map_err(error)?;
                }
                if let Some(value) = value {
                    cursor.put(key, value, WriteFlags::UPSERT).map_err(error)?;
                }
            }
        }
        Ok(())
    }

    /// Appends all rows of the table at `index` of another database to the empty one here, in order.
    ///
    /// # Errors
    /// [`DbError::NotInMemory`] for a transaction in memory; otherwise what MDBX says.
    pub fn append_all_raw<K: TransactionKind>(&self, index: usize, from: &Txn<'_, K>) -> Result<(), DbError> {
        let Inner::Disk(inner) = &self.inner else { return Err(DbError::NotInMemory) };
        let info = &TABLES[index];
        let error = |source| table_error(info.name, "copying", source);
        let flags = if info.dup_sort { WriteFlags::APPEND_DUP } else { WriteFlags::APPEND };
        inner.clear_table(&self.tables[index]).map_err(error)?;
        let mut target = inner.cursor(&self.tables[index]).map_err(error)?;
        let mut result = Ok(());
        from.for_each_raw(index, |key, value| {
            result = target.put(key, value, flags);
            result.is_ok()
        })?;
        result.map_err(error)
    }
}
