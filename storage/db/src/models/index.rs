//! Shards of the block indexes: which blocks concern an address or a topic.
//!
//! ```text
//!  0 ‖ first block varint ‖ distance to the next varint …       few or scattered blocks
//!  1 ‖ a roaring bitmap of the blocks (portable format)          when that is shorter
//! ```
//! A shard holds at most [`SHARD_BLOCKS`] blocks and is filled before the next one begins, so that its bounds do
//! not depend on how the blocks arrived.

use roaring::RoaringTreemap;

use crate::{
    DecodeError, Value,
    codec::{Reader, put_varint},
};

/// Blocks in a full shard.
pub const SHARD_BLOCKS: usize = 512;

const VARINTS: u8 = 0;
const ROARING: u8 = 1;

/// Block numbers in ascending order, without repeats.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockSet(pub Vec<u64>);

impl Value for BlockSet {
    fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(VARINTS);
        let mut last = 0;
        for block in &self.0 {
            put_varint(out, block - last);
            last = *block;
        }
        if self.0.len() < 64 {
            return;
        }
        let bitmap = RoaringTreemap::from_sorted_iter(self.0.iter().copied()).expect("blocks are sorted");
        if bitmap.serialized_size() < out.len() - start - 1 {
            out.truncate(start);
            out.push(ROARING);
            bitmap.serialize_into(&mut *out).expect("writing to memory");
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.byte("shard head")? {
            VARINTS => take_varints(reader).map(Self),
            ROARING => {
                let bitmap = RoaringTreemap::deserialize_from(reader.rest())
                    .map_err(|_| DecodeError::Malformed { what: "bitmap" })?;
                if bitmap.len() > SHARD_BLOCKS as u64 {
                    return Err(DecodeError::Malformed { what: "bitmap" });
                }
                Ok(Self(bitmap.into_iter().collect()))
            }
            _ => Err(DecodeError::Malformed { what: "shard head" }),
        }
    }
}

fn take_varints(mut reader: Reader<'_>) -> Result<Vec<u64>, DecodeError> {
    let mut blocks = Vec::new();
    let mut last = 0u64;
    while !reader.is_empty() {
        let distance = reader.varint("shard block")?;
        let repeats = distance == 0 && !blocks.is_empty();
        last = last
            .checked_add(distance)
            .filter(|_| !repeats)
            .ok_or(DecodeError::Malformed { what: "shard block" })?;
        blocks.push(last);
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(blocks: &[u64]) -> Vec<u8> {
        let mut out = Vec::new();
        BlockSet(blocks.to_vec()).encode(&mut out);
        out
    }

    #[test]
    fn shards_have_their_golden_bytes() {
        assert_eq!(encoded(&[]), [0]);
        assert_eq!(encoded(&[300, 301, 305]), [0, 0xac, 0x02, 1, 4]);
    }

    #[test]
    fn a_dense_full_shard_is_small_and_fits_a_page() {
        let dense: Vec<u64> = (20_000_000..20_000_000 + SHARD_BLOCKS as u64).collect();
        assert!(encoded(&dense).len() < 600);
        let scattered: Vec<u64> = (0..SHARD_BLOCKS as u64).map(|i| i * 18_000).collect();
        assert!(encoded(&scattered).len() < 1600);
    }

    proptest! {
        #[test]
        fn shards_round_trip(blocks in proptest::collection::btree_set(any::<u64>(), 0..300), dense_from: u32, dense in 0u64..500) {
            let blocks: Vec<u64> = blocks.into_iter().collect();
            prop_assert_eq!(BlockSet::decode(&encoded(&blocks)).unwrap().0, blocks);
            let blocks: Vec<u64> = (u64::from(dense_from)..u64::from(dense_from) + dense).collect();
            prop_assert_eq!(BlockSet::decode(&encoded(&blocks)).unwrap().0, blocks);
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = BlockSet::decode(&bytes);
        }
    }
}
