//! Traces as Besu's test suites record them.

use std::path::{Path, PathBuf};

use portico_test_support::fixture;
use portico_tests_rpc::{Comparison, Report, RpcNode, compare};
use serde_json::Value;

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

async fn replay(genesis: &str, chain: &str, specs: &str) {
    let Some(folder) = fixture("besu-rpc") else { return };
    let node = RpcNode::import(&folder.join(genesis), &folder.join(chain)).unwrap();
    let specs = folder.join(specs);
    let mut report = Report::default();
    for path in cases(&specs) {
        let name = path.strip_prefix(&specs).unwrap().display().to_string();
        let case: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let method = case["request"]["method"].as_str().unwrap_or_default();
        if !node.has_method(method) {
            report.skip(format!("{method} is not implemented"));
            continue;
        }
        let found = node.call(&case["request"]).await.unwrap();
        match compare(&case["response"], &found, Comparison::Exact) {
            Ok(()) => report.pass(),
            Err(reason) => report.fail(&name, &reason),
        }
    }
    report.finish(&specs.display().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_methods_answer_as_recorded() {
    replay("trace/chain-data/genesis.json", "trace/chain-data/blocks.bin", "trace/specs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn geth_tracers_answer_as_recorded() {
    replay("debug-geth/chain-data/genesis.json", "debug-geth/chain-data/blocks.bin", "debug-geth/specs")
        .await;
}
