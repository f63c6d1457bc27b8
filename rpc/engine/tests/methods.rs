//! The Engine API as a consensus client meets it: codes, statuses, and a block from attributes to head.

mod common;

use std::sync::Arc;

use alloy_consensus::{Signed, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B128, B256, Bytes, Signature, TxKind, U256, keccak256};
use alloy_rlp::Decodable;
use common::DevChain;
use jsonrpsee::RpcModule;
use portico_chain::Transaction;
use portico_chainspec::{ChainSpec, DEV_ACCOUNTS, DEV_KEYS};
use portico_engine::{Engine, EngineSettings, engine_methods, sign_with, testing_methods};
use portico_governor::{Governor, GovernorSettings};
use portico_jsonrpc::{Namespace, NodeInfo};
use portico_stages::TipSettings;
use serde_json::{Value, json};

/// A node on the development chain, which is at Osaka from its genesis on.
struct Node {
    methods: RpcModule<()>,
    chain: DevChain,
}

fn node() -> Node {
    node_upon(DevChain::of(ChainSpec::dev(), TipSettings::default()))
}

fn node_upon(chain: DevChain) -> Node {
    let engine = Engine::new(chain.tip.clone(), chain.query.clone(), EngineSettings::default());
    let mut methods = engine_methods(engine.clone(), "1.2.3", "01234567").unwrap();
    methods.merge(testing_methods(engine).unwrap()).unwrap();
    let governor = Governor::start(chain.query.clone(), &GovernorSettings::default()).unwrap();
    let info = Arc::new(NodeInfo::new("test".to_owned()));
    let served = portico_jsonrpc::methods(&governor, &info, &[Namespace::Debug]).unwrap();
    methods.merge(served.module).unwrap();
    Node { methods, chain }
}

fn genesis() -> B256 {
    ChainSpec::dev().genesis_hash()
}

impl Node {
    async fn call(&self, method: &str, params: Value) -> Value {
        common::call(&self.methods, method, params).await
    }

    async fn result(&self, method: &str, params: Value) -> Value {
        common::result(&self.methods, method, params).await
    }

    async fn code(&self, method: &str, params: Value) -> i64 {
        let answer = self.call(method, params).await;
        answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("{method}: no error: {answer}"))
    }

    fn head(&self) -> B256 {
        self.chain.tip.head().1
    }
}

fn forkchoice(head: B256) -> Value {
    json!({ "headBlockHash": head, "safeBlockHash": B256::ZERO, "finalizedBlockHash": B256::ZERO })
}

fn attributes(timestamp: u64) -> Value {
    json!({
        "timestamp": format!("{timestamp:#x}"),
        "prevRandao": B256::repeat_byte(1),
        "suggestedFeeRecipient": "0x00000000000000000000000000000000000000fe",
        "withdrawals": [],
        "parentBeaconBlockRoot": B256::repeat_byte(2),
    })
}

/// Builds upon `parent` and brings the payload back; gives it.
async fn build(node: &Node, parent: B256, timestamp: u64) -> Value {
    let params = json!([forkchoice(parent), attributes(timestamp)]);
    let updated = node.result("engine_forkchoiceUpdatedV3", params).await;
    assert_eq!(updated["payloadStatus"]["status"], "VALID", "{updated}");
    let envelope = node.result("engine_getPayloadV5", json!([updated["payloadId"]])).await;
    envelope["executionPayload"].clone()
}

fn new_payload(payload: &Value) -> Value {
    json!([payload, [], B256::repeat_byte(2), []])
}

fn hash_of(payload: &Value) -> B256 {
    payload["blockHash"].as_str().unwrap().parse().unwrap()
}

/// The payload with another field, and the hash that it then has.
fn altered(payload: &Value, field: &str, value: Value) -> Value {
    use alloy_rpc_types_engine::{
        CancunPayloadFields, ExecutionPayload, ExecutionPayloadSidecar, ExecutionPayloadV3,
        PraguePayloadFields,
    };
    let mut payload = payload.clone();
    payload[field] = value;
    let typed: ExecutionPayloadV3 = serde_json::from_value(payload.clone()).unwrap();
    let cancun =
        CancunPayloadFields { parent_beacon_block_root: B256::repeat_byte(2), versioned_hashes: Vec::new() };
    let prague = PraguePayloadFields::new(alloy_eips::eip7685::Requests::default());
    let sidecar = ExecutionPayloadSidecar::v4(cancun, prague);
    let block = ExecutionPayload::V3(typed).into_block_with_sidecar_raw(&sidecar).unwrap();
    payload["blockHash"] = json!(block.header.hash_slow());
    payload
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_goes_from_attributes_to_head() {
    let node = node();
    let capabilities = node.result("engine_exchangeCapabilities", json!([[]])).await;
    assert!(capabilities.as_array().unwrap().contains(&json!("engine_newPayloadV5")));
    assert!(!capabilities.as_array().unwrap().contains(&json!("engine_exchangeCapabilities")));
    let version = node.result("engine_getClientVersionV1", json!([{}])).await;
    assert_eq!(
        version,
        json!([{ "code": "PO", "name": "Portico", "version": "1.2.3", "commit": "01234567" }])
    );

    let payload = build(&node, genesis(), 1000).await;
    assert_eq!((&payload["blockNumber"], &payload["timestamp"]), (&json!("0x1"), &json!("0x3e8")));
    let status = node.result("engine_newPayloadV4", new_payload(&payload)).await;
    assert_eq!(
        status,
        json!({ "status": "VALID", "latestValidHash": payload["blockHash"], "validationError": null })
    );
    assert_eq!(node.head(), genesis(), "nobody chose it");
    let head = hash_of(&payload);
    let state = json!({ "headBlockHash": head, "safeBlockHash": head, "finalizedBlockHash": genesis() });
    let updated = node.result("engine_forkchoiceUpdatedV3", json!([state, null])).await;
    assert_eq!(updated["payloadStatus"]["latestValidHash"], payload["blockHash"]);
    assert_eq!(node.head(), head);
    let named = node.chain.query.forkchoice();
    assert_eq!((named.safe, named.finalized), (Some(head), Some(genesis())));
    assert_eq!(node.chain.query.snapshot().unwrap().head(), 1);

    let bodies = node.result("engine_getPayloadBodiesByHashV1", json!([[head, B256::ZERO]])).await;
    assert_eq!(bodies, json!([{ "transactions": [], "withdrawals": [] }, null]));
    let bodies = node.result("engine_getPayloadBodiesByRangeV2", json!(["0x1", "0x5"])).await;
    assert_eq!(bodies, json!([{ "transactions": [], "withdrawals": [], "blockAccessList": null }]));
    assert_eq!(node.code("engine_getPayloadBodiesByRangeV1", json!(["0x0", "0x5"])).await, -32602);
    assert_eq!(node.code("engine_getPayloadBodiesByRangeV1", json!(["0x1", "0x401"])).await, -38004);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shape_is_judged_before_the_fork() {
    let node = node();
    let payload = build(&node, genesis(), 1000).await;
    let root = B256::repeat_byte(2);
    for (method, params, code) in [
        ("engine_newPayloadV3", json!([payload, [], root]), -38005),
        ("engine_newPayloadV4", json!([payload, [], root]), -32602),
        ("engine_newPayloadV4", json!([payload, null, root, []]), -32602),
        ("engine_newPayloadV4", json!([payload, [], root, ["0x00"]]), -32602),
        ("engine_newPayloadV4", json!([payload, [], root, ["0x0101", "0x0001"]]), -32602),
        ("engine_newPayloadV4", json!([payload, [], root, [], 5]), -32602),
        ("engine_newPayloadV2", json!([payload]), -32602),
        ("engine_newPayloadV5", json!([payload, [], root, []]), -32602),
        ("engine_newPayloadV4", json!([{}, [], root, []]), -32602),
        ("engine_newPayloadV4", json!(["x", [], root, []]), -32602),
        ("engine_newPayloadV4", json!([]), -32602),
        ("engine_forkchoiceUpdatedV3", json!([{ "headBlockHash": "0x12" }, null]), -32602),
        ("engine_getPayloadV5", json!(["0x0000000000000000"]), -38001),
        ("engine_getBlobsV1", json!([[]]), -38005),
        ("engine_getBlobsV3", json!([vec![B256::ZERO; 129]]), -38004),
        ("engine_getBlobsV4", json!([[]]), -32602),
        ("engine_getBlobsV4", json!([[], "0x01"]), -32602),
        ("engine_getBlobsV4", json!([[], B128::ZERO]), -38005),
        ("engine_forkchoiceUpdatedV4", json!([forkchoice(genesis()), null, "0x01"]), -32602),
    ] {
        assert_eq!(node.code(method, params.clone()).await, code, "{method} {params}");
    }
    assert_eq!(node.result("engine_getBlobsV2", json!([[B256::ZERO]])).await, Value::Null);
    assert_eq!(node.result("engine_getBlobsV3", json!([[B256::ZERO]])).await, json!([null]));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_attributes_leave_the_head_chosen_and_a_bad_forkchoice_does_not() {
    let node = node();
    let first = hash_of(&build(&node, genesis(), 1000).await);
    let without = |field: &str| {
        let mut attributes = attributes(2000);
        attributes.as_object_mut().unwrap().remove(field);
        attributes
    };
    for (version, attributes, code) in [
        (3, attributes(1000), -38003),
        (3, without("withdrawals"), -38003),
        (3, without("parentBeaconBlockRoot"), -38003),
        (3, json!({ "timestamp": "x" }), -38003),
        (2, without("parentBeaconBlockRoot"), -38005),
        (1, without("parentBeaconBlockRoot"), -38003),
    ] {
        node.result("engine_forkchoiceUpdatedV3", json!([forkchoice(genesis()), null])).await;
        let method = format!("engine_forkchoiceUpdatedV{version}");
        let params = json!([forkchoice(first), attributes]);
        assert_eq!(node.code(&method, params.clone()).await, code, "{method} {params}");
        assert_eq!(node.head(), first, "{method} {params}");
    }
    let params = json!([forkchoice(genesis()), attributes(3000)]);
    let id = node.result("engine_forkchoiceUpdatedV3", params.clone()).await["payloadId"].clone();
    assert_eq!(node.result("engine_forkchoiceUpdatedV3", params).await["payloadId"], id, "the same wish");
    assert_eq!(node.code("engine_getPayloadV4", json!([id])).await, -38005);

    let state =
        json!({ "headBlockHash": genesis(), "safeBlockHash": first, "finalizedBlockHash": B256::ZERO });
    node.result("engine_forkchoiceUpdatedV3", json!([forkchoice(first), null])).await;
    assert_eq!(node.code("engine_forkchoiceUpdatedV3", json!([state, null])).await, -38002);
    assert_eq!(node.head(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_missing_and_foreign_blocks_have_their_statuses() {
    let node = node();
    let payload = build(&node, genesis(), 1000).await;
    let mut other_hash = payload.clone();
    other_hash["blockHash"] = json!(keccak256("other"));
    let status = node.result("engine_newPayloadV4", new_payload(&other_hash)).await;
    assert_eq!((&status["status"], &status["latestValidHash"]), (&json!("INVALID"), &Value::Null));

    let no_transaction = altered(&payload, "transactions", json!(["0x"]));
    let status = node.result("engine_newPayloadV4", new_payload(&no_transaction)).await;
    assert_eq!((&status["status"], &status["latestValidHash"]), (&json!("INVALID"), &Value::Null));

    let bad = altered(&payload, "stateRoot", json!(B256::repeat_byte(3)));
    let status = node.result("engine_newPayloadV4", new_payload(&bad)).await;
    assert_eq!((&status["status"], &status["latestValidHash"]), (&json!("INVALID"), &json!(genesis())));
    assert!(status["validationError"].as_str().unwrap().contains("state root"), "{status}");
    let updated = node.result("engine_forkchoiceUpdatedV3", json!([forkchoice(hash_of(&bad)), null])).await;
    assert_eq!(updated["payloadStatus"]["status"], "INVALID");
    let child =
        altered(&altered(&payload, "parentHash", bad["blockHash"].clone()), "blockNumber", json!("0x2"));
    let status = node.result("engine_newPayloadV4", new_payload(&child)).await;
    assert_eq!((&status["status"], &status["latestValidHash"]), (&json!("INVALID"), &json!(genesis())));

    let orphan = altered(&payload, "parentHash", json!(B256::repeat_byte(4)));
    let status = node.result("engine_newPayloadV4", new_payload(&orphan)).await;
    assert_eq!((&status["status"], &status["latestValidHash"]), (&json!("SYNCING"), &Value::Null));
    let updated =
        node.result("engine_forkchoiceUpdatedV3", json!([forkchoice(hash_of(&orphan)), null])).await;
    assert_eq!(updated["payloadStatus"]["status"], "SYNCING");
    let updated = node.result("engine_forkchoiceUpdatedV3", json!([forkchoice(B256::ZERO), null])).await;
    assert_eq!(updated["payloadStatus"]["status"], "INVALID");
    assert_eq!(node.head(), genesis());
}

/// `status` of the head that is chosen.
async fn choose(node: &Node, head: B256) -> Value {
    let updated = node.result("engine_forkchoiceUpdatedV3", json!([forkchoice(head), null])).await;
    updated["payloadStatus"]["status"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn far_behind_calls_are_answered_at_once_and_the_head_is_reached_meanwhile() {
    let source = node();
    let mut payloads = Vec::new();
    let mut parent = genesis();
    for number in 1..=20 {
        let payload = build(&source, parent, 1000 * number).await;
        source.result("engine_newPayloadV4", new_payload(&payload)).await;
        parent = hash_of(&payload);
        payloads.push(payload);
    }
    let at_once_cost = 3 * portico_stages::BLOCK_COST;
    let node =
        node_upon(DevChain::of(ChainSpec::dev(), TipSettings { at_once_cost, ..TipSettings::default() }));
    let highest = || {
        let status = node.chain.query.snapshot().unwrap().sync_status().unwrap();
        status.map(|status| status.highest_block)
    };
    for payload in &payloads[1..] {
        let status = node.result("engine_newPayloadV4", new_payload(payload)).await;
        assert_eq!(status, json!({ "status": "SYNCING", "latestValidHash": null, "validationError": null }));
    }
    assert_eq!(choose(&node, parent).await, "SYNCING");
    node.chain.tip.wait_caught_up().unwrap();
    assert_eq!((highest(), node.head()), (Some(20), genesis()), "the first block is missing");
    let first = node.result("engine_newPayloadV4", new_payload(&payloads[0])).await;
    assert_eq!(first["status"], "VALID");
    assert_eq!(choose(&node, parent).await, "SYNCING", "nineteen blocks are too many for a call");
    node.chain.tip.wait_caught_up().unwrap();
    assert_eq!((highest(), node.head()), (None, parent));
    assert_eq!(choose(&node, parent).await, "VALID");
    let again = node.result("engine_newPayloadV4", new_payload(&payloads[7])).await;
    assert_eq!(again["status"], "VALID", "it was executed on the way");
}

/// A transfer by the first funded account, signed, as blocks hold it.
fn transfer(nonce: u64) -> (B256, Bytes) {
    let tx = TxEip1559 {
        chain_id: ChainSpec::dev().chain_id(),
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 10_000_000_000,
        to: TxKind::Call(DEV_ACCOUNTS[1]),
        value: U256::from(7),
        ..TxEip1559::default()
    };
    let unsigned = Signed::new_unhashed(tx, Signature::new(U256::ONE, U256::ONE, false));
    let key = secp256k1::SecretKey::from_byte_array(DEV_KEYS[0].0).unwrap();
    let signed = sign_with(&key, ChainSpec::dev().chain_id(), Transaction::Eip1559(unsigned));
    (*signed.tx_hash(), signed.encoded_2718().into())
}

/// A block with these transactions; nobody has seen it yet.
async fn build_with(node: &Node, parent: B256, timestamp: u64, transactions: &[Bytes]) -> Value {
    let params = json!([parent, attributes(timestamp), transactions]);
    node.result("testing_buildBlockV1", params).await["executionPayload"].clone()
}

async fn refuse(node: &Node, payload: &Value) -> B256 {
    let status = node.result("engine_newPayloadV4", new_payload(payload)).await;
    assert_eq!(status["status"], "INVALID", "{status}");
    hash_of(payload)
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_blocks_are_shown_and_traced() {
    let node = node();
    assert_eq!(node.result("debug_getBadBlocks", json!([])).await, json!([]));
    let (tx_hash, tx) = transfer(0);
    let good = build_with(&node, genesis(), 1000, &[tx]).await;
    let bad = altered(&good, "stateRoot", json!(B256::repeat_byte(3)));
    let hash = refuse(&node, &bad).await;
    let child = altered(&altered(&bad, "parentHash", json!(hash)), "blockNumber", json!("0x2"));
    refuse(&node, &child).await;

    let shown = node.result("debug_getBadBlocks", json!([])).await;
    assert_eq!(shown.as_array().unwrap().len(), 1, "a bad block's child is not bad itself: {shown}");
    let shown = &shown[0];
    assert_eq!(shown["hash"], json!(hash));
    assert!(shown["reason"].as_str().unwrap().contains("state root"), "{shown}");
    let (block, transaction) = (&shown["block"], &shown["block"]["transactions"][0]);
    assert_eq!((&block["hash"], &block["stateRoot"]), (&json!(hash), &json!(B256::repeat_byte(3))));
    assert_eq!((&transaction["hash"], &transaction["from"]), (&json!(tx_hash), &json!(DEV_ACCOUNTS[0])));
    let rlp: Bytes = shown["rlp"].as_str().unwrap().parse().unwrap();
    let decoded = alloy_consensus::Block::<Transaction>::decode(&mut rlp.as_ref()).unwrap();
    assert_eq!((decoded.header.hash_slow(), *decoded.body.transactions[0].tx_hash()), (hash, tx_hash));

    let calls = node.result("debug_traceBadBlock", json!([hash, { "tracer": "callTracer" }])).await;
    assert_eq!((calls.as_array().unwrap().len(), &calls[0]["txHash"]), (1, &json!(tx_hash)));
    assert_eq!(
        (&calls[0]["result"]["to"], &calls[0]["result"]["value"]),
        (&json!(DEV_ACCOUNTS[1]), &json!("0x7"))
    );
    let steps = node.result("debug_traceBadBlock", json!([hash])).await;
    let expected = json!([{ "txHash": tx_hash, "result": {
        "structLogs": [], "gas": 21_000, "failed": false, "returnValue": "0x"
    } }]);
    assert_eq!(steps, expected);
    assert_eq!(node.code("debug_traceBadBlock", json!([B256::ZERO])).await, -32000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_block_is_traced_as_far_as_it_can_be_executed_whatever_is_its_parent() {
    let node = node();
    let good = build_with(&node, genesis(), 1000, &[transfer(0).1]).await;
    node.result("engine_newPayloadV4", new_payload(&good)).await;
    assert_eq!(node.head(), genesis(), "its block is in memory, and on no chosen chain");
    let (first_hash, first) = transfer(1);
    let next = build_with(&node, hash_of(&good), 2000, std::slice::from_ref(&first)).await;
    let (early_hash, early) = transfer(7);
    let bad = altered(&next, "transactions", json!([first, early, transfer(2).1]));
    let hash = refuse(&node, &bad).await;
    for options in [json!({ "tracer": "callTracer" }), json!({})] {
        let traces = node.result("debug_traceBadBlock", json!([hash, options])).await;
        assert_eq!(
            traces.as_array().unwrap().len(),
            2,
            "what comes after has no state to be executed on: {traces}"
        );
        assert_eq!(traces[0]["txHash"], json!(first_hash));
        assert!(traces[0]["result"].is_object() && traces[0].get("error").is_none(), "{traces}");
        assert_eq!(traces[1]["txHash"], json!(early_hash));
        assert!(traces[1]["error"].as_str().unwrap().contains("nonce"), "{traces}");
        assert!(traces[1].get("result").is_none(), "{traces}");
    }

    let mut broken = first.to_vec();
    let end = broken.len();
    broken[end - 32..].fill(0xff);
    let unsigned = refuse(&node, &altered(&next, "transactions", json!([Bytes::from(broken)]))).await;
    let shown = node.result("debug_getBadBlocks", json!([])).await;
    assert_eq!((&shown[0]["hash"], &shown[1]["hash"]), (&json!(unsigned), &json!(hash)), "the newest first");
    assert_eq!(shown[0]["block"]["transactions"][0]["from"], json!(Address::ZERO));
    let traces = node.result("debug_traceBadBlock", json!([unsigned])).await;
    assert_eq!(traces.as_array().unwrap().len(), 1);
    assert!(traces[0]["error"].as_str().unwrap().contains("signature"), "{traces}");

    let elsewhere = refuse(&node, &altered(&next, "blockNumber", json!("0x9"))).await;
    assert_eq!(
        node.code("debug_traceBadBlock", json!([elsewhere])).await,
        -32000,
        "it says that it is block 9"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_block_on_the_way_to_a_far_head_is_shown() {
    let source = node();
    let mut payloads = Vec::new();
    let mut parent = genesis();
    for number in 1..=6 {
        let payload = build(&source, parent, 1000 * number).await;
        source.result("engine_newPayloadV4", new_payload(&payload)).await;
        parent = hash_of(&payload);
        payloads.push(payload);
    }
    let bad = altered(&payloads[4], "stateRoot", json!(B256::repeat_byte(3)));
    let head = altered(&payloads[5], "parentHash", bad["blockHash"].clone());
    (payloads[4], payloads[5]) = (bad, head);
    let at_once_cost = 2 * portico_stages::BLOCK_COST;
    let node =
        node_upon(DevChain::of(ChainSpec::dev(), TipSettings { at_once_cost, ..TipSettings::default() }));
    for payload in payloads.iter().rev() {
        node.result("engine_newPayloadV4", new_payload(payload)).await;
    }
    let head = hash_of(&payloads[5]);
    assert_eq!(choose(&node, head).await, "SYNCING");
    node.chain.tip.wait_caught_up().unwrap();
    assert_eq!(choose(&node, head).await, "INVALID");
    let shown = node.result("debug_getBadBlocks", json!([])).await;
    assert_eq!(shown.as_array().unwrap().len(), 1, "{shown}");
    assert_eq!((&shown[0]["hash"], &shown[0]["block"]["number"]), (&payloads[4]["blockHash"], &json!("0x5")));
}
