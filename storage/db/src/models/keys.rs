//! Composite keys.

use alloy_primitives::{Address, B256};

use crate::{
    DecodeError, FixedKey, Key, Value,
    codec::keys::{compound_key, exact},
};

compound_key! {
    /// A block of whatever fork: number 8 ‖ hash 32.
    BlockHashKey, 40 {
        /// Block number.
        number: u64 [0..8],
        /// Block hash.
        hash: B256 [8..40]
    }
}

compound_key! {
    /// One of the rows in which a block's list is stored: block number 8 ‖ position of the row 8.
    BlockChunkKey, 16 {
        /// Block number.
        number: u64 [0..8],
        /// Position of the row among those of the block, from 0.
        chunk: u64 [8..16]
    }
}

compound_key! {
    /// A chunk or shard of an address: address 20 ‖ last block in it 8 (`u64::MAX` for the open one).
    AccountHistoryKey, 28 {
        /// Whose.
        address: Address [0..20],
        /// Last block that the row covers.
        last_block: u64 [20..28]
    }
}

/// Shards of an address index have the shape of account history.
pub type IndexAddressKey = AccountHistoryKey;

compound_key! {
    /// A chunk of a storage slot: address 20 ‖ slot 32 ‖ last block in it 8 (`u64::MAX` for the open one).
    StorageHistoryKey, 60 {
        /// Whose.
        address: Address [0..20],
        /// Which slot.
        slot: B256 [20..52],
        /// Last block that the row covers.
        last_block: u64 [52..60]
    }
}

compound_key! {
    /// A shard of a topic: topic 32 ‖ last block in it 8 (`u64::MAX` for the open one).
    IndexTopicKey, 40 {
        /// The topic.
        topic: B256 [0..32],
        /// Last block that the row covers.
        last_block: u64 [32..40]
    }
}

/// The first 8 bytes of a transaction hash: enough to find it, and a fifth of the disk of the whole hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionHashPrefix(pub [u8; 8]);

impl From<B256> for TransactionHashPrefix {
    fn from(hash: B256) -> Self {
        Self(hash.0[..8].try_into().expect("8 of 32 bytes"))
    }
}

impl Key for TransactionHashPrefix {
    type Encoded = [u8; 8];

    fn encode(&self) -> [u8; 8] {
        self.0
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        exact(bytes, "transaction hash prefix").map(Self)
    }
}

/// A transaction number as a sorted duplicate: 6 bytes, big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TxNumber(pub u64);

impl Key for TxNumber {
    type Encoded = [u8; 6];

    fn encode(&self) -> [u8; 6] {
        debug_assert!(self.0 < 1 << 48, "a chain has fewer transactions");
        self.0.to_be_bytes()[2..].try_into().expect("6 of 8 bytes")
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let low = exact::<6>(bytes, "transaction number")?;
        Ok(Self(low.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))))
    }
}

impl FixedKey for TxNumber {
    const LEN: usize = 6;
}

impl Value for TxNumber {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&Key::encode(self));
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Key::decode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_sort_as_their_bytes_do(a: ([u8; 20], [u8; 32], u64), b: ([u8; 20], [u8; 32], u64)) {
            let key = |(address, slot, last_block): ([u8; 20], [u8; 32], u64)| StorageHistoryKey {
                address: address.into(),
                slot: slot.into(),
                last_block,
            };
            let (a, b) = (key(a), key(b));
            prop_assert_eq!(a.cmp(&b), a.encode().cmp(&b.encode()));
            prop_assert_eq!(StorageHistoryKey::decode(&a.encode()).unwrap(), a);
        }

        #[test]
        fn transaction_numbers_sort(a in 0u64..1 << 48, b in 0u64..1 << 48) {
            prop_assert_eq!(a.cmp(&b), Key::encode(&TxNumber(a)).cmp(&Key::encode(&TxNumber(b))));
            prop_assert_eq!(<TxNumber as Key>::decode(&Key::encode(&TxNumber(a))).unwrap(), TxNumber(a));
        }
    }

    #[test]
    fn a_chunk_key_has_its_golden_bytes() {
        let key = BlockChunkKey { number: 258, chunk: 3 };
        assert_eq!(key.encode(), [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3]);
    }
}
