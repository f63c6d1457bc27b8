//! An update: descends from stored node to stored node along what changed, and hands everything else to the builder
//! as hashes.
//!
//! ```text
//!  child of a stored node     nothing changed below    something changed below
//!  in the hash mask           its hash                 descend if in the tree mask, else its leaves
//!  in the tree mask only      descend                  descend
//!  other                      its leaves (few)         its leaves
//! ```
//!
//! Leaves are always read from the hashed state as it is now, so that it does not matter how they changed.

use alloy_primitives::B256;
use rayon::prelude::*;

use crate::{
    builder::{Branch, Builder, NodeRef, Subtrie},
    error::TrieError,
    path::{Path, nibble},
    row::{Row, RowBuffer},
    source::Nodes,
};

/// Brings the leaves below a path to the builder.
pub(crate) trait LeafFeed {
    /// Adds all leaves below `prefix` to `builder`; of those that may have changed, `changed` has the keys.
    fn feed(&mut self, prefix: &Path, changed: &[B256], builder: &mut Builder) -> Result<(), TrieError>;
}

/// One update of (a part of) one trie.
pub(crate) struct Walker<'b, N, L> {
    pub nodes: N,
    pub leaves: L,
    pub builder: &'b mut Builder,
    /// Rows that were descended into: those that the builder does not make again are gone.
    pub visited: RowBuffer,
}

impl<N: Nodes, L: LeafFeed> Walker<'_, N, L> {
    /// Feeds the whole trie, of which `first` is the first row.
    pub fn trie(&mut self, first: Option<(Path, Row)>, changed: &[B256]) -> Result<(), TrieError> {
        match first {
            Some((path, row)) => self.subtrie(&Path::default(), &path, &row, changed),
            None => self.leaves.feed(&Path::default(), changed, self.builder),
        }
    }

    /// Feeds what is below `prefix`, where the trie's topmost branch node is `row` at `path`.
    fn subtrie(&mut self, prefix: &Path, path: &Path, row: &Row, changed: &[B256]) -> Result<(), TrieError> {
        debug_assert!(prefix.is_prefix_of(path));
        let (before, rest) = changed.split_at(changed.partition_point(|key| key < path.first_key()));
        let (below, behind) = rest.split_at(rest.partition_point(|key| path.covers(key)));
        self.lone_leaves(before)?;
        self.visited.push(*path, row.as_bytes());
        let mut changed = below;
        for nibble in 0..16 {
            self.child(path, row, nibble, take_child(&mut changed, path.len(), nibble))?;
        }
        self.lone_leaves(behind)
    }

    /// Feeds the leaves with these keys, which lie where the trie had none.
    fn lone_leaves(&mut self, keys: &[B256]) -> Result<(), TrieError> {
        keys.iter()
            .try_for_each(|key| self.leaves.feed(&Path::leaf(key), std::slice::from_ref(key), self.builder))
    }

    /// Feeds what is below the child at `nibble` of the stored node `row`.
    pub fn child(&mut self, path: &Path, row: &Row, nibble: u8, changed: &[B256]) -> Result<(), TrieError> {
        let bit = 1 << nibble;
        let stored = row.tree_mask() & bit != 0;
        if changed.is_empty() {
            if row.state_mask() & bit == 0 {
                return Ok(());
            }
            if row.hash_mask() & bit != 0 {
                let child = path.child(nibble);
                let reference = NodeRef::of_hash(&row.hash(nibble));
                self.builder.branch(child.first_key(), Branch { depth: child.len(), reference, stored });
                return Ok(());
            }
        }
        let child = path.child(nibble);
        if !stored {
            return self.leaves.feed(&child, changed, self.builder);
        }
        let Some((below, row)) = self.nodes.seek(&child)? else {
            return Err(TrieError::MissingNode { table: N::TABLE, path: child.to_nibbles() });
        };
        self.subtrie(&child, &below, &row, changed)
    }
}

/// What became of one child of a root.
#[derive(Debug)]
pub(crate) struct Part {
    pub top: Option<Subtrie>,
    /// Rows of the nodes that are now below.
    pub made: RowBuffer,
    /// Rows that were visited.
    pub visited: RowBuffer,
    /// Changed keys that have no leaf.
    pub gone: Vec<B256>,
}

/// Walks the children of the stored `root` on several threads.
pub(crate) fn walk_children(
    root: &Row,
    mut changed: &[B256],
    walk: impl Fn(u8, &[B256]) -> Result<Part, TrieError> + Sync,
) -> Result<Vec<Part>, TrieError> {
    debug_assert!(root.state_mask() != 0, "a branch node has children");
    let children: Vec<_> = (0..16).map(|nibble| (nibble, take_child(&mut changed, 0, nibble))).collect();
    children.par_iter().with_max_len(1).map(|(nibble, changed)| walk(*nibble, changed)).collect()
}

/// Puts the children under one root again; `builder` then has the rows that replace the ones returned.
pub(crate) fn join_children(builder: &mut Builder, root: &Row, parts: &[Part]) -> RowBuffer {
    let mut visited = RowBuffer::default();
    visited.push(Path::default(), root.as_bytes());
    builder.rows.clear();
    for part in parts {
        visited.append(&part.visited);
        builder.rows.append(&part.made);
        if let Some(top) = &part.top {
            builder.subtrie(top);
        }
    }
    visited
}

/// Splits off the front of `keys` with `value` as their nibble at `depth`.
pub(crate) fn take_child<'k>(keys: &mut &'k [B256], depth: usize, value: u8) -> &'k [B256] {
    let end = match keys.first() {
        Some(key) if nibble(key, depth) == value => keys.partition_point(|key| nibble(key, depth) <= value),
        _ => 0,
    };
    let (taken, rest) = keys.split_at(end);
    *keys = rest;
    taken
}
