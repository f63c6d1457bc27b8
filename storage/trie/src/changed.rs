//! Which leaves changed between the stored trie and the hashed state.

use std::ops::Range;

use alloy_primitives::B256;
use rayon::slice::ParallelSliceMut;

/// From here on keys are sorted on several threads.
const PARALLEL_SORT: usize = 1 << 14;

/// The keys of leaves that may differ from what the trie tables describe; naming one that does not is no harm.
///
/// Keys come in any order and any number of times; they are sorted once, when a root is computed. An account with
/// changed storage need not be named itself.
#[derive(Debug, Clone, Default)]
pub struct ChangedKeys {
    accounts: Vec<B256>,
    slots: Vec<(B256, B256)>,
    wiped: Vec<B256>,
}

impl ChangedKeys {
    /// Nothing changed.
    pub fn new() -> Self {
        Self::default()
    }

    /// An account was created, changed or deleted.
    pub fn add_account(&mut self, hashed_address: B256) {
        self.accounts.push(hashed_address);
    }

    /// A slot was set or cleared.
    pub fn add_slot(&mut self, hashed_address: B256, hashed_slot: B256) {
        self.slots.push((hashed_address, hashed_slot));
    }

    /// All slots of an account were cleared; some may have been set again, which need not be named.
    pub fn wipe_storage(&mut self, hashed_address: B256) {
        self.wiped.push(hashed_address);
    }

    /// Keys that were named.
    pub fn len(&self) -> usize {
        self.accounts.len() + self.slots.len() + self.wiped.len()
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn sorted(&self) -> SortedChanges {
        let wiped = sorted(self.wiped.clone());
        let pairs = sorted(self.slots.clone());
        let mut changes = SortedChanges {
            slots: pairs.iter().map(|(_, slot)| *slot).collect(),
            ..SortedChanges::default()
        };
        let mut start = 0;
        for account in pairs.chunk_by(|a, b| a.0 == b.0) {
            let end = start + account.len();
            changes.storages.push(StorageChanges {
                hashed_address: account[0].0,
                wiped: false,
                slots: start..end,
            });
            start = end;
        }
        changes.mark_wiped(&wiped);
        let mut accounts = self.accounts.clone();
        accounts.extend(changes.storages.iter().map(|storage| storage.hashed_address));
        changes.accounts = sorted(accounts);
        changes
    }
}

fn sorted<T: Ord + Send>(mut keys: Vec<T>) -> Vec<T> {
    if keys.len() < PARALLEL_SORT {
        keys.sort_unstable();
    } else {
        keys.par_sort_unstable();
    }
    keys.dedup();
    keys
}

/// The changed slots of one account.
#[derive(Debug, Clone)]
pub(crate) struct StorageChanges {
    pub hashed_address: B256,
    /// Everything changed: what the tables say about this trie no longer counts.
    pub wiped: bool,
    /// Where in [`SortedChanges::slots`].
    slots: Range<usize>,
}

/// [`ChangedKeys`] in order, without repetitions.
#[derive(Debug, Default)]
pub(crate) struct SortedChanges {
    /// Every account whose leaf may have changed, because of its storage too.
    pub accounts: Vec<B256>,
    /// By account.
    pub storages: Vec<StorageChanges>,
    slots: Vec<B256>,
}

impl SortedChanges {
    pub fn slots_of(&self, storage: &StorageChanges) -> &[B256] {
        &self.slots[storage.slots.clone()]
    }

    fn mark_wiped(&mut self, wiped: &[B256]) {
        let known = self.storages.len();
        for hashed_address in wiped {
            match self.storages[..known]
                .binary_search_by_key(hashed_address, |storage| storage.hashed_address)
            {
                Ok(index) => self.storages[index].wiped = true,
                Err(_) => self.storages.push(StorageChanges {
                    hashed_address: *hashed_address,
                    wiped: true,
                    slots: 0..0,
                }),
            }
        }
        self.storages.sort_unstable_by_key(|storage| storage.hashed_address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_joined() {
        let key = B256::repeat_byte;
        let mut changed = ChangedKeys::new();
        changed.add_slot(key(5), key(2));
        changed.add_slot(key(5), key(1));
        changed.add_slot(key(3), key(9));
        changed.add_slot(key(5), key(1));
        changed.add_account(key(4));
        changed.wipe_storage(key(5));
        changed.wipe_storage(key(1));
        let sorted = changed.sorted();
        assert_eq!(sorted.accounts, [key(1), key(3), key(4), key(5)]);
        let storages: Vec<_> = sorted
            .storages
            .iter()
            .map(|storage| (storage.hashed_address, storage.wiped, sorted.slots_of(storage).to_vec()))
            .collect();
        assert_eq!(
            storages,
            [(key(1), true, vec![]), (key(3), false, vec![key(9)]), (key(5), true, vec![key(1), key(2)])]
        );
    }
}
