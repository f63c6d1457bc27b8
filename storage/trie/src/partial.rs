//! A trie of which only some nodes are at hand: enough to read and to change what they lead to.
//!
//! ```text
//!  TrieNodes (RLP by keccak) ── looked up when first walked ──> PartialTrie ── get, insert, remove ──> root
//!                                                                   │
//!                             untouched children stay hashes ───────┘  only changed paths are hashed again
//! ```
//! - The answer to a read is a value, or a proof that there is none, or [`PartialTrieError::MissingNode`]: a part that
//!   is not at hand never counts as absent.
//! - Nodes are decoded strictly: exactly the bytes that encoding gives, at a depth where they can stand. No input
//!   panics, and recursion is bounded by the 64 nibbles of a key.
//! - Removing a leaf can leave a branch with one child, which is merged with the branch; that child must be at hand
//!   ([`PartialTrieError::MissingSibling`]). Whoever applies a block sets before it removes: a leaf that comes in the
//!   place of one that goes saves the sibling, and witnesses do not hold what was saved.
//! - A call that fails leaves the trie as it was.
//!
//! The account trie and the storage tries are the same structure; [`PartialState`] puts them together.

mod change;
mod node;
mod state;
#[cfg(test)]
mod tests;

use alloy_primitives::{B256, Bytes, keccak256, map::B256Map};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};

use crate::error::PartialTrieError;
use node::{Link, Node};
pub use state::PartialState;

/// Longest node, in bytes of RLP: a branch with sixteen hashes. Leaves of accounts and slots are shorter.
pub const NODE_BYTES_MAX: usize = 532;

/// RLP of nodes by their keccak, of all tries of a state together.
#[derive(Debug, Clone, Default)]
pub struct TrieNodes(B256Map<Bytes>);

impl TrieNodes {
    /// Adds a node under the keccak of its RLP, which it gives. What the node says is looked at when it is walked.
    ///
    /// # Errors
    /// [`PartialTrieError::NodeTooLong`].
    pub fn insert(&mut self, rlp: Bytes) -> Result<B256, PartialTrieError> {
        if rlp.len() > NODE_BYTES_MAX {
            return Err(PartialTrieError::NodeTooLong { max: NODE_BYTES_MAX, got: rlp.len() });
        }
        let hash = keccak256(&rlp);
        self.0.insert(hash, rlp);
        Ok(hash)
    }

    /// How many different ones.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn get(&self, hash: &B256) -> Option<&[u8]> {
        self.0.get(hash).map(|rlp| rlp.as_ref())
    }
}

/// A trie over 32-byte keys of which some nodes are at hand; see the module.
#[derive(Debug, Clone)]
pub struct PartialTrie<'a> {
    nodes: &'a TrieNodes,
    root: Link,
}

impl<'a> PartialTrie<'a> {
    /// The trie with this root; no node is looked up yet.
    pub fn new(nodes: &'a TrieNodes, root: B256) -> Self {
        Self { nodes, root: if root == EMPTY_ROOT_HASH { Link::Empty } else { Link::Hash(root) } }
    }

    /// The value at `key`; `None` when the nodes prove that there is none.
    ///
    /// # Errors
    /// When a node on the way is missing or malformed.
    pub fn get(&mut self, key: &B256) -> Result<Option<&[u8]>, PartialTrieError> {
        let key = Nibbles::unpack_array(&key.0);
        let mut depth = 0;
        let mut link = &mut self.root;
        let mut below_extension = false;
        loop {
            let Some(node) = link.resolve(self.nodes, &key, depth, below_extension)? else {
                return Ok(None);
            };
            match node {
                Node::Leaf { path, value } => return Ok((*path == key.slice(depth..)).then_some(value)),
                Node::Extension { path, child } => {
                    if !key.slice(depth..).starts_with(path) {
                        return Ok(None);
                    }
                    depth += path.len();
                    below_extension = true;
                    link = child;
                }
                Node::Branch(children) => {
                    link = &mut children[usize::from(key.get_unchecked(depth))];
                    depth += 1;
                    below_extension = false;
                }
            }
        }
    }

    /// Sets the value at `key`.
    ///
    /// # Errors
    /// When a node on the way is missing or malformed.
    ///
    /// # Panics
    /// When the value is empty: that is no value in a trie.
    pub fn insert(&mut self, key: &B256, value: Vec<u8>) -> Result<(), PartialTrieError> {
        assert!(!value.is_empty(), "an empty value says that there is none: remove it");
        self.root.insert(self.nodes, &Nibbles::unpack_array(&key.0), 0, false, value)?;
        Ok(())
    }

    /// Removes the value at `key`; whether there was one.
    ///
    /// # Errors
    /// When a node on the way is missing or malformed, or the only node left beside the value.
    pub fn remove(&mut self, key: &B256) -> Result<bool, PartialTrieError> {
        self.root.remove(self.nodes, &Nibbles::unpack_array(&key.0), 0, false)
    }

    /// The root, for which only what changed is hashed.
    pub fn root(&mut self) -> B256 {
        match &mut self.root {
            Link::Empty => EMPTY_ROOT_HASH,
            Link::Hash(hash) => *hash,
            link => {
                let reference = link.reference();
                reference.as_hash().unwrap_or_else(|| keccak256(reference.as_slice()))
            }
        }
    }
}
