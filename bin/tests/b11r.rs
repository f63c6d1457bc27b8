//! `portico evm b11r` from outside: published blocks are built again from their parts.

use std::{
    ops::ControlFlow,
    path::Path,
    process::{Command, Output},
};

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, hex};
use alloy_rlp::{Decodable, Header as RlpHeader};
use portico_consensus::clique::recover_block_signer;
use portico_spec::for_each_file;
use portico_test_support::fixture;
use serde_json::{Map, Value, json};

fn b11r(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portico"));
    command.current_dir(folder).args(["evm", "b11r", "--output.block", "stdout"]).args(arguments);
    command.output().expect("portico runs")
}

fn built(output: &Output) -> (Bytes, B256) {
    assert!(output.status.success(), "{output:?}");
    let block: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    (
        serde_json::from_value(block["rlp"].clone()).expect("bytes"),
        serde_json::from_value(block["hash"].clone()).expect("a hash"),
    )
}

fn write(folder: &Path, name: &str, value: &Value) {
    std::fs::write(folder.join(name), value.to_string()).expect("a file");
}

/// The items of a block in RLP: header, transactions, ommers, and withdrawals if it has them.
fn items(block: &Bytes) -> Vec<Bytes> {
    let mut rest = RlpHeader::decode_bytes(&mut &block[..], true).expect("a list");
    let mut items = Vec::new();
    while !rest.is_empty() {
        let mut after = rest;
        let header = RlpHeader::decode(&mut after).expect("an item");
        let len = rest.len() - after.len() + header.payload_length;
        items.push(Bytes::copy_from_slice(&rest[..len]));
        rest = &rest[len..];
    }
    items
}

#[test]
fn published_blocks_are_built_of_their_parts() {
    let archives = ["eest/blockchain.tar.zst", "ethereum-tests/legacy-cancun.tar.zst"];
    let mut built_blocks = 0;
    for archive in archives {
        let Some(path) = fixture(archive) else { return };
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let mut forks = std::collections::BTreeSet::new();
        for_each_file(&[path], |file| {
            let cases: Map<String, Value> = serde_json::from_str(&file.expect("a file").text).expect("cases");
            for case in cases.values() {
                let block = &case["blocks"][0];
                let is_valid = block["blockHeader"].is_object();
                // One for each fork.
                if !is_valid || !forks.insert(case["network"].to_string()) {
                    continue;
                }
                let rlp: Bytes = serde_json::from_value(block["rlp"].clone()).expect("bytes");
                write(folder, "header.json", &block["blockHeader"]);
                write(folder, "txs.rlp", &json!(items(&rlp)[1]));
                write(folder, "withdrawals.json", &block["withdrawals"]);
                let mut arguments = vec!["--input.header", "header.json", "--input.txs", "txs.rlp"];
                if block["withdrawals"].is_array() {
                    arguments.extend(["--input.withdrawals", "withdrawals.json"]);
                }
                let (got, hash) = built(&b11r(folder, &arguments));
                assert_eq!(got, rlp);
                assert_eq!(json!(hash), block["blockHeader"]["hash"]);
                built_blocks += 1;
            }
            if forks.len() < 8 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .expect("an archive");
    }
    assert!(built_blocks >= 12, "only {built_blocks} blocks");
}

fn least() -> Value {
    json!({ "stateRoot": B256::ZERO, "number": "0x1", "gasLimit": "0x1388", "timestamp": 10 })
}

#[test]
fn ommers_are_the_headers_of_blocks() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write(folder, "header.json", &least());
    write(folder, "txs.rlp", &json!("0xc0"));
    let (ommer, ommer_hash) = built(&b11r(folder, &[]));
    write(folder, "ommers.json", &json!([ommer]));
    let (block, _) = built(&b11r(folder, &["--input.ommers", "ommers.json"]));
    let items = items(&block);
    let header = Header::decode(&mut &items[0][..]).expect("a header");
    let ommers = Vec::<Header>::decode(&mut &items[2][..]).expect("headers");
    assert_eq!(ommers.iter().map(Header::hash_slow).collect::<Vec<_>>(), [ommer_hash]);
    assert_eq!(header.ommers_hash, alloy_primitives::keccak256(&items[2]));
}

#[test]
fn a_clique_seal_is_its_signers() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write(folder, "header.json", &least());
    write(folder, "txs.rlp", &json!("0xc0"));
    // The key whose address is known from EIP-155's example.
    let key = format!("0x{}", "46".repeat(32));
    write(folder, "clique.json", &json!({ "secretKey": key, "vanity": B256::repeat_byte(7) }));
    let (block, _) = built(&b11r(folder, &["--seal.clique", "clique.json"]));
    let header = Header::decode(&mut &items(&block)[0][..]).expect("a header");
    let signer = recover_block_signer(&header).expect("a seal");
    assert_eq!(hex::encode(signer), "9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f");
    assert_eq!(header.extra_data[..32], [7; 32]);
}

#[test]
fn what_cannot_be_built_is_named_with_its_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let fails = |arguments: &[&str], code: i32, why: &str| {
        let output = b11r(folder, arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(why), "{error}");
    };
    fails(&[], 11, "header.json");
    write(folder, "header.json", &json!({ "number": 1 }));
    write(folder, "txs.rlp", &json!("0xc0"));
    fails(&[], 10, "missing field `stateRoot`");
    write(folder, "header.json", &least());
    fails(&["--seal.ethash"], 3, "not supported");
    write(folder, "clique.json", &json!({ "secretKey": B256::ZERO }));
    fails(&["--seal.clique", "clique.json"], 10, "secretKey");
    write(folder, "txs.rlp", &json!("0xc1c0"));
    fails(&[], 10, "txs");
    let mut with_extra = least();
    with_extra["extraData"] = json!("0x01");
    write(folder, "header.json", &with_extra);
    write(folder, "txs.rlp", &json!("0xc0"));
    write(folder, "clique.json", &json!({ "secretKey": B256::repeat_byte(1) }));
    fails(&["--seal.clique", "clique.json"], 3, "overwrite the given extraData");
}
