//! Transactions from sending to their block, and back.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use alloy_primitives::U256;
use portico_generator::GeneratorConfig;
use portico_query::SeenBlock;
use portico_stages::StopSignal;
use portico_test_support::fixture;
use portico_tests_rpc::{Conversation, RpcNode};
use serde_json::{Value, json, value::RawValue};
use tokio::sync::mpsc::Receiver;

const CHAIN: &str = "execution-apis/chain-54-osaka-bpo";
/// The block after it has four transactions, none of them with blobs.
const HEAD: u64 = 46;
/// Who sent four of the recorded transactions.
const SENDER: &str = "0x0c2c51a0990AeE1d73C1228de158688341557508";

async fn answer(node: &RpcNode, method: &str, params: Value) -> Value {
    node.call(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).await.unwrap()
}

async fn result(node: &RpcNode, method: &str, params: Value) -> Value {
    let answer = answer(node, method, params).await;
    assert_eq!(answer.get("error"), None, "{method}");
    answer["result"].clone()
}

async fn refusal(node: &RpcNode, method: &str, params: Value) -> (i64, String) {
    let error = &answer(node, method, params).await["error"];
    (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
}

async fn next(messages: &mut Receiver<Box<RawValue>>) -> Value {
    let message = tokio::time::timeout(Duration::from_secs(30), messages.recv()).await;
    let message = message.expect("a message within half a minute").expect("the subscription lives");
    serde_json::from_str::<Value>(message.get()).unwrap()["params"]["result"].clone()
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

fn node_to(block: u64) -> Option<RpcNode> {
    let folder = fixture(CHAIN)?;
    Some(RpcNode::import_to(&folder.join("genesis.json"), &folder.join("chain.rlp"), block).unwrap())
}

/// The recorded bytes and hashes: nonces 2, 3, 1, 0 of one account, and the first of another's, with a blob.
fn recorded() -> Vec<(String, String)> {
    let mut sent = Vec::new();
    for conversation in Conversation::read_all(&fixture(CHAIN).unwrap()).unwrap() {
        let sends =
            conversation.exchanges.iter().filter(|exchange| exchange.method() == "eth_sendRawTransaction");
        if conversation.name().starts_with("eth_sendRawTransaction/") {
            sent.extend(sends.map(|exchange| {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                (text(&exchange.request["params"][0]), text(&exchange.response["result"]))
            }));
        }
    }
    assert_eq!(sent.len(), 5);
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_seen_everywhere() {
    let Some(node) = node_to(54) else { return };
    let mut hashes = node.subscribe(json!(["newPendingTransactions"])).await.unwrap();
    let mut bodies = node.subscribe(json!(["newPendingTransactions", true])).await.unwrap();
    let filter = result(&node, "eth_newPendingTransactionFilter", json!([])).await;
    let full = result(&node, "eth_newPendingTransactionFilter", json!([true])).await;
    let sent = recorded();
    for (raw, hash) in &sent {
        assert_eq!(result(&node, "eth_sendRawTransaction", json!([raw])).await, json!(hash));
        let (code, message) = refusal(&node, "eth_sendRawTransaction", json!([raw])).await;
        assert_eq!((code, message.as_str()), (-32000, "already known"));
    }
    let pending: Vec<Value> =
        result(&node, "eth_pendingTransactions", json!([])).await.as_array().unwrap().clone();
    assert_eq!(pending.len(), 5);
    assert_eq!(result(&node, "parity_pendingTransactions", json!([2])).await, json!(pending[..2]));
    let mut told = Vec::new();
    for _ in 0..5 {
        let hash = next(&mut hashes).await;
        let body = next(&mut bodies).await;
        assert_eq!(body["hash"], hash);
        assert!(pending.contains(&body), "{body}");
        told.push(hash);
    }
    assert_eq!(result(&node, "eth_getFilterChanges", json!([filter])).await, json!(told));
    let polled = result(&node, "eth_getFilterChanges", json!([full])).await;
    assert_eq!(polled.as_array().unwrap().len(), 5);
    assert_eq!(polled[0]["hash"], told[0]);
    assert_eq!(result(&node, "eth_getFilterChanges", json!([full])).await, json!([]));

    assert_eq!(result(&node, "txpool_status", json!([])).await, json!({ "pending": "0x5", "queued": "0x0" }));
    let content = result(&node, "txpool_content", json!([])).await;
    let from = result(&node, "txpool_contentFrom", json!([SENDER])).await;
    assert_eq!(from["pending"], content["pending"][SENDER]);
    assert_eq!(from["pending"].as_object().unwrap().keys().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    let inspected = result(&node, "txpool_inspect", json!([])).await;
    let lines = &inspected["pending"][SENDER];
    assert_eq!(lines["0"], "0xaa00000000000000000000000000000000000000: 10 wei + 25000 gas × 27399064 wei");
    assert!(lines["1"].as_str().unwrap().starts_with("contract creation: 42 wei + 60000 gas"));

    let nonce = |tag: &str| json!([SENDER, tag]);
    assert_eq!(result(&node, "eth_getTransactionCount", nonce("pending")).await, "0x4");
    assert_eq!(result(&node, "eth_getTransactionCount", nonce("latest")).await, "0x0");
    for (raw, hash) in &sent {
        let found = result(&node, "eth_getTransactionByHash", json!([hash])).await;
        assert!(pending.contains(&found));
        assert_eq!((&found["blockHash"], &found["transactionIndex"]), (&Value::Null, &Value::Null));
        // Blobs come back as well.
        for method in ["eth_getRawTransactionByHash", "debug_getRawTransaction"] {
            assert_eq!(result(&node, method, json!([hash])).await, json!(raw), "{method}");
        }
        assert_eq!(result(&node, "eth_getTransactionReceipt", json!([hash])).await, Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told() {
    let Some(node) = node_to(54) else { return };
    let send = "eth_sendRawTransaction";
    assert_eq!(refusal(&node, send, json!(["0x"])).await.0, -32602);
    assert_eq!(refusal(&node, send, json!(["0x02c0"])).await.0, -32602);
    assert_eq!(refusal(&node, send, json!(["nonsense"])).await.0, -32602);
    assert_eq!(refusal(&node, send, json!([])).await.0, -32602);
    // Besu's transfer: 0x83 * 10^9 wei for gas, and no chain id.
    let unprotected = "0xf86d0485174876e800830222e0945aae326516b4f8fe08074b7e972e40a713048d62880de0b6b3a7640000801ba05d4e7998757264daab67df2ce6f7e7a0ae36910778a406ca73898c9899a32b9ea0674700d5c3d1d27f2e6b4469957dfd1a1c49bf92383d80717afc84eb05695d5b";
    let (code, message) = refusal(&node, send, json!([unprotected])).await;
    assert_eq!(
        (code, message.as_str()),
        (-32000, "only replay-protected (EIP-155) transactions allowed over RPC")
    );
    // A transaction of the chain itself was mined long ago.
    let mined = result(&node, "eth_getRawTransactionByBlockNumberAndIndex", json!(["0x36", "0x0"])).await;
    let (code, message) = refusal(&node, send, json!([mined])).await;
    assert_eq!(code, -32000);
    assert!(message.starts_with("nonce too low: next nonce "), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_not_mined_in_time_is_told_with_its_hash() {
    let Some(node) = node_to(54) else { return };
    let (raw, hash) = recorded().pop().unwrap();
    let answer = answer(&node, "eth_sendRawTransactionSync", json!([raw, 50])).await;
    assert_eq!((&answer["error"]["code"], &answer["error"]["data"]), (&json!(4), &json!(hash)));
    assert_eq!(result(&node, "eth_getTransactionByHash", json!([hash])).await["hash"], json!(hash));
}

/// Raw transactions of the first block after `block` that has any, and that block's number.
async fn mined_after(block: u64) -> (Vec<String>, u64) {
    let full = node_to(54).unwrap();
    for number in block + 1..=54 {
        let shown = result(&full, "eth_getBlockByNumber", json!([format!("{number:#x}"), false])).await;
        let mut raw = Vec::new();
        for hash in shown["transactions"].as_array().unwrap() {
            let bytes = result(&full, "eth_getRawTransactionByHash", json!([hash])).await;
            raw.push(bytes.as_str().unwrap().to_owned());
        }
        if !raw.is_empty() {
            return (raw, number);
        }
    }
    panic!("the chain goes on without transactions");
}

fn head(node: &RpcNode) -> SeenBlock {
    node.query().snapshot().unwrap().head_block().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_takes_its_transactions_out_of_the_pool() {
    let Some(node) = node_to(HEAD) else { return };
    let (raw, number) = mined_after(HEAD).await;
    let before = head(&node);
    for raw in &raw {
        result(&node, "eth_sendRawTransaction", json!([raw])).await;
    }
    let empty = json!({ "pending": "0x0", "queued": "0x0" });
    assert_eq!(result(&node, "txpool_status", json!([])).await, json!({ "pending": "0x4", "queued": "0x0" }));
    node.node().import(&[fixture(CHAIN).unwrap().join("chain.rlp")], Some(number)).unwrap();
    let mined = node.query().update_pool(Some(before)).unwrap();
    assert_eq!(mined.block_number, number);
    assert_eq!(result(&node, "txpool_status", json!([])).await, empty);
    // An unwound block is not kept: its transactions have to be sent again.
    node.node().unwind(HEAD).unwrap();
    assert_eq!(node.query().update_pool(Some(mined)).unwrap(), before);
    assert_eq!(result(&node, "txpool_status", json!([])).await, empty);
    result(&node, "eth_sendRawTransaction", json!([raw[0]])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_of_a_branch_that_lost_wait_again() {
    let folder = tempfile::tempdir().unwrap();
    let (genesis, busy) = generate(folder.path(), 30, 12);
    let (_, long) = generate(folder.path(), 20, 14);
    let node = RpcNode::import_with(&genesis, &busy, Default::default()).unwrap();
    let seen = head(&node);
    let mut mined = Vec::new();
    for number in 1..=12 {
        let block = result(&node, "eth_getBlockByNumber", json!([format!("{number:#x}"), true])).await;
        mined.extend(block["transactions"].as_array().unwrap().clone());
    }
    node.node().import(&[long], None).unwrap();
    assert_eq!(node.query().update_pool(Some(seen)).unwrap().block_number, 14);
    let mut returned = 0;
    for transaction in &mined {
        let found = result(&node, "eth_getTransactionByHash", json!([transaction["hash"]])).await;
        let nonce = result(&node, "eth_getTransactionCount", json!([transaction["from"], "latest"])).await;
        let balance = result(&node, "eth_getBalance", json!([transaction["from"], "latest"])).await;
        let number = |value: &Value| U256::from_str_radix(&value.as_str().unwrap()[2..], 16).unwrap();
        let price = if transaction["maxFeePerGas"].is_null() { "gasPrice" } else { "maxFeePerGas" };
        let cost = number(&transaction["gas"]) * number(&transaction[price]) + number(&transaction["value"]);
        let is_paid = cost <= number(&balance);
        let is_used = number(&transaction["nonce"]) < number(&nonce);
        let is_waiting = !found.is_null() && found["blockHash"].is_null();
        assert!(!(is_waiting && is_used), "{found}");
        // Blob transactions lack their blobs here: nobody sent them to this node.
        if transaction["type"] != "0x3" && !is_used && is_paid {
            assert!(is_waiting, "{transaction}");
        }
        returned += u64::from(is_waiting);
    }
    assert!(returned > 20, "{returned} of {} transactions wait again", mined.len());
    let status = node.query().pool().unwrap().status();
    assert_eq!((status.pending + status.queued) as u64, returned);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_gets_the_receipt_once_the_block_is_there() {
    let Some(node) = node_to(HEAD) else { return };
    let folder = fixture(CHAIN).unwrap();
    let (raw, number) = mined_after(HEAD).await;
    let wait = answer(&node, "eth_sendRawTransactionSync", json!([raw[0], 30_000]));
    let import = async {
        // Until it was taken.
        for _ in 0..1_000 {
            if result(&node, "txpool_status", json!([])).await["pending"] != "0x0" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        node.node().import(&[folder.join("chain.rlp")], Some(number)).unwrap();
    };
    let (answer, ()) = tokio::join!(wait, import);
    assert_eq!(answer.get("error"), None);
    assert_eq!(answer["result"]["blockNumber"], json!(format!("{number:#x}")));
    let hash = &answer["result"]["transactionHash"];
    assert_eq!(answer["result"], result(&node, "eth_getTransactionReceipt", json!([hash])).await);
}
