//! Roots of states that are at hand as a whole: of a genesis, and to test against.

use alloy_primitives::{B256, U256};
use alloy_trie::{TrieAccount, root};
use portico_db::models::Account;

/// The root of a storage trie with these hashed slots, in ascending order, none of them zero.
pub fn storage_root_of(slots: impl IntoIterator<Item = (B256, U256)>) -> B256 {
    root::storage_root(slots)
}

/// The root of a state with these accounts: hashed address, account, storage root; in ascending order.
pub fn state_root_of(accounts: impl IntoIterator<Item = (B256, Account, B256)>) -> B256 {
    root::state_root(accounts.into_iter().map(|(hashed_address, account, storage_root)| {
        let leaf = TrieAccount::new(account.nonce, account.balance, storage_root, account.code_hash);
        (hashed_address, leaf)
    }))
}
