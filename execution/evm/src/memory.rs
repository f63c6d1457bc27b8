//! A whole state in memory: of a test, of a transition tool, of a block whose reads were recorded.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256, map::B256Map};
use alloy_trie::{TrieAccount, root};
use portico_chainspec::GenesisAccount;
use portico_db::models::{Account, StorageEntry};

use crate::{OverlayWrites, ReadError, StateReader, WrittenSlot, reader::present};

/// An account with its storage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryAccount {
    /// Nonce, balance and code hash.
    pub account: Account,
    /// Slots that are not zero, by slot.
    pub storage: BTreeMap<B256, U256>,
}

impl MemoryAccount {
    /// The account as the state trie holds it.
    pub fn trie_account(&self) -> TrieAccount {
        let Account { nonce, balance, code_hash } = self.account;
        let slots = self.storage.iter().map(|(slot, value)| (*slot, *value));
        TrieAccount { nonce, balance, code_hash, storage_root: root::storage_root_unhashed(slots) }
    }
}

/// Accounts with storage and code, in maps sorted by address and slot.
///
/// Only accounts that exist have storage, and only slots that are not zero are held, so that two equal states are
/// equal values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryState {
    accounts: BTreeMap<Address, MemoryAccount>,
    codes: B256Map<Bytes>,
}

impl MemoryState {
    /// No account at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts an account in, in place of what was there; slots of zero are left out.
    pub fn insert(
        &mut self,
        address: Address,
        nonce: u64,
        balance: U256,
        code: Bytes,
        storage: impl IntoIterator<Item = (B256, U256)>,
    ) {
        let account = Account { nonce, balance, code_hash: self.insert_code(code) };
        let storage = storage.into_iter().filter(|(_, value)| !value.is_zero()).collect();
        self.accounts.insert(address, MemoryAccount { account, storage });
    }

    /// The state that a genesis file allocates.
    pub fn from_genesis(alloc: &[(Address, GenesisAccount)]) -> Self {
        let mut state = Self::new();
        for (address, account) in alloc {
            let storage = account.storage.iter().copied();
            state.insert(*address, account.nonce, account.balance, account.code.clone(), storage);
        }
        state
    }

    /// The state root, computed from scratch.
    pub fn root(&self) -> B256 {
        root::state_root_unhashed(
            self.accounts.iter().map(|(address, known)| (*address, known.trie_account())),
        )
    }

    /// Makes code known by its hash, which it gives.
    pub fn insert_code(&mut self, code: Bytes) -> B256 {
        let code_hash = keccak256(&code);
        if !code.is_empty() {
            self.codes.insert(code_hash, code);
        }
        code_hash
    }

    /// An account with its storage.
    pub fn get(&self, address: &Address) -> Option<&MemoryAccount> {
        self.accounts.get(address)
    }

    /// Code by its hash; `None` for empty code too.
    pub fn code_of(&self, code_hash: &B256) -> Option<&Bytes> {
        self.codes.get(code_hash)
    }

    /// All accounts, ascending by address.
    pub fn accounts(&self) -> impl ExactSizeIterator<Item = (&Address, &MemoryAccount)> {
        self.accounts.iter()
    }

    /// Takes over what an overlay above this state wrote.
    pub fn apply(&mut self, writes: OverlayWrites) {
        for (code_hash, code) in writes.codes {
            self.codes.insert(code_hash, code.into());
        }
        for written in writes.accounts {
            match written.account {
                // An account that goes takes its storage with it.
                Some(None) => {
                    self.accounts.remove(&written.address);
                    continue;
                }
                Some(Some(account)) => self.accounts.entry(written.address).or_default().account = account,
                None => {}
            }
            let Some(known) = self.accounts.get_mut(&written.address) else { continue };
            if written.wipe_storage {
                known.storage.clear();
            }
            for WrittenSlot { slot, value, .. } in written.slots {
                if value.is_zero() {
                    known.storage.remove(&slot);
                } else {
                    known.storage.insert(slot, value);
                }
            }
        }
    }
}

impl StateReader for MemoryState {
    fn account(&mut self, address: &Address) -> Result<Option<Account>, ReadError> {
        Ok(self.accounts.get(address).map(|known| known.account))
    }

    fn storage(&mut self, address: &Address, slot: &B256) -> Result<U256, ReadError> {
        let known = self.accounts.get(address);
        Ok(known.and_then(|known| known.storage.get(slot)).copied().unwrap_or_default())
    }

    fn slots(&mut self, address: &Address) -> Result<Vec<StorageEntry>, ReadError> {
        let known = self.accounts.get(address);
        let slots = known.into_iter().flat_map(|known| &known.storage);
        Ok(slots.map(|(slot, value)| StorageEntry { slot: *slot, value: *value }).collect())
    }

    fn has_storage(&mut self, address: &Address) -> Result<bool, ReadError> {
        Ok(self.accounts.get(address).is_some_and(|known| !known.storage.is_empty()))
    }

    fn code(&mut self, code_hash: &B256) -> Result<Vec<u8>, ReadError> {
        present(self.codes.get(code_hash).map(|code| code.to_vec()), code_hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WrittenAccount;

    const ALICE: Address = Address::repeat_byte(0xa1);

    fn slot(number: u64) -> B256 {
        B256::from(U256::from(number))
    }

    fn state() -> MemoryState {
        let mut state = MemoryState::new();
        let storage = [(slot(2), U256::from(20)), (slot(1), U256::from(10)), (slot(3), U256::ZERO)];
        state.insert(ALICE, 1, U256::from(7), Bytes::from_static(&[0x60]), storage);
        state
    }

    fn written(account: Option<Option<Account>>, wipe_storage: bool, slots: &[(u64, u64)]) -> OverlayWrites {
        let slots = slots.iter().map(|(number, value)| WrittenSlot {
            slot: slot(*number),
            value: U256::from(*value),
            is_new: false,
        });
        let slots = slots.collect();
        let accounts = vec![WrittenAccount { address: ALICE, account, wipe_storage, slots }];
        OverlayWrites { accounts, codes: Vec::new() }
    }

    #[test]
    fn it_reads_what_was_put_in() {
        let mut state = state();
        let account = state.account(&ALICE).unwrap().unwrap();
        assert_eq!((account.nonce, account.balance), (1, U256::from(7)));
        assert_eq!(state.code(&account.code_hash).unwrap(), [0x60]);
        assert_eq!(state.storage(&ALICE, &slot(2)).unwrap(), U256::from(20));
        let slots: Vec<_> = state.slots(&ALICE).unwrap().into_iter().map(|entry| entry.slot).collect();
        assert_eq!(slots, [slot(1), slot(2)], "in order, without the zero");
        assert!(state.account(&Address::ZERO).unwrap().is_none());
        assert!(state.code(&B256::ZERO).is_err(), "code that is not there is an error");
    }

    #[test]
    fn zero_deletes_a_slot() {
        let mut state = state();
        state.apply(written(None, false, &[(1, 0), (5, 50)]));
        let storage: Vec<_> = state.get(&ALICE).unwrap().storage.clone().into_iter().collect();
        assert_eq!(storage, [(slot(2), U256::from(20)), (slot(5), U256::from(50))]);
    }

    #[test]
    fn a_wipe_goes_before_the_slots() {
        let mut state = state();
        state.apply(written(Some(Some(Account::default())), true, &[(2, 1)]));
        let known = state.get(&ALICE).unwrap();
        assert_eq!(known.account, Account::default());
        assert_eq!(known.storage.clone().into_iter().collect::<Vec<_>>(), [(slot(2), U256::from(1))]);
    }

    #[test]
    fn an_account_that_goes_takes_its_storage_with_it() {
        let mut state = state();
        state.apply(written(Some(None), false, &[]));
        assert!(state.get(&ALICE).is_none());
        assert_eq!(state.storage(&ALICE, &slot(1)).unwrap(), U256::ZERO);
    }
}
