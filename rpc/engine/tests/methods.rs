//! The Engine API as a consensus client meets it: codes, statuses, and a block from attributes to head.

mod common;

use alloy_primitives::{B128, B256, keccak256};
use common::DevChain;
use jsonrpsee::RpcModule;
use portico_chainspec::ChainSpec;
use portico_engine::{Engine, EngineSettings, engine_methods};
use portico_stages::TipSettings;
use serde_json::{Value, json};

/// A node on the development chain, which is at Osaka from its genesis on.
struct Node {
    methods: RpcModule<()>,
    chain: DevChain,
}

fn node() -> Node {
    node_upon(DevChain::new())
}

fn node_upon(chain: DevChain) -> Node {
    let engine = Engine::new(chain.tip.clone(), chain.query.clone(), EngineSettings::default());
    let methods = engine_methods(engine, "1.2.3", "01234567").unwrap();
    Node { methods, chain }
}

fn genesis() -> B256 {
    ChainSpec::dev().genesis_hash()
}

impl Node {
    async fn call(&self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (answer, _) = self.methods.raw_json_request(&request.to_string(), 1).await.unwrap();
        serde_json::from_str(answer.get()).unwrap()
    }

    async fn result(&self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
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
    let node = node_upon(DevChain::with(TipSettings { at_once_cost, ..TipSettings::default() }));
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
