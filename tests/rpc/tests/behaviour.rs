//! What the recorded conversations do not cover: past state, limits, tags, and every filter against a scan.

use std::{collections::BTreeSet, path::PathBuf};

use portico_query::QuerySettings;
use portico_test_support::fixture;
use portico_tests_rpc::RpcNode;
use serde_json::{Value, json};

const CHAIN: &str = "execution-apis/chain-54-osaka-bpo";
const HEAD: u64 = 54;
/// A contract that logs, and stores how often it was called.
const EMITTER: &str = "0x7dcd17433742f4c0ca53122ab541d0ba67fc27df";

fn node_with(settings: QuerySettings) -> Option<RpcNode> {
    let folder: PathBuf = fixture(CHAIN)?;
    Some(RpcNode::import_with(&folder.join("genesis.json"), &folder.join("chain.rlp"), settings).unwrap())
}

fn node() -> Option<RpcNode> {
    node_with(QuerySettings::default())
}

async fn call(node: &RpcNode, method: &str, params: Value) -> Value {
    node.call(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).await.unwrap()
}

async fn result(node: &RpcNode, method: &str, params: Value) -> Value {
    let response = call(node, method, params.clone()).await;
    assert!(response.get("error").is_none(), "{method} {params}: {response}");
    response["result"].clone()
}

async fn code(node: &RpcNode, method: &str, params: Value) -> Option<i64> {
    call(node, method, params).await["error"]["code"].as_i64()
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_named_in_every_way() {
    let Some(node) = node() else { return };
    let block = result(&node, "eth_getBlockByNumber", json!(["0x28", false])).await;
    let hash = &block["hash"];
    let expected = result(&node, "eth_getBalance", json!([EMITTER, "0x28"])).await;
    for name in [
        json!(hash),
        json!({ "blockNumber": "0x28" }),
        json!({ "blockHash": hash }),
        json!({ "blockHash": hash, "requireCanonical": true }),
    ] {
        assert_eq!(result(&node, "eth_getBalance", json!([EMITTER, name])).await, expected, "{name}");
    }
    let latest = result(&node, "eth_getBalance", json!([EMITTER])).await;
    assert_ne!(latest, expected);
    assert_eq!(result(&node, "eth_getBalance", json!([EMITTER, "pending"])).await, latest);
    assert_eq!(result(&node, "eth_getBalance", json!([EMITTER, "earliest"])).await, "0x0");
    assert_eq!(result(&node, "eth_getBlockByHash", json!([hash, false])).await, block);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_has_a_code() {
    let Some(node) = node() else { return };
    let unknown = format!("0x{}", "ab".repeat(32));
    for (method, params, expected) in [
        ("eth_getBalance", json!([EMITTER, "0x37"]), -32001),
        ("eth_getBalance", json!([EMITTER, unknown]), -32001),
        ("eth_getBalance", json!([EMITTER, "safe"]), -39001),
        ("eth_getBlockByNumber", json!(["finalized", false]), -39001),
        ("eth_getBlockByNumber", json!(["newest", false]), -32602),
        ("eth_getBlockByNumber", json!([]), -32602),
        ("eth_getLogs", json!([{ "blockHash": unknown }]), -32001),
        ("eth_getLogs", json!([{ "fromBlock": "latest", "toBlock": "0x1" }]), -32602),
        ("eth_call", json!([{ "to": EMITTER, "input": "0x01", "data": "0x02" }]), -32602),
        ("eth_call", json!([{ "to": EMITTER, "gasPrice": "0x1", "maxFeePerGas": "0x1" }]), -32602),
        ("eth_call", json!([{ "from": unknown[..42], "to": EMITTER, "value": "0x1" }]), -32000),
    ] {
        assert_eq!(code(&node, method, params.clone()).await, Some(expected), "{method} {params}");
    }
    for (method, params) in [
        ("eth_getBlockByNumber", json!(["0x37", true])),
        ("eth_getBlockByHash", json!([unknown, true])),
        ("eth_getBlockReceipts", json!(["0x37"])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["0x1", "0x4"])),
        ("eth_getUncleByBlockNumberAndIndex", json!(["0x1", "0x0"])),
        ("eth_getBlockTransactionCountByHash", json!([unknown])),
        ("eth_getUncleCountByBlockNumber", json!(["0x37"])),
    ] {
        assert_eq!(result(&node, method, params.clone()).await, Value::Null, "{method} {params}");
    }
    assert_eq!(result(&node, "eth_getUncleCountByBlockNumber", json!(["latest"])).await, "0x0");
}

/// The emitter adds one to slot 0 with every call that logs: its log's data is the count before.
#[tokio::test(flavor = "multi_thread")]
async fn past_storage_agrees_with_the_logs_of_its_time() {
    let Some(node) = node() else { return };
    let logs = result(
        &node,
        "eth_getLogs",
        json!([{ "fromBlock": "0x0", "toBlock": "latest", "address": EMITTER }]),
    );
    let logs = logs.await;
    let logs = logs.as_array().unwrap();
    assert!(logs.len() > 30);
    for number in 0..=HEAD {
        let so_far = logs.iter().filter(|log| {
            u64::from_str_radix(log["blockNumber"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
                <= number
        });
        let expected = format!("{:#066x}", so_far.count());
        let found = result(&node, "eth_getStorageAt", json!([EMITTER, "0x0", hex(number)])).await;
        assert_eq!(found, expected, "block {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_see_overrides_and_past_state() {
    let Some(node) = node() else { return };
    // Returns SLOAD(0), NUMBER, BASEFEE, BLOCKHASH(NUMBER - 1), BALANCE(CALLER).
    let code = "0x5f545f52436020524860405260014303406060523331608052\
                60a05ff3";
    let sender = "0x00000000000000000000000000000000000000aa";
    let overrides = json!({
        EMITTER: { "code": code },
        sender: { "balance": "0x5", "nonce": "0x9" },
    });
    let request = json!({ "from": sender, "to": EMITTER });
    let words = |answer: Value| -> Vec<String> {
        let text = answer.as_str().unwrap()[2..].to_owned();
        text.as_bytes().chunks(64).map(|word| format!("0x{}", std::str::from_utf8(word).unwrap())).collect()
    };
    let number = 40;
    let parent =
        result(&node, "eth_getBlockByNumber", json!([hex(number), false])).await["parentHash"].clone();
    let slot = result(&node, "eth_getStorageAt", json!([EMITTER, "0x0", hex(number)])).await;
    let answer = result(&node, "eth_call", json!([request, hex(number), overrides])).await;
    let word = |value: u64| format!("{value:#066x}");
    assert_eq!(
        words(answer),
        [slot.as_str().unwrap(), &word(number), &word(0), parent.as_str().unwrap(), &word(5)]
    );

    let block = json!({ "number": "0x3e8", "baseFeePerGas": "0x7", "blockHash": { "999": parent } });
    let state = json!({ EMITTER: { "code": code, "state": { (word(0)): (word(77)) } } });
    let paying = json!({ "from": sender, "to": EMITTER });
    let answer = result(&node, "eth_call", json!([paying, "latest", state, block])).await;
    assert_eq!(words(answer)[..2], [word(77), word(1000)]);
    let diff = json!({ EMITTER: { "code": code, "stateDiff": { (word(0)): (word(78)) } } });
    assert_eq!(words(result(&node, "eth_call", json!([request, "latest", diff])).await)[0], word(78));
}

/// Every filter that the chain's logs suggest, against the same filter by hand over all receipts.
#[tokio::test(flavor = "multi_thread")]
async fn logs_by_index_are_the_logs_by_scan() {
    let Some(node) = node() else { return };
    let mut all = Vec::new();
    for number in 0..=HEAD {
        for receipt in result(&node, "eth_getBlockReceipts", json!([hex(number)])).await.as_array().unwrap() {
            all.extend(receipt["logs"].as_array().unwrap().iter().cloned().map(|log| (number, log)));
        }
    }
    let addresses: BTreeSet<String> =
        all.iter().map(|(_, log)| log["address"].as_str().unwrap().to_owned()).collect();
    let topics: BTreeSet<(usize, String)> = all
        .iter()
        .flat_map(|(_, log)| log["topics"].as_array().unwrap().iter().enumerate())
        .map(|(position, topic)| (position, topic.as_str().unwrap().to_owned()))
        .collect();
    let mut filters = vec![(None::<&String>, None::<&(usize, String)>)];
    filters.extend(addresses.iter().map(|address| (Some(address), None)));
    filters.extend(topics.iter().map(|topic| (None, Some(topic))));
    filters.extend(
        topics.iter().zip(addresses.iter().cycle()).map(|(topic, address)| (Some(address), Some(topic))),
    );
    for (from, to) in [(0, HEAD), (3, 20), (40, 53)] {
        for (address, topic) in &filters {
            let mut filter = json!({ "fromBlock": hex(from), "toBlock": hex(to) });
            if let Some(address) = address {
                filter["address"] = json!([address, "0x00000000000000000000000000000000000000ff"]);
            }
            if let Some((position, topic)) = topic {
                let mut positions = vec![Value::Null; *position];
                positions.push(json!([topic]));
                filter["topics"] = json!(positions);
            }
            let matches = |log: &Value| {
                address.is_none_or(|address| log["address"] == **address)
                    && topic
                        .is_none_or(|(position, topic)| log["topics"].get(*position) == Some(&json!(topic)))
            };
            let expected: Vec<&Value> = all
                .iter()
                .filter(|(number, log)| (from..=to).contains(number) && matches(log))
                .map(|(_, log)| log)
                .collect();
            assert_eq!(result(&node, "eth_getLogs", json!([filter])).await, json!(expected), "{filter}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_are_bounded_and_say_what_would_fit() {
    let few_logs = QuerySettings { log_results_max: 5, ..QuerySettings::default() };
    let Some(node) = node_with(few_logs) else { return };
    let answer =
        call(&node, "eth_getLogs", json!([{ "fromBlock": "0x0", "toBlock": "latest", "address": EMITTER }]));
    let answer = answer.await;
    assert_eq!(answer["error"]["code"], -32005);
    let message = answer["error"]["message"].as_str().unwrap();
    let to = message.rsplit_once(' ').unwrap().1;
    let narrowed = json!([{ "fromBlock": "0x0", "toBlock": to, "address": EMITTER }]);
    assert!(result(&node, "eth_getLogs", narrowed).await.as_array().unwrap().len() <= 5, "{message}");

    let few_blocks = QuerySettings { log_blocks_max: 10, ..QuerySettings::default() };
    let Some(node) = node_with(few_blocks) else { return };
    let unfiltered = json!([{ "fromBlock": "0x0", "toBlock": "latest" }]);
    assert_eq!(code(&node, "eth_getLogs", unfiltered).await, Some(-32005));
    let rare = json!([{ "fromBlock": "0x0", "toBlock": "latest", "address": "0x00000000000000000000000000000000000000ff" }]);
    assert_eq!(result(&node, "eth_getLogs", rare).await, json!([]), "blocks that cannot match do not count");
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_are_tracers_unless_the_node_takes_none() {
    let call = |node, tracer: &str| {
        let of = json!([{ "to": EMITTER }, "latest", { "tracer": tracer }]);
        async move { crate::call(node, "debug_traceCall", of).await }
    };
    const SCRIPT: &str = "{step(){},fault(){},result(){return 7}}";
    let Some(node) = node() else { return };
    assert_eq!(call(&node, SCRIPT).await["result"], 7);
    let Some(node) = node_with(QuerySettings { scripts_allowed: false, ..QuerySettings::default() }) else {
        return;
    };
    for refused in [SCRIPT, "noSuchTracer"] {
        let answer = call(&node, refused).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("--rpc.no-script-tracers"), "{answer}");
    }
    assert!(call(&node, "callTracer").await["result"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn pruned_data_is_an_error_and_not_an_empty_answer() {
    let Some(node) = node() else { return };
    let txn = node.node().database.begin_rw().unwrap();
    for name in ["History", "Receipts", "LogIndex"] {
        portico_chain::write_prune_checkpoint(&txn, name, 19).unwrap();
    }
    txn.commit().unwrap();
    let logs = |from: u64| json!([{ "fromBlock": hex(from), "toBlock": "latest", "address": EMITTER }]);
    for (method, pruned, kept) in [
        ("eth_getBalance", json!([EMITTER, "0x13"]), json!([EMITTER, "0x14"])),
        ("eth_getBlockReceipts", json!(["0x13"]), json!(["0x14"])),
        ("eth_getLogs", logs(19), logs(20)),
    ] {
        let answer = call(&node, method, pruned).await;
        assert_eq!(answer["error"]["code"], 4444, "{method}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("from block 20 on"), "{answer}");
        result(&node, method, kept).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_history_is_an_error_and_not_a_wrong_answer() {
    let Some(node) = node() else { return };
    let txn = node.node().database.begin_rw().unwrap();
    portico_chain::write_checkpoint(&txn, "History", 50).unwrap();
    portico_chain::write_checkpoint(&txn, "LogIndex", 50).unwrap();
    txn.commit().unwrap();
    assert_eq!(code(&node, "eth_getBalance", json!([EMITTER, "0x13"])).await, Some(-32002));
    result(&node, "eth_getBalance", json!([EMITTER, "latest"])).await;
    let logs = json!([{ "fromBlock": "0x1", "toBlock": "latest", "address": EMITTER }]);
    assert_eq!(code(&node, "eth_getLogs", logs).await, Some(-32002));
}
