//! The state that a witness proves, as execution reads and changes it.

use std::collections::{BTreeMap, BTreeSet};

use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
use alloy_primitives::{Address, B256, U256, keccak256, map::HashMap};
use portico_db::models::{Account, StorageEntry};
use portico_evm::{OverlayWrites, ReadError, StateReader, WrittenAccount, WrittenSlot};
use portico_trie::{PartialState, PartialTrieError};

use crate::{UnprovenAccounts, Witness, WitnessError};

/// Contracts that the protocol calls in every block: never absent where they are read, and without their code a block
/// would do less, unnoticed.
const SYSTEM_CONTRACTS: [Address; 4] = [
    eip4788::BEACON_ROOTS_ADDRESS,
    eip2935::HISTORY_STORAGE_ADDRESS,
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
];

/// Reads from a witness; the first thing that it lacks is kept, as the EVM may pass on less than it was told.
#[derive(Debug)]
pub(crate) struct WitnessState<'w> {
    witness: &'w Witness,
    state: PartialState<'w>,
    block_hashes: &'w HashMap<u64, B256>,
    unproven: UnprovenAccounts,
    /// Accounts that were taken for absent without proof.
    assumed_absent: BTreeSet<Address>,
    /// Accounts whose storage went, whether or not some of it is known.
    wiped: BTreeSet<Address>,
    failed: Option<WitnessError>,
}

impl<'w> WitnessState<'w> {
    /// The state with this root.
    pub fn new(
        witness: &'w Witness,
        block_hashes: &'w HashMap<u64, B256>,
        state_root: B256,
        unproven: UnprovenAccounts,
    ) -> Self {
        Self {
            witness,
            state: PartialState::new(&witness.nodes, state_root),
            block_hashes,
            unproven,
            assumed_absent: BTreeSet::new(),
            wiped: BTreeSet::new(),
            failed: None,
        }
    }

    /// # Errors
    /// The first thing that a read did not find.
    pub fn check(&self) -> Result<(), WitnessError> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// Accounts that were taken for absent without proof, ascending.
    pub fn assumed_absent(&self) -> Vec<Address> {
        self.assumed_absent.iter().copied().collect()
    }

    /// The root after `writes`.
    ///
    /// # Errors
    /// What is missing to compute it.
    pub fn root_after(mut self, writes: &OverlayWrites) -> Result<B256, WitnessError> {
        let written: BTreeMap<Address, &WrittenAccount> =
            writes.accounts.iter().map(|written| (written.address, written)).collect();
        let mut gone = Vec::new();
        let mut addresses = self.wiped.clone();
        addresses.extend(written.keys());
        for address in addresses {
            let written = written.get(&address).copied();
            if written.is_some_and(|written| written.account == Some(None)) {
                gone.push(address);
            } else {
                self.write(&address, written)?;
            }
        }
        // Last, so that no more siblings are needed than those who made the witness needed.
        for address in gone {
            let removed = self.state.remove_account(&keccak256(address));
            removed.map_err(|source| WitnessError::account(&address, source))?;
        }
        Ok(self.state.root())
    }

    /// An account that stays; without `written` its storage is all that went.
    fn write(&mut self, address: &Address, written: Option<&WrittenAccount>) -> Result<(), WitnessError> {
        let address = *address;
        let hashed_address = keccak256(address);
        let failed = |source| WitnessError::account(&address, source);
        if self.wiped.contains(&address) || written.is_some_and(|written| written.wipe_storage) {
            self.state.wipe_storage(&hashed_address);
        }
        let slots = written.map_or(&[][..], |written| &written.slots);
        let set = slots.iter().filter(|written| !written.value.is_zero());
        let removed = slots.iter().filter(|written| written.value.is_zero());
        for WrittenSlot { slot, value, .. } in set.chain(removed) {
            let changed = self.state.set_slot(&hashed_address, &keccak256(slot), *value);
            changed.map_err(|source| WitnessError::slot(&address, slot, source))?;
        }
        let account = match written.and_then(|written| written.account).flatten() {
            Some(account) => Some(account),
            None => self.state.account(&hashed_address).map_err(failed)?,
        };
        let Some(account) = account else { return Ok(()) };
        self.state.set_account(&hashed_address, account).map_err(failed)
    }

    fn note<T>(&mut self, result: Result<T, WitnessError>) -> Result<T, ReadError> {
        result.map_err(|error| {
            self.failed.get_or_insert_with(|| error.clone());
            ReadError::new(error)
        })
    }
}

impl StateReader for WitnessState<'_> {
    fn account(&mut self, address: &Address) -> Result<Option<Account>, ReadError> {
        let account = self.state.account(&keccak256(address));
        if self.unproven == UnprovenAccounts::AssumeAbsent
            && account.as_ref().is_err_and(PartialTrieError::is_missing)
            && !SYSTEM_CONTRACTS.contains(address)
        {
            self.assumed_absent.insert(*address);
            return Ok(None);
        }
        self.note(account.map_err(|source| WitnessError::account(address, source)))
    }

    fn storage(&mut self, address: &Address, slot: &B256) -> Result<U256, ReadError> {
        let value = self.state.slot(&keccak256(address), &keccak256(slot));
        self.note(value.map_err(|source| WitnessError::slot(address, slot, source)))
    }

    /// None: an emptied storage has an empty trie, for whose root no slot need be listed. That the storage is empty is
    /// noted. The overlay wipes only what it knows, and writes every slot that is not zero afterwards: a slot's value
    /// before the wipe, if it was read and not zero, makes the overlay say that all went.
    fn slots(&mut self, address: &Address) -> Result<Vec<StorageEntry>, ReadError> {
        self.wiped.insert(*address);
        Ok(Vec::new())
    }

    fn has_storage(&mut self, address: &Address) -> Result<bool, ReadError> {
        let storage = self.state.has_storage(&keccak256(address));
        self.note(storage.map_err(|source| WitnessError::account(address, source)))
    }

    fn code(&mut self, code_hash: &B256) -> Result<Vec<u8>, ReadError> {
        let code = self.witness.code(code_hash).map(|code| code.to_vec());
        self.note(code.ok_or(WitnessError::MissingCode { code_hash: *code_hash }))
    }

    fn block_hash(&mut self, block_number: u64) -> Result<B256, ReadError> {
        let hash = self.block_hashes.get(&block_number).copied();
        self.note(hash.ok_or(WitnessError::MissingHeader { number: block_number }))
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::constants::KECCAK_EMPTY;
    use alloy_primitives::{Bytes, map::AddressMap};
    use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
    use portico_evm::Overlay;
    use portico_trie::{state_root_of, storage_root_of};
    use revm::{
        Database, DatabaseCommit,
        state::{Account as EvmAccount, AccountInfo, EvmStorageSlot},
    };

    use super::*;

    const ALICE: Address = Address::repeat_byte(0xa1);

    /// A state of one account whose storage is not at hand.
    fn witness() -> (Witness, B256) {
        let leaf = TrieAccount::new(1, U256::from(7), B256::repeat_byte(5), KECCAK_EMPTY);
        let path = [&[0x20], &keccak256(ALICE)[..]].concat();
        let node = alloy_rlp::encode::<Vec<Bytes>>(vec![path.into(), alloy_rlp::encode(leaf).into()]);
        let root = keccak256(&node);
        (Witness::new(Vec::new(), [], [Bytes::from(node)]).unwrap(), root)
    }

    fn root_with(account: Account, storage_root: B256) -> B256 {
        state_root_of([(keccak256(ALICE), account, storage_root)])
    }

    fn changed(account: EvmAccount) -> AddressMap<EvmAccount> {
        [(ALICE, account)].into_iter().collect()
    }

    #[test]
    fn an_account_that_goes_and_comes_back_has_only_its_new_storage() {
        let (witness, root) = witness();
        let hashes = HashMap::default();
        let mut state = WitnessState::new(&witness, &hashes, root, UnprovenAccounts::Refuse);
        let mut overlay = Overlay::new(&mut state);
        overlay.begin_block(1);
        let info = overlay.basic(ALICE).unwrap().unwrap();
        let mut gone = EvmAccount::from(info);
        gone.mark_touch();
        gone.mark_selfdestruct();
        overlay.commit(changed(gone));
        let mut back = EvmAccount::from(AccountInfo { nonce: 1, ..AccountInfo::default() });
        back.mark_touch();
        back.mark_created();
        let slot = EvmStorageSlot { present_value: U256::from(9), ..EvmStorageSlot::default() };
        back.storage.insert(U256::from(3), slot);
        overlay.commit(changed(back));
        overlay.check().unwrap();
        let writes = overlay.into_writes();
        let storage_root = storage_root_of([(keccak256(B256::from(U256::from(3))), U256::from(9))]);
        let account = Account { nonce: 1, ..Account::default() };
        assert_eq!(state.root_after(&writes), Ok(root_with(account, storage_root)));
    }

    #[test]
    fn an_account_that_comes_back_as_it_was_has_an_empty_storage() {
        let (witness, root) = witness();
        let hashes = HashMap::default();
        let mut state = WitnessState::new(&witness, &hashes, root, UnprovenAccounts::Refuse);
        let account = state.account(&ALICE).unwrap().unwrap();
        assert!(state.slots(&ALICE).unwrap().is_empty());
        let writes = OverlayWrites::default();
        assert_eq!(state.root_after(&writes), Ok(root_with(account, EMPTY_ROOT_HASH)));
    }

    #[test]
    fn what_is_not_at_hand_is_named_and_kept() {
        let (witness, root) = witness();
        let hashes = [(5, B256::repeat_byte(6))].into_iter().collect();
        let mut state = WitnessState::new(&witness, &hashes, root, UnprovenAccounts::Refuse);
        assert_eq!(state.account(&Address::ZERO).unwrap(), None, "the one leaf proves that");
        assert_eq!(state.block_hash(5).unwrap(), B256::repeat_byte(6));
        assert_eq!(state.check(), Ok(()));
        let slot = B256::repeat_byte(4);
        assert!(state.storage(&ALICE, &slot).is_err());
        let first = state.check().unwrap_err();
        assert!(
            matches!(first, WitnessError::Slot { address: ALICE, slot: got, .. } if got == slot),
            "{first}"
        );
        let error = state.block_hash(4).unwrap_err();
        assert_eq!(error.to_string(), WitnessError::MissingHeader { number: 4 }.to_string());
        let error = state.code(&slot).unwrap_err();
        assert_eq!(error.to_string(), WitnessError::MissingCode { code_hash: slot }.to_string());
        assert_eq!(state.check(), Err(first), "the first one stays");
    }

    #[test]
    fn absence_is_assumed_only_when_asked_for_and_never_written_to() {
        let (witness, _) = witness();
        let hashes = HashMap::default();
        let root = B256::repeat_byte(1);
        let mut state = WitnessState::new(&witness, &hashes, root, UnprovenAccounts::Refuse);
        assert!(state.account(&ALICE).is_err());
        let mut state = WitnessState::new(&witness, &hashes, root, UnprovenAccounts::AssumeAbsent);
        assert_eq!(state.account(&ALICE).unwrap(), None);
        assert_eq!(state.assumed_absent(), [ALICE]);
        assert!(state.account(&SYSTEM_CONTRACTS[0]).is_err(), "those are there");
        let account = Some(Some(Account::default()));
        let accounts =
            vec![WrittenAccount { address: ALICE, account, wipe_storage: false, slots: Vec::new() }];
        let writes = OverlayWrites { accounts, codes: Vec::new() };
        assert!(matches!(state.root_after(&writes), Err(WitnessError::Account { address: ALICE, .. })));
    }
}
