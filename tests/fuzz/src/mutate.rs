//! Simple mutations: bits, bytes, lengths, pieces of other seeds, cuts.

use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Bytes that are often of consequence: lengths and list prefixes of RLP, ends of ranges, signs of JSON.
const INTERESTING: [u8; 24] = [
    0, 1, 2, 0x7f, 0x80, 0x81, 0xb7, 0xb8, 0xb9, 0xbb, 0xbf, 0xc0, 0xc1, 0xf7, 0xf8, 0xf9, 0xfb, 0xff, b'"',
    b'0', b'{', b'}', b'[', b'-',
];

/// Longest input, in bytes.
const BYTES_MAX: usize = 1 << 20;

/// Makes inputs from seeds; the same seed number gives the same inputs.
#[derive(Debug)]
pub struct Mutator {
    random: ChaCha8Rng,
}

impl Mutator {
    /// For the input at `position` of a run.
    pub fn new(seed: u64, position: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(position);
        Self { random }
    }

    /// A changed copy of one of `seeds`; of nothing, when there are none.
    pub fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.seed(seeds).to_vec();
        let rounds = self.below(4) + usize::from(self.below(4) == 0) * self.below(16);
        for _ in 0..=rounds {
            self.mutate(&mut input, seeds);
        }
        input.truncate(BYTES_MAX);
        input
    }

    fn seed<'s>(&mut self, seeds: &'s [Vec<u8>]) -> &'s [u8] {
        if seeds.is_empty() { &[] } else { &seeds[self.below(seeds.len())] }
    }

    fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.random.random_range(0..end) }
    }

    fn byte(&mut self) -> u8 {
        match self.below(2) {
            0 => INTERESTING[self.below(INTERESTING.len())],
            _ => self.random.random(),
        }
    }

    /// A position, most often near the beginning, where the lengths are.
    fn position(&mut self, input: &[u8]) -> usize {
        match self.below(3) {
            0 => self.below(input.len().min(16)),
            _ => self.below(input.len()),
        }
    }

    fn mutate(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.position(input);
        if input.is_empty() {
            let mut bytes = vec![0; self.below(64)];
            self.random.fill_bytes(&mut bytes);
            input.extend(bytes);
            return;
        }
        match self.below(9) {
            0 => input[at] ^= 1 << self.below(8),
            1 => input[at] = self.byte(),
            2 => input[at] = input[at].wrapping_add([1, 0xff][self.below(2)]),
            3 => self.write_number(input, at),
            4 => input.truncate(at),
            5 => {
                let end = input.len().min(at + 1 + self.below(32));
                input.drain(at..end);
            }
            6 => {
                let end = input.len().min(at + 1 + self.below(64));
                let piece = input[at..end].to_vec();
                let to = self.below(input.len());
                input.splice(to..to, piece);
            }
            7 => {
                let bytes: Vec<u8> = (0..=self.below(8)).map(|_| self.byte()).collect();
                input.splice(at..at, bytes);
            }
            _ => self.splice(input, at, seeds),
        }
    }

    /// Overwrites 2, 4 or 8 bytes with a large or a small number, in either order of bytes.
    fn write_number(&mut self, input: &mut [u8], at: usize) {
        let numbers = [0, 1, 0xff, 0xffff, 1 << 31, u64::from(u32::MAX), 1 << 40, i64::MAX as u64, u64::MAX];
        let number = numbers[self.below(numbers.len())];
        let width = 1 << (1 + self.below(3));
        let bytes = if self.below(2) == 0 { number.to_be_bytes() } else { number.to_le_bytes() };
        for (target, byte) in input[at..].iter_mut().zip(&bytes[..width]) {
            *target = *byte;
        }
    }

    /// Goes on as another seed does from somewhere.
    fn splice(&mut self, input: &mut Vec<u8>, at: usize, seeds: &[Vec<u8>]) {
        let other = self.seed(seeds);
        let from = self.below(other.len());
        let end = other.len().min(from + 1 + self.below(256));
        let piece = other.get(from..end).unwrap_or_default().to_vec();
        let replaced = input.len().min(at + [0, piece.len()][self.below(2)]);
        input.splice(at..replaced, piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_inputs() {
        let seeds = [vec![1; 40], vec![2; 9], Vec::new()];
        let input = |position| Mutator::new(7, position).input(&seeds);
        assert!((0..500).all(|position| input(position) == input(position)));
        let distinct: std::collections::BTreeSet<_> = (0..500).map(input).collect();
        assert!(distinct.len() > 300, "{}", distinct.len());
    }

    #[test]
    fn no_seeds_give_inputs_too() {
        assert!((0..100).any(|position| !Mutator::new(1, position).input(&[]).is_empty()));
    }
}
