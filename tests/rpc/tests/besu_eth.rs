//! `eth_*` as Besu's test suites record it.

use std::path::{Path, PathBuf};

use portico_test_support::fixture;
use portico_tests_rpc::{Comparison, Report, RpcNode, compare};
use serde_json::Value;

/// Cases that go otherwise, and why.
const KNOWN: &[(&str, &str)] = &[];

/// JSON files directly in a folder, in order of name.
fn cases(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    cases.sort();
    cases
}

/// Requests and answers of a case: one, or those of a batch.
fn exchanges(case: &Value) -> Vec<(Value, Value)> {
    match (&case["request"], &case["response"]) {
        (Value::Array(requests), Value::Array(responses)) => {
            requests.iter().cloned().zip(responses.iter().cloned()).collect()
        }
        (request, response) => vec![(request.clone(), response.clone())],
    }
}

async fn replay(node: &RpcNode, folder: &Path) {
    let mut report = Report::default();
    for path in cases(folder) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let case: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        if case["request"].is_null() {
            continue;
        }
        let known = KNOWN.iter().find(|(known, _)| *known == name).map(|(_, reason)| *reason);
        let mut differences = Vec::new();
        let mut skipped = None;
        for (request, expected) in exchanges(&case) {
            let method = request["method"].as_str().unwrap_or_default();
            if !node.has_method(method) {
                skipped = Some(format!("{method} is not implemented"));
                continue;
            }
            let found = node.call(&request).await.unwrap();
            differences.extend(compare(&expected, &found, Comparison::Exact).err());
        }
        match (differences.first(), known, skipped) {
            (_, _, Some(reason)) => report.skip(reason),
            (None, None, None) => report.pass(),
            (None, Some(_), None) => report.fail(&name, "answers as recorded now: take it off the list"),
            (Some(_), Some(reason), None) => report.known(&name, reason),
            (Some(difference), None, None) => report.fail(&name, difference),
        }
    }
    report.finish(&folder.display().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn eth_methods_answer_as_recorded() {
    let Some(folder) = fixture("besu-rpc") else { return };
    let chain = folder.join("eth-chain");
    let node =
        RpcNode::import(&chain.join("testGenesis.json"), &chain.join("testBlockchain.blocks")).unwrap();
    replay(&node, &folder.join("eth")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reverts_answer_as_recorded() {
    let Some(folder) = fixture("besu-rpc") else { return };
    let chain = folder.join("trace/chain-data");
    let node = RpcNode::import(&chain.join("genesis.json"), &chain.join("blocks.bin")).unwrap();
    replay(&node, &folder.join("eth_latest")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simulations_answer_as_recorded() {
    let Some(folder) = fixture("besu-rpc/eth/simulateV1") else { return };
    let chain = folder.join("chain-data");
    let node = RpcNode::import(&chain.join("genesis.json"), &chain.join("blocks.bin")).unwrap();
    replay(&node, &folder.join("specs")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fork_configurations_answer_as_recorded() {
    let Some(folder) = fixture("besu-rpc/eth/config") else { return };
    let node = RpcNode::at_genesis(&folder.join("chain-data/mainnet-plus-future.json")).unwrap();
    replay(&node, &folder).await;
}

#[test]
fn the_list_of_known_differences_names_cases() {
    let Some(folder) = fixture("besu-rpc") else { return };
    for (known, _) in KNOWN {
        let folders = ["eth", "eth_latest", "eth/simulateV1/specs", "eth/config"];
        let file = Path::new(known).with_extension("json");
        assert!(folders.iter().any(|name| folder.join(name).join(&file).is_file()), "{known}");
    }
}
