//! Which nodes of a trie a witness shows.
//!
//! A witness has every node on the way to a key, whether or not the key is there. Where keys go and a branch is left
//! with one child, that child has to be known too: the branch merges with it. And where a new key leaves an extension
//! on its way, the branch below the extension is shown.
//!
//! Of the trie only the nodes on the way to what is looked at are at hand. What is missing of the others is named, and
//! asked for.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::{
    Nibbles,
    nodes::{BranchNode, RlpNode, TrieNode},
};

/// Nibbles of a key.
const DEPTH: usize = 64;

/// Bytes from which on a node is known by its hash, instead of being part of its parent.
const HASHED_LEN: usize = 32;

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

    /// The keys that go.
    pub(super) fn removed(&self) -> impl Iterator<Item = &B256> {
        self.removed.iter()
    }

    /// Whether a key that begins as `like` up to `depth` is set.
    fn sets_below(&self, like: &B256, depth: usize) -> bool {
        let mut from = *like;
        clear_from(&mut from, depth);
        self.set.range(from..).next().is_some_and(|key| common_len(key, like) >= depth)
    }
}

/// Nodes by their hash.
#[derive(Debug, Default)]
pub(super) struct KnownNodes(BTreeMap<B256, Bytes>);

/// What a walk through the known nodes finds.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// RLP of nodes.
    pub nodes: BTreeSet<Bytes>,
    /// Keys on whose way nodes have to be known that are not.
    pub missing: BTreeSet<B256>,
}

/// A node that is no node: the database is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadNode;

impl KnownNodes {
    pub(super) fn add(&mut self, nodes: Vec<Bytes>) {
        self.0.extend(nodes.into_iter().map(|rlp| (keccak256(&rlp), rlp)));
    }

    /// The nodes that are shown of the trie under `root`, to which those on the way to `keys` and to what goes are
    /// known.
    pub(super) fn shown(
        &self,
        root: &B256,
        keys: impl Iterator<Item = B256>,
        changes: &Changes,
    ) -> Result<Shown, BadNode> {
        let mut keys: Vec<B256> = keys.collect();
        keys.sort_unstable();
        let mut walk = Walk { known: self, changes, shown: Shown::default() };
        if let Some(rlp) = self.0.get(root) {
            if !keys.is_empty() {
                walk.shown.nodes.insert(rlp.clone());
            }
            walk.node(&RlpNode::word_rlp(root), B256::ZERO, 0, &keys, false)?;
        }
        Ok(walk.shown)
    }

    /// The node that its parent names so; `None` when it is not known.
    fn get(&self, name: &RlpNode) -> Result<Option<(TrieNode, Option<&Bytes>)>, BadNode> {
        let known = match name.as_hash() {
            Some(hash) => match self.0.get(&hash) {
                Some(rlp) => Some(rlp),
                None => return Ok(None),
            },
            None => None,
        };
        let mut rlp = known.map_or(name.as_slice(), |rlp| rlp);
        let node = TrieNode::decode(&mut rlp).map_err(|_| BadNode)?;
        Ok(Some((node, known)))
    }
}

struct Walk<'a> {
    known: &'a KnownNodes,
    changes: &'a Changes,
    shown: Shown,
}

impl Walk<'_> {
    /// The node `depth` nibbles down the way to `prefix`, as have `keys`; nibbles of `prefix` behind that are zero.
    fn node(
        &mut self,
        name: &RlpNode,
        prefix: B256,
        depth: usize,
        keys: &[B256],
        alone: bool,
    ) -> Result<(), BadNode> {
        let wanted = alone || !keys.is_empty();
        if !wanted && name.as_hash().is_some() {
            return Ok(());
        }
        let Some((node, rlp)) = self.known.get(name)? else {
            self.shown.missing.insert(prefix);
            return Ok(());
        };
        if let Some(rlp) = rlp.filter(|rlp| wanted && rlp.len() >= HASHED_LEN) {
            self.shown.nodes.insert(rlp.clone());
        }
        match node {
            TrieNode::EmptyRoot | TrieNode::Leaf(_) => Ok(()),
            TrieNode::Extension(extension) => {
                let (below, end) = extend(prefix, depth, &extension.key)?;
                let (through, aside): (Vec<B256>, Vec<B256>) =
                    keys.iter().partition(|key| common_len(key, &below) >= end);
                // A new key that leaves the extension splits it: what is below it is looked at then.
                let is_split = aside.iter().any(|key| self.changes.set.contains(key));
                self.node(&extension.child, below, end, &through, is_split)
            }
            TrieNode::Branch(branch) => self.branch(&branch, prefix, depth, keys),
        }
    }

    fn branch(
        &mut self,
        branch: &BranchNode,
        prefix: B256,
        depth: usize,
        keys: &[B256],
    ) -> Result<(), BadNode> {
        if depth >= DEPTH {
            return Err(BadNode);
        }
        let left_alone = self.left_alone(branch, prefix, depth)?;
        for (own, name) in children(branch) {
            let from = keys.partition_point(|key| nibble(key, depth) < own);
            let to = keys.partition_point(|key| nibble(key, depth) <= own);
            let below = with_nibble(prefix, depth, own);
            self.node(name, below, depth + 1, &keys[from..to], left_alone == Some(own))?;
        }
        Ok(())
    }

    /// The child that stays when all the others go, if any go.
    fn left_alone(&self, branch: &BranchNode, prefix: B256, depth: usize) -> Result<Option<u8>, BadNode> {
        if self.changes.removed.is_empty() {
            return Ok(None);
        }
        let (mut count, mut staying) = (0, Vec::new());
        for (own, name) in children(branch) {
            count += 1;
            if self.stays(name, with_nibble(prefix, depth, own), depth + 1)? {
                staying.push(own);
            }
        }
        Ok(match staying[..] {
            [only] if count > 1 => Some(only),
            _ => None,
        })
    }

    /// Whether anything is left below a node. What goes lies below known nodes only.
    fn stays(&self, name: &RlpNode, prefix: B256, depth: usize) -> Result<bool, BadNode> {
        if self.changes.sets_below(&prefix, depth) {
            return Ok(true);
        }
        let Some((node, _)) = self.known.get(name)? else { return Ok(true) };
        match node {
            TrieNode::EmptyRoot => Ok(false),
            TrieNode::Leaf(leaf) => {
                let (key, end) = extend(prefix, depth, &leaf.key)?;
                if end != DEPTH {
                    return Err(BadNode);
                }
                Ok(!self.changes.removed.contains(&key))
            }
            TrieNode::Extension(extension) => {
                let (below, end) = extend(prefix, depth, &extension.key)?;
                self.stays(&extension.child, below, end)
            }
            TrieNode::Branch(_) if depth >= DEPTH => Err(BadNode),
            TrieNode::Branch(branch) => {
                for (own, name) in children(&branch) {
                    if self.stays(name, with_nibble(prefix, depth, own), depth + 1)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}

/// Nibbles and names of a branch's children.
fn children(branch: &BranchNode) -> impl Iterator<Item = (u8, &RlpNode)> {
    (0..16).filter(|nibble| branch.state_mask.is_bit_set(*nibble)).zip(&branch.stack)
}

/// `prefix` with more nibbles behind the first `depth`, and how many there are then. There is more to come below an
/// extension, and nothing below a leaf.
fn extend(prefix: B256, depth: usize, more: &Nibbles) -> Result<(B256, usize), BadNode> {
    let end = depth + more.len();
    if end > DEPTH {
        return Err(BadNode);
    }
    let key = (depth..end).zip(more.to_vec()).fold(prefix, |key, (at, nibble)| with_nibble(key, at, nibble));
    Ok((key, end))
}

fn with_nibble(mut key: B256, position: usize, nibble: u8) -> B256 {
    key[position / 2] |= if position.is_multiple_of(2) { nibble << 4 } else { nibble };
    key
}

fn nibble(key: &B256, position: usize) -> u8 {
    let byte = key[position / 2];
    if position.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f }
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
    use alloy_primitives::U256;
    use alloy_trie::{HashBuilder, proof::ProofRetainer};

    use super::*;

    /// The trie of these keys' hashes, and the nodes on the way to some.
    fn trie(keys: &[u8], known: &[u8]) -> (B256, KnownNodes) {
        let mut leaves: Vec<_> = keys.iter().map(|key| (keccak256([*key]), U256::from(*key))).collect();
        leaves.sort_unstable();
        let retained = known.iter().map(|key| Nibbles::unpack(keccak256([*key]))).collect();
        let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(retained));
        for (key, value) in &leaves {
            builder.add_leaf(Nibbles::unpack(key), &alloy_rlp::encode(value));
        }
        let root = builder.root();
        let nodes = builder.take_proof_nodes().into_nodes_sorted().into_iter().map(|(_, rlp)| rlp);
        let mut known = KnownNodes::default();
        known.add(nodes.collect());
        (root, known)
    }

    fn shown(keys: &[u8], known: &[u8], wanted: &[u8], changes: &Changes) -> Shown {
        let (root, nodes) = trie(keys, known);
        nodes.shown(&root, wanted.iter().map(|key| keccak256([*key])), changes).unwrap()
    }

    #[test]
    fn nodes_lead_to_what_is_there_and_to_what_is_not() {
        let keys: Vec<u8> = (1..=100).collect();
        let all = shown(&keys, &keys, &keys, &Changes::default());
        assert!(all.missing.is_empty() && all.nodes.len() > 100, "{} nodes", all.nodes.len());
        for key in [7, 200] {
            let found = shown(&keys, &[key], &[key], &Changes::default());
            assert!(found.nodes.is_subset(&all.nodes) && found.nodes.len() < 5, "{}", found.nodes.len());
            assert!(found.missing.is_empty() && !found.nodes.is_empty());
        }
    }

    #[test]
    fn a_child_that_is_left_alone_is_asked_for_and_shown() {
        // Two leaves below one branch: when one goes, the other has to be known.
        let mut changes = Changes::default();
        changes.remove(keccak256([1]));
        let without = shown(&[1, 2], &[1], &[1], &Changes::default());
        assert_eq!((without.nodes.len(), without.missing.len()), (2, 0));
        let first = shown(&[1, 2], &[1], &[1], &changes);
        assert_eq!((first.nodes.len(), first.missing.len()), (2, 1));
        let missing = first.missing.first().unwrap();
        assert!(common_len(missing, &keccak256([2])) > common_len(&keccak256([1]), &keccak256([2])));
        let second = shown(&[1, 2], &[1, 2], &[1], &changes);
        assert_eq!((second.nodes.len(), second.missing.len()), (3, 0));
    }

    #[test]
    fn a_child_that_gets_company_is_not_shown() {
        let mut changes = Changes::default();
        changes.remove(keccak256([1]));
        changes.set(keccak256([1]));
        let found = shown(&[1, 2], &[1], &[1], &changes);
        assert_eq!((found.nodes.len(), found.missing.len()), (2, 0));
    }
}
