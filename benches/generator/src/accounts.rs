//! The people of a generated chain: users who hold a key, and addresses that only receive.
//!
//! User `i`'s secret key is derived from seed and index, so any part of a chain can be made again. Users
//! beyond those of genesis come to life when somebody sends them ether.

use alloy_primitives::{Address, B256, keccak256};
use rayon::prelude::*;
use secp256k1::{PublicKey, SECP256K1, SecretKey};

/// Position of a user in [`Accounts`].
pub type UserIndex = u32;

/// What the model knows of a user.
#[derive(Debug, Clone)]
pub struct User {
    pub(crate) key: SecretKey,
    /// The account.
    pub address: Address,
    /// The nonce of the next transaction, counting those already planned.
    pub nonce: u64,
    /// What the account owns at least, in wei: fees are taken off for the whole gas limit.
    pub balance: u128,
    /// Whether the account delegates to the batch contract (EIP-7702).
    pub is_delegated: bool,
    /// Whether the account has ever delegated.
    pub(crate) has_delegated: bool,
}

impl User {
    /// The account's key: that of an account which exists on generated chains only.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }
}

/// All users so far.
#[derive(Debug)]
pub struct Accounts {
    seed: u64,
    users: Vec<User>,
}

impl Accounts {
    /// The users of genesis, each with `balance` wei.
    pub fn new(seed: u64, count: UserIndex, balance: u128) -> Self {
        let users = (0..count).into_par_iter().map(|index| new_user(seed, index, balance)).collect();
        Self { seed, users }
    }

    /// How many users there are.
    pub fn len(&self) -> u64 {
        self.users.len() as u64
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// The user at `index`.
    pub fn user(&self, index: UserIndex) -> &User {
        &self.users[index as usize]
    }

    pub(crate) fn user_mut(&mut self, index: UserIndex) -> &mut User {
        &mut self.users[index as usize]
    }

    /// Adds a user without ether.
    pub(crate) fn add(&mut self) -> UserIndex {
        let index = UserIndex::try_from(self.users.len()).expect("chains have fewer than 2^32 users");
        self.users.push(new_user(self.seed, index, 0));
        index
    }

    /// The address of the `index`-th account that nobody has a key of.
    pub fn cold_address(&self, index: u64) -> Address {
        derive_address(self.seed, b"cold", index)
    }
}

/// An address that only depends on seed, purpose and index.
pub(crate) fn derive_address(seed: u64, purpose: &[u8], index: u64) -> Address {
    Address::from_word(derive_word(seed, purpose, index))
}

fn derive_word(seed: u64, purpose: &[u8], index: u64) -> B256 {
    keccak256([b"portico ", purpose, &seed.to_be_bytes(), &index.to_be_bytes()].concat())
}

fn new_user(seed: u64, index: UserIndex, balance: u128) -> User {
    let mut secret = derive_word(seed, b"user", u64::from(index));
    let key = loop {
        // All but one in 2^128 words are valid keys.
        match SecretKey::from_byte_array(secret.0) {
            Ok(key) => break key,
            Err(_) => secret = keccak256(secret),
        }
    };
    let public = PublicKey::from_secret_key(SECP256K1, &key).serialize_uncompressed();
    let address = Address::from_raw_public_key(&public[1..]);
    User { key, address, nonce: 0, balance, is_delegated: false, has_delegated: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_depend_on_seed_and_index_alone() {
        let accounts = Accounts::new(3, 5, 10);
        let mut fewer = Accounts::new(3, 4, 10);
        let added = fewer.add();
        assert_eq!((added, fewer.len()), (4, 5));
        for index in 0..5 {
            assert_eq!(accounts.user(index).address, fewer.user(index).address);
        }
        assert_eq!(fewer.user(4).balance, 0);
        assert_ne!(Accounts::new(4, 1, 10).user(0).address, accounts.user(0).address);
    }
}
