//! Simulated blocks against real ones: of Amsterdam, which has all that a header can have.

mod common;

use std::sync::Arc;

use alloy_consensus::{Signed, TxEip1559};
use alloy_eips::{eip2718::Encodable2718, eip2935, eip4788, eip7002, eip7251, eip8282};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, address, bytes, hex};
use common::DevChain;
use jsonrpsee::RpcModule;
use portico_chain::Transaction;
use portico_chainspec::{ChainSpec, DEV_ACCOUNTS, DEV_KEYS};
use portico_engine::{Engine, EngineSettings, engine_methods, sign_with, testing_methods};
use portico_governor::{Governor, GovernorSettings};
use portico_jsonrpc::{Namespace, NodeInfo};
use portico_stages::TipSettings;
use serde_json::{Value, json};

/// Puts the slot's number into slot 0 and what slot 5 holds into slot 1, and gives all of its ether away.
const CONTRACT: Address = address!("00000000000000000000000000000000c0de0001");
const CONTRACT_CODE: Bytes = bytes!("4b5f55600554600155" "5f5f5f5f475f355af1" "00");
/// Nobody before the transfer.
const NEWCOMER: Address = address!("00000000000000000000000000000000000a11ce");
/// Leaves code of one byte.
const INIT_CODE: Bytes = bytes!("5f5f5360015ff3");

fn spec() -> Arc<ChainSpec> {
    let mut alloc = serde_json::Map::new();
    for account in DEV_ACCOUNTS {
        alloc.insert(account.to_string(), json!({ "balance": "0x21e19e0c9bab2400000" }));
    }
    for (address, code) in [
        (eip4788::BEACON_ROOTS_ADDRESS, &eip4788::BEACON_ROOTS_CODE),
        (eip2935::HISTORY_STORAGE_ADDRESS, &eip2935::HISTORY_STORAGE_CODE),
        (eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, &eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE),
        (eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, &eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE),
        (eip8282::BUILDER_DEPOSIT_CONTRACT_ADDRESS, &eip8282::BUILDER_DEPOSIT_CONTRACT_CODE),
        (eip8282::BUILDER_EXIT_CONTRACT_ADDRESS, &eip8282::BUILDER_EXIT_CONTRACT_CODE),
        (CONTRACT, &CONTRACT_CODE),
    ] {
        let account = json!({ "balance": "0x0", "nonce": "0x1", "code": code, "storage": {
            hex::encode_prefixed(B256::with_last_byte(5)): B256::with_last_byte(9) } });
        let is_ours = address == CONTRACT;
        let without = json!({ "balance": "0x0", "nonce": "0x1", "code": code });
        alloc.insert(address.to_string(), if is_ours { account } else { without });
    }
    let genesis = json!({
        "config": {
            "chainId": 1337, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0,
            "muirGlacierBlock": 0, "berlinBlock": 0, "londonBlock": 0, "arrowGlacierBlock": 0,
            "grayGlacierBlock": 0, "terminalTotalDifficulty": 0, "shanghaiTime": 0, "cancunTime": 0,
            "pragueTime": 0, "osakaTime": 0, "amsterdamTime": 0,
            "blobSchedule": {
                "cancun": { "target": 3, "max": 6, "baseFeeUpdateFraction": 3_338_477 },
                "prague": { "target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716 },
                "osaka": { "target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716 },
                "amsterdam": { "target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716 }
            }
        },
        "difficulty": "0x0", "gasLimit": "0x3938700", "timestamp": "0x0", "baseFeePerGas": "0x3b9aca00",
        "alloc": alloc
    });
    Arc::new(ChainSpec::from_genesis_json(genesis.to_string().as_bytes()).unwrap())
}

struct Node {
    methods: RpcModule<()>,
    chain: DevChain,
}

impl Node {
    fn new() -> Self {
        let chain = DevChain::of(spec(), TipSettings::default());
        let engine = Engine::new(chain.tip.clone(), chain.query.clone(), EngineSettings::default());
        let mut methods = engine_methods(engine.clone(), "1.2.3", "01234567").unwrap();
        methods.merge(testing_methods(engine).unwrap()).unwrap();
        let governor = Governor::start(chain.query.clone(), &GovernorSettings::default()).unwrap();
        let info = Arc::new(NodeInfo::new("test".to_owned()));
        methods.merge(portico_jsonrpc::methods(&governor, &info, &[Namespace::Eth]).unwrap().module).unwrap();
        Self { methods, chain }
    }

    async fn call(&self, method: &str, params: Value) -> Value {
        common::call(&self.methods, method, params).await
    }

    async fn result(&self, method: &str, params: Value) -> Value {
        common::result(&self.methods, method, params).await
    }

    fn head(&self) -> B256 {
        self.chain.tip.head().1
    }
}

struct Sent {
    to: TxKind,
    value: u64,
    input: Bytes,
    gas_limit: u64,
}

/// Of every kind that a block has: ether to somebody new, storage, a log by ether that moves, a contract.
fn transactions() -> [Sent; 4] {
    let to_newcomer = B256::left_padding_from(NEWCOMER.as_slice());
    [
        Sent { to: TxKind::Call(NEWCOMER), value: 7, input: Bytes::new(), gas_limit: 1_000_000 },
        Sent { to: TxKind::Call(CONTRACT), value: 9, input: to_newcomer.into(), gas_limit: 1_000_000 },
        Sent { to: TxKind::Create, value: 0, input: INIT_CODE, gas_limit: 20_000_000 },
        Sent { to: TxKind::Call(DEV_ACCOUNTS[2]), value: 1, input: Bytes::new(), gas_limit: 100_000 },
    ]
}

const FEE_CAP: u128 = 10_000_000_000;
const TIP: u128 = 3;

fn signed(sent: &Sent, nonce: u64) -> Bytes {
    let tx = TxEip1559 {
        chain_id: 1337,
        nonce,
        gas_limit: sent.gas_limit,
        max_fee_per_gas: FEE_CAP,
        max_priority_fee_per_gas: TIP,
        to: sent.to,
        value: U256::from(sent.value),
        input: sent.input.clone(),
        ..TxEip1559::default()
    };
    let unsigned = Signed::new_unhashed(tx, Signature::new(U256::ONE, U256::ONE, false));
    let key = secp256k1::SecretKey::from_byte_array(DEV_KEYS[0].0).unwrap();
    sign_with(&key, 1337, Transaction::Eip1559(unsigned)).encoded_2718().into()
}

fn call(sent: &Sent) -> Value {
    let mut call = json!({
        "from": DEV_ACCOUNTS[0], "value": format!("{:#x}", sent.value), "input": sent.input,
        "gas": format!("{:#x}", sent.gas_limit), "maxFeePerGas": format!("{FEE_CAP:#x}"),
        "maxPriorityFeePerGas": format!("{TIP:#x}"),
    });
    if let TxKind::Call(to) = sent.to {
        call["to"] = json!(to);
    }
    call
}

fn withdrawals() -> Value {
    let one = |index: u64, address: Address, amount: &str| json!({ "index": format!("{index:#x}"), "validatorIndex": "0x2", "address": address, "amount": amount });
    let nobody = Address::repeat_byte(0x77);
    json!([
        one(0, NEWCOMER, "0x5"),
        one(1, NEWCOMER, "0x6"),
        one(2, nobody, "0x0"),
        one(3, DEV_ACCOUNTS[5], "0x1")
    ])
}

fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

/// Makes a block with the transactions the head; gives it as RPC shows it.
async fn real_block(node: &Node) -> Value {
    let transactions: Vec<Bytes> =
        transactions().iter().zip(0..).map(|(sent, nonce)| signed(sent, nonce)).collect();
    let attributes = json!({
        "timestamp": "0x3e8", "prevRandao": B256::repeat_byte(1), "suggestedFeeRecipient": Address::repeat_byte(0xfe),
        "withdrawals": withdrawals(), "parentBeaconBlockRoot": B256::repeat_byte(2), "slotNumber": "0x2a",
    });
    let built = node.result("testing_buildBlockV1", json!([node.head(), attributes, transactions])).await;
    let payload = &built["executionPayload"];
    let params = json!([payload, [], B256::repeat_byte(2), built["executionRequests"]]);
    assert_eq!(node.result("engine_newPayloadV5", params).await["status"], "VALID");
    let hash = &payload["blockHash"];
    let state =
        json!({ "headBlockHash": hash, "safeBlockHash": B256::ZERO, "finalizedBlockHash": B256::ZERO });
    node.result("engine_forkchoiceUpdatedV3", json!([state, null])).await;
    node.result("eth_getBlockByHash", json!([hash, true])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulated_block_of_amsterdam_has_the_header_of_the_real_one() {
    let node = Node::new();
    let real = real_block(&node).await;
    let overrides = json!({
        "time": "0x3e8", "prevRandao": B256::repeat_byte(1), "feeRecipient": Address::repeat_byte(0xfe),
        "gasLimit": real["gasLimit"], "parentBeaconBlockRoot": B256::repeat_byte(2), "slotNumber": "0x2a",
        "withdrawals": withdrawals(),
    });
    let calls: Vec<Value> = transactions().iter().map(call).collect();
    let request = json!([
        { "blockStateCalls": [{ "blockOverrides": overrides, "calls": calls }], "validation": true }, "0x0"
    ]);
    let simulated = node.result("eth_simulateV1", request).await[0].clone();
    for field in [
        "number",
        "parentHash",
        "stateRoot",
        "receiptsRoot",
        "logsBloom",
        "gasUsed",
        "gasLimit",
        "baseFeePerGas",
        "withdrawalsRoot",
        "blobGasUsed",
        "excessBlobGas",
        "requestsHash",
        "parentBeaconBlockRoot",
        "blockAccessListHash",
        "slotNumber",
        "timestamp",
        "mixHash",
    ] {
        assert!(real.get(field).is_some(), "{field}: {real}");
        assert_eq!(simulated[field], real[field], "{field}");
    }
    let list = node.result("eth_getBlockAccessList", json!([real["hash"]])).await;
    assert!(list.to_string().contains("7777777777"), "who is paid nothing is in it too: {list}");

    let receipts = node.result("eth_getBlockReceipts", json!([real["hash"]])).await;
    let mut paid = 0;
    for (call, receipt) in simulated["calls"].as_array().unwrap().iter().zip(receipts.as_array().unwrap()) {
        assert_eq!((&call["status"], &call["gasUsed"]), (&receipt["status"], &receipt["gasUsed"]));
        let data = |logs: &Value| -> Vec<Value> {
            logs.as_array()
                .unwrap()
                .iter()
                .map(|log| json!([log["address"], log["topics"], log["data"], log["logIndex"]]))
                .collect()
        };
        assert_eq!(data(&call["logs"]), data(&receipt["logs"]));
        paid += number(&call["gasUsed"]);
    }
    assert_eq!(receipts[1]["logs"].as_array().unwrap().len(), 2, "ether came, and went");
    let counted = number(&real["gasUsed"]);
    assert!(counted < paid, "{counted} of {paid}: gas of execution and of state do not add up");
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_follow_each_other_and_each_kind_of_gas_has_the_blocks_limit() {
    let node = Node::new();
    real_block(&node).await;
    let gap = json!({ "blockOverrides": { "number": "0x4" } });
    let request =
        json!([{ "blockStateCalls": [{}, gap, { "blockOverrides": { "slotNumber": "0x64" } }, {}] }]);
    let blocks = node.result("eth_simulateV1", request).await;
    let slots: Vec<u64> =
        blocks.as_array().unwrap().iter().map(|block| number(&block["slotNumber"])).collect();
    assert_eq!(slots, [43, 44, 45, 100, 101]);

    // What the first call leaves of state's gas is not enough for the second, though execution took next to nothing.
    let create =
        |gas: u64| json!({ "from": DEV_ACCOUNTS[0], "input": INIT_CODE, "gas": format!("{gas:#x}") });
    let block = |limit: u64, second: u64| {
        let overrides = json!({ "gasLimit": format!("{limit:#x}") });
        json!([{ "blockStateCalls": [{ "blockOverrides": overrides, "calls": [create(1_000_000), create(second)] }] }])
    };
    let both = node.result("eth_simulateV1", block(1_500_000, 1_000_000)).await;
    let used = number(&both[0]["gasUsed"]);
    let first = number(&both[0]["calls"][0]["gasUsed"]);
    assert!(used < 2 * first && used > first, "{used}, {first}");
    let answer = node.call("eth_simulateV1", block(1_000_000, 1_000_000)).await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("block gas limit reached"), "{answer}");
    assert!(message.ends_with(">= 1000000"), "{answer}");
}
