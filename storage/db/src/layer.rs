//! Rows in memory on top of the database: what a block changes before it is written.
//!
//! ```text
//!  View    all rows that differ from a committed state, of a chain of layers, merged     reads
//!  Layer   the rows that one in-memory write transaction put and deleted, in key order   applied later
//! ```
//! A row is named by its key, in a table with duplicates by key ‖ sub-key, which sorts as MDBX sorts the pairs. Rows
//! are absolute (a value or "deleted"), so a view that was made on one committed state still tells the truth on a later
//! one, as long as only layers of its own chain were applied in between.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, PoisonError, RwLock},
};

use libmdbx::{NoWriteMap, RO};

use crate::{DbError, tables::TABLES, txn::table_error};

/// Key, or key ‖ sub-key.
pub(crate) type RowKey = Arc<[u8]>;

/// The stored form, or `None` for a row that is deleted.
pub(crate) type RowValue = Option<Arc<[u8]>>;

/// The rows of one table that differ from the database.
#[derive(Debug, Clone, Default)]
struct Rows {
    /// Whether the database's own rows no longer count.
    cleared: bool,
    rows: imbl::OrdMap<RowKey, RowValue>,
}

impl Rows {
    fn clear(&mut self) {
        *self = Self { cleared: true, rows: imbl::OrdMap::new() };
    }
}

/// What one transaction in memory changed in one table.
#[derive(Debug, Clone, Default)]
struct Changed {
    /// Whether it emptied the table before it put the rows.
    cleared: bool,
    rows: BTreeMap<RowKey, RowValue>,
}

/// What one in-memory write transaction changed, ready to be applied to the database ([`crate::RwTxn::apply`]).
#[derive(Debug, Clone)]
pub struct Layer {
    tables: Vec<Changed>,
}

impl Layer {
    /// Rows put and deleted.
    pub fn rows(&self) -> usize {
        self.tables.iter().map(|table| table.rows.len()).sum()
    }

    /// Bytes of keys and values, without what holding them costs.
    pub fn bytes(&self) -> usize {
        let row =
            |(key, value): (&RowKey, &RowValue)| key.len() + value.as_ref().map_or(0, |value| value.len());
        self.tables.iter().flat_map(|table| table.rows.iter()).map(row).sum()
    }

    /// Takes over what a later transaction changed, as if one had done both.
    pub fn extend(&mut self, later: &Self) {
        for (table, later) in self.tables.iter_mut().zip(&later.tables) {
            if later.cleared {
                table.cleared = true;
                table.rows.clear();
            }
            table.rows.extend(later.rows.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
    }

    /// Per table: whether to empty it first, and the rows in order.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (bool, &BTreeMap<RowKey, RowValue>)> {
        self.tables.iter().map(|table| (table.cleared, &table.rows))
    }
}

/// All rows that a chain of layers changed. Clones share them.
#[derive(Debug, Clone)]
pub struct View(Arc<Vec<Rows>>);

impl Default for View {
    /// The database as it is.
    fn default() -> Self {
        Self(Arc::new(vec![Rows::default(); TABLES.len()]))
    }
}

impl View {
    /// This view with one layer more.
    #[must_use]
    pub fn with(&self, layer: &Layer) -> Self {
        let mut tables = (*self.0).clone();
        for (table, (cleared, changed)) in tables.iter_mut().zip(layer.tables()) {
            if cleared {
                table.clear();
            }
            for (key, value) in changed {
                table.rows.insert(key.clone(), value.clone());
            }
        }
        Self(Arc::new(tables))
    }

    /// Rows that differ.
    pub fn rows(&self) -> usize {
        self.0.iter().map(|table| table.rows.len()).sum()
    }
}

/// Where the rows of a transaction come from before the database is asked.
#[derive(Debug)]
enum Upper {
    /// A read transaction's.
    Fixed(View),
    /// A write transaction's, table by table: the rows that it sees, and those of them that it wrote.
    Growing(Vec<RwLock<(Rows, Changed)>>),
}

/// A transaction on rows in memory and a committed state below them.
#[derive(Debug)]
pub(crate) struct Layered<'db> {
    pub(crate) base: libmdbx::Transaction<'db, RO, NoWriteMap>,
    upper: Upper,
}

impl<'db> Layered<'db> {
    /// Reads `view` on top of `base`.
    pub(crate) fn fixed(base: libmdbx::Transaction<'db, RO, NoWriteMap>, view: &View) -> Self {
        Self { base, upper: Upper::Fixed(view.clone()) }
    }

    /// Reads `view` on top of `base`, and takes rows.
    pub(crate) fn growing(base: libmdbx::Transaction<'db, RO, NoWriteMap>, view: &View) -> Self {
        let table = |rows: &Rows| RwLock::new((rows.clone(), Changed::default()));
        Self { base, upper: Upper::Growing(view.0.iter().map(table).collect()) }
    }

    /// The rows on top, as they are now.
    pub(crate) fn view(&self) -> View {
        match &self.upper {
            Upper::Fixed(view) => view.clone(),
            Upper::Growing(tables) => {
                let rows = |table: &RwLock<(Rows, Changed)>| {
                    table.read().unwrap_or_else(PoisonError::into_inner).0.clone()
                };
                View(Arc::new(tables.iter().map(rows).collect()))
            }
        }
    }

    fn with<R>(&self, table: usize, read: impl FnOnce(&Rows) -> R) -> R {
        match &self.upper {
            Upper::Fixed(view) => read(&view.0[table]),
            Upper::Growing(tables) => read(&tables[table].read().unwrap_or_else(PoisonError::into_inner).0),
        }
    }

    /// What memory says of a row: `Some(None)` that it is deleted, `None` that the database decides.
    pub(crate) fn find(&self, table: usize, key: &[u8]) -> Option<RowValue> {
        self.with(table, |rows| match rows.rows.get(key) {
            Some(value) => Some(value.clone()),
            None if rows.cleared => Some(None),
            None => None,
        })
    }

    /// Whether the database's rows no longer count.
    pub(crate) fn is_cleared(&self, table: usize) -> bool {
        self.with(table, |rows| rows.cleared)
    }

    /// First row in memory at or behind `from`.
    pub(crate) fn first_from(&self, table: usize, from: Bound<&[u8]>) -> Option<(RowKey, RowValue)> {
        self.with(table, |rows| {
            rows.rows
                .range::<_, [u8]>((from, Bound::Unbounded))
                .next()
                .map(|(key, value)| (key.clone(), value.clone()))
        })
    }

    /// Last row in memory before `to`.
    pub(crate) fn last_before(&self, table: usize, to: Bound<&[u8]>) -> Option<(RowKey, RowValue)> {
        self.with(table, |rows| {
            rows.rows
                .range::<_, [u8]>((Bound::Unbounded, to))
                .next_back()
                .map(|(key, value)| (key.clone(), value.clone()))
        })
    }

    /// Puts a row, replacing the one with its key and sub-key.
    pub(crate) fn put(&self, table: usize, key: &[u8], value: &[u8]) {
        match TABLES[table].sub_key_len {
            0 => self.write(table, key, Some(value)),
            len => self.write(table, &[key, &value[..len.min(value.len())]].concat(), Some(value)),
        }
    }

    /// Puts or deletes a row.
    ///
    /// # Panics
    /// In a read transaction, which has no call that leads here.
    pub(crate) fn write(&self, table: usize, key: &[u8], value: Option<&[u8]>) {
        let Upper::Growing(tables) = &self.upper else { unreachable!("a read transaction writes nothing") };
        let mut rows = tables[table].write().unwrap_or_else(PoisonError::into_inner);
        let (key, value) = (RowKey::from(key), value.map(Arc::from));
        rows.1.rows.insert(key.clone(), value.clone());
        rows.0.rows.insert(key, value);
    }

    /// Empties a table.
    ///
    /// # Panics
    /// In a read transaction, which has no call that leads here.
    pub(crate) fn clear(&self, table: usize) {
        let Upper::Growing(tables) = &self.upper else { unreachable!("a read transaction writes nothing") };
        let mut rows = tables[table].write().unwrap_or_else(PoisonError::into_inner);
        rows.0.clear();
        rows.1 = Changed { cleared: true, rows: BTreeMap::new() };
    }

    /// Ends a write transaction: what readers see now, and what it changed.
    ///
    /// # Errors
    /// [`DbError::NotInMemory`] for a read transaction.
    pub(crate) fn finish(self) -> Result<(View, Layer), DbError> {
        let Upper::Growing(tables) = self.upper else { return Err(DbError::NotInMemory) };
        let (rows, changed) = tables
            .into_iter()
            .map(|table| table.into_inner().unwrap_or_else(PoisonError::into_inner))
            .unzip();
        Ok((View(Arc::new(rows)), Layer { tables: changed }))
    }
}

/// A row as it lies in the database: key, value.
type DiskRow = (Vec<u8>, Vec<u8>);

/// A position in a table of a [`Layered`] transaction.
#[derive(Debug)]
pub(crate) struct MergedCursor<'txn> {
    layered: &'txn Layered<'txn>,
    disk: libmdbx::Cursor<'txn, RO>,
    table: usize,
    position: Position,
    /// The database's first row behind the position, once it was looked for.
    ahead: Option<Option<DiskRow>>,
}

#[derive(Debug)]
enum Position {
    Start,
    At(Name),
    End,
}

/// What a row is found by: a key, and perhaps a sub-key behind it.
#[derive(Debug, Clone)]
struct Name {
    bytes: Vec<u8>,
    key_len: usize,
}

impl Name {
    fn key(&self) -> &[u8] {
        &self.bytes[..self.key_len]
    }

    /// Empty when only a key is looked for.
    fn sub_key(&self) -> &[u8] {
        &self.bytes[self.key_len..]
    }
}

/// A row: its key, and its stored form.
pub(crate) type MergedRow = (Vec<u8>, Arc<[u8]>);

impl<'txn> MergedCursor<'txn> {
    pub(crate) fn new(layered: &'txn Layered<'txn>, disk: libmdbx::Cursor<'txn, RO>, table: usize) -> Self {
        Self { layered, disk, table, position: Position::Start, ahead: None }
    }

    fn sub_key_len(&self) -> usize {
        TABLES[self.table].sub_key_len
    }

    /// What a row of the database is found by.
    fn name_of(&self, (key, value): &DiskRow) -> Result<Name, DbError> {
        let len = self.sub_key_len();
        let sub_key = value.get(..len).ok_or_else(|| DbError::Corrupt {
            table: TABLES[self.table].name,
            source: crate::DecodeError::TooShort { what: "duplicate", len: value.len() },
        })?;
        Ok(Name { bytes: [key, sub_key].concat(), key_len: key.len() })
    }

    fn failed(&self, source: libmdbx::Error) -> DbError {
        table_error(TABLES[self.table].name, "reading", source)
    }

    /// First row of the database at or behind `from`.
    fn disk_from(&mut self, from: &Bound<Name>) -> Result<Option<DiskRow>, DbError> {
        let (name, exclusive) = match from {
            Bound::Unbounded => return self.disk.first().map_err(|error| self.failed(error)),
            Bound::Included(name) => (name, false),
            Bound::Excluded(name) => (name, true),
        };
        let found = if name.sub_key().is_empty() {
            self.disk.set_range::<Vec<u8>, Vec<u8>>(name.key())
        } else {
            let found = self.disk.set_lowerbound::<Vec<u8>, Vec<u8>>(name.key(), Some(name.sub_key()));
            found.map(|found| found.map(|(_, key, value)| (key, value)))
        };
        match found.map_err(|error| self.failed(error))? {
            Some(row) if exclusive && self.name_of(&row)?.bytes == name.bytes => self.disk_next(),
            found => Ok(found),
        }
    }

    fn disk_next(&mut self) -> Result<Option<DiskRow>, DbError> {
        self.disk.next().map_err(|error| self.failed(error))
    }

    /// The first row at or behind `from`, which becomes the position.
    fn forward(&mut self, from: Bound<Name>) -> Result<Option<MergedRow>, DbError> {
        let mut from = from;
        loop {
            let memory = self.layered.first_from(self.table, as_slice(&from));
            let disk = match self.ahead.take() {
                _ if self.layered.is_cleared(self.table) => None,
                Some(ahead) => ahead,
                None => self.disk_from(&from)?,
            };
            let Some(row) = disk else {
                self.ahead = Some(None);
                let Some((name, value)) = memory else {
                    self.position = Position::End;
                    return Ok(None);
                };
                match self.take(&name, value) {
                    Ok(row) => return Ok(Some(row)),
                    Err(deleted) => from = Bound::Excluded(deleted),
                }
                continue;
            };
            let disk_name = self.name_of(&row)?;
            match memory {
                Some((name, value)) if *name <= *disk_name.bytes => {
                    self.ahead = Some(if *name == *disk_name.bytes { self.disk_next()? } else { Some(row) });
                    match self.take(&name, value) {
                        Ok(row) => return Ok(Some(row)),
                        Err(deleted) => from = Bound::Excluded(deleted),
                    }
                }
                _ => {
                    self.ahead = Some(self.disk_next()?);
                    self.position = Position::At(disk_name);
                    return Ok(Some((row.0, row.1.into())));
                }
            }
        }
    }

    /// Moves to a row in memory; gives back the name of one that is deleted.
    fn take(&mut self, name: &[u8], value: RowValue) -> Result<MergedRow, Name> {
        let name = Name { bytes: name.to_vec(), key_len: name.len() - self.sub_key_len() };
        let Some(value) = value else { return Err(name) };
        let key = name.key().to_vec();
        self.position = Position::At(name);
        Ok((key, value))
    }

    /// The last row before `to`, which becomes the position.
    fn backward(&mut self, to: Bound<Name>) -> Result<Option<MergedRow>, DbError> {
        self.ahead = None;
        let mut to = to;
        loop {
            let memory = self.layered.last_before(self.table, as_slice(&to));
            let disk = self.disk_before(&to)?;
            let disk_name = disk.as_ref().map(|row| self.name_of(row)).transpose()?;
            match (memory, disk.zip(disk_name)) {
                (None, None) => {
                    self.position = Position::Start;
                    return Ok(None);
                }
                (Some((name, value)), disk)
                    if disk.as_ref().is_none_or(|(_, disk_name)| *name >= *disk_name.bytes) =>
                {
                    match self.take(&name, value) {
                        Ok(row) => return Ok(Some(row)),
                        Err(deleted) => to = Bound::Excluded(deleted),
                    }
                }
                (_, Some(((key, value), disk_name))) => {
                    self.position = Position::At(disk_name);
                    return Ok(Some((key, value.into())));
                }
                (Some(_), None) => unreachable!("the row in memory is then the last one"),
            }
        }
    }

    fn disk_before(&mut self, to: &Bound<Name>) -> Result<Option<DiskRow>, DbError> {
        if self.layered.is_cleared(self.table) {
            return Ok(None);
        }
        let behind = match to {
            Bound::Excluded(name) => self.disk_from(&Bound::Included(name.clone()))?.is_some(),
            Bound::Included(_) | Bound::Unbounded => false,
        };
        let found = if behind { self.disk.prev() } else { self.disk.last() };
        found.map_err(|error| self.failed(error))
    }

    pub(crate) fn first(&mut self) -> Result<Option<MergedRow>, DbError> {
        self.ahead = None;
        self.forward(Bound::Unbounded)
    }

    pub(crate) fn last(&mut self) -> Result<Option<MergedRow>, DbError> {
        self.backward(Bound::Unbounded)
    }

    pub(crate) fn next(&mut self) -> Result<Option<MergedRow>, DbError> {
        match std::mem::replace(&mut self.position, Position::End) {
            Position::Start => self.first(),
            Position::At(name) => {
                let found = self.forward(Bound::Excluded(name.clone()))?;
                if found.is_none() {
                    // At the last row there is nothing to move to.
                    self.position = Position::At(name);
                }
                Ok(found)
            }
            Position::End => Ok(None),
        }
    }

    pub(crate) fn prev(&mut self) -> Result<Option<MergedRow>, DbError> {
        match std::mem::replace(&mut self.position, Position::Start) {
            Position::Start | Position::End => self.last(),
            Position::At(name) => {
                let found = self.backward(Bound::Excluded(name.clone()))?;
                if found.is_none() {
                    // At the first row there is nothing to move to.
                    self.position = Position::At(name);
                }
                Ok(found)
            }
        }
    }

    /// First row with a key at or behind `key`.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<Option<MergedRow>, DbError> {
        self.ahead = None;
        self.forward(Bound::Included(Name { bytes: key.to_vec(), key_len: key.len() }))
    }

    /// First row at or behind `key` with `sub_key`.
    pub(crate) fn seek_dup(&mut self, key: &[u8], sub_key: &[u8]) -> Result<Option<MergedRow>, DbError> {
        self.ahead = None;
        self.forward(Bound::Included(Name { bytes: [key, sub_key].concat(), key_len: key.len() }))
    }

    /// First row of the next key.
    pub(crate) fn next_key(&mut self) -> Result<Option<MergedRow>, DbError> {
        let Position::At(name) = &self.position else { return self.next() };
        let name = name.clone();
        loop {
            match self.next()? {
                Some((found, _)) if found == name.key() => {}
                None => {
                    self.ahead = None;
                    self.position = Position::At(name);
                    return Ok(None);
                }
                found => return Ok(found),
            }
        }
    }

    /// The next row of the same key; the position stays when there is none.
    pub(crate) fn next_dup(&mut self) -> Result<Option<MergedRow>, DbError> {
        let Position::At(name) = &self.position else { return Ok(None) };
        let name = name.clone();
        match self.next()? {
            Some((found, value)) if found == name.key() => Ok(Some((found, value))),
            _ => {
                self.ahead = None;
                self.position = Position::At(name);
                Ok(None)
            }
        }
    }

    /// Puts a row, wherever the position is.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.layered.put(self.table, key, value);
    }

    /// Deletes the row at the position.
    pub(crate) fn delete_current(&mut self) {
        if let Position::At(name) = &self.position {
            self.layered.write(self.table, &name.bytes, None);
        }
    }
}

fn as_slice(bound: &Bound<Name>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(name) => Bound::Included(&name.bytes),
        Bound::Excluded(name) => Bound::Excluded(&name.bytes),
        Bound::Unbounded => Bound::Unbounded,
    }
}

#[cfg(test)]
mod tests;
