//! The development network as its users meet it.

mod common;

use std::{sync::Arc, time::Duration};

use alloy_consensus::{Transaction as _, Typed2718 as _};
use alloy_primitives::{Address, B256, U64};
use common::DevChain;
use jsonrpsee::RpcModule;
use portico_chainspec::{ChainSpec, DEV_ACCOUNTS};
use portico_engine::{Dev, DevSettings, Engine, EngineSettings, dev_account_methods, dev_methods};
use portico_query::{Pool, Snapshot};
use portico_stages::TipSettings;
use portico_txpool::Settings;
use serde_json::{Value, json};

struct Network {
    methods: RpcModule<()>,
    dev: Dev,
    chain: DevChain,
}

/// Ends the thread that makes blocks, which would keep the database open.
impl Drop for Network {
    fn drop(&mut self) {
        self.dev.stop();
    }
}

fn network(period: Option<Duration>) -> Network {
    let chain = DevChain::of(ChainSpec::dev(), TipSettings::default());
    let pool = Pool::new(Settings::default(), chain.query.spec().clone());
    chain.query.set_pool(Arc::new(pool));
    chain.query.follow_head().unwrap();
    let engine = Engine::new(chain.tip.clone(), chain.query.clone(), EngineSettings::default());
    let dev = Dev::start(engine, DevSettings { period }).unwrap();
    let mut methods = dev_account_methods(dev.clone()).unwrap();
    methods.merge(dev_methods(dev.clone()).unwrap()).unwrap();
    Network { methods, dev, chain }
}

/// Blocks come when they are asked for.
fn quiet_network() -> Network {
    network(Some(Duration::from_secs(1_000_000_000_000)))
}

impl Network {
    async fn call(&self, method: &str, params: Value) -> Value {
        common::call(&self.methods, method, params).await
    }

    async fn result(&self, method: &str, params: Value) -> Value {
        common::result(&self.methods, method, params).await
    }

    async fn send(&self, fields: Value) -> B256 {
        let mut request = json!({ "from": DEV_ACCOUNTS[0], "to": DEV_ACCOUNTS[1], "value": "0x1" });
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.result("eth_sendTransaction", json!([request])).await.as_str().unwrap().parse().unwrap()
    }

    fn read<T>(&self, read: impl FnOnce(&Snapshot<'_>) -> T) -> T {
        read(&self.chain.query.snapshot().unwrap())
    }

    fn head(&self) -> (u64, u64) {
        self.read(|snapshot| {
            let header = snapshot.header(snapshot.head()).unwrap().unwrap();
            (header.number, header.timestamp)
        })
    }

    fn nonce(&self, address: Address) -> u64 {
        self.read(|snapshot| snapshot.account(&address, snapshot.head()).unwrap().unwrap().nonce)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_is_in_the_documentation() {
    let documentation = include_str!("../../../docs/rpc.md");
    let network = quiet_network();
    let names: Vec<_> = network.methods.method_names().collect();
    assert!(names.len() >= 13, "{names:?}");
    for name in names {
        assert!(documentation.contains(&format!("`{name}`")), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receipt_is_there_when_the_sender_has_the_hash() {
    let network = network(None);
    for nonce in 0..20 {
        let hash = network.send(json!({})).await;
        let receipt = network.read(|snapshot| snapshot.receipt(&hash).unwrap()).expect("it was mined");
        assert_eq!(receipt.transaction.block.block_number, nonce + 1);
        assert!(receipt.receipt.success);
    }
    assert_eq!(network.head().0, 20, "a block for each, and none without");
    // One that has to wait for another one does not wait here.
    let early = network.send(json!({ "nonce": "0x16" })).await;
    assert_eq!(network.read(|snapshot| snapshot.receipt(&early).unwrap()), None);
    network.send(json!({ "nonce": "0x14" })).await;
    let last = network.send(json!({ "nonce": "0x15" })).await;
    let [early, last] = [early, last]
        .map(|hash| network.read(|snapshot| snapshot.receipt(&hash).unwrap()).expect("both were mined"));
    assert_eq!(early.transaction.block, last.transaction.block);
    let receipt = network
        .result("eth_sendTransactionSync", json!([{ "from": DEV_ACCOUNTS[2], "to": DEV_ACCOUNTS[3] }]))
        .await;
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(receipt["blockNumber"], "0x17");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_receipt_is_told_when_there_is_none() {
    let network = quiet_network();
    let request = json!({ "from": DEV_ACCOUNTS[0], "to": DEV_ACCOUNTS[1] });
    let answer = network.call("eth_sendTransactionSync", json!([request, 1])).await;
    assert_eq!(answer["error"]["code"], 4, "{answer}");
    assert_eq!(network.head().0, 0);
    assert_eq!(network.chain.query.pool().unwrap().status().pending, 1, "it waits on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_with_one_price_is_of_this_chain_only() {
    let network = network(None);
    let hash = network.send(json!({ "gasPrice": "0x77359400" })).await;
    let found = network.read(|snapshot| snapshot.transaction(&hash).unwrap()).unwrap();
    assert!(found.transaction.is_legacy());
    assert!(found.transaction.is_replay_protected());
    assert_eq!(found.sender, DEV_ACCOUNTS[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_has_the_type_that_was_asked_for() {
    let network = network(None);
    let entry = json!([{ "address": DEV_ACCOUNTS[2], "storageKeys": [] }]);
    for (fields, expected) in [
        (json!({}), 2),
        (json!({ "type": "0x0" }), 0),
        (json!({ "type": "0x0", "gasPrice": "0x77359400" }), 0),
        (json!({ "type": "0x1" }), 1),
        (json!({ "type": "0x1", "gasPrice": "0x77359400", "accessList": entry }), 1),
        (json!({ "gasPrice": "0x77359400", "accessList": entry }), 1),
        (json!({ "type": "0x2", "accessList": entry }), 2),
        (json!({ "type": "0x2", "gasPrice": "0x77359400" }), 2),
    ] {
        let hash = network.send(fields.clone()).await;
        let found = network.read(|snapshot| snapshot.transaction(&hash).unwrap()).expect("it was mined");
        assert_eq!(found.transaction.ty(), expected, "{fields}");
        assert_eq!(found.transaction.chain_id(), Some(1337), "{fields}");
        let entries = found.transaction.access_list().map_or(0, |list| list.len());
        assert_eq!(entries, usize::from(fields.get("accessList").is_some()), "{fields}");
    }
    for fields in [
        json!({ "type": "0x0", "accessList": entry }),
        json!({ "type": "0x0", "maxFeePerGas": "0x77359400" }),
        json!({ "type": "0x1", "maxPriorityFeePerGas": "0x1" }),
        json!({ "type": "0x3" }),
        json!({ "type": "0x4" }),
        json!({ "type": "0x7f" }),
    ] {
        let mut request = json!({ "from": DEV_ACCOUNTS[0], "to": DEV_ACCOUNTS[1] });
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let answer = network.call("eth_sendTransaction", json!([request])).await;
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("a transaction of type "), "{fields}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_empty_block_is_made_for_what_no_block_can_take() {
    let network = network(None);
    let cheap = json!({ "from": DEV_ACCOUNTS[5], "gas": "0x5208", "maxFeePerGas": "0x1",
        "maxPriorityFeePerGas": "0x1" });
    let cheap = network.send(cheap).await;
    assert_eq!(network.head().0, 0);
    for number in 1..=5 {
        let hash = network.send(json!({})).await;
        let receipt = network.read(|snapshot| snapshot.receipt(&hash).unwrap()).expect("it was mined");
        assert_eq!(receipt.transaction.block.block_number, number);
        assert_eq!(network.head().0, number, "one block for each");
    }
    assert_eq!(network.chain.query.pool().unwrap().status().pending, 1, "it waits on");
    assert_eq!(network.read(|snapshot| snapshot.receipt(&cheap).unwrap()), None);
    // Who asks for a block gets one.
    network.result("evm_mine", json!([])).await;
    assert_eq!(network.head().0, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_into_a_block_goes_into_the_next() {
    let network = quiet_network();
    let hashes = {
        let mut hashes = Vec::new();
        // Three of these fill a block; a transaction has at most 16,777,216 gas (EIP-7825).
        for _ in 0..7 {
            hashes.push(network.send(json!({ "gas": "0x1000000", "data": "0xfe", "to": null })).await);
        }
        hashes
    };
    network.result("evm_setAutomine", json!([true])).await;
    let mined = |hash: &B256| network.read(|snapshot| snapshot.receipt(hash).unwrap().is_some());
    for _ in 0..1_000 {
        if hashes.iter().all(mined) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(hashes.iter().all(mined), "nothing new has to come for them");
    assert_eq!(network.head().0, 3);
    assert_eq!(network.nonce(DEV_ACCOUNTS[0]), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_have_the_time_that_was_asked_for() {
    let network = quiet_network();
    network.result("hardhat_mine", json!(["0x10"])).await;
    let (number, began) = network.head();
    assert_eq!(number, 16);
    network.result("hardhat_mine", json!(["0x3", "0x3c"])).await;
    let times: Vec<u64> = network.read(|snapshot| {
        (17..=19).map(|number| snapshot.header(number).unwrap().unwrap().timestamp).collect()
    });
    assert!(times[0] > began);
    assert_eq!([times[1] - times[0], times[2] - times[1]], [60, 60]);
    network.result("evm_increaseTime", json!([86_400])).await;
    network.result("evm_mine", json!([])).await;
    let (_, later) = network.head();
    assert!((times[2] + 86_400..times[2] + 86_460).contains(&later), "a day after the head");
    network.result("evm_setNextBlockTimestamp", json!([later + 1_000])).await;
    network.result("evm_mine", json!([])).await;
    assert_eq!(network.head().1, later + 1_000);
    network.result("evm_mine", json!([{ "timestamp": later + 5_000, "blocks": 2 }])).await;
    assert_eq!(network.head().1, later + 5_001);
    let past = network.call("evm_setNextBlockTimestamp", json!([later])).await;
    assert_eq!(past["error"]["code"], -32602);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_is_in_seconds_or_in_milliseconds() {
    for interval in [1, 1_000] {
        let network = quiet_network();
        network.result("evm_mine", json!([])).await;
        network.result("evm_setIntervalMining", json!([interval])).await;
        let mut turns = 0..500;
        while network.head().0 < 3 && turns.next().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(network.head().0 >= 3, "{interval}");
        network.result("evm_setIntervalMining", json!([0])).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_used_once_and_its_number_never_again() {
    let network = network(None);
    let numbers =
        [network.result("evm_snapshot", json!([])).await, network.result("evm_snapshot", json!([])).await];
    assert_eq!(numbers, [json!("0x1"), json!("0x2")]);
    let hash = network.send(json!({})).await;
    assert_eq!(network.head().0, 1);
    assert_eq!(network.result("evm_revert", json!(["0x1"])).await, json!(true));
    assert_eq!(network.head().0, 0);
    assert_eq!(network.read(|snapshot| snapshot.receipt(&hash).unwrap()), None);
    for number in ["0x1", "0x2", "0x3", "0x0"] {
        assert_eq!(network.result("evm_revert", json!([number])).await, json!(false), "{number}");
    }
    assert_eq!(network.result("evm_snapshot", json!([])).await, json!("0x3"));
    // The same nonce again.
    network.send(json!({ "value": "0x2" })).await;
    assert_eq!(network.nonce(DEV_ACCOUNTS[0]), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_made_from_many_sides_are_one_chain() {
    let network = network(None);
    let senders: Vec<_> = (0..8_usize)
        .map(|index| {
            let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_sendTransaction",
                "params": [{ "from": DEV_ACCOUNTS[index], "to": DEV_ACCOUNTS[9], "value": "0x1" }] });
            let mine = json!({ "jsonrpc": "2.0", "id": 1, "method": "evm_mine", "params": [] });
            let methods = network.methods.clone();
            tokio::spawn(async move {
                for _ in 0..4 {
                    for request in [&request, &mine] {
                        let (answer, _) = methods.raw_json_request(&request.to_string(), 1).await.unwrap();
                        let answer: Value = serde_json::from_str(answer.get()).unwrap();
                        assert!(answer.get("error").is_none(), "{answer}");
                    }
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    let (head, mut last) = (network.head().0, 0);
    assert!(head >= 32, "each call of evm_mine made a block");
    let mut transactions = 0;
    for number in 1..=head {
        let block = network.read(|snapshot| snapshot.block(number).unwrap()).unwrap().parts;
        assert!(block.header.timestamp > last);
        (last, transactions) = (block.header.timestamp, transactions + block.transactions.len());
    }
    assert_eq!(transactions, 32);
    assert!(DEV_ACCOUNTS[..8].iter().all(|account| network.nonce(*account) == 4));
    assert_eq!(U64::from(network.chain.query.pool().unwrap().status().pending), U64::ZERO);
}
