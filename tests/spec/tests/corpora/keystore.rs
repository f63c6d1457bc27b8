//! Key files: each opens with its password and with no other.

use std::path::Path;

use eth_keystore::{KeystoreError, decrypt_key};
use portico_test_support::fixture;
use serde_json::Value;

use crate::{Tally, bytes, same};

pub fn run(tally: &mut Tally, cases: &Value) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, case) in cases.as_object().expect("cases by name") {
        tally.case(name, || opens(folder.path(), case));
    }
}

fn opens(folder: &Path, case: &Value) -> Result<(), String> {
    let path = folder.join("key.json");
    std::fs::write(&path, case["json"].to_string()).map_err(|error| error.to_string())?;
    let password = case["password"].as_str().ok_or("no password")?;
    let key = decrypt_key(&path, password).map_err(|error| error.to_string())?;
    same("key", &bytes(&case["priv"])?, &key)?;
    match decrypt_key(&path, format!("{password} ")) {
        Err(KeystoreError::MacMismatch) => Ok(()),
        other => Err(format!("another password: {other:?}")),
    }
}

fn vectors(name: &str) -> Option<Value> {
    let text = std::fs::read_to_string(fixture(&format!("keystore/{name}"))?).expect("readable");
    Some(serde_json::from_str(&text).expect("JSON"))
}

#[test]
fn version_3_vectors_open() {
    let Some(Value::Object(cases)) = vectors("geth/v3_test_vector.json") else { return };
    assert_eq!(cases.len(), 4);
    let folder = tempfile::tempdir().expect("a folder");
    for (name, case) in cases {
        // Its n is beyond what RFC 7914 allows for its r; see the list of skips.
        let is_refused = name == "wikipage_test_vector_scrypt";
        assert_eq!(opens(folder.path(), &case).is_err(), is_refused, "{name}");
    }
}

#[test]
fn version_1_is_refused() {
    let Some(case) = vectors("geth/v1_test_vector.json") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let opened = opens(folder.path(), &case["test1"]);
    assert!(opened.is_err(), "{opened:?}");
}

#[test]
fn a_folder_holds_accounts_and_other_files() {
    let Some(folder) = fixture("keystore/geth/keystore") else { return };
    let accounts =
        ["aaa", "zzz", "UTC--2016-03-22T12-57-55.920751759Z--7ef5a6135f1fd6a02593eedc869c6d41d934aef8"];
    let keys: Vec<Vec<u8>> =
        accounts.iter().map(|name| decrypt_key(folder.join(name), "foobar").expect("an account")).collect();
    assert!(keys.iter().all(|key| key.len() == 32) && keys[0] != keys[1] && keys[1] != keys[2]);
    for name in ["empty", "garbage"] {
        assert!(decrypt_key(folder.join(name), "foobar").is_err(), "{name}");
    }
}
