//! Filters over a chain that grows and is reorganised.

use std::path::{Path, PathBuf};

use portico_generator::GeneratorConfig;
use portico_stages::StopSignal;
use portico_test_support::fixture;
use portico_tests_rpc::RpcNode;
use serde_json::{Value, json};

async fn call(node: &RpcNode, method: &str, params: Value) -> Value {
    node.call(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).await.unwrap()
}

async fn result(node: &RpcNode, method: &str, params: Value) -> Value {
    let response = call(node, method, params.clone()).await;
    assert!(response.get("error").is_none(), "{method} {params}: {response}");
    response["result"].clone()
}

/// Chains over the same genesis state that differ from block 1 on.
fn generate(folder: &Path, transactions_per_block: u64, blocks: u64) -> (PathBuf, PathBuf) {
    let config = GeneratorConfig {
        genesis_users: 200,
        tokens: 8,
        transactions_per_block,
        ..GeneratorConfig::default()
    };
    let folder = folder.join(transactions_per_block.to_string());
    let chain =
        portico::generate_chain(&config, blocks, &folder, &StopSignal::default(), &mut |_| {}).unwrap();
    (chain.genesis, chain.chain)
}

/// Takes blocks back without keeping them.
/// Everything but the mark of removed logs, which go the newest block first.
fn as_added(logs: &Value) -> Vec<Value> {
    let mut logs = logs.as_array().unwrap().clone();
    for log in &mut logs {
        assert_eq!(log["removed"], true);
        log["removed"] = false.into();
    }
    logs.reverse();
    logs
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_takes_logs_back_and_gives_the_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (genesis, short) = generate(folder.path(), 20, 12);
    let (_, long) = generate(folder.path(), 30, 20);
    let node = RpcNode::import_with(&genesis, &short, Default::default()).unwrap();
    let old_logs = result(&node, "eth_getLogs", json!([{ "fromBlock": "0x1", "toBlock": "latest" }])).await;
    let old_count = old_logs.as_array().unwrap().len();
    assert!(old_count > 50, "the chain has {old_count} logs");
    let old_filter = json!([{ "fromBlock": "0x5", "toBlock": "0x8" }]);
    let old_window = result(&node, "eth_getLogs", old_filter.clone()).await;

    let blocks = result(&node, "eth_newBlockFilter", json!([])).await;
    let logs = result(&node, "eth_newFilter", json!([{}])).await;
    let window = result(&node, "eth_newFilter", old_filter.clone()).await;
    let pending = result(&node, "eth_newPendingTransactionFilter", json!([])).await;
    for filter in [&blocks, &logs, &window, &pending] {
        assert_eq!(result(&node, "eth_getFilterChanges", json!([filter])).await, json!([]), "nothing yet");
    }

    node.node().import(&[long], None).unwrap();
    let hashes = result(&node, "eth_getFilterChanges", json!([blocks])).await;
    let mut expected = Vec::new();
    for number in 1..=20 {
        let block = result(&node, "eth_getBlockByNumber", json!([format!("{number:#x}"), false])).await;
        expected.push(block["hash"].clone());
    }
    assert_eq!(hashes, json!(expected), "all blocks of the new branch");

    let changes = result(&node, "eth_getFilterChanges", json!([logs])).await;
    let (removed, added) = changes.as_array().unwrap().split_at(old_count);
    assert_eq!(json!(as_added(&json!(removed))), old_logs, "what the old branch logged");
    let new_logs = result(&node, "eth_getLogs", json!([{ "fromBlock": "0x1", "toBlock": "latest" }])).await;
    assert_eq!(json!(added), new_logs);

    let changes = result(&node, "eth_getFilterChanges", json!([window])).await;
    let (removed, added) = changes.as_array().unwrap().split_at(old_window.as_array().unwrap().len());
    assert_eq!(json!(as_added(&json!(removed))), old_window);
    assert_eq!(json!(added), result(&node, "eth_getLogs", old_filter).await);
    assert_eq!(result(&node, "eth_getFilterLogs", json!([window])).await, json!(added));

    for filter in [&blocks, &logs, &window, &pending] {
        assert_eq!(result(&node, "eth_getFilterChanges", json!([filter])).await, json!([]), "given once");
        assert_eq!(result(&node, "eth_uninstallFilter", json!([filter])).await, json!(true));
        assert_eq!(call(&node, "eth_getFilterChanges", json!([filter])).await["error"]["code"], -32000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_gives_what_a_growing_chain_adds() {
    let Some(folder) = fixture("execution-apis/chain-54-osaka-bpo") else { return };
    let (genesis, chain) = (folder.join("genesis.json"), folder.join("chain.rlp"));
    let node = RpcNode::import_to(&genesis, &chain, 30).unwrap();
    let emitter = json!({ "address": "0x7dcd17433742f4c0ca53122ab541d0ba67fc27df" });
    let filter = result(&node, "eth_newFilter", json!([emitter])).await;
    let blocks = result(&node, "eth_newBlockFilter", json!([])).await;
    node.node().import(&[chain], None).unwrap();
    let mut range = emitter.clone();
    range["fromBlock"] = "0x1f".into();
    let expected = result(&node, "eth_getLogs", json!([range])).await;
    assert!(!expected.as_array().unwrap().is_empty());
    assert_eq!(result(&node, "eth_getFilterChanges", json!([filter])).await, expected);
    let hashes = result(&node, "eth_getFilterChanges", json!([blocks])).await;
    assert_eq!(hashes.as_array().unwrap().len(), 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_that_were_unwound_for_good_are_an_error_once() {
    let Some(folder) = fixture("execution-apis/chain-54-osaka-bpo") else { return };
    let (genesis, chain) = (folder.join("genesis.json"), folder.join("chain.rlp"));
    let longer = RpcNode::import(&genesis, &chain).unwrap();
    let filter = result(&longer, "eth_newBlockFilter", json!([])).await;
    longer.node().unwind(50).unwrap();
    assert_eq!(call(&longer, "eth_getFilterChanges", json!([filter])).await["error"]["code"], -32001);
    assert_eq!(result(&longer, "eth_getFilterChanges", json!([filter])).await, json!([]));
}
