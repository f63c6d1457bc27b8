//! `eth_*` methods that the recorded conversations do not cover, or only in part.

use std::time::{Duration, Instant};

use alloy_primitives::{B256, U256, keccak256};
use portico_query::QuerySettings;
use portico_test_support::fixture;
use portico_tests_rpc::RpcNode;
use serde_json::{Value, json};

const CHAIN: &str = "execution-apis/chain-54-osaka-bpo";
/// A contract that logs, and stores how often it was called.
const EMITTER: &str = "0x7dcd17433742f4c0ca53122ab541d0ba67fc27df";
const SENDER: &str = "0xc000000000000000000000000000000000000000";
const CONTRACT: &str = "0xc100000000000000000000000000000000000000";
/// Jumps to its own beginning for ever.
const ENDLESS: &str = "0x5b600056";
/// Goes a long way before it jumps to its own beginning.
const LONG: &str =
    concat!("0x5b", "600050600050600050600050600050600050600050600050600050600050600050", "600056");
/// Calls itself with all gas, twice, and so on.
const RECURSIVE: &str = "0x5f5f5f5f5f305af15f5f5f5f5f305af1";

fn node_with(settings: QuerySettings) -> Option<RpcNode> {
    let folder = fixture(CHAIN)?;
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

async fn error(node: &RpcNode, method: &str, params: Value) -> (i64, String) {
    let response = call(node, method, params.clone()).await;
    let error = &response["error"];
    assert!(error.is_object(), "{method} {params}: {response}");
    (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
}

fn number(value: &Value) -> u64 {
    serde_json::from_value::<U256>(value.clone()).unwrap().to()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_do_not_end_are_stopped() {
    let settings = QuerySettings {
        call_gas_max: u64::MAX / 2,
        call_time_max: Duration::from_millis(300),
        ..QuerySettings::default()
    };
    let Some(node) = node_with(settings) else { return };
    for code in [ENDLESS, LONG, RECURSIVE] {
        let request = json!({ "to": CONTRACT, "from": SENDER });
        let overrides = json!({ CONTRACT: { "code": code } });
        let blocks = json!([{ "blockOverrides": { "gasLimit": "0xffffffffffffff" }, "stateOverrides": overrides, "calls": [request] }]);
        for (method, params) in [
            ("eth_call", json!([request, "latest", overrides])),
            ("eth_estimateGas", json!([request, "latest", overrides, { "gasLimit": "0xffffffffffffff" }])),
            ("eth_createAccessList", json!([request, "latest", overrides])),
            ("eth_callMany", json!([[{ "transactions": [request] }], null, overrides])),
            ("eth_simulateV1", json!([{ "blockStateCalls": blocks }])),
            (
                "debug_traceCall",
                json!([request, "latest", { "tracer": "callTracer", "stateOverrides": overrides }]),
            ),
        ] {
            // Osaka's cap ends an estimate first.
            let started = Instant::now();
            let response = call(&node, method, params).await;
            assert!(started.elapsed() < Duration::from_secs(2), "{method} took {:?}", started.elapsed());
            if method != "eth_estimateGas" {
                assert_eq!(response["error"]["code"], -32002, "{method} {code}: {response}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn precompiles_can_be_moved_in_every_kind_of_call() {
    let Some(node) = node() else { return };
    let sha256 = "0x0000000000000000000000000000000000000002";
    let moved = json!({ sha256: { "movePrecompileToAddress": CONTRACT } });
    let digest = "0x3a103a4e5729ad68c02a678ae39accfbc0ae208096437401b7ceab63cca0622f";
    let request = |to: &str| json!({ "from": SENDER, "to": to, "input": "0x1234" });
    assert_eq!(result(&node, "eth_call", json!([request(CONTRACT), "latest", moved])).await, digest);
    assert_eq!(result(&node, "eth_call", json!([request(sha256), "latest", moved])).await, "0x");
    let bundles = json!([{ "transactions": [request(CONTRACT)] }]);
    let outcome = result(&node, "eth_callMany", json!([bundles, null, moved])).await;
    assert_eq!(outcome, json!([[{ "value": digest.trim_start_matches("0x") }]]));
    let gas = number(&result(&node, "eth_estimateGas", json!([request(CONTRACT), "latest", moved])).await);
    assert!(gas > 21_000 + 60, "{gas}");
    let bad = json!({ CONTRACT: { "movePrecompileToAddress": SENDER } });
    let (code, message) = error(&node, "eth_call", json!([request(CONTRACT), "latest", bad])).await;
    assert_eq!((code, message.contains("is not a precompile")), (-32000, true), "{message}");
    let bad = json!({ sha256: { "movePrecompileToAddress": CONTRACT }, CONTRACT: { "balance": "0x1" } });
    let (code, message) = error(&node, "eth_call", json!([request(CONTRACT), "latest", bad])).await;
    assert_eq!((code, message.contains("already overridden")), (-32000, true), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_is_replaced_or_changed() {
    let Some(node) = node() else { return };
    // Returns slot 0 and slot 1.
    let code = "0x5f545f5260015460205260405ff3";
    let slot = |number: u64| B256::from(U256::from(number));
    let read = |state: Value| {
        let mut account = state;
        account["code"] = code.into();
        json!([{ "to": EMITTER }, "latest", { EMITTER: account }])
    };
    let stored = result(&node, "eth_getStorageAt", json!([EMITTER, "0x0", "latest"])).await;
    let words = |first: &str, second: u64| format!("{first}{second:064x}");
    let diff = json!({ "stateDiff": { slot(1).to_string(): slot(7) } });
    let output = result(&node, "eth_call", read(diff)).await;
    assert_eq!(output, words(stored.as_str().unwrap(), 7));
    let whole = json!({ "state": { slot(1).to_string(): slot(7) } });
    assert_eq!(result(&node, "eth_call", read(whole)).await, words(&format!("0x{:064x}", 0), 7));
    let both = json!({ "state": {}, "stateDiff": {} });
    assert_eq!(error(&node, "eth_call", read(both)).await.0, -32602);
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_go_on_where_the_call_before_ended() {
    let Some(node) = node() else { return };
    // Adds one to slot 0 and returns it; number and time of the block follow.
    let counter = "0x5f54600101805f555f5243602052426040526060 5ff3".replace(' ', "");
    let overrides = json!({ CONTRACT: { "code": counter } });
    let request = json!({ "from": SENDER, "to": CONTRACT });
    let bundles = json!([
        { "transactions": [request, request], "blockOverride": { "blockNumber": "0x100", "timestamp": "0x200" } },
        { "transactions": [request] },
    ]);
    let outcomes =
        result(&node, "eth_callMany", json!([bundles, { "blockNumber": "0x36" }, overrides])).await;
    let words = |count: u64, number: u64, time: u64| json!({ "value": format!("{count:064x}{number:064x}{time:064x}") });
    let expected = json!([[words(1, 0x100, 0x200), words(2, 0x100, 0x200)], [words(3, 0x101, 0x201)]]);
    assert_eq!(outcomes, expected);
    let reverting = json!([{ "transactions": [{ "to": "0x0ee3ab1371c93e7c0c281cc0c2107cdebc8b1930", "input": "0x01" }] }]);
    let outcomes = result(&node, "eth_callMany", json!([reverting])).await;
    assert_eq!(outcomes, json!([[{ "error": "execution reverted: user error" }]]));
    assert_eq!(error(&node, "eth_callMany", json!([[]])).await.0, -32602);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_can_begin_amid_a_block() {
    let Some(node) = node() else { return };
    // A block in which the emitter is called: its counter goes up within the block.
    let filter = json!([{ "address": EMITTER, "fromBlock": "0x1", "toBlock": "latest" }]);
    let logs = result(&node, "eth_getLogs", filter).await;
    let log = &logs[0];
    let (block, index) = (&log["blockNumber"], number(&log["transactionIndex"]));
    // Returns slot 0 of the emitter, with its code replaced by one that is older than PUSH0.
    let read = json!([{ "transactions": [{ "to": EMITTER }] }]);
    let overrides = json!({ EMITTER: { "code": "0x60005460005260206000f3" } });
    let at = |index: Value| json!([read, { "blockNumber": block, "transactionIndex": index }, overrides]);
    let counter = |outcome: Value| u64::from_str_radix(outcome[0][0]["value"].as_str().unwrap(), 16).unwrap();
    let before = counter(result(&node, "eth_callMany", at(json!(index))).await);
    let after = counter(result(&node, "eth_callMany", at(json!(index + 1))).await);
    assert_eq!(after, before + 1);
    let end = counter(result(&node, "eth_callMany", at(json!(-1))).await);
    let stored = result(&node, "eth_getStorageAt", json!([EMITTER, "0x0", block])).await;
    assert_eq!(end, number(&stored));
    assert_eq!(error(&node, "eth_callMany", at(json!(100_000))).await.0, -32602);
}

#[tokio::test(flavor = "multi_thread")]
async fn bundled_transactions_are_executed_again() {
    let Some(node) = node() else { return };
    let logs = result(&node, "eth_getLogs", json!([{ "address": EMITTER, "fromBlock": "0x1" }])).await;
    let hash: B256 = serde_json::from_value(logs[0]["transactionHash"].clone()).unwrap();
    let receipt = result(&node, "eth_getTransactionReceipt", json!([hash])).await;
    let parent = format!("{:#x}", number(&receipt["blockNumber"]) - 1);
    let bundle = result(&node, "eth_callBundle", json!([[hash], parent, 5000])).await;
    assert_eq!(bundle["bundleHash"], json!(keccak256(hash)));
    assert_eq!(bundle["results"][0]["txHash"], json!(hash));
    assert_eq!(bundle["results"][0]["gasUsed"], number(&receipt["gasUsed"]));
    assert!(bundle["results"][0]["value"].is_string());
    assert_eq!(error(&node, "eth_callBundle", json!([[B256::ZERO], "latest"])).await.0, -32001);
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_follow_the_head() {
    let Some(node) = node() else { return };
    let head = result(&node, "eth_getBlockByNumber", json!(["latest", false])).await;
    let tip = number(&result(&node, "eth_maxPriorityFeePerGas", json!([])).await);
    assert!((2..=500_000_000_000).contains(&tip), "{tip}");
    let price = number(&result(&node, "eth_gasPrice", json!([])).await);
    assert_eq!(price, tip + number(&head["baseFeePerGas"]));
    let history = result(&node, "eth_feeHistory", json!([5, "latest", [0, 50, 100]])).await;
    assert_eq!(history["oldestBlock"], "0x32");
    for (field, length) in
        [("baseFeePerGas", 6), ("gasUsedRatio", 5), ("baseFeePerBlobGas", 6), ("reward", 5)]
    {
        assert_eq!(history[field].as_array().unwrap().len(), length, "{field}");
    }
    assert_eq!(history["baseFeePerGas"][4], head["baseFeePerGas"]);
    assert_eq!(history["baseFeePerGas"][5], result(&node, "eth_baseFee", json!([])).await);
    assert_eq!(history["baseFeePerBlobGas"][5], result(&node, "eth_blobBaseFee", json!([])).await);
    let all = result(&node, "eth_feeHistory", json!(["0xffffff", "latest", []])).await;
    assert_eq!(
        (all["oldestBlock"].clone(), all["gasUsedRatio"].as_array().unwrap().len()),
        (json!("0x0"), 55)
    );
    assert!(all.get("reward").is_none());
    assert_eq!(error(&node, "eth_feeHistory", json!([1, "0x37", []])).await.0, -32602);
    assert_eq!(error(&node, "eth_feeHistory", json!([1, "latest", [50, 40]])).await.0, -32000);
    assert_eq!(error(&node, "eth_feeHistory", json!([1, "latest", [101]])).await.0, -32000);
}

#[tokio::test(flavor = "multi_thread")]
async fn estimates_suffice_and_one_less_than_needed_does_not() {
    let Some(node) = node() else { return };
    let request = |gas: Option<u64>| {
        let mut request = json!({ "from": SENDER, "to": EMITTER, "input": "0x010203040506" });
        if let Some(gas) = gas {
            request["gas"] = format!("{gas:#x}").into();
        }
        request
    };
    let estimate = number(&result(&node, "eth_estimateGas", json!([request(None)])).await);
    assert!(call(&node, "eth_call", json!([request(Some(estimate)), "latest"])).await.get("error").is_none());
    let too_little = estimate - estimate / 50;
    assert_eq!(error(&node, "eth_call", json!([request(Some(too_little)), "latest"])).await.0, -32000);
    // The sender's funds bound what may be tried.
    let poor = json!({ SENDER: { "balance": "0x64" } });
    let mut priced = request(None);
    priced["gasPrice"] = "0x5f5e100".into();
    let (code, message) = error(&node, "eth_estimateGas", json!([priced, "latest", poor])).await;
    assert_eq!((code, message.contains("gas required exceeds allowance (0)")), (-32000, true), "{message}");
    let mut costly = request(None);
    (costly["value"], costly["gasPrice"]) = ("0x64".into(), "0x1".into());
    let (code, message) = error(&node, "eth_estimateGas", json!([costly, "latest", poor])).await;
    assert_eq!((code, message.contains("insufficient funds")), (-32000, true), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_filled_up() {
    let Some(node) = node() else { return };
    let from = "0x0c2c51a0990aee1d73c1228de158688341557508";
    let filled =
        result(&node, "eth_fillTransaction", json!([{ "from": from, "to": CONTRACT, "value": "0x1" }])).await;
    let tx = &filled["tx"];
    assert_eq!((&tx["type"], &tx["gas"]), (&json!("0x2"), &json!("0x5208")));
    assert_eq!(tx["nonce"], result(&node, "eth_getTransactionCount", json!([from, "latest"])).await);
    assert_eq!(tx["chainId"], result(&node, "eth_chainId", json!([])).await);
    assert_eq!(tx["maxPriorityFeePerGas"], result(&node, "eth_maxPriorityFeePerGas", json!([])).await);
    let base_fee = number(&result(&node, "eth_baseFee", json!([])).await);
    assert_eq!(number(&tx["maxFeePerGas"]), 2 * base_fee + number(&tx["maxPriorityFeePerGas"]));
    assert!(filled["raw"].as_str().unwrap().starts_with("0x02"), "{filled}");
    let conflicting = json!([{ "from": from, "to": CONTRACT, "data": "0x1234", "input": "0x5678" }]);
    assert_eq!(error(&node, "eth_fillTransaction", conflicting).await.0, -32602);
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_data_and_headers_are_those_of_the_chain() {
    let Some(node) = node() else { return };
    let block = result(&node, "eth_getBlockByNumber", json!(["0x28", true])).await;
    let transaction = &block["transactions"][0];
    let raw = result(&node, "debug_getRawTransaction", json!([transaction["hash"]])).await;
    assert_ne!(raw, "0x");
    for (method, params) in [
        ("eth_getRawTransactionByHash", json!([transaction["hash"]])),
        ("eth_getRawTransactionByBlockNumberAndIndex", json!(["0x28", "0x0"])),
        ("eth_getRawTransactionByBlockHashAndIndex", json!([block["hash"], "0x0"])),
    ] {
        assert_eq!(result(&node, method, params).await, raw, "{method}");
    }
    assert_eq!(result(&node, "eth_getRawTransactionByHash", json!([B256::ZERO])).await, "0x");
    let header = result(&node, "eth_getHeaderByNumber", json!(["0x28"])).await;
    assert_eq!(header, result(&node, "eth_getHeaderByHash", json!([block["hash"]])).await);
    for (field, value) in header.as_object().unwrap() {
        assert_eq!(*value, block[field], "{field}");
    }
    assert!(header.get("transactions").is_none() && header.get("size").is_none());
    assert!(result(&node, "eth_getHeaderByNumber", json!(["0x37"])).await.is_null());
    assert!(result(&node, "eth_getHeaderByHash", json!([B256::ZERO])).await.is_null());
    assert_eq!(error(&node, "eth_getBlockAccessList", json!(["latest"])).await.0, -32001);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_mines() {
    let Some(node) = node() else { return };
    for (method, params) in [
        ("eth_coinbase", json!([])),
        ("eth_mining", json!([])),
        ("eth_hashrate", json!([])),
        ("eth_getWork", json!([])),
        ("eth_submitWork", json!(["0x0000000000000001", B256::ZERO, B256::ZERO])),
        ("eth_submitHashrate", json!(["0x1", B256::ZERO])),
    ] {
        assert_eq!(error(&node, method, params).await.0, -32000, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn simulated_blocks_continue_old_ones_with_the_roots_of_the_chain() {
    let Some(node) = node() else { return };
    // Nothing but system calls and rewards happens in an empty block: before Prague, after the merge, nothing at all.
    for number in [20_u64, 25, 30] {
        let block = result(&node, "eth_getBlockByNumber", json!([format!("{number:#x}"), false])).await;
        let simulated =
            result(&node, "eth_simulateV1", json!([{ "blockStateCalls": [{}] }, block["number"]])).await;
        assert_eq!(simulated[0]["parentHash"], block["hash"]);
        if block["difficulty"] == "0x0" && block.get("parentBeaconBlockRoot").is_none() {
            assert_eq!(simulated[0]["stateRoot"], block["stateRoot"], "block {number}");
        } else {
            assert_ne!(simulated[0]["stateRoot"], block["stateRoot"], "block {number}");
        }
    }
    assert_eq!(error(&node, "eth_simulateV1", json!([{ "blockStateCalls": [] }])).await.0, -32602);
    let many = json!([{ "blockStateCalls": vec![json!({}); 257] }]);
    assert_eq!(error(&node, "eth_simulateV1", many).await.0, -38026);
    let greedy = json!([{ "blockStateCalls": [{ "blockOverrides": { "gasLimit": "0x5208" }, "calls": [{ "gas": "0x5209" }] }] }]);
    assert_eq!(error(&node, "eth_simulateV1", greedy).await.0, -38015);
}

#[tokio::test(flavor = "multi_thread")]
async fn unsigned_legacy_transactions_have_no_signature() {
    let Some(node) = node() else { return };
    let calls = json!([{ "from": SENDER, "to": CONTRACT, "gasPrice": "0x0" }]);
    let request = json!([{ "blockStateCalls": [{ "calls": calls }], "returnFullTransactions": true }]);
    let blocks = result(&node, "eth_simulateV1", request).await;
    let transaction = &blocks[0]["transactions"][0];
    assert_eq!(transaction["type"], "0x0");
    for field in ["v", "r", "s"] {
        assert_eq!(transaction[field], "0x0", "{field}");
    }
}

/// The chain, with Amsterdam after it: at 1000.
fn node_with_amsterdam(rules: &str) -> Option<RpcNode> {
    let folder = fixture(CHAIN)?;
    let genesis = std::fs::read_to_string(folder.join("genesis.json")).unwrap();
    let mut genesis: Value = serde_json::from_str(&genesis).unwrap();
    genesis["config"]["amsterdamTime"] = 1000.into();
    genesis["config"]["amsterdamRules"] = rules.into();
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("genesis.json");
    std::fs::write(&path, genesis.to_string()).unwrap();
    Some(RpcNode::import(&path, &folder.join("chain.rlp")).unwrap())
}

fn blocks_at(times: &[u64]) -> Value {
    let blocks = times.iter().map(|time| json!({ "blockOverrides": { "time": format!("{time:#x}") } }));
    json!([{ "blockStateCalls": blocks.collect::<Vec<_>>() }])
}

#[tokio::test(flavor = "multi_thread")]
async fn simulated_blocks_go_on_into_amsterdam() {
    let Some(node) = node_with_amsterdam("final") else { return };
    let blocks = result(&node, "eth_simulateV1", blocks_at(&[999, 1000, 1012])).await;
    assert_eq!(blocks[0]["timestamp"], "0x3e7");
    for field in ["slotNumber", "blockAccessListHash"] {
        assert!(blocks[0].get(field).is_none(), "{field}");
    }
    assert_eq!((&blocks[1]["slotNumber"], &blocks[2]["slotNumber"]), (&json!("0x0"), &json!("0x1")));
    for block in &blocks.as_array().unwrap()[1..] {
        assert_eq!(block["blockAccessListHash"].as_str().map(str::len), Some(66), "{block}");
    }
    let next = result(&node, "eth_config", json!([])).await["next"].clone();
    assert_eq!(next["activationTime"], 1000);
    assert!(next["systemContracts"].get("BUILDER_DEPOSIT_CONTRACT_ADDRESS").is_some(), "{next}");
}

#[tokio::test(flavor = "multi_thread")]
async fn amsterdam_by_the_rules_of_a_development_network_is_not_simulated_wrongly() {
    let Some(node) = node_with_amsterdam("bal-devnet-4") else { return };
    assert_eq!(result(&node, "eth_simulateV1", blocks_at(&[999])).await[0]["timestamp"], "0x3e7");
    let (code, message) = error(&node, "eth_simulateV1", blocks_at(&[1000])).await;
    assert_eq!(code, -32004);
    assert_eq!(
        message,
        "block 55 is of Amsterdam by the rules of bal-devnet-4, whose blocks cannot be simulated"
    );
}

/// The words by which ethers and viem know what happened; a wallet shows something else without them.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_break_a_rule_are_refused_in_go_ethereums_words() {
    let Some(node) = node() else { return };
    let value = json!({ "from": SENDER, "to": CONTRACT, "value": "0x1" });
    for method in ["eth_estimateGas", "eth_call", "eth_createAccessList", "debug_traceCall", "trace_call"] {
        let params = match method {
            "trace_call" => json!([value, ["trace"], "latest"]),
            _ => json!([value, "latest"]),
        };
        let (_, message) = error(&node, method, params).await;
        assert_eq!(message, "insufficient funds for gas * price + value: have 0 want 1", "{method}");
    }
    for (more, words) in [
        (json!({ "gas": "0x4e20" }), "intrinsic gas too low: have 20000, want 21000"),
        (json!({ "gasPrice": "0x1" }), "max fee per gas less than block base fee"),
        (
            json!({ "maxFeePerGas": "0x174876e800", "maxPriorityFeePerGas": "0x174876e801" }),
            "max priority fee per gas higher than max fee per gas",
        ),
    ] {
        let mut request = json!({ "to": CONTRACT });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (_, message) = error(&node, "eth_call", json!([request, "latest"])).await;
        assert!(message.starts_with(words), "{request}: {message}");
    }
    let request = json!({ "from": SENDER, "to": CONTRACT, "maxPriorityFeePerGas": "0x0" });
    assert_eq!(result(&node, "eth_call", json!([request, "latest"])).await, "0x", "it pays nothing");
}
