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
    borrow::Cow,
    cmp::Ordering,
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, PoisonError, RwLock},
};

use equivalent::{Comparable, Equivalent};
use libmdbx::{NoWriteMap, RO};
use smallvec::SmallVec;

use crate::{DbError, tables::TABLES, txn::table_error};

/// Key, or key ‖ sub-key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowKey {
    /// See [`head`]: mostly decides where the key sorts, without a look at bytes that lie elsewhere.
    head: u64,
    bytes: Arc<[u8]>,
}

impl From<&[u8]> for RowKey {
    fn from(bytes: &[u8]) -> Self {
        Self { head: head(bytes), bytes: bytes.into() }
    }
}

impl std::ops::Deref for RowKey {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The first bytes as a number, with zeros behind when there are fewer: keys of which it differs sort as it does.
fn head(bytes: &[u8]) -> u64 {
    let mut head = [0; 8];
    let len = bytes.len().min(8);
    head[..len].copy_from_slice(&bytes[..len]);
    u64::from_be_bytes(head)
}

/// A [`RowKey`] that is looked for.
struct Wanted<'a> {
    head: u64,
    bytes: &'a [u8],
}

impl<'a> Wanted<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { head: head(bytes), bytes }
    }

    fn bound(bound: Bound<&'a [u8]>) -> Bound<Self> {
        bound.map(Self::new)
    }
}

impl Equivalent<RowKey> for Wanted<'_> {
    fn equivalent(&self, key: &RowKey) -> bool {
        self.compare(key).is_eq()
    }
}

impl Comparable<RowKey> for Wanted<'_> {
    fn compare(&self, key: &RowKey) -> Ordering {
        self.head.cmp(&key.head).then_with(|| self.bytes.cmp(&key.bytes))
    }
}

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
        self.with(table, |rows| match rows.rows.get(&Wanted::new(key)) {
            Some(value) => Some(value.clone()),
            None if rows.cleared => Some(None),
            None => None,
        })
    }

    /// Whether the database's rows no longer count.
    pub(crate) fn is_cleared(&self, table: usize) -> bool {
        self.with(table, |rows| rows.cleared)
    }

    /// First row in memory at or behind `from`, and whether the database's rows no longer count.
    pub(crate) fn first_from(&self, table: usize, from: Bound<&[u8]>) -> (Option<(RowKey, RowValue)>, bool) {
        self.with(table, |rows| {
            let first = rows.rows.range::<_, Wanted<'_>>((Wanted::bound(from), Bound::Unbounded)).next();
            (first.map(|(key, value)| (key.clone(), value.clone())), rows.cleared)
        })
    }

    /// Last row in memory before `to`.
    pub(crate) fn last_before(&self, table: usize, to: Bound<&[u8]>) -> Option<(RowKey, RowValue)> {
        self.with(table, |rows| {
            rows.rows
                .range::<_, Wanted<'_>>((Bound::Unbounded, Wanted::bound(to)))
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

/// A row as it lies in the database: key, value. They stay where they are as long as the transaction lasts.
type DiskRow<'txn> = (Cow<'txn, [u8]>, Cow<'txn, [u8]>);

/// A position in a table of a [`Layered`] transaction.
#[derive(Debug)]
pub(crate) struct MergedCursor<'txn> {
    layered: &'txn Layered<'txn>,
    disk: libmdbx::Cursor<'txn, RO>,
    table: usize,
    position: Position,
    ahead: Ahead<'txn>,
}

#[derive(Debug)]
enum Position {
    Start,
    At(Name),
    End,
}

/// What is known of the database's first row behind the position.
#[derive(Debug, Default)]
enum Ahead<'txn> {
    #[default]
    Unknown,
    /// The database's cursor stands at the position: it is the next one.
    Next,
    /// It was read, and the database's cursor stands on it.
    Row(DiskRow<'txn>),
    /// There is none.
    End,
}

/// Bytes of a name that need no memory of their own: an account and a slot by their hashes, and most paths.
const NAME_INLINE: usize = 80;

/// What a row is found by: a key, and perhaps a sub-key behind it.
#[derive(Debug, Clone)]
struct Name {
    bytes: SmallVec<[u8; NAME_INLINE]>,
    key_len: usize,
}

impl Name {
    fn new(key: &[u8], sub_key: &[u8]) -> Self {
        let mut bytes = SmallVec::from_slice(key);
        bytes.extend_from_slice(sub_key);
        Self { bytes, key_len: key.len() }
    }

    fn key(&self) -> &[u8] {
        &self.bytes[..self.key_len]
    }

    /// Empty when only a key is looked for.
    fn sub_key(&self) -> &[u8] {
        &self.bytes[self.key_len..]
    }
}

/// A part of a row, where it lies.
#[derive(Debug, Clone)]
pub(crate) enum RowBytes<'txn> {
    Disk(Cow<'txn, [u8]>),
    /// The first bytes of what is in memory.
    Memory(Arc<[u8]>, usize),
}

impl std::ops::Deref for RowBytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Disk(bytes) => bytes,
            Self::Memory(bytes, len) => &bytes[..*len],
        }
    }
}

/// A row: its key, and its stored form.
pub(crate) type MergedRow<'txn> = (RowBytes<'txn>, RowBytes<'txn>);

impl<'txn> MergedCursor<'txn> {
    pub(crate) fn new(layered: &'txn Layered<'txn>, disk: libmdbx::Cursor<'txn, RO>, table: usize) -> Self {
        Self { layered, disk, table, position: Position::Start, ahead: Ahead::Unknown }
    }

    fn sub_key_len(&self) -> usize {
        TABLES[self.table].sub_key_len
    }

    /// What a row of the database is found by.
    fn name_of(&self, (key, value): &DiskRow<'_>) -> Result<Name, DbError> {
        let len = self.sub_key_len();
        let sub_key = value.get(..len).ok_or_else(|| DbError::Corrupt {
            table: TABLES[self.table].name,
            source: crate::DecodeError::TooShort { what: "duplicate", len: value.len() },
        })?;
        Ok(Name::new(key, sub_key))
    }

    fn failed(&self, source: libmdbx::Error) -> DbError {
        table_error(TABLES[self.table].name, "reading", source)
    }

    /// First row of the database at or behind `from`.
    fn disk_from(&mut self, from: &Bound<Name>) -> Result<Option<DiskRow<'txn>>, DbError> {
        let (name, exclusive) = match from {
            Bound::Unbounded => return self.disk.first().map_err(|error| self.failed(error)),
            Bound::Included(name) => (name, false),
            Bound::Excluded(name) => (name, true),
        };
        let found = if name.sub_key().is_empty() {
            self.disk.set_range(name.key())
        } else {
            let found = self.disk.set_lowerbound(name.key(), Some(name.sub_key()));
            found.map(|found| found.map(|(_, key, value)| (key, value)))
        };
        match found.map_err(|error| self.failed(error))? {
            Some(row) if exclusive && self.name_of(&row)?.bytes == name.bytes => self.disk_next(),
            found => Ok(found),
        }
    }

    fn disk_next(&mut self) -> Result<Option<DiskRow<'txn>>, DbError> {
        self.disk.next().map_err(|error| self.failed(error))
    }

    /// The first row at or behind `from`, which becomes the position.
    fn forward(&mut self, from: Bound<Name>) -> Result<Option<MergedRow<'txn>>, DbError> {
        let mut from = from;
        loop {
            let (memory, cleared) = self.layered.first_from(self.table, as_slice(&from));
            if let (Bound::Included(wanted), Some((name, Some(value)))) = (&from, &memory)
                && wanted.bytes[..] == **name
                && wanted.key_len + self.sub_key_len() == name.len()
            {
                // Whatever the database has there is hidden.
                self.ahead = Ahead::Unknown;
                return Ok(Some(self.take(name, value.clone())));
            }
            let disk = match std::mem::take(&mut self.ahead) {
                _ if cleared => None,
                Ahead::End => None,
                Ahead::Row(row) => Some(row),
                Ahead::Next => self.disk_next()?,
                Ahead::Unknown => self.disk_from(&from)?,
            };
            let disk_name = disk.as_ref().map(|row| self.name_of(row)).transpose()?;
            match (memory, disk.zip(disk_name)) {
                (None, None) => {
                    self.ahead = Ahead::End;
                    self.position = Position::End;
                    return Ok(None);
                }
                (Some((name, value)), disk)
                    if disk.as_ref().is_none_or(|(_, disk_name)| *name <= *disk_name.bytes) =>
                {
                    self.ahead = match disk {
                        None => Ahead::End,
                        Some((_, disk_name)) if *name == *disk_name.bytes => Ahead::Next,
                        Some((row, _)) => Ahead::Row(row),
                    };
                    match value {
                        Some(value) => return Ok(Some(self.take(&name, value))),
                        None => from = Bound::Excluded(self.name_in_memory(&name)),
                    }
                }
                (_, Some(((key, value), disk_name))) => {
                    self.ahead = Ahead::Next;
                    self.position = Position::At(disk_name);
                    return Ok(Some((RowBytes::Disk(key), RowBytes::Disk(value))));
                }
                (Some(_), None) => unreachable!("the row in memory is then the next one"),
            }
        }
    }

    fn name_in_memory(&self, name: &RowKey) -> Name {
        Name { bytes: SmallVec::from_slice(name), key_len: name.len() - self.sub_key_len() }
    }

    /// Moves to a row in memory.
    fn take(&mut self, name: &RowKey, value: Arc<[u8]>) -> MergedRow<'txn> {
        let (position, len) = (self.name_in_memory(name), value.len());
        let key = RowBytes::Memory(name.bytes.clone(), position.key_len);
        self.position = Position::At(position);
        (key, RowBytes::Memory(value, len))
    }

    /// The last row before `to`, which becomes the position.
    fn backward(&mut self, to: Bound<Name>) -> Result<Option<MergedRow<'txn>>, DbError> {
        self.ahead = Ahead::Unknown;
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
                    match value {
                        Some(value) => return Ok(Some(self.take(&name, value))),
                        None => to = Bound::Excluded(self.name_in_memory(&name)),
                    }
                }
                (_, Some(((key, value), disk_name))) => {
                    self.position = Position::At(disk_name);
                    return Ok(Some((RowBytes::Disk(key), RowBytes::Disk(value))));
                }
                (Some(_), None) => unreachable!("the row in memory is then the last one"),
            }
        }
    }

    fn disk_before(&mut self, to: &Bound<Name>) -> Result<Option<DiskRow<'txn>>, DbError> {
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

    pub(crate) fn first(&mut self) -> Result<Option<MergedRow<'txn>>, DbError> {
        self.ahead = Ahead::Unknown;
        self.forward(Bound::Unbounded)
    }

    pub(crate) fn last(&mut self) -> Result<Option<MergedRow<'txn>>, DbError> {
        self.backward(Bound::Unbounded)
    }

    pub(crate) fn next(&mut self) -> Result<Option<MergedRow<'txn>>, DbError> {
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

    pub(crate) fn prev(&mut self) -> Result<Option<MergedRow<'txn>>, DbError> {
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
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<Option<MergedRow<'txn>>, DbError> {
        self.ahead = Ahead::Unknown;
        self.forward(Bound::Included(Name::new(key, &[])))
    }

    /// First row at or behind `key` with `sub_key`.
    pub(crate) fn seek_dup(
        &mut self,
        key: &[u8],
        sub_key: &[u8],
    ) -> Result<Option<MergedRow<'txn>>, DbError> {
        self.ahead = Ahead::Unknown;
        self.forward(Bound::Included(Name::new(key, sub_key)))
    }

    /// First row of the next key, however many rows the key has. The keys of a table with duplicates have one length.
    pub(crate) fn next_key(&mut self) -> Result<Option<MergedRow<'txn>>, DbError> {
        let Position::At(name) = &self.position else { return self.next() };
        if self.sub_key_len() == 0 {
            return self.next();
        }
        let name = name.clone();
        let found = successor(name.key()).map_or(Ok(None), |next| self.seek(&next))?;
        if found.is_none() {
            self.ahead = Ahead::Unknown;
            self.position = Position::At(name);
        }
        Ok(found)
    }

    /// The next row of the same key; the position stays when there is none.
    pub(crate) fn next_dup(&mut self) -> Result<Option<MergedRow<'txn>>, DbError> {
        let Position::At(name) = &self.position else { return Ok(None) };
        let name = name.clone();
        match self.next()? {
            Some((found, value)) if *found == *name.key() => Ok(Some((found, value))),
            _ => {
                self.ahead = Ahead::Unknown;
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

/// The key behind `key` among those of its length.
fn successor(key: &[u8]) -> Option<Vec<u8>> {
    let last = key.iter().rposition(|byte| *byte != 0xff)?;
    let mut next = key.to_vec();
    next[last] += 1;
    next[last + 1..].fill(0);
    Some(next)
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
