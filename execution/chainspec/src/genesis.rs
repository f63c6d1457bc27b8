//! The genesis state and the header that commits to it.

use crate::{Activation, Fork, ForkSchedule};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header};
use alloy_eip7928::EMPTY_BLOCK_ACCESS_LIST_HASH;
use alloy_eips::{eip1559::INITIAL_BASE_FEE, eip7685::EMPTY_REQUESTS_HASH};
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256, keccak256};
use alloy_trie::{KECCAK_EMPTY, TrieAccount, root};

/// An account of the genesis state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GenesisAccount {
    /// Balance in wei.
    pub balance: U256,
    /// Nonce.
    pub nonce: u64,
    /// Code, empty for none.
    pub code: Bytes,
    /// Non-zero slots, ascending and unique.
    pub storage: Vec<(B256, U256)>,
}

impl GenesisAccount {
    /// An account with a balance and nothing else.
    pub fn with_balance(balance: U256) -> Self {
        Self { balance, ..Self::default() }
    }

    /// A contract with nonce 1.
    pub fn with_code(code: Bytes) -> Self {
        Self { nonce: 1, code, ..Self::default() }
    }

    /// Keccak-256 of the code.
    pub fn code_hash(&self) -> B256 {
        if self.code.is_empty() { KECCAK_EMPTY } else { keccak256(&self.code) }
    }
}

impl From<&GenesisAccount> for TrieAccount {
    fn from(account: &GenesisAccount) -> Self {
        let slots = account.storage.iter().copied();
        Self {
            nonce: account.nonce,
            balance: account.balance,
            storage_root: root::storage_root_unhashed(slots),
            code_hash: account.code_hash(),
        }
    }
}

/// State root of an allocation.
pub(crate) fn state_root(alloc: &[(Address, GenesisAccount)]) -> B256 {
    root::state_root_unhashed(alloc.iter().map(|(address, account)| (*address, TrieAccount::from(account))))
}

/// The header fields that a genesis file may set. Those of later forks count only if the fork is active at genesis.
#[derive(Clone, Debug, Default)]
pub(crate) struct GenesisFields {
    pub parent_hash: B256,
    pub beneficiary: Address,
    pub difficulty: U256,
    pub gas_limit: u64,
    pub gas_used: u64,
    pub timestamp: u64,
    pub extra_data: Bytes,
    pub mix_hash: B256,
    pub nonce: u64,
    pub base_fee_per_gas: Option<u64>,
    pub blob_gas_used: Option<u64>,
    pub excess_blob_gas: Option<u64>,
    pub parent_beacon_block_root: Option<B256>,
    pub slot_number: Option<u64>,
}

/// The genesis header. Forks by timestamp count from the genesis timestamp on, merged or not.
pub(crate) fn header(fields: GenesisFields, schedule: &ForkSchedule, state_root: B256) -> Header {
    let has = |fork| match schedule.activation(fork) {
        Some(Activation::Block(number)) => number == 0,
        Some(Activation::Timestamp(timestamp)) => timestamp <= fields.timestamp,
        Some(Activation::TotalDifficulty(_)) | None => false,
    };
    let (london, shanghai, cancun) = (has(Fork::London), has(Fork::Shanghai), has(Fork::Cancun));
    let (prague, amsterdam) = (has(Fork::Prague), has(Fork::Amsterdam));
    Header {
        parent_hash: fields.parent_hash,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: fields.beneficiary,
        state_root,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        logs_bloom: Bloom::ZERO,
        difficulty: fields.difficulty,
        number: 0,
        gas_limit: fields.gas_limit,
        gas_used: fields.gas_used,
        timestamp: fields.timestamp,
        extra_data: fields.extra_data,
        mix_hash: fields.mix_hash,
        nonce: B64::from(fields.nonce),
        base_fee_per_gas: london.then_some(fields.base_fee_per_gas.unwrap_or(INITIAL_BASE_FEE)),
        withdrawals_root: shanghai.then_some(EMPTY_ROOT_HASH),
        blob_gas_used: cancun.then_some(fields.blob_gas_used.unwrap_or_default()),
        excess_blob_gas: cancun.then_some(fields.excess_blob_gas.unwrap_or_default()),
        parent_beacon_block_root: cancun.then_some(fields.parent_beacon_block_root.unwrap_or_default()),
        requests_hash: prague.then_some(EMPTY_REQUESTS_HASH),
        block_access_list_hash: amsterdam.then_some(EMPTY_BLOCK_ACCESS_LIST_HASH),
        slot_number: amsterdam.then_some(fields.slot_number.unwrap_or_default()),
    }
}
