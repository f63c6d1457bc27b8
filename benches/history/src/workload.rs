//! Changes of storage slots, skewed about as mainnet's: a third creates slots, a third comes back to slots (to young
//! ones more often), a third goes to a few thousand hot ones.

use std::{
    collections::HashSet,
    ops::{Range, RangeInclusive},
};

use rand::{Rng, SeedableRng, rngs::StdRng};

/// Address ‖ slot.
pub(crate) type SlotKey = [u8; 52];

/// Changed slots per block.
const CHANGES_PER_BLOCK: usize = 250;
/// Accounts that own the slots.
const ACCOUNTS: usize = 20_000;
/// Slots that are always changing.
const HOT_SLOTS: usize = 2_000;

/// A slot's value before a block.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// Position in [`Workload::keys`].
    pub key: u32,
    pub block: u64,
    value: Range<u32>,
}

/// A question: a slot as of a block, and the answer.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub key: SlotKey,
    pub block: u64,
    /// The value before the next change, unless nothing changed afterwards.
    pub expected: Option<Vec<u8>>,
}

/// All changes, by block, and in a block by key.
#[derive(Debug)]
pub(crate) struct Workload {
    pub keys: Vec<SlotKey>,
    pub changes: Vec<Change>,
    values: Vec<u8>,
}

impl Workload {
    /// Makes `count` changes, always the same ones.
    pub(crate) fn generate(count: usize) -> Self {
        let mut maker = Maker::new(StdRng::seed_from_u64(1));
        let mut workload = Self { keys: Vec::new(), changes: Vec::with_capacity(count), values: Vec::new() };
        for _ in 0..HOT_SLOTS {
            let key = maker.key();
            workload.keys.push(key);
        }
        let mut block = 1;
        while workload.changes.len() < count {
            let wanted = CHANGES_PER_BLOCK.min(count - workload.changes.len());
            workload.add_block(&mut maker, block, wanted);
            block += 1;
        }
        workload
    }

    fn add_block(&mut self, maker: &mut Maker, block: u64, wanted: usize) {
        let mut chosen = HashSet::with_capacity(wanted);
        let old = self.keys.len();
        while chosen.len() < wanted {
            let key = maker.choose(old).unwrap_or_else(|| {
                self.keys.push(maker.key());
                self.keys.len() - 1
            });
            chosen.insert(key as u32);
        }
        let mut chosen: Vec<u32> = chosen.into_iter().collect();
        chosen.sort_unstable_by_key(|key| self.keys[*key as usize]);
        for key in chosen {
            let start = self.values.len() as u32;
            // Before its first change a slot is zero.
            if (key as usize) < old {
                maker.value(&mut self.values);
            }
            self.changes.push(Change { key, block, value: start..self.values.len() as u32 });
        }
    }

    /// The last block.
    pub(crate) fn blocks(&self) -> u64 {
        self.changes.last().map_or(0, |change| change.block)
    }

    pub(crate) fn value(&self, change: &Change) -> &[u8] {
        &self.values[change.value.start as usize..change.value.end as usize]
    }

    pub(crate) fn key(&self, change: &Change) -> &SlotKey {
        &self.keys[change.key as usize]
    }

    /// `changes` by key, then block.
    pub(crate) fn by_key<'a>(&self, changes: &'a [Change]) -> Vec<&'a Change> {
        let mut sorted: Vec<&Change> = changes.iter().collect();
        sorted.sort_unstable_by_key(|change| (self.key(change), change.block));
        sorted
    }

    /// `count` questions as of random blocks, about random slots that changed this often.
    pub(crate) fn reads(&self, count: usize, often: RangeInclusive<usize>) -> Vec<Read> {
        let sorted = self.by_key(&self.changes);
        let slots: Vec<&[&Change]> =
            sorted.chunk_by(|a, b| a.key == b.key).filter(|of_slot| often.contains(&of_slot.len())).collect();
        let mut random = StdRng::seed_from_u64(2);
        let reads = (0..if slots.is_empty() { 0 } else { count }).map(|_| {
            let of_slot = slots[random.random_range(0..slots.len())];
            let block = random.random_range(0..self.blocks());
            let next = of_slot.partition_point(|change| change.block <= block);
            let expected = of_slot.get(next).map(|change| self.value(change).to_vec());
            Read { key: *self.key(of_slot[0]), block, expected }
        });
        reads.collect()
    }
}

struct Maker {
    random: StdRng,
    accounts: Vec<[u8; 20]>,
}

impl Maker {
    fn new(mut random: StdRng) -> Self {
        let accounts = (0..ACCOUNTS).map(|_| random.random()).collect();
        Self { random, accounts }
    }

    /// A slot to change: one of the `old` ones, of which the first are hot, or a new one.
    fn choose(&mut self, old: usize) -> Option<usize> {
        let share = self.random.random::<f64>();
        match self.random.random_range(0..3) {
            0 => Some((HOT_SLOTS as f64 * share.powi(3)) as usize),
            1 if old > HOT_SLOTS => Some(old - 1 - ((old - HOT_SLOTS) as f64 * share * share) as usize),
            _ => None,
        }
    }

    /// Most slots are elements of mappings, at hashes; some are fields, at small numbers.
    fn key(&mut self) -> SlotKey {
        let account = (ACCOUNTS as f64 * self.random.random::<f64>().powi(3)) as usize;
        let mut key = [0; 52];
        key[..20].copy_from_slice(&self.accounts[account]);
        if self.random.random_ratio(4, 5) {
            self.random.fill(&mut key[20..]);
        } else {
            self.random.fill(&mut key[49..]);
        }
        key
    }

    /// Zero, flags and counters, amounts, addresses and whole words.
    fn value(&mut self, values: &mut Vec<u8>) {
        let len = match self.random.random_range(0..10) {
            0 => 0,
            1..=2 => self.random.random_range(1..=3),
            3..=6 => self.random.random_range(7..=12),
            7..=8 => 20,
            _ => 32,
        };
        let start = values.len();
        values.resize(start + len, 0);
        self.random.fill(&mut values[start..]);
        if len > 0 {
            values[start] |= 1;
        }
    }
}
