//! Where leaves and stored nodes come from: the tables, under what an overlay says.
//!
//! Everything is asked for in ascending order, so that a cursor mostly stands on the answer or just before it.

use std::collections::BTreeMap;

use alloy_primitives::{B256, U256};
use portico_db::{
    Cursor, DbError, DecodeError, Table, TransactionKind, Txn,
    models::Account,
    tables::{HashedAccounts, HashedStorage},
};

use crate::{
    HashedOverlay, TrieUpdates,
    path::{Path, StoragePath},
    row::{AccountRows, Row, StorageRows},
    updates::{NodeChanges, StorageTrieUpdates},
};

/// The state whose root is asked for, and the trie to start from.
#[derive(Debug)]
pub(crate) struct View<'a, K: TransactionKind> {
    pub txn: &'a Txn<'a, K>,
    /// On top of the hashed tables.
    pub state: Option<&'a HashedOverlay>,
    /// On top of the trie tables.
    pub nodes: Option<&'a TrieUpdates>,
}

impl<K: TransactionKind> Clone for View<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: TransactionKind> Copy for View<'_, K> {}

/// Leaves of one kind in a table.
pub(crate) trait Rows {
    /// A leaf's value.
    type Value: Copy;
    /// What an overlay says of it.
    type Change: Copy;

    /// The first leaf at or behind `key`.
    fn seek(&mut self, key: &B256) -> Result<Option<(B256, Self::Value)>, DbError>;

    /// The leaf behind the one that the last call found.
    fn next(&mut self) -> Result<Option<(B256, Self::Value)>, DbError>;

    /// What a leaf is now; `None`: not there.
    fn changed(change: Self::Change) -> Option<Self::Value>;
}

/// Leaves of the state trie.
pub(crate) struct AccountLeaves<'a, K: TransactionKind>(pub Cursor<'a, HashedAccounts, K>);

impl<K: TransactionKind> Rows for AccountLeaves<'_, K> {
    type Value = Account;
    type Change = Option<Account>;

    fn seek(&mut self, key: &B256) -> Result<Option<(B256, Account)>, DbError> {
        self.0.seek(key)
    }

    fn next(&mut self) -> Result<Option<(B256, Account)>, DbError> {
        self.0.next()
    }

    fn changed(change: Option<Account>) -> Option<Account> {
        change
    }
}

/// Leaves of one account's storage trie.
pub(crate) struct StorageLeaves<'c, 'a, K: TransactionKind> {
    pub cursor: &'c mut Cursor<'a, HashedStorage, K>,
    pub hashed_address: B256,
}

impl<K: TransactionKind> Rows for StorageLeaves<'_, '_, K> {
    type Value = U256;
    type Change = U256;

    fn seek(&mut self, key: &B256) -> Result<Option<(B256, U256)>, DbError> {
        Ok(self.cursor.seek_dup(&self.hashed_address, key)?.map(|entry| (entry.slot, entry.value)))
    }

    fn next(&mut self) -> Result<Option<(B256, U256)>, DbError> {
        Ok(self.cursor.next_dup()?.map(|entry| (entry.slot, entry.value)))
    }

    fn changed(change: U256) -> Option<U256> {
        (!change.is_zero()).then_some(change)
    }
}

/// How many leaves are stepped over before it is cheaper to seek.
const STEPS: usize = 3;

/// What the table is known to hold from where its cursor stands.
#[derive(Debug, Clone, Copy)]
enum Ahead<V> {
    /// Nothing was read yet.
    Unknown,
    Leaf(B256, V),
    End,
}

/// Leaves in ascending order, from a table and an overlay on top.
pub(crate) struct Leaves<'o, R: Rows> {
    rows: R,
    ahead: Ahead<R::Value>,
    overlay: Option<&'o BTreeMap<B256, R::Change>>,
}

impl<'o, R: Rows> Leaves<'o, R> {
    pub fn new(rows: R, overlay: Option<&'o BTreeMap<B256, R::Change>>) -> Self {
        Self { rows, ahead: Ahead::Unknown, overlay }
    }

    /// The table's cursor stands on its first leaf.
    pub fn standing_on(mut self, key: B256, value: R::Value) -> Self {
        self.ahead = Ahead::Leaf(key, value);
        self
    }

    /// Takes only what the overlay has.
    pub fn hide_table(mut self) -> Self {
        self.ahead = Ahead::End;
        self
    }

    /// The first leaf at or behind `key`, which does not lie before a key that was asked for earlier.
    pub fn seek(&mut self, key: &B256) -> Result<Option<(B256, R::Value)>, DbError> {
        let mut key = *key;
        loop {
            let stored = self.seek_table(&key)?;
            let Some(overlay) = self.overlay else { return Ok(stored) };
            let Some((changed, change)) = overlay.range(key..).next() else { return Ok(stored) };
            if stored.is_some_and(|(stored, _)| stored < *changed) {
                return Ok(stored);
            }
            if let Some(value) = R::changed(*change) {
                return Ok(Some((*changed, value)));
            }
            let Some(next) = successor(changed) else { return Ok(None) };
            key = next;
        }
    }

    fn seek_table(&mut self, key: &B256) -> Result<Option<(B256, R::Value)>, DbError> {
        let mut steps = 0;
        loop {
            self.ahead = match self.ahead {
                Ahead::Leaf(at, value) if at >= *key => return Ok(Some((at, value))),
                Ahead::End => return Ok(None),
                Ahead::Leaf(at, _) if steps < STEPS => ahead(self.rows.next()?, |found| *found > at)?,
                Ahead::Leaf(..) | Ahead::Unknown => ahead(self.rows.seek(key)?, |found| found >= key)?,
            };
            steps += 1;
        }
    }
}

/// A table's answer, of which `ascends` says whether it lies ahead.
fn ahead<V>(found: Option<(B256, V)>, ascends: impl Fn(&B256) -> bool) -> Result<Ahead<V>, DbError> {
    match found {
        None => Ok(Ahead::End),
        Some((key, value)) if ascends(&key) => Ok(Ahead::Leaf(key, value)),
        Some(_) => Err(slot_with_two_values()),
    }
}

/// What sorts wrongly among the duplicates of an account: nothing else can.
pub(crate) fn slot_with_two_values() -> DbError {
    let source = DecodeError::Malformed { what: "slot with two values" };
    DbError::Corrupt { table: HashedStorage::NAME, source }
}

/// The key behind `key`, unless that is the last one.
pub(crate) fn successor(key: &B256) -> Option<B256> {
    let mut next = *key;
    let carry = next.iter().rposition(|byte| *byte != 0xff)?;
    next[carry] += 1;
    next[carry + 1..].fill(0);
    Some(next)
}

/// The rows of one trie.
pub(crate) trait Nodes {
    /// Table name.
    const TABLE: &'static str;

    /// The first row at or behind `path` in the table.
    fn seek_table(&mut self, path: &Path) -> Result<Option<(Path, Row)>, DbError>;

    /// What is on top of the table.
    fn overlay(&self) -> Option<&NodeChanges>;

    /// The first row at or below `prefix`.
    fn seek(&mut self, prefix: &Path) -> Result<Option<(Path, Row)>, DbError> {
        let mut from = *prefix;
        let mut stored = self.seek_table(&from)?;
        let found = loop {
            let change = self.overlay().and_then(|overlay| overlay.range(from..).next());
            let Some((&at, row)) = change.filter(|(at, _)| prefix.is_prefix_of(at)) else { break stored };
            if stored.is_some_and(|(path, _)| path < at) {
                break stored;
            }
            if let Some(row) = row {
                break Some((at, Row::decode_from(row, Self::TABLE)?));
            }
            from = at.successor();
            if stored.is_some_and(|(path, _)| path == at) {
                stored = self.seek_table(&from)?;
            }
        };
        Ok(found.filter(|(path, _)| prefix.is_prefix_of(path)))
    }
}

/// The rows of the state trie.
pub(crate) struct AccountNodes<'a, K: TransactionKind> {
    pub cursor: Cursor<'a, AccountRows, K>,
    pub overlay: Option<&'a NodeChanges>,
}

impl<K: TransactionKind> Nodes for AccountNodes<'_, K> {
    const TABLE: &'static str = AccountRows::NAME;

    fn seek_table(&mut self, path: &Path) -> Result<Option<(Path, Row)>, DbError> {
        self.cursor.seek(path)
    }

    fn overlay(&self) -> Option<&NodeChanges> {
        self.overlay
    }
}

/// The rows of one account's storage trie.
pub(crate) struct StorageNodes<'c, 'a, K: TransactionKind> {
    pub cursor: &'c mut Cursor<'a, StorageRows, K>,
    pub hashed_address: B256,
    pub overlay: Option<&'a StorageTrieUpdates>,
}

impl<K: TransactionKind> Nodes for StorageNodes<'_, '_, K> {
    const TABLE: &'static str = StorageRows::NAME;

    fn seek_table(&mut self, path: &Path) -> Result<Option<(Path, Row)>, DbError> {
        if self.overlay.is_some_and(|overlay| overlay.wiped) {
            return Ok(None);
        }
        let hashed_address = self.hashed_address;
        let found = self.cursor.seek(&StoragePath { hashed_address, path: *path })?;
        Ok(found.filter(|(key, _)| key.hashed_address == hashed_address).map(|(key, row)| (key.path, row)))
    }

    fn overlay(&self) -> Option<&NodeChanges> {
        self.overlay.map(|overlay| &overlay.nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_key_has_no_successor() {
        assert_eq!(successor(&B256::repeat_byte(0xff)), None);
        assert_eq!(successor(&B256::ZERO), Some(B256::with_last_byte(1)));
        assert_eq!(successor(&B256::with_last_byte(0xff)).unwrap()[30..], [1, 0]);
    }
}
