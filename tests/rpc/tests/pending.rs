//! `pending`: the block that would be made now, on a development network whose blocks are made when they are asked for.

use std::{path::Path, time::Duration};

use alloy_primitives::{Address, B256, U256, address};
use portico_chainspec::DEV_ACCOUNTS;
use portico_db::LiveDatabase;
use portico_query::{BlockId, Query, QuerySettings};
use portico_tests_rpc::RpcNode;
use serde_json::{Value, json};

const STRANGER: Address = address!("00000000000000000000000000000000000abcde");
/// Stores 42, and leaves code that returns what is stored.
const CREATION: &str = "0x602a6000556a60005460005260206000f3600052600b6015f3";

fn network() -> RpcNode {
    RpcNode::dev(Some(Duration::from_secs(1_000_000_000_000))).unwrap()
}

async fn answer(node: &RpcNode, method: &str, params: Value) -> Value {
    node.call(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).await.unwrap()
}

async fn result(node: &RpcNode, method: &str, params: Value) -> Value {
    let answer = answer(node, method, params).await;
    assert!(answer.get("error").is_none(), "{method}: {answer}");
    answer["result"].clone()
}

async fn graphql(node: &RpcNode, query: &str) -> Value {
    let response = node.graphql(query).await;
    assert!(response.errors.is_empty(), "{:?}", response.errors);
    response.data.into_json().unwrap()
}

async fn send(node: &RpcNode, request: Value) -> B256 {
    result(node, "eth_sendTransaction", json!([request])).await.as_str().unwrap().parse().unwrap()
}

async fn give(node: &RpcNode, wei: u64) -> B256 {
    send(node, json!({ "from": DEV_ACCOUNTS[0], "to": STRANGER, "value": U256::from(wei) })).await
}

async fn balances(node: &RpcNode) -> [Value; 2] {
    let at = |tag| result(node, "eth_getBalance", json!([STRANGER, tag]));
    [at("latest").await, at("pending").await]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pending_block_has_what_waits_and_no_hash() {
    let node = network();
    let genesis = result(&node, "eth_getBlockByNumber", json!(["latest", false])).await;
    let empty = result(&node, "eth_getBlockByNumber", json!(["pending", false])).await;
    assert_eq!([&empty["number"], &empty["parentHash"]], [&json!("0x1"), &genesis["hash"]]);
    assert_eq!(empty["transactions"], json!([]));
    let hash = give(&node, 1_000).await;
    let block = result(&node, "eth_getBlockByNumber", json!(["pending", false])).await;
    assert_eq!([&block["hash"], &block["nonce"], &block["miner"]], [&Value::Null; 3]);
    assert_eq!([&block["number"], &block["parentHash"]], [&json!("0x1"), &genesis["hash"]]);
    assert_eq!([&block["transactions"], &block["gasUsed"]], [&json!([hash]), &json!("0x5208")]);
    assert_ne!(block["stateRoot"], genesis["stateRoot"]);
    let full = result(&node, "eth_getBlockByNumber", json!(["pending", true])).await;
    let transaction = &full["transactions"][0];
    assert_eq!([&transaction["hash"], &transaction["blockHash"]], [&json!(hash), &Value::Null]);
    assert_eq!(
        [&transaction["blockNumber"], &transaction["transactionIndex"]],
        [&json!("0x1"), &json!("0x0")]
    );
    let found = result(&node, "eth_getTransactionByBlockNumberAndIndex", json!(["pending", "0x0"])).await;
    assert_eq!(&found, transaction);
    assert_eq!(result(&node, "eth_getBlockTransactionCountByNumber", json!(["pending"])).await, json!("0x1"));
    // It is no block of the chain.
    assert_eq!(result(&node, "eth_blockNumber", json!([])).await, json!("0x0"));
    assert_eq!(result(&node, "eth_getBlockByNumber", json!(["0x1", false])).await, Value::Null);
    assert_eq!(result(&node, "eth_getTransactionReceipt", json!([hash])).await, Value::Null);
    let waiting = result(&node, "eth_getTransactionByHash", json!([hash])).await;
    assert_eq!([&waiting["blockNumber"], &waiting["blockHash"]], [&Value::Null; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pending_state_shows_what_waits_and_the_latest_once_it_is_mined() {
    let node = network();
    assert_eq!(balances(&node).await, [json!("0x0"), json!("0x0")]);
    give(&node, 1_000).await;
    assert_eq!(balances(&node).await, [json!("0x0"), json!("0x3e8")]);
    give(&node, 1).await;
    assert_eq!(balances(&node).await, [json!("0x0"), json!("0x3e9")]);
    send(&node, json!({ "from": DEV_ACCOUNTS[0], "data": CREATION })).await;
    let nonce = |tag| result(&node, "eth_getTransactionCount", json!([DEV_ACCOUNTS[0], tag]));
    assert_eq!([nonce("latest").await, nonce("pending").await], [json!("0x0"), json!("0x3")]);
    let contract = DEV_ACCOUNTS[0].create(2);
    let reads = async |tag: &str| {
        [
            result(&node, "eth_getCode", json!([contract, tag])).await,
            result(&node, "eth_getStorageAt", json!([contract, "0x0", tag])).await,
            result(&node, "eth_call", json!([{ "to": contract }, tag])).await,
        ]
    };
    let stored = json!(B256::with_last_byte(42));
    let made = [json!("0x60005460005260206000f3"), stored.clone(), stored];
    assert_eq!(reads("latest").await, [json!("0x"), json!(B256::ZERO), json!("0x")]);
    assert_eq!(reads("pending").await, made);
    // Who will have something can spend it.
    let spend = json!({ "from": STRANGER, "to": DEV_ACCOUNTS[0], "value": "0x3e9" });
    let estimate = |tag| answer(&node, "eth_estimateGas", json!([spend, tag]));
    assert!(estimate("latest").await.get("error").is_some());
    assert_eq!(estimate("pending").await["result"], json!("0x5208"));
    let number = json!({ "data": "0x4360005260206000f3" });
    let called = result(&node, "eth_call", json!([number, "pending"])).await;
    assert_eq!(called, json!(B256::with_last_byte(1)), "the call is in the pending block");

    let query = format!(
        r#"{{ block {{ number account(address: "{STRANGER}") {{ balance }} }} pending {{ transactionCount
        transactions {{ hash }} account(address: "{STRANGER}") {{ balance transactionCount }}
        estimateGas(data: {{ from: "{STRANGER}", to: "{STRANGER}", value: "0x3e9" }})
        call(data: {{ to: "{contract}" }}) {{ data status }}
        made: account(address: "{contract}") {{ code storage(slot: "0x00") }}
        sender: account(address: "{}") {{ transactionCount }} }} }}"#,
        DEV_ACCOUNTS[0],
    );
    let told = graphql(&node, &query).await;
    assert_eq!(told["block"], json!({ "number": "0x0", "account": { "balance": "0x0" } }));
    let pending = &told["pending"];
    assert_eq!(pending["transactionCount"], "0x3");
    assert_eq!(pending["transactions"].as_array().unwrap().len(), 3);
    assert_eq!(pending["account"], json!({ "balance": "0x3e9", "transactionCount": "0x0" }));
    assert_eq!(pending["estimateGas"], "0x5208");
    assert_eq!(pending["call"], json!({ "data": made[1], "status": "0x1" }));
    assert_eq!(pending["made"], json!({ "code": made[0], "storage": made[1] }));
    assert_eq!(pending["sender"]["transactionCount"], "0x3");

    let before = result(&node, "eth_getBlockByNumber", json!(["pending", false])).await;
    result(&node, "evm_mine", json!([])).await;
    assert_eq!(balances(&node).await, [json!("0x3e9"), json!("0x3e9")]);
    assert_eq!(reads("latest").await, made);
    let mined = result(&node, "eth_getBlockByNumber", json!(["latest", false])).await;
    for field in
        ["number", "parentHash", "transactions", "gasUsed", "receiptsRoot", "baseFeePerGas", "gasLimit"]
    {
        assert_eq!(before[field], mined[field], "{field}");
    }
    let next = result(&node, "eth_getBlockByNumber", json!(["pending", false])).await;
    assert_eq!([&next["number"], &next["parentHash"]], [&json!("0x2"), &mined["hash"]]);
    assert_eq!(next["transactions"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_is_no_longer_pending() {
    let node = network();
    let snapshot = result(&node, "evm_snapshot", json!([])).await;
    give(&node, 7).await;
    assert_eq!(balances(&node).await, [json!("0x0"), json!("0x7")]);
    assert_eq!(result(&node, "evm_revert", json!([snapshot])).await, json!(true));
    assert_eq!(balances(&node).await, [json!("0x0"), json!("0x0")]);

    let snapshot = result(&node, "evm_snapshot", json!([])).await;
    give(&node, 8).await;
    result(&node, "evm_mine", json!([])).await;
    give(&node, 1).await;
    assert_eq!(balances(&node).await, [json!("0x8"), json!("0x9")]);
    assert_eq!(result(&node, "evm_revert", json!([snapshot])).await, json!(true));
    assert_eq!(balances(&node).await, [json!("0x0"), json!("0x0")]);
    let block = result(&node, "eth_getBlockByNumber", json!(["pending", false])).await;
    assert_eq!([&block["number"], &block["transactions"]], [&json!("0x1"), &json!([])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pending_block_has_the_time_that_was_set() {
    let node = network();
    let later = 5_000_000_000_u64;
    result(&node, "evm_setNextBlockTimestamp", json!([later])).await;
    let block = result(&node, "eth_getBlockByNumber", json!(["pending", false])).await;
    assert_eq!(block["timestamp"], json!(format!("{later:#x}")));
    let told = result(&node, "eth_call", json!([{ "data": "0x4260005260206000f3" }, "pending"])).await;
    assert_eq!(told, json!(B256::from(U256::from(later))));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_sees_one_pending_block_however_many_come() {
    let node = network();
    let (mut last, mut seen) = (0, 0);
    for turn in 1..=20_u64 {
        give(&node, 1).await;
        let query = format!(
            r#"{{ pending {{ a: account(address: "{STRANGER}") {{ balance }} b: account(address: "{STRANGER}") {{ balance }} }} }}"#
        );
        let told = graphql(&node, &query).await;
        assert_eq!(told["pending"]["a"], told["pending"]["b"]);
        let balance = told["pending"]["a"]["balance"].as_str().unwrap().trim_start_matches("0x").to_owned();
        let balance = u64::from_str_radix(&balance, 16).unwrap();
        assert!((last..=turn).contains(&balance), "{balance} after {turn}");
        (last, seen) = (balance, seen + u64::from(balance == turn));
    }
    assert!(seen > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_makes_blocks_pending_is_the_head() {
    let node = network();
    give(&node, 5).await;
    let live = LiveDatabase::of(node.node().database.clone());
    let reading = Query::new(live, node.node().spec.clone(), QuerySettings::default());
    let snapshot = reading.snapshot().unwrap();
    let balance = snapshot.in_state(BlockId::pending(), |snapshot, number| {
        assert_eq!((number, snapshot.is_pending()), (0, false));
        snapshot.account(&STRANGER, number)
    });
    assert_eq!(balance.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_nobody_drives_stands_still() {
    let node = RpcNode::at_genesis(Path::new("dev")).unwrap();
    let [pending, latest] = [json!(["pending", false]), json!(["latest", false])]
        .map(async |params| result(&node, "eth_getBlockByNumber", params).await);
    assert_eq!(pending.await, latest.await);
}
