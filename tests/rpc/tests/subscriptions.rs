//! Subscriptions while blocks come and go.

use std::time::Duration;

use portico_test_support::fixture;
use portico_tests_rpc::RpcNode;
use serde_json::{Value, json, value::RawValue};
use tokio::sync::mpsc::Receiver;

const CHAIN: &str = "execution-apis/chain-54-osaka-bpo";
const HEAD: u64 = 54;

async fn result(node: &RpcNode, method: &str, params: Value) -> Value {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    node.call(&request).await.unwrap()["result"].clone()
}

/// What the next message is about.
async fn next(messages: &mut Receiver<Box<RawValue>>) -> Value {
    let message = tokio::time::timeout(Duration::from_secs(30), messages.recv()).await;
    let message = message.expect("a message within half a minute").expect("the subscription lives");
    let message: Value = serde_json::from_str(message.get()).unwrap();
    assert_eq!(message["method"], "eth_subscription");
    message["params"]["result"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_block_is_told_once_and_taken_back_when_it_goes() {
    let Some(folder) = fixture(CHAIN) else { return };
    let chain = [folder.join("chain.rlp")];
    let node = RpcNode::import_to(&folder.join("genesis.json"), &chain[0], 20).unwrap();
    let mut heads = node.subscribe(json!(["newHeads"])).await.unwrap();
    let mut logs = node.subscribe(json!(["logs", {}])).await.unwrap();
    let mut receipts = node.subscribe(json!(["transactionReceipts"])).await.unwrap();
    assert_eq!(node.node().import(&chain, None).unwrap().0, HEAD);

    for number in 21..=HEAD {
        let head = next(&mut heads).await;
        let mut block = result(&node, "eth_getBlockByNumber", json!([format!("{number:#x}"), false])).await;
        for absent in ["size", "transactions", "uncles", "withdrawals"] {
            block.as_object_mut().unwrap().remove(absent);
        }
        assert_eq!(head, block, "a head is a block without its body");
        let of_block = result(&node, "eth_getBlockReceipts", json!([format!("{number:#x}")])).await;
        if of_block != json!([]) {
            assert_eq!(next(&mut receipts).await, of_block);
        }
    }
    let range = json!([{ "fromBlock": format!("{:#x}", 21), "toBlock": "latest" }]);
    let all = result(&node, "eth_getLogs", range).await.as_array().unwrap().clone();
    assert!(all.len() > 50);
    for log in &all {
        assert_eq!(next(&mut logs).await, *log);
    }

    node.node().unwind(40).unwrap();
    let gone = all.iter().filter(|log| log["blockNumber"].as_str() > Some("0x28"));
    let mut gone: Vec<_> = gone.cloned().collect();
    assert!(!gone.is_empty());
    // Newest block first; within a block in its order.
    gone.sort_by_key(|log| std::cmp::Reverse(log["blockNumber"].as_str().unwrap().to_owned()));
    for mut log in gone {
        log["removed"] = json!(true);
        assert_eq!(next(&mut logs).await, log);
    }
    assert_eq!(node.node().import(&chain, Some(41)).unwrap().0, 41);
    assert_eq!(next(&mut heads).await["number"], "0x29", "unwound blocks are no heads; the new one is");
}
