//! The state that a witness proves, as execution reads and changes it.

use std::collections::{BTreeMap, BTreeSet};

use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
use alloy_primitives::{Address, B256, U256, keccak256, map::HashMap};
use portico_db::models::{Account, StorageEntry};
use portico_evm::{OverlayWrites, ReadError, StateReader, WrittenAccount};
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
        let set = slots.iter().filter(|(_, value)| !value.is_zero());
        let removed = slots.iter().filter(|(_, value)| value.is_zero());
        for (slot, value) in set.chain(removed) {
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

    fn code(&mut self, code_hash: &B256) -> Result<Vec<u8>, ReadError> {
        let code = self.witness.code(code_hash).map(|code| code.to_vec());
        self.note(code.ok_or(WitnessError::MissingCode { code_hash: *code_hash }))
    }

    fn block_hash(&mut self, block_number: u64) -> Result<B256, ReadError> {
        let hash = self.block_hashes.get(&block_number).copied();
        self.note(hash.ok_or(WitnessError::MissingHeader { number: block_number }))
    }
}
