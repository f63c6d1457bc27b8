//! Positions in a trie: the first nibbles of a 32-byte key, packed two to a byte.

use alloy_primitives::B256;
use alloy_trie::Nibbles;
use portico_db::{DecodeError, Key};

/// Nibbles in a key.
pub(crate) const KEY_NIBBLES: usize = 64;

/// The nibble of `key` at `index`, counted from its front.
pub(crate) fn nibble(key: &B256, index: usize) -> u8 {
    let byte = key[index / 2];
    if index.is_multiple_of(2) { byte >> 4 } else { byte & 0xf }
}

/// How many nibbles `a` and `b` begin with in common.
pub(crate) fn common_nibbles(a: &B256, b: &B256) -> usize {
    let (a, b) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    for (index, (a, b)) in a.iter().zip(b).enumerate() {
        let difference = u64::from_be_bytes(*a) ^ u64::from_be_bytes(*b);
        if difference != 0 {
            return index * 16 + difference.leading_zeros() as usize / 4;
        }
    }
    KEY_NIBBLES
}

/// A prefix of keys, and the place of the node above them all.
///
/// Sorts depth first, a node before what lies under it, as the trie tables do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Path {
    /// The nibbles, then zeros: at the same time the lowest key below.
    first_key: B256,
    len: u8,
}

impl Path {
    /// The first `len` nibbles of `key`.
    pub fn of(key: &B256, len: usize) -> Self {
        let mut first_key = B256::ZERO;
        let whole = len / 2;
        first_key[..whole].copy_from_slice(&key[..whole]);
        if !len.is_multiple_of(2) {
            first_key[whole] = key[whole] & 0xf0;
        }
        Self { first_key, len: len as u8 }
    }

    /// The place of the leaf with `key`.
    pub fn leaf(key: &B256) -> Self {
        Self { first_key: *key, len: KEY_NIBBLES as u8 }
    }

    /// The path that is one `nibble` longer.
    pub fn child(&self, nibble: u8) -> Self {
        let mut child = *self;
        let at = self.len();
        debug_assert!(at < KEY_NIBBLES, "no node lies below a leaf");
        child.first_key[at / 2] |= if at.is_multiple_of(2) { nibble << 4 } else { nibble };
        child.len += 1;
        child
    }

    /// The path that sorts behind this one.
    pub fn successor(&self) -> Self {
        self.child(0)
    }

    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The lowest key below.
    pub fn first_key(&self) -> &B256 {
        &self.first_key
    }

    /// Whether `key` lies below.
    pub fn covers(&self, key: &B256) -> bool {
        common_nibbles(&self.first_key, key) >= self.len()
    }

    /// Whether `other` is this path or lies below it.
    pub fn is_prefix_of(&self, other: &Self) -> bool {
        self.len <= other.len && self.covers(&other.first_key)
    }

    pub fn to_nibbles(self) -> Nibbles {
        (0..self.len()).map(|index| nibble(&self.first_key, index)).collect()
    }
}

/// A key of at most 96 bytes, without allocating.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShortKey {
    bytes: [u8; 96],
    len: usize,
}

impl ShortKey {
    /// `head`, then one byte per nibble of `path`.
    fn new(head: &[u8], path: &Path) -> Self {
        let mut bytes = [0; 96];
        bytes[..head.len()].copy_from_slice(head);
        for index in 0..path.len() {
            bytes[head.len() + index] = nibble(&path.first_key, index);
        }
        Self { bytes, len: head.len() + path.len() }
    }
}

impl AsRef<[u8]> for ShortKey {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// One byte per nibble; as a node always has a nibble below it, at most 63.
impl Key for Path {
    type Encoded = ShortKey;

    fn encode(&self) -> ShortKey {
        ShortKey::new(&[], self)
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() >= KEY_NIBBLES || bytes.iter().any(|nibble| *nibble > 0xf) {
            return Err(DecodeError::Malformed { what: "trie path" });
        }
        let mut first_key = B256::ZERO;
        for (packed, pair) in first_key.iter_mut().zip(bytes.chunks(2)) {
            *packed = pair[0] << 4 | pair.get(1).unwrap_or(&0);
        }
        Ok(Self { first_key, len: bytes.len() as u8 })
    }
}

/// A node of an account's storage trie: keccak(address) 32 ‖ path, one byte per nibble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StoragePath {
    pub hashed_address: B256,
    pub path: Path,
}

impl Key for StoragePath {
    type Encoded = ShortKey;

    fn encode(&self) -> ShortKey {
        ShortKey::new(self.hashed_address.as_slice(), &self.path)
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some((hashed_address, path)) = bytes.split_at_checked(32) else {
            return Err(DecodeError::TooShort { what: "storage trie key", len: bytes.len() });
        };
        Ok(Self { hashed_address: Key::decode(hashed_address)?, path: Key::decode(path)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_db::models::StorageTrieKey;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn paths_are_stored_and_sorted_as_nibbles_are(
            a in proptest::collection::vec(0u8..16, 0..64),
            b in proptest::collection::vec(0u8..16, 0..64),
            hashed_address: [u8; 32],
        ) {
            let hashed_address = B256::from(hashed_address);
            let (path, other) = (<Path as Key>::decode(&a).unwrap(), <Path as Key>::decode(&b).unwrap());
            prop_assert_eq!(path.cmp(&other), a.cmp(&b));
            prop_assert_eq!(path.is_prefix_of(&other), b.starts_with(&a));
            prop_assert_eq!(path.encode().as_ref().to_vec(), a.clone());
            prop_assert_eq!(path.to_nibbles(), Nibbles::from_nibbles(&a));
            prop_assert_eq!(Path::of(path.first_key(), a.len()), path);
            prop_assert_eq!(a.iter().fold(Path::default(), |path, nibble| path.child(*nibble)), path);
            let ours = StoragePath { hashed_address, path };
            let theirs = StorageTrieKey { hashed_address, path: Nibbles::from_nibbles(&a) };
            prop_assert_eq!(ours.encode().as_ref().to_vec(), theirs.encode());
            prop_assert_eq!(StoragePath::decode(&theirs.encode()).unwrap(), ours);
        }

        #[test]
        fn common_nibbles_are_counted(a: [u8; 32], at in 0usize..64) {
            let key = B256::from(a);
            let mut other = key;
            other[at / 2] ^= if at % 2 == 0 { 0x10 } else { 0x01 };
            prop_assert_eq!(common_nibbles(&key, &other), at);
            prop_assert_eq!(common_nibbles(&key, &key), 64);
        }
    }

    #[test]
    fn a_path_of_a_whole_key_is_no_node() {
        assert!(<Path as Key>::decode(&[1; 64]).is_err());
        assert!(<Path as Key>::decode(&[16]).is_err());
    }
}
