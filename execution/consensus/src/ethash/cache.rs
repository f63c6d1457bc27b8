//! The cache of an epoch, the dataset items that are computed from it, and the function that miners search with.

use super::epoch::{Epoch, PAGE_BYTES};
use alloy_primitives::{B64, B256, Keccak256};
use sha3::{Digest, Keccak512};

/// Times that the cache is mixed with itself.
const CACHE_ROUNDS: usize = 3;
/// Items of the cache that go into one of the dataset.
const DATASET_PARENTS: u32 = 256;
/// Pages of the dataset that are read for a result.
const ACCESSES: u32 = 64;
/// Words of an item.
const ITEM_WORDS: usize = 16;
/// Items of a page.
const PAGE_ITEMS: usize = 2;
const PAGE_WORDS: usize = PAGE_ITEMS * ITEM_WORDS;

/// 64 bytes as little-endian words, on a line of the processor's cache of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
struct Item([u32; ITEM_WORDS]);

/// What the seals of one epoch are verified with.
pub struct Cache {
    epoch: Epoch,
    items: Vec<Item>,
    dataset_pages: u32,
}

/// What a nonce gives for a seal hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashimoto {
    /// The mix hash that the header must have.
    pub mix_hash: B256,
    /// What is held against the difficulty, as a big-endian number.
    pub result: B256,
}

impl Cache {
    /// Makes the cache of an epoch (RandMemoHash): a chain of hashes from the seed, then mixed with itself.
    pub fn generate(epoch: Epoch) -> Self {
        let count = usize::try_from(epoch.cache_bytes()).expect("at most 272 MiB") / size_of::<Item>();
        let mut items = Vec::with_capacity(count);
        let mut last = keccak512(epoch.seed().as_slice());
        items.push(last);
        for _ in 1..count {
            last = last.hash();
            items.push(last);
        }
        for _ in 0..CACHE_ROUNDS {
            for position in 0..count {
                let before = items[(position + count - 1) % count];
                let chosen = items[items[position].0[0] as usize % count];
                items[position] = Item(std::array::from_fn(|word| before.0[word] ^ chosen.0[word])).hash();
            }
        }
        let dataset_pages = epoch.dataset_bytes() / PAGE_BYTES;
        let dataset_pages = u32::try_from(dataset_pages).expect("the last dataset is below 2^35 bytes");
        Self { epoch, items, dataset_pages }
    }

    /// The epoch whose cache this is.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Mix hash and result of a nonce.
    pub fn hashimoto(&self, seal_hash: B256, nonce: B64) -> Hashimoto {
        let mut input = [0; 40];
        input[..32].copy_from_slice(seal_hash.as_slice());
        input[32..].copy_from_slice(nonce.as_slice());
        // Little-endian here, big-endian in the header.
        input[32..].reverse();
        let start = keccak512(&input);
        let mut mix = [0; PAGE_WORDS];
        for (word, value) in mix.iter_mut().enumerate() {
            *value = start.0[word % ITEM_WORDS];
        }
        for access in 0..ACCESSES {
            let page = fnv(access ^ start.0[0], mix[access as usize % PAGE_WORDS]) % self.dataset_pages;
            for (value, read) in mix.iter_mut().zip(self.dataset_page(page).iter().flat_map(|item| item.0)) {
                *value = fnv(*value, read);
            }
        }
        let mut mix_hash = B256::ZERO;
        for (bytes, words) in mix_hash.chunks_exact_mut(4).zip(mix.chunks_exact(4)) {
            let folded = words.iter().copied().reduce(fnv).expect("four of them");
            bytes.copy_from_slice(&folded.to_le_bytes());
        }
        let mut hasher = Keccak256::new();
        hasher.update(start.to_bytes());
        hasher.update(mix_hash);
        Hashimoto { mix_hash, result: hasher.finalize() }
    }

    /// Two items of the dataset, side by side, so that one waits for memory while the other does.
    fn dataset_page(&self, page: u32) -> [Item; PAGE_ITEMS] {
        let count = u32::try_from(self.items.len()).expect("below 2^23 items");
        let positions: [u32; PAGE_ITEMS] = std::array::from_fn(|item| page * PAGE_ITEMS as u32 + item as u32);
        let mut mixes = positions.map(|position| {
            let mut mix = self.items[(position % count) as usize];
            mix.0[0] ^= position;
            mix.hash()
        });
        for parent in 0..DATASET_PARENTS {
            for (mix, position) in mixes.iter_mut().zip(positions) {
                let chosen = fnv(position ^ parent, mix.0[parent as usize % ITEM_WORDS]) % count;
                for (value, read) in mix.0.iter_mut().zip(self.items[chosen as usize].0) {
                    *value = fnv(*value, read);
                }
            }
        }
        mixes.map(|mix| mix.hash())
    }
}

impl std::fmt::Debug for Cache {
    /// Without its millions of words.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Item {
    fn to_bytes(self) -> [u8; size_of::<Self>()] {
        let mut bytes = [0; size_of::<Self>()];
        for (bytes, word) in bytes.chunks_exact_mut(4).zip(self.0) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn hash(self) -> Self {
        keccak512(&self.to_bytes())
    }
}

fn keccak512(bytes: &[u8]) -> Item {
    let digest: [u8; 64] = Keccak512::digest(bytes).into();
    let (words, _) = digest.as_chunks::<4>();
    Item(std::array::from_fn(|word| u32::from_le_bytes(words[word])))
}

/// A multiplication and an exclusive or, after Fowler, Noll and Vo.
fn fnv(left: u32, right: u32) -> u32 {
    left.wrapping_mul(0x0100_0193) ^ right
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::b256;

    /// From the official `PoWTests`.
    #[test]
    fn cache_of_the_first_epoch() {
        let cache = Cache::generate(Epoch::of_block(0).unwrap());
        assert_eq!((cache.items.len(), cache.dataset_pages), (262_139, 8_388_593));
        let mut hasher = Keccak256::new();
        for item in &cache.items {
            hasher.update(item.to_bytes());
        }
        let expected = b256!("35ded12eecf2ce2e8da2e15c06d463aae9b84cb2530a00b932e4bbc484cde353");
        assert_eq!(hasher.finalize(), expected);
    }

    #[test]
    fn fnv_multiplies_first() {
        assert_eq!(fnv(1, 0), 0x0100_0193);
        assert_eq!(fnv(0, 7), 7);
        assert_eq!(fnv(u32::MAX, 1), 0xfeff_fe6d ^ 1);
    }
}
