//! The accumulator root of an archive: what ties its headers and total difficulties together.
//!
//! `hash_tree_root(List[HeaderRecord { block_hash: Bytes32, total_difficulty: uint256 }, 8192])` of SSZ: the leaves are
//! `sha256(hash ‖ total difficulty, little-endian)`, padded with zeros to 8192, and the length is mixed in.

use alloy_primitives::{B256, U256};
use sha2::{Digest, Sha256};

/// Blocks an archive, and so an accumulator, can hold.
pub const ACCUMULATOR_BLOCKS_MAX: usize = 8192;

/// Collects blocks for an accumulator root.
#[derive(Clone, Debug, Default)]
pub struct Accumulator {
    leaves: Vec<B256>,
}

impl Accumulator {
    /// Adds the next block.
    ///
    /// # Panics
    /// With more than [`ACCUMULATOR_BLOCKS_MAX`] blocks.
    pub fn push(&mut self, block_hash: B256, total_difficulty: U256) {
        assert!(self.leaves.len() < ACCUMULATOR_BLOCKS_MAX, "an accumulator holds at most 8192 blocks");
        self.leaves.push(hash_pair(block_hash, B256::new(total_difficulty.to_le_bytes())));
    }

    /// The number of blocks so far.
    pub fn len(&self) -> usize {
        self.leaves.len()
    }

    /// Whether there is no block yet.
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// The root.
    pub fn root(&self) -> B256 {
        let mut layer = self.leaves.clone();
        let mut zero = B256::ZERO;
        for _ in 0..ACCUMULATOR_BLOCKS_MAX.ilog2() {
            layer = layer
                .chunks(2)
                .map(|pair| hash_pair(pair[0], pair.get(1).copied().unwrap_or(zero)))
                .collect();
            zero = hash_pair(zero, zero);
        }
        let top = layer.first().copied().unwrap_or(zero);
        hash_pair(top, B256::new(U256::from(self.leaves.len()).to_le_bytes()))
    }
}

fn hash_pair(left: B256, right: B256) -> B256 {
    let digest = Sha256::new().chain_update(left).chain_update(right).finalize();
    B256::new(digest.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::b256;

    /// The naive way: all 8192 leaves written out.
    fn naive_root(accumulator: &Accumulator) -> B256 {
        let mut layer = accumulator.leaves.clone();
        layer.resize(ACCUMULATOR_BLOCKS_MAX, B256::ZERO);
        while layer.len() > 1 {
            layer = layer.chunks(2).map(|pair| hash_pair(pair[0], pair[1])).collect();
        }
        hash_pair(layer[0], B256::new(U256::from(accumulator.len()).to_le_bytes()))
    }

    #[test]
    fn root_is_that_of_the_padded_tree() {
        let mut accumulator = Accumulator::default();
        assert!(accumulator.is_empty());
        assert_eq!(accumulator.root(), naive_root(&accumulator));
        for block in 0..20_u8 {
            accumulator.push(B256::repeat_byte(block), U256::from(block));
            assert_eq!(accumulator.root(), naive_root(&accumulator));
        }
    }

    #[test]
    fn pairs_are_hashed_with_sha256() {
        let zero_pair = b256!("f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b");
        assert_eq!(hash_pair(B256::ZERO, B256::ZERO), zero_pair);
    }
}
