//! Accounts with their storage over partial tries.

use alloy_primitives::{
    B256, U256,
    map::{B256Map, hash_map::Entry},
};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use portico_db::models::Account;

use super::{PartialTrie, TrieNodes};
use crate::error::PartialTrieError;

/// A state of which only some nodes are at hand. Keys are hashes of addresses and slots.
///
/// A changed storage ([`Self::wipe_storage`], [`Self::set_slot`]) counts once its account is set again
/// ([`Self::set_account`]): only then its root gets into the account trie. Slots and accounts that go are best removed
/// after all others were set; see the module.
#[derive(Debug, Clone)]
pub struct PartialState<'a> {
    nodes: &'a TrieNodes,
    accounts: PartialTrie<'a>,
    /// Storage tries that were walked.
    storages: B256Map<PartialTrie<'a>>,
}

impl<'a> PartialState<'a> {
    /// The state with this root.
    pub fn new(nodes: &'a TrieNodes, state_root: B256) -> Self {
        Self { nodes, accounts: PartialTrie::new(nodes, state_root), storages: B256Map::default() }
    }

    /// An account; `None` when the nodes prove that there is none.
    ///
    /// # Errors
    /// When a node on the way is missing, or it or the account is malformed.
    pub fn account(&mut self, hashed_address: &B256) -> Result<Option<Account>, PartialTrieError> {
        let leaf = self.leaf(hashed_address)?;
        Ok(leaf.map(|TrieAccount { nonce, balance, code_hash, .. }| Account { nonce, balance, code_hash }))
    }

    /// Whether an account has any slot that is set.
    ///
    /// # Errors
    /// As [`PartialState::account`].
    pub fn has_storage(&mut self, hashed_address: &B256) -> Result<bool, PartialTrieError> {
        if let Some(storage) = self.storages.get_mut(hashed_address) {
            return Ok(storage.root() != EMPTY_ROOT_HASH);
        }
        Ok(self.leaf(hashed_address)?.is_some_and(|leaf| leaf.storage_root != EMPTY_ROOT_HASH))
    }

    /// A slot; zero when the nodes prove that it is not set.
    ///
    /// # Errors
    /// When a node on the way is missing, or it or the value is malformed.
    pub fn slot(&mut self, hashed_address: &B256, hashed_slot: &B256) -> Result<U256, PartialTrieError> {
        let Some(value) = self.storage(hashed_address)?.get(hashed_slot)? else { return Ok(U256::ZERO) };
        match alloy_rlp::decode_exact::<U256>(value) {
            Ok(value) if !value.is_zero() => Ok(value),
            _ => Err(PartialTrieError::MalformedValue { what: "slot", key: *hashed_slot }),
        }
    }

    /// Empties an account's storage, for which none of its slots need be known.
    pub fn wipe_storage(&mut self, hashed_address: &B256) {
        self.storages.insert(*hashed_address, PartialTrie::new(self.nodes, EMPTY_ROOT_HASH));
    }

    /// Sets a slot of an account; zero removes it.
    ///
    /// # Errors
    /// When a node on the way is missing or malformed, or the only node left beside a slot that goes.
    pub fn set_slot(
        &mut self,
        hashed_address: &B256,
        hashed_slot: &B256,
        value: U256,
    ) -> Result<(), PartialTrieError> {
        let storage = self.storage(hashed_address)?;
        if value.is_zero() {
            storage.remove(hashed_slot)?;
            return Ok(());
        }
        storage.insert(hashed_slot, alloy_rlp::encode(value))
    }

    /// Sets an account, with the root of its storage as it is now.
    ///
    /// # Errors
    /// When a node on the way is missing or malformed.
    pub fn set_account(&mut self, hashed_address: &B256, account: Account) -> Result<(), PartialTrieError> {
        let storage_root = match self.storages.get_mut(hashed_address) {
            Some(storage) => storage.root(),
            None => self.leaf(hashed_address)?.map_or(EMPTY_ROOT_HASH, |leaf| leaf.storage_root),
        };
        let leaf = TrieAccount::new(account.nonce, account.balance, storage_root, account.code_hash);
        self.accounts.insert(hashed_address, alloy_rlp::encode(leaf))
    }

    /// Removes an account and its storage.
    ///
    /// # Errors
    /// When a node on the way is missing or malformed, or the only node left beside the account.
    pub fn remove_account(&mut self, hashed_address: &B256) -> Result<(), PartialTrieError> {
        self.accounts.remove(hashed_address)?;
        self.storages.remove(hashed_address);
        Ok(())
    }

    /// The state root.
    pub fn root(&mut self) -> B256 {
        self.accounts.root()
    }

    fn leaf(&mut self, hashed_address: &B256) -> Result<Option<TrieAccount>, PartialTrieError> {
        let Some(value) = self.accounts.get(hashed_address)? else { return Ok(None) };
        let leaf = alloy_rlp::decode_exact(value);
        leaf.map(Some).map_err(|_| PartialTrieError::MalformedValue { what: "account", key: *hashed_address })
    }

    fn storage(&mut self, hashed_address: &B256) -> Result<&mut PartialTrie<'a>, PartialTrieError> {
        let root = match self.storages.contains_key(hashed_address) {
            true => EMPTY_ROOT_HASH,
            false => self.leaf(hashed_address)?.map_or(EMPTY_ROOT_HASH, |leaf| leaf.storage_root),
        };
        Ok(match self.storages.entry(*hashed_address) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(PartialTrie::new(self.nodes, root)),
        })
    }
}
