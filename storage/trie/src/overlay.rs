//! Hashed state in memory that the database does not have yet.

use std::collections::BTreeMap;

use alloy_primitives::{B256, U256};
use portico_db::models::Account;

use crate::ChangedKeys;

/// Accounts and slots as some unwritten blocks leave them; what is not here is as in the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HashedOverlay {
    pub(crate) accounts: BTreeMap<B256, Option<Account>>,
    pub(crate) storages: BTreeMap<B256, StorageOverlay>,
}

/// The slots of one account in a [`HashedOverlay`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StorageOverlay {
    /// The slots in the database, and in overlays below, no longer count.
    pub wiped: bool,
    /// Zero: the slot was cleared.
    pub slots: BTreeMap<B256, U256>,
}

impl HashedOverlay {
    /// Nothing differs from the database.
    pub fn new() -> Self {
        Self::default()
    }

    /// The account is now this; `None`: it is gone (its storage has to be wiped beside).
    pub fn set_account(&mut self, hashed_address: B256, account: Option<Account>) {
        self.accounts.insert(hashed_address, account);
    }

    /// The slot is now this; zero: cleared.
    pub fn set_slot(&mut self, hashed_address: B256, hashed_slot: B256, value: U256) {
        self.storages.entry(hashed_address).or_default().slots.insert(hashed_slot, value);
    }

    /// Clears all slots of the account, those set here so far as well.
    pub fn wipe_storage(&mut self, hashed_address: B256) {
        let storage = self.storages.entry(hashed_address).or_default();
        storage.wiped = true;
        storage.slots.clear();
    }

    /// Puts `later`, the state after a following block, on top.
    pub fn extend(&mut self, later: &Self) {
        self.accounts.extend(later.accounts.iter().map(|(address, account)| (*address, *account)));
        for (hashed_address, storage) in &later.storages {
            if storage.wiped {
                self.wipe_storage(*hashed_address);
            }
            let slots = storage.slots.iter().map(|(slot, value)| (*slot, *value));
            self.storages.entry(*hashed_address).or_default().slots.extend(slots);
        }
    }

    /// Whether nothing differs from the database.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.storages.is_empty()
    }

    /// The keys of everything in here.
    pub fn changed_keys(&self) -> ChangedKeys {
        let mut changed = ChangedKeys::new();
        for hashed_address in self.accounts.keys() {
            changed.add_account(*hashed_address);
        }
        for (hashed_address, storage) in &self.storages {
            if storage.wiped {
                changed.wipe_storage(*hashed_address);
            }
            for slot in storage.slots.keys() {
                changed.add_slot(*hashed_address, *slot);
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_wipe_clears_earlier_slots() {
        let (address, slot) = (B256::repeat_byte(1), B256::repeat_byte);
        let mut overlay = HashedOverlay::new();
        overlay.set_slot(address, slot(1), U256::from(1));
        let mut later = HashedOverlay::new();
        later.wipe_storage(address);
        later.set_slot(address, slot(2), U256::from(2));
        overlay.extend(&later);
        assert_eq!(overlay, later);
    }
}
