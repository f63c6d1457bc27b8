//! The stream of random numbers that a workload is made from.
//!
//! ChaCha with 8 rounds, and integer arithmetic only: the same seed gives the same numbers on every platform.
//! Nothing here depends on the size of `usize` or on floating point.

use alloy_primitives::{B256, U256};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// A seeded stream of random numbers.
#[derive(Debug, Clone)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// Stream number `stream` of `seed`. Different streams are independent.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// A number below `bound`, which must not be zero. The bias is below `bound` / 2^64.
    pub fn below(&mut self, bound: u64) -> u64 {
        debug_assert_ne!(bound, 0);
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True in `percent` of 100 cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A number below `bound`, small ones far more likely: the chance of n falls like 1/n, as Zipf's law has
    /// it.
    ///
    /// Each doubling range (1, 2–3, 4–7, … of n + 1) is equally likely.
    pub fn skewed_below(&mut self, bound: u64) -> u64 {
        debug_assert_ne!(bound, 0);
        loop {
            let magnitude = self.below(u64::from(u64::BITS - bound.leading_zeros()));
            let number = (1 << magnitude) + self.below(1 << magnitude) - 1;
            if number < bound {
                return number;
            }
        }
    }

    /// A number in `low..=high` whose magnitude is even: as likely between 1 and 2 as between 1000 and 2000.
    pub fn magnitude_between(&mut self, low: u64, high: u64) -> u64 {
        let doublings = u64::from((high / low.max(1)).max(1).ilog2()) + 1;
        let start = low << self.below(doublings);
        self.between(start, start.saturating_mul(2).min(high).max(start)).min(high)
    }

    /// One of `items`, which must not be empty.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// The position of one of `weights`, each as likely as its weight says. Their sum must not be zero.
    pub fn weighted(&mut self, weights: impl Iterator<Item = u32> + Clone) -> usize {
        let total: u64 = weights.clone().map(u64::from).sum();
        let mut rest = self.below(total);
        for (position, weight) in weights.map(u64::from).enumerate() {
            if rest < weight {
                return position;
            }
            rest -= weight;
        }
        unreachable!("the rest is below the sum of the weights")
    }

    /// 32 random bytes.
    pub fn word(&mut self) -> B256 {
        let mut word = B256::ZERO;
        self.0.fill_bytes(word.as_mut_slice());
        word
    }

    /// A random 256-bit number.
    pub fn number(&mut self) -> U256 {
        self.word().into()
    }

    /// `length` random bytes, `zero_percent` of them zero.
    pub fn bytes(&mut self, length: usize, zero_percent: u64) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.fill_bytes(&mut bytes);
        if zero_percent > 0 {
            for byte in &mut bytes {
                if self.percent(zero_percent) {
                    *byte = 0;
                }
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    #[test]
    fn stream_is_pinned() {
        let mut random = Random::new(7, 1);
        let numbers: Vec<u64> = (0..4).map(|_| random.below(1_000_000)).collect();
        let skewed: Vec<u64> = (0..4).map(|_| random.skewed_below(1_000_000)).collect();
        assert_eq!(
            (numbers, skewed, hex::encode(random.bytes(4, 0))),
            (vec![992_108, 9_051, 721_611, 528_105], vec![2, 1_729, 905_906, 7], "b6733023".to_owned())
        );
    }

    #[test]
    fn skewed_numbers_stay_below_the_bound_and_prefer_small_ones() {
        let mut random = Random::new(1, 0);
        for bound in [1, 2, 3, 5, 1000] {
            assert!((0..1000).all(|_| random.skewed_below(bound) < bound));
        }
        let small = (0..1000).filter(|_| random.skewed_below(1024) < 32).count();
        assert!((400..600).contains(&small), "{small}");
    }

    #[test]
    fn magnitudes_stay_in_their_range() {
        let mut random = Random::new(1, 0);
        for (low, high) in [(1, 1), (3, 5), (1, u64::MAX), (1000, 30_000)] {
            assert!((0..1000).all(|_| (low..=high).contains(&random.magnitude_between(low, high))));
        }
    }

    #[test]
    fn weights_are_honoured() {
        let mut random = Random::new(1, 0);
        let mut counts = [0; 3];
        for _ in 0..1000 {
            counts[random.weighted([1, 0, 3].into_iter())] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((200..300).contains(&counts[0]), "{counts:?}");
    }
}
