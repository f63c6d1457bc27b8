//! Epochs: their seeds, and how large cache and dataset are in each.

use crate::ConsensusError;
use alloy_primitives::{B256, keccak256};

/// Blocks that share a cache.
pub const EPOCH_BLOCKS: u64 = 30_000;
/// Epochs that are known, so that no header can ask for a cache of any size: over 61 million blocks, four times as many
/// as mainnet mined.
pub const EPOCHS_MAX: u64 = 2048;

const CACHE_BYTES_INIT: u64 = 1 << 24;
const CACHE_BYTES_GROWTH: u64 = 1 << 17;
const DATASET_BYTES_INIT: u64 = 1 << 30;
const DATASET_BYTES_GROWTH: u64 = 1 << 23;
/// Bytes of an item of cache and dataset.
pub(super) const ITEM_BYTES: u64 = 64;
/// Bytes that are read from the dataset at a time.
pub(super) const PAGE_BYTES: u64 = 128;

/// An epoch, below [`EPOCHS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// The epoch of a block.
    ///
    /// # Errors
    /// [`ConsensusError::EthashEpoch`] beyond the last one.
    pub fn of_block(block_number: u64) -> Result<Self, ConsensusError> {
        let epoch = block_number / EPOCH_BLOCKS;
        if epoch >= EPOCHS_MAX {
            return Err(ConsensusError::EthashEpoch { epoch, max: EPOCHS_MAX - 1 });
        }
        Ok(Self(epoch))
    }

    /// Its number, from 0.
    pub fn number(self) -> u64 {
        self.0
    }

    /// What the cache grows from: zeros, hashed once for each epoch before.
    pub fn seed(self) -> B256 {
        (0..self.0).fold(B256::ZERO, |seed, _| keccak256(seed))
    }

    /// Bytes of the cache.
    pub fn cache_bytes(self) -> u64 {
        with_prime_count(CACHE_BYTES_INIT + CACHE_BYTES_GROWTH * self.0, ITEM_BYTES)
    }

    /// Bytes of the dataset.
    pub fn dataset_bytes(self) -> u64 {
        with_prime_count(DATASET_BYTES_INIT + DATASET_BYTES_GROWTH * self.0, PAGE_BYTES)
    }
}

/// The highest size below `bytes` (a multiple of twice `item_bytes`) that is a prime number of items.
fn with_prime_count(bytes: u64, item_bytes: u64) -> u64 {
    let below = bytes / item_bytes - 1;
    let count = (0..=below).rev().step_by(2).find(|count| is_prime(*count));
    count.expect("there are odd primes below any even number above 3") * item_bytes
}

/// Whether an odd number above 1 is prime.
fn is_prime(odd: u64) -> bool {
    (3..=odd.isqrt()).step_by(2).all(|divisor| !odd.is_multiple_of(divisor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::b256;

    /// From the tables of the specification.
    const SIZES: [(u64, u64, u64); 6] = [
        (0, 16_776_896, 1_073_739_904),
        (1, 16_907_456, 1_082_130_304),
        (2, 17_039_296, 1_090_514_816),
        (3, 17_170_112, 1_098_906_752),
        (4, 17_301_056, 1_107_293_056),
        (2047, 285_081_536, 18_245_220_736),
    ];

    #[test]
    fn sizes_are_those_of_the_specification() {
        for (epoch, cache_bytes, dataset_bytes) in SIZES {
            assert_eq!(Epoch(epoch).cache_bytes(), cache_bytes, "cache of epoch {epoch}");
            assert_eq!(Epoch(epoch).dataset_bytes(), dataset_bytes, "dataset of epoch {epoch}");
        }
    }

    #[test]
    fn primes() {
        let primes: Vec<u64> = (3..60).step_by(2).filter(|odd| is_prime(*odd)).collect();
        assert_eq!(primes, [3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59]);
    }

    #[test]
    fn seeds_are_hashed_once_an_epoch() {
        assert_eq!(Epoch(0).seed(), B256::ZERO);
        let once = b256!("290decd9548b62a8d60345a988386fc84ba6bc95484008f6362f93160ef3e563");
        assert_eq!(Epoch(1).seed(), once);
        assert_eq!(Epoch(2).seed(), keccak256(once));
    }

    #[test]
    fn epochs_are_bounded() {
        assert_eq!(Epoch::of_block(29_999), Ok(Epoch(0)));
        assert_eq!(Epoch::of_block(30_000), Ok(Epoch(1)));
        assert_eq!(Epoch::of_block(61_439_999), Ok(Epoch(2047)));
        for block_number in [61_440_000, u64::MAX] {
            let epoch = block_number / EPOCH_BLOCKS;
            let error = ConsensusError::EthashEpoch { epoch, max: 2047 };
            assert_eq!(Epoch::of_block(block_number), Err(error));
        }
    }
}
