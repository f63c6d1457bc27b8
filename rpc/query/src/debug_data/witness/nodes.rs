//! Nodes of a trie of which all leaves are at hand.
//!
//! A witness has every node on the way to a key, whether or not the key is there. Where keys go and a branch is left
//! with one child, that child has to be known too: the branch merges with it.

use std::collections::BTreeSet;

use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::{
    EMPTY_ROOT_HASH, Nibbles, TrieMask,
    nodes::{BranchNode, ExtensionNode, LeafNode, RlpNode},
};

/// Nibbles of a key.
const DEPTH: usize = 64;

/// Bytes from which on a node is known by its hash, instead of being part of its parent.
const HASHED_LEN: usize = 32;

/// Leaves with hashed keys.
#[derive(Debug, Default)]
pub(super) struct TrieLeaves(Vec<(B256, Vec<u8>)>);

/// What becomes of the keys of a trie.
#[derive(Debug, Default)]
pub(super) struct Changes {
    removed: BTreeSet<B256>,
    set: BTreeSet<B256>,
}

impl Changes {
    pub(super) fn remove(&mut self, key: B256) {
        self.removed.insert(key);
    }

    pub(super) fn set(&mut self, key: B256) {
        self.set.insert(key);
    }

    /// Whether a key that begins as `like` up to `depth` is set.
    fn sets_below(&self, like: &B256, depth: usize) -> bool {
        let mut from = *like;
        clear_from(&mut from, depth);
        self.set.range(from..).next().is_some_and(|key| common_len(key, like) >= depth)
    }
}

impl TrieLeaves {
    pub(super) fn push(&mut self, key: B256, value: Vec<u8>) {
        self.0.push((key, value));
    }

    /// Adds the nodes to `keys` to `found`, and gives the root.
    pub(super) fn nodes_to(
        mut self,
        keys: impl Iterator<Item = B256>,
        changes: &Changes,
        found: &mut BTreeSet<Bytes>,
    ) -> B256 {
        if self.0.is_empty() {
            return EMPTY_ROOT_HASH;
        }
        self.0.sort_unstable_by_key(|(key, _)| *key);
        let mut keys: Vec<B256> = keys.collect();
        keys.sort_unstable();
        let mut walk = Walk { changes, found };
        let root = walk.node(&self.0, 0, &keys, false);
        if root.1.len() < HASHED_LEN && !keys.is_empty() {
            walk.found.insert(root.1.clone().into());
        }
        keccak256(root.1)
    }
}

/// A node as its parent names it, and its bytes.
type Built = (RlpNode, Vec<u8>);

struct Walk<'a> {
    changes: &'a Changes,
    found: &'a mut BTreeSet<Bytes>,
}

impl Walk<'_> {
    /// The node over `leaves`, which have the same first `depth` nibbles, as have `keys`.
    fn node(&mut self, leaves: &[(B256, Vec<u8>)], depth: usize, keys: &[B256], alone: bool) -> Built {
        let first = &leaves[0].0;
        let wanted = alone || !keys.is_empty();
        if let [(key, value)] = leaves {
            let mut bytes = Vec::new();
            let node = LeafNode::new(nibbles(key, depth..DEPTH), value.clone());
            let name = node.as_ref().rlp(&mut bytes);
            return self.built(name, bytes, wanted);
        }
        let shared = common_len(first, &leaves[leaves.len() - 1].0);
        if shared > depth {
            let below: Vec<B256> =
                keys.iter().copied().filter(|key| common_len(key, first) >= shared).collect();
            // A new key that leaves the extension splits it: what is below it is looked at then.
            let splits = |key: &B256| common_len(key, first) < shared && self.changes.set.contains(key);
            let is_split = keys.iter().any(splits);
            let (child, _) = self.branch(leaves, shared, &below, is_split);
            let mut bytes = Vec::new();
            let node = ExtensionNode::new(nibbles(first, depth..shared), child);
            let name = node.as_ref().rlp(&mut bytes);
            return self.built(name, bytes, wanted);
        }
        self.branch(leaves, depth, keys, alone)
    }

    fn branch(&mut self, leaves: &[(B256, Vec<u8>)], depth: usize, keys: &[B256], alone: bool) -> Built {
        let nibble_of = |key: &B256| nibble(key, depth);
        let children: Vec<&[(B256, Vec<u8>)]> =
            leaves.chunk_by(|(left, _), (right, _)| nibble_of(left) == nibble_of(right)).collect();
        let left_alone = self.left_alone(&children, depth);
        let mut mask = TrieMask::default();
        let mut names = Vec::with_capacity(children.len());
        for child in children {
            let own = nibble_of(&child[0].0);
            mask.set_bit(own);
            let from = keys.partition_point(|key| nibble_of(key) < own);
            let to = keys.partition_point(|key| nibble_of(key) <= own);
            let (name, _) = self.node(child, depth + 1, &keys[from..to], left_alone == Some(own));
            names.push(name);
        }
        let mut bytes = Vec::new();
        let node = BranchNode::new(names, mask);
        let name = node.as_ref().rlp(&mut bytes);
        self.built(name, bytes, alone || !keys.is_empty())
    }

    /// The child that stays when all the others go, if any go.
    fn left_alone(&self, children: &[&[(B256, Vec<u8>)]], depth: usize) -> Option<u8> {
        if self.changes.removed.is_empty() {
            return None;
        }
        let stays = |child: &&&[(B256, Vec<u8>)]| {
            child.iter().any(|(key, _)| !self.changes.removed.contains(key))
                || self.changes.sets_below(&child[0].0, depth + 1)
        };
        let mut staying = children.iter().filter(stays);
        let only = staying.next()?;
        let goes_some = children.len() > 1;
        (staying.next().is_none() && goes_some).then(|| nibble(&only[0].0, depth))
    }

    fn built(&mut self, name: RlpNode, bytes: Vec<u8>, wanted: bool) -> Built {
        if wanted && bytes.len() >= HASHED_LEN {
            self.found.insert(bytes.clone().into());
        }
        (name, bytes)
    }
}

fn nibble(key: &B256, position: usize) -> u8 {
    let byte = key[position / 2];
    if position.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f }
}

fn nibbles(key: &B256, range: std::ops::Range<usize>) -> Nibbles {
    Nibbles::unpack(key).slice(range)
}

/// How many nibbles two keys begin with alike.
fn common_len(left: &B256, right: &B256) -> usize {
    (0..DEPTH).find(|position| nibble(left, *position) != nibble(right, *position)).unwrap_or(DEPTH)
}

/// Zeroes all nibbles from `position` on.
fn clear_from(key: &mut B256, position: usize) {
    let whole = position.div_ceil(2);
    if !position.is_multiple_of(2) {
        key[position / 2] &= 0xf0;
    }
    key[whole..].fill(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;
    use alloy_trie::root::storage_root;

    fn trie(keys: &[u8]) -> TrieLeaves {
        let mut leaves = TrieLeaves::default();
        for key in keys {
            leaves.push(keccak256([*key]), alloy_rlp::encode(U256::from(*key)));
        }
        leaves
    }

    #[test]
    fn the_root_is_that_of_the_trie() {
        for count in [1, 2, 5, 40, 200] {
            let keys: Vec<u8> = (1..=count).collect();
            let mut slots: Vec<_> = keys.iter().map(|key| (keccak256([*key]), U256::from(*key))).collect();
            slots.sort_unstable();
            let root = trie(&keys).nodes_to([].into_iter(), &Changes::default(), &mut BTreeSet::new());
            assert_eq!(root, storage_root(slots), "{count} leaves");
        }
    }

    #[test]
    fn nodes_lead_to_what_is_there_and_to_what_is_not() {
        let keys: Vec<u8> = (1..=100).collect();
        let mut all = BTreeSet::new();
        trie(&keys).nodes_to(keys.iter().map(|key| keccak256([*key])), &Changes::default(), &mut all);
        for key in [7, 200] {
            let mut found = BTreeSet::new();
            let root = trie(&keys).nodes_to([keccak256([key])].into_iter(), &Changes::default(), &mut found);
            assert!(found.iter().any(|node| keccak256(node) == root));
            assert!(found.is_subset(&all) && found.len() < 5, "{} nodes", found.len());
        }
    }

    #[test]
    fn a_child_that_is_left_alone_is_shown() {
        // Two leaves below one branch: when one goes, the other has to be known.
        let mut changes = Changes::default();
        changes.remove(keccak256([1]));
        let (mut with, mut without) = (BTreeSet::new(), BTreeSet::new());
        trie(&[1, 2]).nodes_to([keccak256([1])].into_iter(), &changes, &mut with);
        trie(&[1, 2]).nodes_to([keccak256([1])].into_iter(), &Changes::default(), &mut without);
        assert_eq!((with.len(), without.len()), (3, 2));
    }
}
