//! Random numbers of which every part of a case has its own stream, so that leaving out the end of a case changes
//! nothing at its beginning.

use alloy_primitives::{B256, keccak256};
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A stream.
#[derive(Debug)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream of `part` in the case of `seed`.
    pub fn new(seed: u64, part: &str, index: u64) -> Self {
        let name = [&seed.to_be_bytes()[..], &index.to_be_bytes(), part.as_bytes()].concat();
        Self(ChaCha8Rng::from_seed(keccak256(name).0))
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0.random_range(0..end)
    }

    /// A number between both, inclusively.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        self.0.random_range(from..=to)
    }

    /// Whether something happens that happens in `percent` of all cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.0.random_range(0..items.len())]
    }

    /// 32 bytes.
    pub fn word(&mut self) -> B256 {
        let mut word = B256::ZERO;
        self.0.fill_bytes(&mut word.0);
        word
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}
