//! Namespaces of which no conversations are recorded: their answers against those of others, and against a scan.

mod absurd;
mod otterscan;
mod shapes;
mod state;
mod tracing;

use std::collections::{BTreeMap, BTreeSet};

use portico_query::QuerySettings;
use portico_test_support::fixture;
use portico_tests_rpc::RpcNode;
use serde_json::{Value, json};

const CHAIN: &str = "execution-apis/chain-45-prague";
const HEAD: u64 = 45;

fn node() -> Option<RpcNode> {
    node_with(QuerySettings::default())
}

fn node_with(settings: QuerySettings) -> Option<RpcNode> {
    let folder = fixture(CHAIN)?;
    Some(RpcNode::import_with(&folder.join("genesis.json"), &folder.join("chain.rlp"), settings).unwrap())
}

async fn call(node: &RpcNode, method: &str, params: Value) -> Value {
    node.call(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).await.unwrap()
}

async fn result(node: &RpcNode, method: &str, params: Value) -> Value {
    let answer = call(node, method, params.clone()).await;
    assert!(answer.get("error").is_none(), "{method} {params}: {answer}");
    answer["result"].clone()
}

async fn error_code(node: &RpcNode, method: &str, params: Value) -> Option<i64> {
    call(node, method, params).await["error"]["code"].as_i64()
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}

/// All blocks with their transactions.
async fn blocks(node: &RpcNode) -> Vec<Value> {
    let mut blocks = Vec::new();
    loop {
        let block = result(node, "eth_getBlockByNumber", json!([hex(blocks.len() as u64), true])).await;
        if block.is_null() {
            return blocks;
        }
        blocks.push(block);
    }
}

fn transactions(block: &Value) -> &[Value] {
    block["transactions"].as_array().unwrap()
}

/// Addresses in the calls of each transaction, by its hash.
async fn touched(node: &RpcNode) -> BTreeMap<String, BTreeSet<String>> {
    let mut touched: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for number in 1..=HEAD {
        for trace in result(node, "trace_block", json!([hex(number)])).await.as_array().unwrap() {
            let Some(hash) = trace["transactionHash"].as_str() else { continue };
            let names = ["from", "to", "address", "refundAddress"].map(|name| &trace["action"][name]);
            let addresses = names.into_iter().chain([&trace["result"]["address"]]).filter_map(Value::as_str);
            touched.entry(hash.to_owned()).or_default().extend(addresses.map(str::to_owned));
        }
    }
    touched
}

const CREATOR: &str = "0x7435ed30a8b4aeb0877cef0c6e8cffe834eb865f";

/// All traces of the chain, in order.
async fn all_traces(node: &RpcNode) -> Vec<Value> {
    let mut traces = Vec::new();
    for number in 0..=HEAD {
        traces.extend(result(node, "trace_block", json!([hex(number)])).await.as_array().unwrap().clone());
    }
    traces
}

fn is_from(trace: &Value, address: &str) -> bool {
    let action = &trace["action"];
    let from = if trace["type"] == "suicide" { &action["address"] } else { &action["from"] };
    from == address
}

fn is_to(trace: &Value, address: &str) -> bool {
    let action = &trace["action"];
    let to = match trace["type"].as_str().unwrap() {
        "create" => &trace["result"]["address"],
        "suicide" => &action["refundAddress"],
        "reward" => &action["author"],
        _ => &action["to"],
    };
    to == address
}

#[tokio::test(flavor = "multi_thread")]
async fn erigons_methods_agree_with_others() {
    let Some(node) = node() else { return };
    let blocks = blocks(&node).await;
    for block in &blocks {
        let header = result(&node, "erigon_getHeaderByNumber", json!([block["number"]])).await;
        assert_eq!(header, result(&node, "erigon_getHeaderByHash", json!([block["hash"]])).await);
        for (name, value) in header.as_object().unwrap() {
            assert_eq!(*value, *block.get(name).unwrap_or(&Value::Null), "{name}");
        }
        let at = result(&node, "erigon_getBlockByTimestamp", json!([block["timestamp"], true])).await;
        assert_eq!(at["hash"], block["hash"]);
        let logs = result(&node, "erigon_getLogsByHash", json!([block["hash"]])).await;
        assert_eq!(logs.as_array().unwrap().len(), transactions(block).len());
        let all: Vec<&Value> =
            logs.as_array().unwrap().iter().flat_map(|logs| logs.as_array().unwrap()).collect();
        let range = json!([{ "fromBlock": block["number"], "toBlock": block["number"] }]);
        assert_eq!(json!(all), result(&node, "eth_getLogs", range).await);
    }
    let filter = json!({ "fromBlock": "0x0", "toBlock": "latest" });
    let all = result(&node, "eth_getLogs", json!([filter])).await;
    let newest = all.as_array().unwrap().last().unwrap();
    let latest = result(&node, "erigon_getLatestLogs", json!([filter, { "logCount": 1 }])).await;
    assert_eq!(latest[0]["blockNumber"], newest["blockNumber"]);
    assert_eq!(latest.as_array().unwrap().len(), 1);
    // Newest block first, each block's logs in their order; as many blocks or logs as are wanted.
    let mut newest_first: Vec<Value> = Vec::new();
    for block in blocks.iter().rev() {
        let of_block = all.as_array().unwrap().iter().filter(|log| log["blockNumber"] == block["number"]);
        newest_first.extend(of_block.cloned());
    }
    for count in [0, 1, 3, newest_first.len(), newest_first.len() + 5] {
        let latest = result(&node, "erigon_getLatestLogs", json!([filter, { "logCount": count }])).await;
        assert_eq!(latest, json!(newest_first.iter().take(count).collect::<Vec<_>>()), "{count}");
    }
    let of_two = result(&node, "erigon_getLatestLogs", json!([filter, { "blockCount": 2 }])).await;
    let mut numbers: Vec<&Value> = newest_first.iter().map(|log| &log["blockNumber"]).collect();
    numbers.dedup();
    numbers.truncate(2);
    assert_eq!(
        of_two,
        json!(newest_first.iter().filter(|log| numbers.contains(&&log["blockNumber"])).collect::<Vec<_>>())
    );
    assert_eq!(result(&node, "erigon_blockNumber", json!([])).await, hex(HEAD));
    assert_eq!(result(&node, "erigon_blockNumber", json!(["earliest"])).await, "0x0");
    let forks = result(&node, "erigon_forks", json!([])).await;
    assert_eq!(forks["genesis"], blocks[0]["hash"]);
    assert_eq!(error_code(&node, "erigon_getHeaderByNumber", json!(["0xffff"])).await, Some(-32000));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_says_so() {
    let Some(node) = node() else { return };
    assert_eq!(result(&node, "txpool_status", json!([])).await, json!({ "pending": "0x0", "queued": "0x0" }));
    for method in ["txpool_content", "txpool_inspect"] {
        assert_eq!(result(&node, method, json!([])).await, json!({ "pending": {}, "queued": {} }));
    }
    assert_eq!(
        result(&node, "txpool_contentFrom", json!([CREATOR])).await,
        json!({ "pending": {}, "queued": {} })
    );
    assert_eq!(result(&node, "admin_peers", json!([])).await, json!([]));
    let info = result(&node, "admin_nodeInfo", json!([])).await;
    assert_eq!(info["protocols"]["eth"]["head"], blocks(&node).await.last().unwrap()["hash"]);
    assert!(!result(&node, "admin_datadir", json!([])).await.as_str().unwrap().is_empty());
    assert_eq!(error_code(&node, "admin_addPeer", json!(["enode://00@127.0.0.1:30303"])).await, Some(-32004));
    let hash = "0x0000000000000000000000000000000000000000000000000000000000000001";
    assert_eq!(error_code(&node, "debug_preimage", json!([hash])).await, Some(-32000));
    assert_eq!(error_code(&node, "debug_traceBadBlock", json!([hash])).await, Some(-32000));
    assert_eq!(result(&node, "debug_getBadBlocks", json!([])).await, json!([]));
    assert_eq!(error_code(&node, "debug_dbGet", json!(["NoSuchTable", "0x00"])).await, Some(-32602));
    assert_eq!(error_code(&node, "debug_getRawBlockAccessList", json!(["latest"])).await, Some(-32001));
    let genesis = result(&node, "eth_getBlockByNumber", json!(["0x0", false])).await["hash"].clone();
    assert_eq!(result(&node, "debug_dbGet", json!(["CanonicalHeaders/0x0000000000000000"])).await, genesis);
    let beyond = json!(["CanonicalHeaders", "0xffffffffffffffff"]);
    assert_eq!(result(&node, "debug_dbGet", beyond).await, Value::Null);
}
