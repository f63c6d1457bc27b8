//! Published tests that were changed so that they contradict themselves fail and say where; and layouts that lack what
//! newer ones have run all the same.

use std::ops::ControlFlow;

use portico_spec::{
    BlockTestSettings, Report, RunOptions, StateTestSettings, for_each_file, run_block_tests, run_state_tests,
};
use portico_test_support::fixture;
use serde_json::{Map, Value, json};

/// Up to `count` cases of an archive that are `wanted`, as the file of their own.
fn cases(archive: &str, count: usize, wanted: impl Fn(&Value) -> bool) -> Option<Map<String, Value>> {
    let path = fixture(archive)?;
    let mut cases = Map::new();
    for_each_file(&[path], |file| {
        let file: Map<String, Value> = serde_json::from_str(&file.expect("a file").text).expect("cases");
        cases.extend(file.into_iter().filter(|(_, case)| wanted(case)));
        if cases.len() < count { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .expect("an archive");
    Some(cases.into_iter().take(count).collect())
}

fn run(cases: &Map<String, Value>, options: &RunOptions) -> (Report, Report) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cases.json");
    std::fs::write(&path, Value::Object(cases.clone()).to_string()).expect("a file");
    let paths = [path];
    let blocks = run_block_tests(&paths, options, BlockTestSettings::default()).expect("a report");
    let states = run_state_tests(&paths, options, &StateTestSettings::default()).expect("a report");
    (blocks, states)
}

/// Changes every case, lets all of them fail, and gives what differs and what was expected and got in the first.
fn differences(cases: &Map<String, Value>, change: impl Fn(&mut Value)) -> Vec<(String, String, String)> {
    let mut changed = cases.clone();
    changed.values_mut().for_each(change);
    let (blocks, states) = run(&changed, &RunOptions::default());
    let failures: Vec<_> = blocks.failures.into_iter().chain(states.failures).collect();
    let count = if blocks.forks.contains_key("other") { states.forks } else { blocks.forks };
    assert_eq!(failures.len() as u64, count.values().map(|counts| counts.run).sum::<u64>());
    failures.into_iter().map(|failure| (failure.what, failure.expected, failure.got)).collect()
}

#[test]
fn a_block_that_is_not_its_json_form_fails_with_the_field() {
    let has_withdrawals = |case: &Value| case["blocks"][0]["withdrawals"].is_array();
    let Some(cases) = cases("eest/blockchain.tar.zst", 3, has_withdrawals) else { return };
    let (report, _) = run(&cases, &RunOptions::default());
    assert!(report.is_success(), "{report}");
    for field in ["gasUsed", "stateRoot", "bloom", "withdrawalsRoot", "baseFeePerGas", "hash"] {
        let found = differences(&cases, |case| {
            let text = case["blocks"][0]["blockHeader"][field].as_str().expect("a field").to_owned();
            let last = if text.ends_with('1') { "2" } else { "1" };
            case["blocks"][0]["blockHeader"][field] = json!(format!("{}{last}", &text[..text.len() - 1]));
        });
        for (what, expected, got) in &found {
            assert_eq!(*what, format!("block 0 of the list: {field} in JSON and in RLP"));
            assert_ne!(expected, got);
        }
    }
    let found = differences(&cases, |case| case["blocks"][0]["transactions"] = json!([1, 2, 3, 4, 5, 6, 7]));
    assert_eq!(found[0].0, "block 0 of the list: how many transactions in JSON and in RLP");
    let found = differences(&cases, |case| case["genesisBlockHeader"]["receiptTrie"] = json!("0x00"));
    assert_eq!(found[0].0, "genesis: receiptTrie in JSON and in RLP");
    let found = differences(&cases, |case| case["genesisRLP"] = case["blocks"][0]["rlp"].clone());
    assert_eq!(found[0].0, "genesis: hash of genesisRLP");
}

#[test]
fn another_reason_fails_a_case_only_when_asked() {
    let is_refused = |case: &Value| case["blocks"][0]["expectException"].is_string();
    let Some(mut cases) = cases("eest/blockchain.tar.zst", 3, is_refused) else { return };
    let strict = RunOptions { strict_exceptions: true, ..RunOptions::default() };
    let (report, _) = run(&cases, &strict);
    assert!(report.is_success(), "{report}");
    for case in cases.values_mut() {
        case["blocks"][0]["expectException"] = json!("BlockException.EXTRA_DATA_INVALID_DAO");
    }
    let (report, _) = run(&cases, &RunOptions::default());
    assert!(report.is_success() && !report.reason_mismatches.is_empty(), "{report}");
    let (report, _) = run(&cases, &strict);
    assert_eq!((report.total().failed, report.reason_mismatches.len()), (3, 0), "{report}");
    assert_eq!(report.failures[0].what, "reason of a refusal");
    assert_eq!(report.failures[0].expected, "BlockException.EXTRA_DATA_INVALID_DAO");
}

#[test]
fn a_state_test_whose_json_is_not_its_bytes_fails_with_the_field() {
    let is_executed = |case: &Value| {
        let posts = case["post"].as_object().into_iter().flat_map(Map::values).flat_map(Value::as_array);
        posts.flatten().all(|post| post.get("expectException").is_none())
    };
    let Some(cases) = cases("eest/state.tar.zst", 40, is_executed) else { return };
    let (_, report) = run(&cases, &RunOptions::default());
    assert!(report.is_success() && report.total().run >= 40, "{report}");
    for (field, value, name) in [
        ("nonce", json!("0x99"), "nonce"),
        ("to", json!(format!("0x{}", "77".repeat(20))), "to"),
        ("value", json!(["0x123456789"]), "value"),
        ("data", json!(["0x0123456789"]), "data"),
        ("gasLimit", json!(["0x123456"]), "gasLimit"),
    ] {
        for (what, ..) in differences(&cases, |case| case["transaction"][field] = value.clone()) {
            assert_eq!(what, format!("transaction: {name} in JSON and in txbytes"));
        }
    }
    let other_key = format!("0x{}", "11".repeat(32));
    for (what, _, got) in differences(&cases, |case| case["transaction"]["secretKey"] = json!(other_key)) {
        assert_eq!(what, "transaction");
        assert!(got.contains("secretKey is that of"), "{got}");
    }
    let no_such_data = differences(&cases, |case| case["transaction"]["data"] = json!([]));
    assert!(no_such_data.iter().all(|(_, _, got)| got.contains("index into data")), "{no_such_data:?}");
}

#[test]
fn older_state_tests_have_no_signed_transaction() {
    let Some(mut cases) = cases("eest/state.tar.zst", 2000, |_| true) else { return };
    for case in cases.values_mut() {
        let posts = case["post"].as_object_mut().expect("forks").values_mut();
        for post in posts.flat_map(|posts| posts.as_array_mut().expect("a list")) {
            let post = post.as_object_mut().expect("an object");
            post.remove("txbytes");
            post.remove("state");
        }
        case.as_object_mut().expect("an object").remove("config");
        case["transaction"].as_object_mut().expect("an object").remove("sender");
    }
    let (_, report) = run(&cases, &RunOptions::default());
    println!("{report}");
    assert!(report.is_success(), "{report}");
    assert!(report.refused_blocks > 100, "{report}");
}
