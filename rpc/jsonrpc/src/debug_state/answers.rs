//! Arguments and answers of the methods.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U64, U256, hex, keccak256};
use base64::{Engine, prelude::BASE64_STANDARD};
use jsonrpsee::types::ErrorObjectOwned;
use portico_query::{AccountPage, AccountRow, ExecutionWitness, StoragePage};
use serde::{Deserialize, Serialize};

use crate::error::invalid_params;

/// A number, as JSON has it or in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Number {
    /// As JSON has it.
    Decimal(u64),
    /// In hexadecimal.
    Quantity(U64),
}

impl Number {
    pub(crate) fn get(self) -> u64 {
        match self {
            Self::Decimal(number) => number,
            Self::Quantity(quantity) => quantity.to(),
        }
    }

    pub(crate) fn size(self) -> usize {
        usize::try_from(self.get()).unwrap_or(usize::MAX)
    }
}

/// Which form of a witness is wanted. There is one: clients that have several call it canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WitnessMode {
    /// Nothing that was there only after the block.
    Canonical,
    /// As other clients had it before.
    Legacy,
}

/// Slots that follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageRange {
    storage: BTreeMap<B256, SlotThen>,
    next_key: Option<B256>,
}

/// A slot, beside the hash of its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlotThen {
    key: B256,
    value: B256,
}

impl From<StoragePage> for StorageRange {
    fn from(page: StoragePage) -> Self {
        let slots = page.slots.into_iter();
        let storage =
            slots.map(|(key, value)| (keccak256(key), SlotThen { key, value: value.into() })).collect();
        Self { storage, next_key: page.next }
    }
}

/// Accounts that follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountRange {
    /// Without `0x`.
    root: String,
    accounts: BTreeMap<Address, RangeAccount>,
    /// In base 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// An account of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RangeAccount {
    /// In decimal.
    balance: String,
    nonce: u64,
    /// Storage roots of accounts are not kept for past blocks: always zero, as in Erigon.
    root: B256,
    code_hash: B256,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage: Option<BTreeMap<B256, String>>,
    address: Address,
    key: B256,
}

impl From<AccountPage> for AccountRange {
    fn from(page: AccountPage) -> Self {
        let accounts = page.accounts.into_iter();
        Self {
            root: hex::encode(page.state_root),
            accounts: accounts.map(|(address, row)| (address, range_account(address, row))).collect(),
            next: page.next.map(|next| BASE64_STANDARD.encode(next)),
        }
    }
}

fn range_account(address: Address, row: AccountRow) -> RangeAccount {
    let storage = row.storage.map(|slots| {
        slots.into_iter().map(|(slot, value)| (slot, hex::encode(value.to_be_bytes_trimmed_vec())))
    });
    RangeAccount {
        balance: row.balance.to_string(),
        nonce: row.nonce,
        root: B256::ZERO,
        code_hash: row.code_hash,
        code: row.code,
        storage: storage.map(Iterator::collect),
        address,
        key: keccak256(address),
    }
}

/// An account within a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountThen {
    balance: U256,
    nonce: U64,
    code: Bytes,
    code_hash: B256,
}

impl From<AccountRow> for AccountThen {
    fn from(row: AccountRow) -> Self {
        Self {
            balance: row.balance,
            nonce: U64::from(row.nonce),
            code: row.code.unwrap_or_default(),
            code_hash: row.code_hash,
        }
    }
}

/// What a block needs to be executed without a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Witness {
    state: Vec<Bytes>,
    codes: Vec<Bytes>,
    keys: Vec<Bytes>,
    headers: Vec<Bytes>,
}

impl From<ExecutionWitness> for Witness {
    fn from(witness: ExecutionWitness) -> Self {
        let ExecutionWitness { state, codes, keys, headers } = witness;
        Self { state, codes, keys, headers }
    }
}

/// An address in hexadecimal with `0x`, or in base 64, as a page names the next one.
pub(super) fn address_key(text: &str) -> Result<Address, ErrorObjectOwned> {
    let bytes = match text.strip_prefix("0x") {
        Some(digits) => hex::decode(digits).ok(),
        None => BASE64_STANDARD.decode(text).ok(),
    };
    let bytes = bytes
        .ok_or_else(|| invalid_params(format!("{text:?} is no key: neither hexadecimal nor base 64")))?;
    let mut address = Address::ZERO;
    let len = bytes.len().min(Address::len_bytes());
    address[..len].copy_from_slice(&bytes[..len]);
    Ok(address)
}

/// A slot, with or without `0x` and leading zeros.
pub(super) fn slot_key(text: &str) -> Result<B256, ErrorObjectOwned> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let digits = if digits.is_empty() { "0" } else { digits };
    let word = U256::from_str_radix(digits, 16);
    word.map(B256::from).map_err(|_| invalid_params(format!("{text:?} is no slot: at most 64 digits")))
}
