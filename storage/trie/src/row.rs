//! The trie tables, seen without allocating.
//!
//! `portico_db` decodes a row into a `BranchNode` with its hashes on the heap. An update reads about three rows per
//! changed leaf, so this module reads the same bytes into an array:
//!
//! ```text
//!  state mask 2 ‖ tree mask 2 ‖ hash mask 2 (big-endian) ‖ one hash per bit of the hash mask ‖ [root hash]
//!  state  a child is there
//!  hash   it is a branch node (not behind an extension, not inlined) whose hash is in the row
//!  tree   there is a row for it or, behind an extension, below it
//! ```
//!
//! A row exists exactly for the branch nodes with a bit in the tree or the hash mask; the one at the empty path
//! ends in the root hash. Which rows there are, and what they hold, is thus a function of the leaves alone.

use alloy_primitives::B256;
use portico_db::{
    DbError, DecodeError, Table, Value,
    tables::{AccountsTrie, StoragesTrie},
};

use crate::path::{Path, StoragePath};

const MASKS: usize = 6;
const ROW_MAX: usize = MASKS + 17 * 32;

/// A stored branch node, as its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    bytes: [u8; ROW_MAX],
    len: usize,
}

impl Row {
    pub fn state_mask(&self) -> u16 {
        self.mask(0)
    }

    pub fn tree_mask(&self) -> u16 {
        self.mask(2)
    }

    pub fn hash_mask(&self) -> u16 {
        self.mask(4)
    }

    /// The hash of the child at `nibble`, whose bit is set in the hash mask.
    pub fn hash(&self, nibble: u8) -> B256 {
        let before = self.hash_mask() & ((1 << nibble) - 1);
        let start = MASKS + before.count_ones() as usize * 32;
        B256::from_slice(&self.bytes[start..start + 32])
    }

    /// The hash of the node itself, in the row of a root.
    pub fn root_hash(&self) -> Option<B256> {
        let start = MASKS + self.hash_mask().count_ones() as usize * 32;
        (self.len > start).then(|| B256::from_slice(&self.bytes[start..start + 32]))
    }

    /// The row with these bytes, which belongs in `table`.
    pub fn decode_from(bytes: &[u8], table: &'static str) -> Result<Self, DbError> {
        Self::decode(bytes).map_err(|source| DbError::Corrupt { table, source })
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn mask(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]])
    }
}

impl Value for Row {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let len = bytes.len();
        if len < MASKS {
            return Err(DecodeError::TooShort { what: "branch mask", len });
        }
        if len > ROW_MAX {
            return Err(DecodeError::Malformed { what: "branch node" });
        }
        let mut row = Self { bytes: [0; ROW_MAX], len };
        row.bytes[..len].copy_from_slice(bytes);
        if (row.tree_mask() | row.hash_mask()) & !row.state_mask() != 0 {
            return Err(DecodeError::Malformed { what: "branch mask" });
        }
        let hashes_end = MASKS + row.hash_mask().count_ones() as usize * 32;
        if len != hashes_end && len != hashes_end + 32 {
            return Err(DecodeError::Malformed { what: "branch node" });
        }
        Ok(row)
    }
}

/// [`AccountsTrie`] with rows as bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccountRows;

impl Table for AccountRows {
    const INDEX: usize = AccountsTrie::INDEX;
    const NAME: &'static str = AccountsTrie::NAME;
    type Key = Path;
    type Value = Row;
}

/// [`StoragesTrie`] with rows as bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StorageRows;

impl Table for StorageRows {
    const INDEX: usize = StoragesTrie::INDEX;
    const NAME: &'static str = StoragesTrie::NAME;
    type Key = StoragePath;
    type Value = Row;
}

/// Rows one behind the other, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct RowBuffer {
    ends: Vec<(Path, usize)>,
    bytes: Vec<u8>,
}

impl RowBuffer {
    /// Adds a row that `write` appends to the bytes.
    pub fn push_with(&mut self, path: Path, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push((path, self.bytes.len()));
    }

    pub fn push(&mut self, path: Path, row: &[u8]) {
        self.push_with(path, |bytes| bytes.extend_from_slice(row));
    }

    /// Adds all rows of `other`.
    pub fn append(&mut self, other: &Self) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|(path, end)| (*path, start + end)));
    }

    pub fn iter(&self) -> impl Iterator<Item = (Path, &[u8])> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        starts.zip(&self.ends).map(|(start, (path, end))| (*path, &self.bytes[start..*end]))
    }

    /// The rows by path.
    pub fn sorted(&self) -> Vec<(Path, &[u8])> {
        let mut rows: Vec<_> = self.iter().collect();
        rows.sort_unstable_by_key(|(path, _)| *path);
        rows
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn clear(&mut self) {
        self.ends.clear();
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_db::models::BranchNode;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_read_as_branch_nodes_do(state: u16, tree: u16, hash: u16, root: Option<[u8; 32]>) {
            let (tree, hash) = (tree & state, hash & state);
            let hashes = (0..hash.count_ones()).map(|i| B256::repeat_byte(i as u8 + 1)).collect();
            let node = BranchNode::new(state, tree, hash, hashes, root.map(B256::from));
            let mut bytes = Vec::new();
            node.encode(&mut bytes);
            let row = Row::decode(&bytes).unwrap();
            prop_assert_eq!((row.state_mask(), row.tree_mask(), row.hash_mask()), (state, tree, hash));
            prop_assert_eq!(row.root_hash(), node.root_hash);
            for nibble in (0..16).filter(|nibble| hash & 1 << nibble != 0) {
                prop_assert_eq!(row.hash(nibble), node.hash_for_nibble(nibble));
            }
        }

        #[test]
        fn what_is_no_branch_node_is_no_row(bytes in proptest::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..600)) {
            prop_assert_eq!(Row::decode(&bytes).is_ok(), BranchNode::decode(&bytes).is_ok());
        }
    }
}
