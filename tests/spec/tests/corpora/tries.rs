//! Tries keyed by hashes, built and changed leaf by leaf, and state roots.

use alloy_primitives::{B256, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use portico_db::models::Account;
use portico_trie::{PartialTrie, TrieNodes, state_root_of};
use serde_json::Value;

use crate::{Tally, same};

/// A key, hashed, and its value; `None` removes it.
type Change = (B256, Option<Vec<u8>>);

pub fn run(tally: &mut Tally, cases: &Value) {
    for (name, case) in cases.as_object().expect("cases by name") {
        tally.case(name, || {
            let expected: B256 =
                serde_json::from_value(case["root"].clone()).map_err(|error| error.to_string())?;
            match &case["in"] {
                Value::Array(changes) => {
                    let changes: Vec<Change> =
                        changes.iter().map(|change| of_json(&change[0], &change[1])).collect();
                    same("root", &expected, &root_after(&changes))
                }
                Value::Object(leaves) => {
                    let leaves = leaves.iter().map(|(key, value)| of_json(&Value::from(key.as_str()), value));
                    any_order(expected, leaves.collect())
                }
                other => Err(format!("neither a list nor an object: {other}")),
            }
        });
    }
}

fn of_json(key: &Value, value: &Value) -> Change {
    (keccak256(text(key)), value.as_str().map(|_| text(value)))
}

/// Hex where it begins as hex does, the characters themselves otherwise.
fn text(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("a string");
    let hex = text.strip_prefix("0x").and_then(|digits| alloy_primitives::hex::decode(digits).ok());
    hex.unwrap_or_else(|| text.as_bytes().to_vec())
}

fn root_after(changes: &[Change]) -> B256 {
    let nodes = TrieNodes::default();
    let mut trie = PartialTrie::new(&nodes, EMPTY_ROOT_HASH);
    for (key, value) in changes {
        match value {
            Some(value) => trie.insert(key, value.clone()).expect("all nodes are at hand"),
            None => assert!(trie.remove(key).expect("all nodes are at hand"), "nothing to remove"),
        }
        let found = trie.get(key).expect("all nodes are at hand");
        assert_eq!(found, value.as_deref());
    }
    trie.root()
}

fn any_order(expected: B256, mut leaves: Vec<Change>) -> Result<(), String> {
    for _ in 0..leaves.len() {
        same("root", &expected, &root_after(&leaves))?;
        leaves.rotate_left(1);
    }
    leaves.reverse();
    same("root, reversed", &expected, &root_after(&leaves))?;
    // With one more leaf put in and taken away.
    leaves.insert(1, (keccak256("beside"), Some(b"a leaf that goes again".to_vec())));
    leaves.push((keccak256("beside"), None));
    same("root after a removal", &expected, &root_after(&leaves))?;
    leaves.retain(|(key, _)| *key != keccak256("beside"));
    let Some(accounts) = accounts(&mut leaves) else { return Ok(()) };
    same("state root", &expected, &state_root_of(accounts))
}

/// The leaves as accounts, where that is what they are.
fn accounts(leaves: &mut [Change]) -> Option<Vec<(B256, Account, B256)>> {
    leaves.sort();
    let decoded = leaves.iter().map(|(key, value)| {
        let account = TrieAccount::decode(&mut value.as_deref()?).ok()?;
        let TrieAccount { nonce, balance, storage_root, code_hash } = account;
        Some((*key, Account { nonce, balance, code_hash }, storage_root))
    });
    decoded.collect()
}
