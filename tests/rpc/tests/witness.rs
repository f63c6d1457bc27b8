//! Execution witnesses as other clients recorded them, and whether blocks execute on ours.

use std::{collections::BTreeSet, path::Path};

use alloy_primitives::{Bytes, keccak256};
use portico_stateless::{Block, Witness, validate};
use portico_test_support::fixture;
use portico_tests_rpc::{Report, RpcNode};
use serde_json::{Value, json};

const CHAIN: &str = "execution-apis/chain-45-prague";

/// The empty node, which some clients list; it proves nothing that its absence does not.
const EMPTY_NODE: &str = "0x80";

fn members(witness: &Value, part: &str) -> BTreeSet<String> {
    let members = witness[part].as_array().into_iter().flatten();
    members.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Hashes of headers, which are objects in some clients' witnesses and RLP in others'.
fn header_hashes(witness: &Value) -> BTreeSet<String> {
    let hashes = witness["headers"].as_array().into_iter().flatten().map(|header| match header {
        Value::String(rlp) => keccak256(rlp.parse::<Bytes>().unwrap()).to_string(),
        header => header["hash"].as_str().unwrap().to_owned(),
    });
    hashes.collect()
}

/// Why `found` is not as good as the recorded witness.
fn compare(expected: &Value, found: &Value, is_canonical: bool) -> Result<(), String> {
    if header_hashes(expected) != header_hashes(found) {
        return Err("other headers".to_owned());
    }
    let mut nodes = members(expected, "state");
    nodes.remove(EMPTY_NODE);
    let ours = members(found, "state");
    let missing = nodes.difference(&ours).count();
    let more = ours.difference(&nodes).count();
    if missing > 0 || (is_canonical && more > 0) {
        return Err(format!("{missing} nodes are missing, {more} are too many"));
    }
    let (codes, ours) = (members(expected, "codes"), members(found, "codes"));
    // The older form lists code too that only the block itself brought.
    if !ours.is_subset(&codes) || (is_canonical && ours != codes) {
        return Err(format!("{} codes, expected {}", ours.len(), codes.len()));
    }
    if expected["keys"].is_array() {
        let (keys, ours) = (members(expected, "keys"), members(found, "keys"));
        let (missing, more): (Vec<_>, Vec<_>) =
            (keys.difference(&ours).collect(), ours.difference(&keys).collect());
        if !missing.is_empty() || !more.is_empty() {
            return Err(format!("keys {missing:?} are missing, {more:?} are too many"));
        }
    }
    Ok(())
}

async fn check(node: &RpcNode, path: &Path, report: &mut Report) {
    let name = path.file_stem().unwrap().to_string_lossy();
    let exchanges: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for exchange in exchanges.as_array().unwrap() {
        let request = &exchange["request"];
        let found = node.call(request).await.unwrap();
        let (expected, found) = (&exchange["response"]["result"], &found["result"]);
        let is_canonical = request["params"].as_array().is_some_and(|params| params.len() > 1);
        match compare(expected, found, is_canonical) {
            Ok(()) => report.pass(),
            Err(difference) => report.fail(&name, &difference),
        }
    }
}

fn node() -> Option<RpcNode> {
    let folder = fixture(CHAIN)?;
    Some(RpcNode::import(&folder.join("genesis.json"), &folder.join("chain.rlp")).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn witnesses_have_what_others_recorded() {
    let Some(folder) = fixture("erigon-rpc/hive/debug_executionWitness") else { return };
    let Some(node) = node() else { return };
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut report = Report::default();
    for path in paths {
        check(&node, &path, &mut report).await;
    }
    report.finish("debug_executionWitness");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_block_executes_on_its_witness_alone() {
    let Some(node) = node() else { return };
    let call = async |method: &str, number: u64| {
        let params = json!([format!("{number:#x}")]);
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        node.call(&request).await.unwrap()["result"].take()
    };
    for number in 1..=45 {
        let witness = call("debug_executionWitness", number).await;
        let witness = Witness::decode_json(witness.to_string().as_bytes()).unwrap();
        let rlp: Bytes = serde_json::from_value(call("debug_getRawBlock", number).await).unwrap();
        let block: Block = alloy_rlp::decode_exact(&rlp).unwrap();
        let proven = validate(node.query().spec(), &block, &witness);
        let proven = proven.unwrap_or_else(|error| panic!("block {number}: {error}"));
        assert_eq!((proven.number, proven.hash), (number, block.header.hash_slow()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn genesis_and_unknown_blocks_have_no_witness() {
    let Some(node) = node() else { return };
    for block in ["0x0", "0xffff"] {
        let request =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "debug_executionWitness", "params": [block] });
        assert_eq!(node.call(&request).await.unwrap()["error"]["code"], -32000, "{block}");
    }
}
