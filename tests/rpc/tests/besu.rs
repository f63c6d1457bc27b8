//! Traces as Besu's test suites record them.

use std::path::{Path, PathBuf};

use portico_test_support::fixture;
use portico_tests_rpc::{Comparison, Report, RpcNode, compare};
use serde_json::Value;

/// Members of a JSON object.
type Members = serde_json::Map<String, Value>;

/// All JSON files below a folder, in order of path.
fn cases(folder: &Path) -> Vec<PathBuf> {
    let mut cases = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                cases.push(path);
            }
        }
    }
    cases.sort();
    cases
}

/// Where clients differ: what Besu leaves out or adds, and Erigon, whose dialect this node speaks, does not.
fn in_besu_dialect(expected: &mut Value, found: &mut Value) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            // Instructions by name and position in the trace.
            let is_instruction = found.contains_key("pc") && found.contains_key("cost");
            if is_instruction {
                found.remove("op");
                found.remove("idx");
            }
            // Which instruction created a contract; no result beside an error; the reason of a revert.
            for field in ["creationMethod", "result"] {
                let is_absent = field == "creationMethod" || found.get(field) == Some(&Value::Null);
                if is_absent && !expected.contains_key(field) {
                    found.remove(field);
                }
            }
            if !found.contains_key("revertReason") {
                expected.remove("revertReason");
            }
            in_besu_struct_logs(expected, found);
            in_besu_state(expected, found);
            for (key, expected) in expected.iter_mut() {
                if let Some(found) = found.get_mut(key) {
                    in_besu_dialect(expected, found);
                }
            }
        }
        (Value::Array(expected), Value::Array(found)) => {
            expected.iter_mut().zip(found).for_each(|(expected, found)| in_besu_dialect(expected, found));
        }
        _ => {}
    }
}

/// Besu writes what a transaction returned without `0x`, shows storage at every instruction and not only where it is
/// read or written, and leaves out refunds.
fn in_besu_struct_logs(expected: &mut Members, found: &mut Members) {
    if let Some(Value::String(returned)) = expected.get_mut("returnValue") {
        *returned = format!("0x{}", returned.trim_start_matches("0x"));
    }
    if found.contains_key("gasCost") {
        found.remove("refund");
        if !found.contains_key("storage") {
            expected.remove("storage");
        }
    }
}

/// Besu names the hash of an account's code otherwise, writes no code as `0x0`, and says that a page is the last one in
/// a member of its own.
fn in_besu_state(expected: &mut Members, found: &mut Members) {
    if let Some(hash) = expected.remove("codehash") {
        expected.insert("codeHash".to_owned(), hash);
        if expected["code"] == "0x0" {
            expected["code"] = "0x".into();
        }
    }
    if found.contains_key("storage") && expected.remove("complete") == Some(true.into()) {
        expected.insert("nextKey".to_owned(), Value::Null);
    }
}

/// Requests as they are meant: Besu has no modes and wants senders and recipients to match both, where Erigon's
/// default is either. Besu also ignores members that it does not know.
fn in_erigon_dialect(request: &mut Value) {
    let is_filter = request["method"] == "trace_filter";
    if let Some(filter) = request["params"].get_mut(0).filter(|_| is_filter) {
        let has = |field: &str| filter[field].as_array().is_some_and(|addresses| !addresses.is_empty());
        if has("fromAddress") && has("toAddress") {
            filter["mode"] = "intersection".into();
        }
    }
    let options = request["params"].get_mut(2);
    let overrides =
        options.and_then(|options| options.get_mut("stateOverrides")).and_then(Value::as_object_mut);
    for account in overrides.into_iter().flat_map(|overrides| overrides.values_mut()) {
        account.as_object_mut().expect("overrides are objects").remove("comment");
    }
}

/// Where this node is meant to answer otherwise: a part of the case's name, a part of the difference, and why. None of
/// them hides another: the first difference of a case is the one that counts.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("", "result is too much: {", "a revert has gas and output beside its error, as in Erigon"),
    (
        "replayBlockTransactions",
        "output is",
        "what a reverted transaction returned is its output, as in Erigon",
    ),
    (
        "14",
        "\"Contract address collision\"",
        "a collision has no words in OpenEthereum; Besu says \"Illegal state change\"",
    ),
    ("callMany_04", "", SETTLED_CALLS),
    ("callMany_0e", "", SETTLED_CALLS),
    ("callMany_15", "", SETTLED_CALLS),
    ("callMany_16", "", SETTLED_CALLS),
    ("", "cost is 5000, expected 30000", "older Besu takes a write in a frame without gas for a new slot"),
    ("trace_filter", "from block", "a range that ends before it begins is an error, as in newer Besu"),
    ("noGasPrice", "structLogs has", "no instruction runs where there is no code; Besu shows a STOP"),
    ("stateOverride", ".gas is", "a call that names no gas has as much as each client's own limit"),
];

const SETTLED_CALLS: &str = "the calls of trace_callMany are transactions of their own, as in Erigon; Besu prices storage as if they were one";

/// Requests and answers of a case: one, or those of a batch.
fn exchanges(case: &Value) -> Vec<(Value, Value)> {
    match (&case["request"], &case["response"]) {
        (Value::Array(requests), Value::Array(responses)) => {
            requests.iter().cloned().zip(responses.iter().cloned()).collect()
        }
        (request, response) => vec![(request.clone(), response.clone())],
    }
}

async fn replay(genesis: &str, chain: &str, specs: &str, known_max: usize) {
    let Some(folder) = fixture("besu-rpc") else { return };
    let node = RpcNode::import(&folder.join(genesis), &folder.join(chain)).unwrap();
    let specs = folder.join(specs);
    let mut report = Report::default();
    let mut known_count = 0;
    for path in cases(&specs) {
        let name = path.strip_prefix(&specs).unwrap().display().to_string();
        let case: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for (mut request, mut expected) in exchanges(&case) {
            let method = request["method"].as_str().unwrap_or_default();
            if !node.has_method(method) {
                report.skip(format!("{method} is not implemented"));
                continue;
            }
            in_erigon_dialect(&mut request);
            let mut found = node.call(&request).await.unwrap();
            in_besu_dialect(&mut expected, &mut found);
            let Err(difference) = compare(&expected, &found, Comparison::Exact) else {
                report.pass();
                continue;
            };
            let meant =
                DIFFERENCES.iter().find(|(case, part, _)| name.contains(case) && difference.contains(part));
            match meant {
                Some((_, _, reason)) => {
                    known_count += 1;
                    report.known(&name, reason);
                }
                None => report.fail(&name, &difference),
            }
        }
    }
    report.finish(&specs.display().to_string());
    assert!(known_count <= known_max, "{known_count} known differences, more than the {known_max} of before");
}

const TRACE_CHAIN: (&str, &str) = ("trace/chain-data/genesis.json", "trace/chain-data/blocks.bin");

const ETH_CHAIN: (&str, &str) = ("eth-chain/testGenesis.json", "eth-chain/testBlockchain.blocks");

#[tokio::test(flavor = "multi_thread")]
async fn trace_methods_answer_as_recorded() {
    replay(TRACE_CHAIN.0, TRACE_CHAIN.1, "trace/specs", 29).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_methods_answer_as_an_older_edition_records() {
    let genesis = "trace-2025-mined/chain-data/genesis-ethash.json";
    replay(genesis, "trace-2025-mined/chain-data/blocks.bin", "trace-2025-mined/specs", 54).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn geth_tracers_answer_as_recorded() {
    replay("debug-geth/chain-data/genesis.json", "debug-geth/chain-data/blocks.bin", "debug-geth/specs", 0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn struct_logs_of_calls_and_blocks_are_as_recorded() {
    replay(TRACE_CHAIN.0, TRACE_CHAIN.1, "debug/trace-call", 2).await;
    replay(TRACE_CHAIN.0, TRACE_CHAIN.1, "debug/trace-block", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn struct_logs_of_transactions_are_as_recorded() {
    replay(ETH_CHAIN.0, ETH_CHAIN.1, "debug/trace-transaction", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_slots_within_blocks_are_as_recorded() {
    replay(ETH_CHAIN.0, ETH_CHAIN.1, "debug/account-at", 0).await;
    replay(ETH_CHAIN.0, ETH_CHAIN.1, "debug/storage-range", 0).await;
}
