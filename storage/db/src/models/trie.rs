//! Stored branch nodes of the state trie and the storage tries.

use std::sync::Arc;

use alloy_primitives::B256;
use alloy_trie::TrieMask;
pub use alloy_trie::{BranchNodeCompact as BranchNode, Nibbles};

use crate::{DecodeError, Key, Value, codec::Reader};

/// One byte per nibble, at most 64: paths sort depth first, a node before what lies under it.
impl Key for Nibbles {
    type Encoded = Vec<u8>;

    fn encode(&self) -> Vec<u8> {
        self.to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > 64 || bytes.iter().any(|nibble| *nibble > 15) {
            return Err(DecodeError::Malformed { what: "trie path" });
        }
        Ok(Self::from_nibbles(bytes))
    }
}

/// A node of an account's storage trie: keccak(address) 32 ‖ path, one byte per nibble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StorageTrieKey {
    /// Keccak of the account's address.
    pub hashed_address: B256,
    /// Path in that account's storage trie.
    pub path: Nibbles,
}

impl Key for StorageTrieKey {
    type Encoded = Vec<u8>;

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32 + self.path.len());
        bytes.extend_from_slice(self.hashed_address.as_slice());
        bytes.extend_from_slice(&self.path.to_vec());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some((address, path)) = bytes.split_at_checked(32) else {
            return Err(DecodeError::TooShort { what: "storage trie key", len: bytes.len() });
        };
        Ok(Self { hashed_address: Key::decode(address)?, path: Key::decode(path)? })
    }
}

/// State mask 2 ‖ tree mask 2 ‖ hash mask 2 (big-endian) ‖ one hash per bit of the hash mask ‖ [root hash].
impl Value for BranchNode {
    fn encode(&self, out: &mut Vec<u8>) {
        for mask in [self.state_mask, self.tree_mask, self.hash_mask] {
            out.extend_from_slice(&mask.get().to_be_bytes());
        }
        for hash in self.hashes.iter().chain(&self.root_hash) {
            out.extend_from_slice(hash.as_slice());
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut mask = || -> Result<TrieMask, DecodeError> {
            let bytes = reader.take(2, "branch mask")?;
            Ok(TrieMask::new(u16::from_be_bytes([bytes[0], bytes[1]])))
        };
        let (state_mask, tree_mask, hash_mask) = (mask()?, mask()?, mask()?);
        let (state, tree, hash) = (state_mask.get(), tree_mask.get(), hash_mask.get());
        if tree & !state != 0 || hash & !state != 0 {
            return Err(DecodeError::Malformed { what: "branch mask" });
        }
        let hashes =
            (0..hash.count_ones()).map(|_| reader.b256("branch hash")).collect::<Result<Vec<_>, _>>()?;
        let root_hash = if reader.is_empty() { None } else { Some(reader.b256("branch root")?) };
        reader.finish("branch node")?;
        Ok(Self { state_mask, tree_mask, hash_mask, hashes: Arc::new(hashes), root_hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn branch_nodes_round_trip(state: u16, tree: u16, hash: u16, root: Option<[u8; 32]>) {
            let (tree, hash) = (tree & state, hash & state);
            let hashes = (0..hash.count_ones()).map(|i| B256::repeat_byte(i as u8 + 1)).collect();
            let node = BranchNode::new(state, tree, hash, hashes, root.map(B256::from));
            let mut out = Vec::new();
            node.encode(&mut out);
            prop_assert_eq!(BranchNode::decode(&out).unwrap(), node);
        }

        #[test]
        fn paths_sort_as_their_bytes_do(a in proptest::collection::vec(0u8..16, 0..65), b in proptest::collection::vec(0u8..16, 0..65)) {
            let (x, y) = (Nibbles::from_nibbles(&a), Nibbles::from_nibbles(&b));
            prop_assert_eq!(x.cmp(&y), Key::encode(&x).cmp(&Key::encode(&y)));
            prop_assert_eq!(<Nibbles as Key>::decode(&a).unwrap(), x);
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = BranchNode::decode(&bytes);
            let _ = StorageTrieKey::decode(&bytes);
        }
    }
}
