//! The GraphQL conversations of hive, as far as the schema goes.

use std::path::Path;

use portico_test_support::fixture;
use portico_tests_rpc::{Report, RpcNode};
use serde_json::Value;

/// Parts of the schema that are not there yet.
const MISSING: [&str; 4] = ["estimateGas", "{ gasPrice }", "{ pending", "sendRawTransaction"];

#[tokio::test(flavor = "multi_thread")]
async fn hive_queries_are_answered_as_recorded() {
    let Some(folder) = fixture("graphql") else { return };
    let chain = folder.join("chain");
    let node =
        RpcNode::import(&chain.join("testGenesis.json"), &chain.join("testBlockchain.blocks")).unwrap();
    let mut paths: Vec<_> =
        std::fs::read_dir(folder.join("hive")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut report = Report::default();
    for path in paths {
        replay(&node, &path, &mut report).await;
    }
    report.finish("graphql/hive");
}

async fn replay(node: &RpcNode, path: &Path, report: &mut Report) {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let case: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let query = case["request"].as_str().unwrap();
    if let Some(missing) = MISSING.iter().find(|missing| query.contains(*missing)) {
        return report.skip(format!("{missing} is not in the schema yet"));
    }
    let response = serde_json::to_value(node.graphql(query).await).unwrap();
    let mut recorded = case["responses"].as_array().unwrap().iter();
    if recorded.any(|recorded| is_like(recorded, &response)) {
        report.pass();
    } else {
        report.fail(&name, &format!("{response}, expected one of {}", case["responses"]));
    }
}

/// Texts, places and extensions of errors are every client's own; that there are errors is not.
fn is_like(recorded: &Value, found: &Value) -> bool {
    match (recorded.get("errors"), found.get("errors")) {
        (None, None) => recorded["data"] == found["data"],
        (recorded, found) => recorded.is_some() && found.is_some(),
    }
}
