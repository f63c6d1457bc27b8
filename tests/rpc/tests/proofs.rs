//! Proofs as clients check them, against the state roots of every block's header.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::{Nibbles, TrieAccount, proof::verify_proof};
use portico_generator::GeneratorConfig;
use portico_query::QuerySettings;
use portico_stages::StopSignal;
use portico_test_support::fixture;
use portico_tests_rpc::RpcNode;
use serde_json::{Value, json};

const CHAIN: &str = "execution-apis/chain-54-osaka-bpo";
const HEAD: u64 = 54;
/// Blocks of a generated chain.
const GENERATED: u64 = 24;
/// Slots that some contracts of the chain use, and one that none uses.
const SLOTS: [u64; 4] = [0, 1, 0x42ff, 0xdead];

fn node(settings: QuerySettings) -> Option<RpcNode> {
    let folder: PathBuf = fixture(CHAIN)?;
    Some(RpcNode::import_with(&folder.join("genesis.json"), &folder.join("chain.rlp"), settings).unwrap())
}

async fn call(node: &RpcNode, method: &str, params: Value) -> Value {
    node.call(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).await.unwrap()
}

async fn result(node: &RpcNode, method: &str, params: Value) -> Value {
    let response = call(node, method, params.clone()).await;
    assert!(response.get("error").is_none(), "{method} {params}: {response}");
    response["result"].clone()
}

/// Accounts that the chain touches, and some that it does not.
async fn accounts(node: &RpcNode, head: u64) -> Vec<Address> {
    let mut accounts = vec![Address::ZERO, Address::repeat_byte(0x77)];
    for number in 0..=head {
        let block = result(node, "eth_getBlockByNumber", json!([hex(number), true])).await;
        accounts.extend(address(&block["miner"]));
        for transaction in block["transactions"].as_array().unwrap() {
            accounts.extend(address(&transaction["from"]));
            accounts.extend(address(&transaction["to"]));
        }
    }
    accounts.sort_unstable();
    accounts.dedup();
    accounts
}

fn address(value: &Value) -> Option<Address> {
    value.as_str().map(|text| text.parse().unwrap())
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}

fn parse<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

fn verify(state_root: B256, account: Address, proof: &Value) {
    let nodes: Vec<Bytes> = parse(&proof["accountProof"]);
    let leaf = TrieAccount {
        nonce: parse::<U256>(&proof["nonce"]).to(),
        balance: parse(&proof["balance"]),
        storage_root: parse(&proof["storageHash"]),
        code_hash: parse(&proof["codeHash"]),
    };
    let exists = leaf != TrieAccount::default();
    let expected = exists.then(|| alloy_rlp::encode(leaf));
    verify_proof(state_root, Nibbles::unpack(keccak256(account)), expected, &nodes).unwrap();
    for slot in proof["storageProof"].as_array().unwrap() {
        let (key, value): (U256, U256) = (parse(&slot["key"]), parse(&slot["value"]));
        let nodes: Vec<Bytes> = parse(&slot["proof"]);
        let expected = (!value.is_zero()).then(|| alloy_rlp::encode(value));
        let key = Nibbles::unpack(keccak256(B256::from(key)));
        verify_proof(leaf.storage_root, key, expected, &nodes).unwrap();
    }
}

/// Proves accounts at every block, the newest first, and compares with what other methods say.
async fn prove_everywhere(node: &RpcNode, head: u64, step: usize, slots: impl Fn(&Address) -> Vec<B256>) {
    let accounts = accounts(node, head).await;
    assert!(accounts.len() > 20, "the chain touches {} accounts", accounts.len());
    let mut set = 0;
    for number in (0..=head).rev() {
        let block = result(node, "eth_getBlockByNumber", json!([hex(number), false])).await;
        // Every account somewhere, no block without some.
        for account in accounts.iter().skip(number as usize % step).step_by(step) {
            let proof = result(node, "eth_getProof", json!([account, slots(account), hex(number)])).await;
            verify(parse(&block["stateRoot"]), *account, &proof);
            let balance = result(node, "eth_getBalance", json!([account, hex(number)])).await;
            assert_eq!(proof["balance"], balance, "{account} at {number}");
            let proven = &proof["storageProof"][0];
            let slot = result(node, "eth_getStorageAt", json!([account, proven["key"], hex(number)])).await;
            assert_eq!(parse::<U256>(&proven["value"]), parse::<U256>(&slot));
            let proven = proof["storageProof"].as_array().unwrap();
            set += proven.iter().filter(|slot| slot["value"] != "0x0").count();
        }
    }
    assert!(set > 20, "{set} slots were there");
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_at_every_block_lead_to_the_header() {
    let Some(node) = node(QuerySettings::default()) else { return };
    prove_everywhere(&node, HEAD, 3, |_| SLOTS.map(|slot| B256::from(U256::from(slot))).to_vec()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_at_every_block_of_a_generated_chain_lead_to_the_header() {
    let folder = tempfile::tempdir().unwrap();
    let config = GeneratorConfig {
        genesis_users: 100,
        tokens: 6,
        transactions_per_block: 40,
        ..GeneratorConfig::default()
    };
    let stop = StopSignal::default();
    let chain = portico::generate_chain(&config, GENERATED, folder.path(), &stop, &mut |_| {}).unwrap();
    let node = RpcNode::import(&chain.genesis, &chain.chain).unwrap();
    let holdings = holdings(&node).await;
    assert!(holdings.len() > 3, "{} contracts log", holdings.len());
    let slots = |account: &Address| match holdings.get(account) {
        Some(slots) => slots.iter().copied().take(200).chain([B256::ZERO]).collect(),
        None => vec![B256::ZERO],
    };
    prove_everywhere(&node, GENERATED, 2, slots).await;
}

/// Where contracts that log transfers may keep balances: mappings of the first slots by those who received.
async fn holdings(node: &RpcNode) -> BTreeMap<Address, BTreeSet<B256>> {
    let logs = result(node, "eth_getLogs", json!([{ "fromBlock": "0x1" }])).await;
    let mut holdings = BTreeMap::<_, BTreeSet<_>>::new();
    for log in logs.as_array().unwrap() {
        let holders = log["topics"].as_array().unwrap().iter().skip(1);
        let slots = holders.flat_map(|holder| {
            let holder: B256 = parse(holder);
            (0..4).map(move |slot| keccak256([holder.0, B256::with_last_byte(slot).0].concat()))
        });
        holdings.entry(parse(&log["address"])).or_default().extend(slots.take(40));
    }
    holdings
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_given_back_as_they_came() {
    let Some(node) = node(QuerySettings::default()) else { return };
    let whole = B256::with_last_byte(1);
    let proof = result(&node, "eth_getProof", json!([Address::ZERO, ["0x0", "0x01", whole], "latest"])).await;
    let keys: Vec<&Value> =
        proof["storageProof"].as_array().unwrap().iter().map(|slot| &slot["key"]).collect();
    assert_eq!(keys, [&json!("0x0"), &json!("0x1"), &json!(whole)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_of_proofs_are_errors_that_name_them() {
    let settings = QuerySettings { proof_blocks_max: 10, ..QuerySettings::default() };
    let Some(node) = node(settings) else { return };
    let proof = |slots: Vec<String>, block: u64| json!([Address::ZERO, slots, hex(block)]);
    assert!(call(&node, "eth_getProof", proof(vec![], HEAD - 10)).await.get("error").is_none());
    let error = call(&node, "eth_getProof", proof(vec![], HEAD - 11)).await["error"].clone();
    assert_eq!(error["code"], 4444);
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("from block 44 on (setting proof_blocks_max)"), "{message}");
    let capabilities = result(&node, "eth_capabilities", json!([])).await;
    assert_eq!(capabilities["stateproofs"]["oldestBlock"], hex(HEAD - 10));
    let keys = |count| (0..count).map(hex).collect();
    assert!(call(&node, "eth_getProof", proof(keys(1024), HEAD)).await.get("error").is_none());
    assert_eq!(call(&node, "eth_getProof", proof(keys(1025), HEAD)).await["error"]["code"], -32602);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_changes_are_refused() {
    let settings = QuerySettings { proof_leaves_max: 3, ..QuerySettings::default() };
    let Some(node) = node(settings) else { return };
    let error = call(&node, "eth_getProof", json!([Address::ZERO, [], "0x1"])).await["error"].clone();
    assert_eq!(error["code"], -32005, "{error}");
    assert!(error["message"].as_str().unwrap().contains("proof_leaves_max"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_given_as_the_trie_holds_it() {
    let Some(node) = node(QuerySettings::default()) else { return };
    let emitter = "0x7dcd17433742f4c0ca53122ab541d0ba67fc27df";
    let proof = result(&node, "eth_getProof", json!([emitter, [], "latest"])).await;
    let nodes: Vec<Bytes> = parse(&proof["accountProof"]);
    // The leaf is a list of path and account.
    let mut leaf = nodes.last().unwrap().as_ref();
    let header = alloy_rlp::Header::decode(&mut leaf).unwrap();
    assert!(header.list);
    Bytes::decode(&mut leaf).unwrap();
    let account = TrieAccount::decode(&mut Bytes::decode(&mut leaf).unwrap().as_ref()).unwrap();
    let given = result(&node, "eth_getAccount", json!([emitter, "latest"])).await;
    assert_eq!(given["storageRoot"], json!(account.storage_root));
    assert_eq!(given["codeHash"], json!(account.code_hash));
    assert_eq!(parse::<U256>(&given["balance"]), account.balance);
    let nobody = result(&node, "eth_getAccount", json!([Address::repeat_byte(0x77), "latest"])).await;
    assert!(nobody.is_null());
}
