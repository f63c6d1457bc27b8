//! `eth_*` as Besu's test suites record it.

use std::path::{Path, PathBuf};

use portico_query::QuerySettings;
use portico_test_support::fixture;
use portico_tests_rpc::{Comparison, Report, RpcNode, compare};
use serde_json::Value;

const GENERAL_CODE: &str =
    "go-ethereum's general code for a transaction that no block could hold, not one of Besu's own";
const CONFLICTING_FEES: &str =
    "a gas price and a blob fee contradict each other, as in go-ethereum; Besu looks at the blob fee alone";
const NO_STRICT: &str = "nonces do not count in estimates, as in go-ethereum";
const ASCENDING: &str = "percentiles must ascend, as the specification has it";
const UNKNOWN_BLOCK: &str = "state of an unknown block is an error (EIP-1898), not null";
const NOT_FOUND_CODE: &str = "-32001 for a block that is not there (EIP-1474)";
const TOTAL_DIFFICULTY: &str = "totalDifficulty left the specification";
const BAD_NUMBER: &str = "a block number that is none is refused, not answered with null";
const RANDOM_IDS: &str = "ids of filters are random, as in go-ethereum";
const KEYS: &str = "keys of 32 bytes are given back as they came, as in go-ethereum";
const EXTRA: &str = "parameters that a method does not have are ignored";
const NETWORK_ID: &str = "the network id of Besu's test is not in its genesis file";
const FORK_ID: &str = "the recorded fork id leaves out all forks of the genesis file (EIP-6122)";
const NO_SIGNATURE: &str = "authorizations without a signature are Besu's own";
const PRICE_WITH_VALIDATION: &str =
    "with validation a call without a price is below the base fee, as in the execution API's conversations";
const NO_POOL: &str = "Besu's test invents a pool that takes everything: the sender has nothing";
const NONCE_CODE: &str = "go-ethereum's code for what the pool refuses";
const TRIE_LOG: &str = "trieLog is Besu's own";

/// Cases that go otherwise, and why.
const KNOWN: &[(&str, &str)] = &[
    ("eth_call_gasLimitTooLow_block_8", GENERAL_CODE),
    ("eth_call_gasPriceTooHigh_block_8", GENERAL_CODE),
    ("eth_call_stateOverride_insufficientBalance", GENERAL_CODE),
    ("eth_call_valueTooHigh_block_8", GENERAL_CODE),
    ("eth_call_blob_missing_maxFeePerBlobGas_strict", CONFLICTING_FEES),
    ("eth_estimateGas_withPastNonce", NO_STRICT),
    ("eth_feeHistory_fieldNamesWithReward", ASCENDING),
    ("eth_getBalance_illegalRangeGreaterThan", UNKNOWN_BLOCK),
    ("eth_getCode_blockHashNotExist", UNKNOWN_BLOCK),
    ("eth_getCode_illegalRangeGreaterThan", UNKNOWN_BLOCK),
    ("eth_getProof_illegalRangeGreaterThan", UNKNOWN_BLOCK),
    ("eth_getStorageAt_illegalRangeGreaterThan", UNKNOWN_BLOCK),
    ("eth_getTransactionCount_illegalRange", UNKNOWN_BLOCK),
    ("eth_getLogs_blockhash_missingBlockHash", NOT_FOUND_CODE),
    ("eth_getBlockByNumber_complete", TOTAL_DIFFICULTY),
    ("eth_getBlockByNumber_hashes", TOTAL_DIFFICULTY),
    ("eth_getBlockTransactionCountByNumber_illegalRangeLessThan", BAD_NUMBER),
    ("eth_getNewFilter_addressOnly", RANDOM_IDS),
    ("eth_getNewFilter_emptyFilter", RANDOM_IDS),
    ("eth_getNewFilter_topicOnly", RANDOM_IDS),
    ("eth_getNewFilter_validFilterLatestBlock", RANDOM_IDS),
    ("eth_getNewFilter_validFilterWithBlockNumber", RANDOM_IDS),
    ("eth_newBlockFilter", RANDOM_IDS),
    ("eth_newPendingTransactionFilter", RANDOM_IDS),
    ("eth_getProof_blockHash", KEYS),
    ("eth_getProof_blockHashObject", KEYS),
    ("eth_getProof_blockHashObjectCanonical", KEYS),
    ("eth_getProof_blockHashObjectCanonicalFalse", KEYS),
    ("eth_getProof_blockNumber", KEYS),
    ("eth_getProof_blockNumberObject", KEYS),
    ("eth_getProof_latest", KEYS),
    ("eth_getProof_pending", KEYS),
    ("eth_getTransactionByHash_invalidHashAndIndex", EXTRA),
    ("net_version", NETWORK_ID),
    ("eth_config", FORK_ID),
    ("eth_sendRawTransaction_contractCreation", NO_POOL),
    ("eth_sendRawTransaction_invalidNonceTooLow", NONCE_CODE),
    ("eth_sendRawTransaction_messageCall", NO_POOL),
    ("eth_sendRawTransaction_transferEther", NO_POOL),
    ("eth_simulateV1-trie-log", TRIE_LOG),
    ("eth_simulateV1-code-delegation-with-authority", NO_SIGNATURE),
    ("eth_simulateV1-code-delegation", PRICE_WITH_VALIDATION),
];

/// JSON files directly in a folder, in order of name.
fn cases(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    cases.sort();
    cases
}

/// Requests and answers of a case: one, or those of a batch.
fn exchanges(case: &Value) -> Vec<(Value, Value)> {
    match (&case["request"], &case["response"]) {
        (Value::Array(requests), Value::Array(responses)) => {
            requests.iter().cloned().zip(responses.iter().cloned()).collect()
        }
        (request, response) => vec![(request.clone(), response.clone())],
    }
}

async fn replay(node: &RpcNode, folder: &Path) {
    let mut report = Report::default();
    for path in cases(folder) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let case: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        if case["request"].is_null() {
            continue;
        }
        let known = KNOWN.iter().find(|(known, _)| *known == name).map(|(_, reason)| *reason);
        let mut differences = Vec::new();
        let mut skipped = None;
        for (request, expected) in exchanges(&case) {
            let method = request["method"].as_str().unwrap_or_default();
            if !node.has_method(method) {
                skipped = Some(format!("{method} is not implemented"));
                continue;
            }
            let found = node.call(&request).await.unwrap();
            differences.extend(compare(&expected, &found, Comparison::Exact).err());
        }
        match (differences.first(), known, skipped) {
            (_, _, Some(reason)) => report.skip(reason),
            (None, None, None) => report.pass(),
            (None, Some(_), None) => report.fail(&name, "answers as recorded now: take it off the list"),
            (Some(_), Some(reason), None) => report.known(&name, reason),
            (Some(difference), None, None) => report.fail(&name, difference),
        }
    }
    report.finish(&folder.display().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn eth_methods_answer_as_recorded() {
    let Some(folder) = fixture("besu-rpc") else { return };
    let chain = folder.join("eth-chain");
    let settings = QuerySettings { unprotected_allowed: true, ..QuerySettings::default() };
    let (genesis, blocks) = (chain.join("testGenesis.json"), chain.join("testBlockchain.blocks"));
    let node = RpcNode::import_with(&genesis, &blocks, settings).unwrap();
    replay(&node, &folder.join("eth")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reverts_answer_as_recorded() {
    let Some(folder) = fixture("besu-rpc") else { return };
    let chain = folder.join("trace/chain-data");
    let node = RpcNode::import(&chain.join("genesis.json"), &chain.join("blocks.bin")).unwrap();
    replay(&node, &folder.join("eth_latest")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simulations_answer_as_recorded() {
    let Some(folder) = fixture("besu-rpc/eth/simulateV1") else { return };
    let chain = folder.join("chain-data");
    // Besu has no bound on gas but the block's; the gas of a call that names none is part of its hash.
    let settings = QuerySettings { call_gas_max: u64::MAX, ..QuerySettings::default() };
    let (genesis, blocks) = (chain.join("genesis.json"), chain.join("blocks.bin"));
    let node = RpcNode::import_with(&genesis, &blocks, settings).unwrap();
    replay(&node, &folder.join("specs")).await;
}

/// The recorded node goes by the clock, this one by its head, which is genesis; and the recorded fork ids leave forks
/// out. What the newest fork asks for must be the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_fork_is_configured_as_recorded() {
    let Some(folder) = fixture("besu-rpc/eth/config") else { return };
    let node = RpcNode::at_genesis(&folder.join("chain-data/mainnet-plus-future.json")).unwrap();
    let case = std::fs::read_to_string(folder.join("eth_config.json")).unwrap();
    let case: Value = serde_json::from_str(&case).unwrap();
    let mut expected = case["response"]["result"].clone();
    let mut found = node.call(&case["request"]).await.unwrap()["result"].clone();
    for configs in [&mut expected, &mut found] {
        configs["last"]["forkId"].take();
    }
    assert_eq!(found["last"], expected["last"]);
    assert_eq!(found["current"]["activationTime"], 0);
    assert!(found["next"]["activationTime"].as_u64() < found["last"]["activationTime"].as_u64());
}

#[test]
fn the_list_of_known_differences_names_cases() {
    let Some(folder) = fixture("besu-rpc") else { return };
    for (known, _) in KNOWN {
        let folders = ["eth", "eth_latest", "eth/simulateV1/specs"];
        let file = Path::new(known).with_extension("json");
        assert!(folders.iter().any(|name| folder.join(name).join(&file).is_file()), "{known}");
    }
}
