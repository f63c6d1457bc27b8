//! Block tests in the form of `engine_newPayload` calls. The fixtures folder has none in that form, so they are made
//! here: each post-merge block becomes the payload that a consensus client would send.

use std::{collections::BTreeMap, ops::ControlFlow};

use alloy_consensus::{Block, BlockBody, Transaction as _};
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rpc_types_engine::ExecutionPayload;
use portico_files::decode_block_rlp;
use portico_spec::{BlockTestSettings, Report, RunOptions, for_each_file, run_block_tests};
use portico_test_support::fixture;
use serde_json::{Map, Value, json};

/// Cases that are turned into payloads.
const CASES: usize = 120;

/// The forks whose blocks come as payloads.
const FORKS: [&str; 3] = ["Shanghai", "Cancun", "Paris"];

/// Cases of `eest` whose blocks all decode, with their blocks as payloads.
///
/// Prague and later are left out: a block does not hold the requests that its payload comes with.
fn cases() -> Option<Map<String, Value>> {
    let path = fixture("eest/blockchain.tar.zst")?;
    let mut cases = Map::new();
    for_each_file(&[path], |file| {
        let file: BTreeMap<String, Value> =
            serde_json::from_str(&file.expect("readable").text).expect("JSON");
        for (position, (name, mut case)) in file.into_iter().enumerate() {
            let is_wanted =
                FORKS.contains(&case["network"].as_str().unwrap_or_default()) && position % 4 == 0;
            if !is_wanted || cases.len() >= CASES {
                continue;
            }
            let blocks = case["blocks"].as_array().expect("blocks");
            let Some(payloads) = blocks.iter().map(payload).collect::<Option<Vec<_>>>() else { continue };
            let fields = case.as_object_mut().expect("an object");
            fields.remove("blocks");
            fields.insert("engineNewPayloads".to_owned(), Value::Array(payloads));
            cases.insert(name, case);
        }
        if cases.len() < CASES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .expect("readable fixtures");
    Some(cases)
}

/// The call for a block of a block test; `None` where the block's bytes are no block.
fn payload(block: &Value) -> Option<Value> {
    let rlp: Bytes = block["rlp"].as_str()?.parse().ok()?;
    let block_parts = decode_block_rlp(&rlp).ok()?;
    let hashes = block_parts.transactions.iter().filter_map(|tx| tx.blob_versioned_hashes());
    let hashes: Vec<B256> = hashes.flatten().copied().collect();
    let root = block_parts.header.parent_beacon_block_root;
    let body = BlockBody {
        transactions: block_parts.transactions,
        ommers: block_parts.ommers,
        withdrawals: block_parts.withdrawals.map(Into::into),
    };
    let typed = Block { header: block_parts.header, body };
    let (payload, _) = ExecutionPayload::from_block_unchecked(block_parts.hash, &typed);
    let mut params = vec![serde_json::to_value(payload).expect("a payload is JSON")];
    if let Some(root) = root {
        params.extend([json!(hashes), json!(root)]);
    }
    let mut call = json!({ "params": params, "newPayloadVersion": "3" });
    if let Some(exception) = block.get("expectException") {
        call["validationError"] = exception.clone();
    }
    Some(call)
}

fn run(cases: &Map<String, Value>) -> Report {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("payloads.json");
    std::fs::write(&path, serde_json::to_vec(cases).expect("JSON")).expect("a file");
    run_block_tests(&[path], &RunOptions::default(), BlockTestSettings::default()).expect("readable fixtures")
}

#[test]
fn payloads_lead_where_their_blocks_lead() {
    let Some(cases) = cases() else { return };
    let report = run(&cases);
    println!("{report}");
    assert!(report.is_success());
    assert!(report.total().run >= 50, "only {} cases", report.total().run);
}

#[test]
fn altered_payloads_are_refused() {
    let Some(cases) = cases() else { return };
    type Alter = fn(&mut Value);
    let alterations: [(&str, Alter); 5] = [
        ("block hash", |call| call["params"][0]["blockHash"] = json!(keccak256("other"))),
        ("state root", |call| call["params"][0]["stateRoot"] = json!(keccak256("other"))),
        ("gas used", |call| call["params"][0]["gasUsed"] = json!("0x5207")),
        ("a transaction of no type", |call| call["params"][0]["transactions"] = json!(["0x05c0"])),
        ("odd hex", |call| call["params"][0]["extraData"] = json!("0x0")),
    ];
    for (what, alter) in alterations {
        let mut altered = Map::new();
        for (name, case) in cases.iter().filter(|(_, case)| is_one_valid_payload(case)).take(5) {
            let mut case = case.clone();
            let genesis = case["genesisBlockHeader"]["hash"].clone();
            case["lastblockhash"] = genesis;
            case["postState"] = case["pre"].clone();
            let call = &mut case["engineNewPayloads"][0];
            alter(call);
            // Without the exception the payload counts as valid: the case must fail.
            let mut expected_valid = case.clone();
            expected_valid["engineNewPayloads"][0]["validationError"] = Value::Null;
            let report = run(&Map::from_iter([(name.clone(), expected_valid)]));
            assert_eq!(report.total().failed, 1, "{what}, {name}: taken as valid\n{report}");
            case["engineNewPayloads"][0]["validationError"] = json!("BlockException.INVALID_BLOCK_HASH");
            altered.insert(name.clone(), case);
        }
        assert_eq!(altered.len(), 5, "cases of one valid payload");
        let report = run(&altered);
        assert!(report.is_success(), "{what}: {report}");
        assert_eq!(report.refused_blocks, 5, "{what}");
    }
}

fn is_one_valid_payload(case: &Value) -> bool {
    let calls = case["engineNewPayloads"].as_array().expect("calls");
    calls.len() == 1 && calls[0].get("validationError").is_none()
}

#[test]
fn blob_hashes_beside_the_payload_must_be_its_own() {
    let Some(cases) = cases() else { return };
    let cancun = cases.iter().filter(|(_, case)| case["network"] == "Cancun" && is_one_valid_payload(case));
    let altered = cancun.take(5).map(|(name, case)| {
        let mut case = case.clone();
        case["engineNewPayloads"][0]["params"][1] = json!([keccak256("no blob")]);
        (name.clone(), case)
    });
    let altered: Map<String, Value> = altered.collect();
    assert_eq!(altered.len(), 5);
    let report = run(&altered);
    assert_eq!(report.total().failed, 5, "{report}");
    let says_why = |failure: &portico_spec::Failure| failure.got.contains("versioned hashes");
    assert!(report.failures.iter().all(says_why), "{report}");
}
