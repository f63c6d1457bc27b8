//! States as JSON: `alloc` of test files, and go-ethereum's dump.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use eyre::{Result, eyre};
use portico_evm::MemoryState;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::number::Number;

/// A state by address. Keys are hexadecimal with or without `0x`; `null` is an account that is not there.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Alloc(BTreeMap<String, Option<AllocAccount>>);

#[derive(Debug, Clone, Default, Deserialize)]
struct AllocAccount {
    #[serde(default)]
    balance: Option<Number>,
    #[serde(default)]
    nonce: Option<Number>,
    #[serde(default)]
    code: Option<Bytes>,
    #[serde(default)]
    storage: Option<BTreeMap<String, String>>,
}

impl Alloc {
    /// The state.
    ///
    /// # Errors
    /// For a key or number that does not fit its place, with the key.
    pub(crate) fn into_state(self) -> Result<MemoryState> {
        let mut state = MemoryState::new();
        for (key, account) in self.0 {
            let address: Address = key.parse().map_err(|_| eyre!("{key:?} is not an address"))?;
            let Some(account) = account else { continue };
            let nonce = account.nonce.unwrap_or_default().0;
            let nonce = u64::try_from(nonce).map_err(|_| eyre!("the nonce of {address} is too large"))?;
            let slots = account.storage.unwrap_or_default().into_iter();
            let storage: Vec<(B256, U256)> = slots
                .map(|(slot, value)| Ok((B256::from(hexadecimal(&slot)?), hexadecimal(&value)?)))
                .collect::<Result<_>>()?;
            let balance = account.balance.unwrap_or_default().0;
            state.insert(address, nonce, balance, account.code.unwrap_or_default(), storage);
        }
        Ok(state)
    }
}

/// A storage key or value: hexadecimal digits, `0x` optional.
fn hexadecimal(text: &str) -> Result<U256> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.is_empty() {
        return Ok(U256::ZERO);
    }
    U256::from_str_radix(digits, 16).map_err(|_| eyre!("{text:?} is not a storage word"))
}

/// A state as `alloc`; nonces, code and storage that are empty are left out.
pub(crate) fn alloc_json(state: &MemoryState) -> Value {
    let accounts = state.accounts().map(|(address, account)| {
        let mut json = Map::new();
        json.insert("balance".into(), json!(account.account.balance));
        if account.account.nonce != 0 {
            json.insert("nonce".into(), json!(format!("{:#x}", account.account.nonce)));
        }
        if let Some(code) = state.code_of(&account.account.code_hash) {
            json.insert("code".into(), json!(code));
        }
        if !account.storage.is_empty() {
            let slots = account.storage.iter();
            let slots = slots.map(|(slot, value)| (slot.to_string(), json!(B256::from(*value))));
            json.insert("storage".into(), Value::Object(slots.collect()));
        }
        // Lower case, as everyone else writes it.
        (format!("{address:#x}"), Value::Object(json))
    });
    Value::Object(accounts.collect())
}

/// A state as go-ethereum's `--dump` prints it.
pub(crate) fn dump_json(state: &MemoryState) -> Value {
    let accounts = state.accounts().map(|(address, account)| {
        let trie_account = account.trie_account();
        let mut json = Map::new();
        json.insert("balance".into(), json!(trie_account.balance.to_string()));
        json.insert("nonce".into(), json!(trie_account.nonce));
        json.insert("root".into(), json!(trie_account.storage_root));
        json.insert("codeHash".into(), json!(trie_account.code_hash));
        json.insert("address".into(), json!(format!("{address:#x}")));
        json.insert("key".into(), json!(keccak256(address)));
        if let Some(code) = state.code_of(&trie_account.code_hash) {
            json.insert("code".into(), json!(code));
        }
        if !account.storage.is_empty() {
            let slots = account.storage.iter();
            let digits = |value: &U256| hex::encode(value.to_be_bytes_trimmed_vec());
            let slots = slots.map(|(slot, value)| (slot.to_string(), json!(digits(value))));
            json.insert("storage".into(), Value::Object(slots.collect()));
        }
        (format!("{address:#x}"), Value::Object(json))
    });
    json!({ "root": hex::encode(state.root()), "accounts": Value::Object(accounts.collect()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<MemoryState> {
        serde_json::from_str::<Alloc>(json)?.into_state()
    }

    #[test]
    fn what_is_written_reads_back() {
        let json = r#"{
            "00000000000000000000000000000000000000aa": {"balance": "12", "nonce": "0x1", "code": "0x6000",
                "storage": {"0x01": "0x02", "3": "00"}},
            "0x00000000000000000000000000000000000000bb": {"balance": 7},
            "0x00000000000000000000000000000000000000cc": null
        }"#;
        let state = read(json).unwrap();
        let written = alloc_json(&state);
        assert_eq!(
            written,
            json!({
                "0x00000000000000000000000000000000000000aa": {
                    "balance": "0xc", "nonce": "0x1", "code": "0x6000",
                    "storage": {format!("0x{:064x}", 1): format!("0x{:064x}", 2)}
                },
                "0x00000000000000000000000000000000000000bb": {"balance": "0x7"}
            })
        );
        assert_eq!(read(&written.to_string()).unwrap(), state);
    }

    #[test]
    fn what_does_not_fit_its_place_is_named() {
        let error = |json: &str| read(json).unwrap_err().to_string();
        assert_eq!(error(r#"{"0xaa": {}}"#), "\"0xaa\" is not an address");
        let with = |field: &str| format!(r#"{{"0x00000000000000000000000000000000000000aa": {{{field}}}}}"#);
        assert!(error(&with(r#""nonce": "0x10000000000000000""#)).contains("too large"));
        assert!(error(&with(r#""storage": {"zz": "0x1"}"#)).contains("not a storage word"));
    }
}
