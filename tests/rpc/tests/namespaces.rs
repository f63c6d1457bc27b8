//! Namespaces of which no conversations are recorded: their answers against those of others, and against a scan.

use std::collections::{BTreeMap, BTreeSet};

use portico_query::QuerySettings;
use portico_test_support::fixture;
use portico_tests_rpc::RpcNode;
use serde_json::{Value, json};

const CHAIN: &str = "execution-apis/chain-45-prague";
const HEAD: u64 = 45;

fn node() -> Option<RpcNode> {
    let folder = fixture(CHAIN)?;
    let settings = QuerySettings::default();
    Some(RpcNode::import_with(&folder.join("genesis.json"), &folder.join("chain.rlp"), settings).unwrap())
}

async fn call(node: &RpcNode, method: &str, params: Value) -> Value {
    node.call(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).await.unwrap()
}

async fn result(node: &RpcNode, method: &str, params: Value) -> Value {
    let answer = call(node, method, params.clone()).await;
    assert!(answer.get("error").is_none(), "{method} {params}: {answer}");
    answer["result"].clone()
}

async fn error_code(node: &RpcNode, method: &str, params: Value) -> Option<i64> {
    call(node, method, params).await["error"]["code"].as_i64()
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}

/// All blocks with their transactions.
async fn blocks(node: &RpcNode) -> Vec<Value> {
    let mut blocks = Vec::new();
    loop {
        let block = result(node, "eth_getBlockByNumber", json!([hex(blocks.len() as u64), true])).await;
        if block.is_null() {
            return blocks;
        }
        blocks.push(block);
    }
}

fn transactions(block: &Value) -> &[Value] {
    block["transactions"].as_array().unwrap()
}

/// Addresses in the calls of each transaction, by its hash.
async fn touched(node: &RpcNode) -> BTreeMap<String, BTreeSet<String>> {
    let mut touched: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for number in 1..=HEAD {
        for trace in result(node, "trace_block", json!([hex(number)])).await.as_array().unwrap() {
            let Some(hash) = trace["transactionHash"].as_str() else { continue };
            let names = ["from", "to", "address", "refundAddress"].map(|name| &trace["action"][name]);
            let addresses = names.into_iter().chain([&trace["result"]["address"]]).filter_map(Value::as_str);
            touched.entry(hash.to_owned()).or_default().extend(addresses.map(str::to_owned));
        }
    }
    touched
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_by_address_find_what_a_scan_finds() {
    let Some(node) = node() else { return };
    let touched = touched(&node).await;
    let order: Vec<String> = blocks(&node)
        .await
        .iter()
        .flat_map(|block| transactions(block).iter().map(|tx| tx["hash"].as_str().unwrap().to_owned()))
        .collect();
    let addresses: BTreeSet<&String> = touched.values().flatten().collect();
    assert!(addresses.len() > 20);
    for address in addresses {
        let expected: Vec<&String> = order.iter().filter(|hash| touched[*hash].contains(address)).collect();
        // Backwards from the head, page by page.
        let (mut found, mut before) = (Vec::new(), 0);
        loop {
            let page = result(&node, "ots_searchTransactionsBefore", json!([address, before, 3])).await;
            assert_eq!(page["firstPage"], before == 0);
            let txs = page["txs"].as_array().unwrap();
            found.extend(txs.iter().map(|tx| tx["hash"].as_str().unwrap().to_owned()));
            assert_eq!(page["receipts"].as_array().unwrap().len(), txs.len());
            if page["lastPage"] == true {
                break;
            }
            let last = txs.last().unwrap()["blockNumber"].as_str().unwrap();
            before = u64::from_str_radix(&last[2..], 16).unwrap();
        }
        assert_eq!(found.iter().rev().collect::<Vec<_>>(), expected, "{address}");
        // Forwards from genesis.
        let page = result(&node, "ots_searchTransactionsAfter", json!([address, 0, 25])).await;
        let txs = page["txs"].as_array().unwrap();
        let first: Vec<&str> = txs.iter().rev().map(|tx| tx["hash"].as_str().unwrap()).collect();
        assert_eq!(first, expected[..first.len()], "{address}");
        assert!(page["lastPage"] == true && (first.len() >= 25 || page["firstPage"] == true));
    }
    assert_eq!(
        error_code(&node, "ots_searchTransactionsBefore", json!([CREATOR, 0, 26])).await,
        Some(-32000)
    );
}

const CREATOR: &str = "0x7435ed30a8b4aeb0877cef0c6e8cffe834eb865f";

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_found_by_sender_and_nonce_and_contracts_by_their_creation() {
    let Some(node) = node() else { return };
    let mut creations = 0;
    for block in blocks(&node).await {
        for tx in transactions(&block) {
            let nonce = u64::from_str_radix(&tx["nonce"].as_str().unwrap()[2..], 16).unwrap();
            let found = result(&node, "ots_getTransactionBySenderAndNonce", json!([tx["from"], nonce])).await;
            assert_eq!(found, tx["hash"]);
            let receipt = result(&node, "eth_getTransactionReceipt", json!([tx["hash"]])).await;
            if let (Some(created), "0x1") =
                (receipt["contractAddress"].as_str(), receipt["status"].as_str().unwrap_or("0x1"))
            {
                if result(&node, "eth_getCode", json!([created, "latest"])).await == "0x" {
                    continue;
                }
                creations += 1;
                let creator = result(&node, "ots_getContractCreator", json!([created])).await;
                assert_eq!(creator, json!({ "hash": tx["hash"], "creator": tx["from"] }));
            }
        }
    }
    assert!(creations > 0);
    assert_eq!(result(&node, "ots_getContractCreator", json!([CREATOR])).await, Value::Null);
    assert_eq!(
        result(&node, "ots_getTransactionBySenderAndNonce", json!([CREATOR, 1_000_000])).await,
        Value::Null
    );
    assert_eq!(result(&node, "ots_getApiLevel", json!([])).await, 8);
    assert_eq!(result(&node, "ots_hasCode", json!([CREATOR, "latest"])).await, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn block_details_add_up() {
    let Some(node) = node() else { return };
    for block in blocks(&node).await {
        let number = block["number"].clone();
        let details = result(&node, "ots_getBlockDetails", json!([number])).await;
        assert_eq!(details, result(&node, "ots_getBlockDetailsByHash", json!([block["hash"]])).await);
        let mut expected = block.clone();
        expected["transactionCount"] = json!(transactions(&block).len());
        expected["logsBloom"] = Value::Null;
        expected.as_object_mut().unwrap().remove("transactions");
        assert_eq!(details["block"], expected);
        let mut fees = 0;
        for receipt in result(&node, "eth_getBlockReceipts", json!([number])).await.as_array().unwrap() {
            let of = |name: &str| u128::from_str_radix(&receipt[name].as_str().unwrap()[2..], 16).unwrap();
            fees += of("gasUsed") * of("effectiveGasPrice");
        }
        assert_eq!(details["totalFees"], format!("{fees:#x}"));
        // Pages are counted from the end.
        let page = result(&node, "ots_getBlockTransactions", json!([number, 0, 2])).await;
        let shown: Vec<&Value> = page["fullblock"]["transactions"].as_array().unwrap().iter().collect();
        let last = &transactions(&block)[transactions(&block).len().saturating_sub(2)..];
        assert_eq!(shown.len(), last.len());
        for (shown, tx) in shown.into_iter().zip(last) {
            assert_eq!(shown["hash"], tx["hash"]);
            let input = tx["input"].as_str().unwrap();
            assert_eq!(shown["input"], if input.len() < 10 { "0x" } else { &input[..10] });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_operations_are_those_of_the_traces() {
    let Some(folder) = fixture("besu-rpc/trace/chain-data") else { return };
    let node = RpcNode::import(&folder.join("genesis.json"), &folder.join("blocks.bin")).unwrap();
    let (mut operations, mut entries) = (0, 0);
    for block in blocks(&node).await {
        for tx in transactions(&block) {
            let traces = result(&node, "trace_transaction", json!([tx["hash"]])).await;
            let traces = traces.as_array().unwrap();
            let found = result(&node, "ots_getInternalOperations", json!([tx["hash"]])).await;
            let expected = traces.iter().filter(|trace| {
                let inner = trace["traceAddress"] != json!([]);
                let transfers = trace["action"]["callType"] == "call" && trace["action"]["value"] != "0x0";
                inner && (transfers || trace["type"] != "call")
            });
            assert_eq!(found.as_array().unwrap().len(), expected.count(), "{found}");
            operations += found.as_array().unwrap().len();
            let shown = result(&node, "ots_traceTransaction", json!([tx["hash"]])).await;
            assert_eq!(shown.as_array().unwrap().len(), traces.len());
            for (shown, trace) in shown.as_array().unwrap().iter().zip(traces) {
                assert_eq!(shown["depth"], trace["traceAddress"].as_array().unwrap().len());
                assert_eq!(
                    shown["from"],
                    *trace["action"].get("from").unwrap_or(&trace["action"]["address"])
                );
            }
            entries += traces.len();
            let error = result(&node, "ots_getTransactionError", json!([tx["hash"]])).await;
            if traces[0].get("error").is_none() {
                assert_eq!(error, "0x");
            }
        }
    }
    assert!(operations == 9 && entries == 89, "{operations} {entries}");
    let unknown = json!(["0x0000000000000000000000000000000000000000000000000000000000000001"]);
    for method in ["ots_getInternalOperations", "ots_getTransactionError", "ots_traceTransaction"] {
        assert_eq!(error_code(&node, method, unknown.clone()).await, Some(-32000), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_accounts_hold_the_whole_state() {
    let Some(node) = node() else { return };
    for number in [0, 7, 20, HEAD] {
        let (mut accounts, mut next) = (BTreeMap::new(), Some(json!("0x")));
        while let Some(first) = next {
            let page =
                result(&node, "debug_accountRange", json!([hex(number), first, 7, false, false, false]))
                    .await;
            let shown = page["accounts"].as_object().unwrap().clone();
            assert!(shown.len() <= 7);
            accounts.extend(shown);
            next = page.get("next").cloned();
        }
        assert!(accounts.len() > 15, "{}", accounts.len());
        for (address, account) in &accounts {
            let balance = result(&node, "eth_getBalance", json!([address, hex(number)])).await;
            let shown: u128 = account["balance"].as_str().unwrap().parse().unwrap();
            assert_eq!(balance, format!("{shown:#x}"), "{address} after {number}");
            let code = result(&node, "eth_getCode", json!([address, hex(number)])).await;
            assert_eq!(account["code"], code);
            for (slot, value) in account["storage"].as_object().unwrap() {
                let word = result(&node, "eth_getStorageAt", json!([address, slot, hex(number)])).await;
                assert_eq!(word, format!("0x{:0>64}", value.as_str().unwrap()));
            }
            let keys =
                result(&node, "parity_listStorageKeys", json!([address, 1000, null, hex(number)])).await;
            let slots: Vec<&String> = account["storage"].as_object().unwrap().keys().collect();
            assert_eq!(keys, json!(slots));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_within_blocks_are_those_after_the_transactions_before() {
    let Some(node) = node() else { return };
    let mut compared = 0;
    for block in blocks(&node).await.into_iter().skip(1) {
        let (number, count) = (block["number"].clone(), transactions(&block).len());
        let modified = result(&node, "debug_getModifiedAccountsByHash", json!([block["hash"]])).await;
        let by_number = u64::from_str_radix(&number.as_str().unwrap()[2..], 16)
            .map(|number| json!([number, number]))
            .unwrap();
        assert_eq!(modified, result(&node, "debug_getModifiedAccountsByNumber", by_number).await);
        for address in modified.as_array().unwrap() {
            // After all transactions: what is left to do in a block changes no slots of these contracts.
            let (mut found, mut next) = (BTreeMap::new(), Some(json!("0x0")));
            while let Some(first) = next {
                let params = json!([block["hash"], count, address, first, 2]);
                let page = result(&node, "debug_storageRangeAt", params).await;
                for slot in page["storage"].as_object().unwrap().values() {
                    found.insert(slot["key"].as_str().unwrap().to_owned(), slot["value"].clone());
                }
                next = Some(page["nextKey"].clone()).filter(|key| !key.is_null());
            }
            let keys = result(&node, "parity_listStorageKeys", json!([address, 1000, null, number])).await;
            for key in keys.as_array().unwrap() {
                let value = result(&node, "eth_getStorageAt", json!([address, key, number])).await;
                compared += usize::from(found.get(key.as_str().unwrap()) == Some(&value));
            }
            let account = result(&node, "debug_accountAt", json!([block["hash"], 0, address])).await;
            let parent =
                result(&node, "eth_getTransactionCount", json!([address, block["parentHash"]])).await;
            let nonce = account.get("nonce").cloned().unwrap_or("0x0".into());
            assert_eq!(nonce, parent, "{address} before block {number}");
        }
        let changes = result(&node, "erigon_getBalanceChangesInBlock", json!([number])).await;
        for (address, balance) in changes.as_object().unwrap() {
            assert_eq!(result(&node, "eth_getBalance", json!([address, number])).await, *balance);
        }
    }
    assert!(compared > 50, "{compared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn intermediate_roots_end_in_the_state_root_where_nothing_follows() {
    let Some(node) = node() else { return };
    let mut compared = 0;
    for block in blocks(&node).await.into_iter().skip(1) {
        let roots = result(&node, "debug_intermediateRoots", json!([block["hash"]])).await;
        let roots = roots.as_array().unwrap();
        assert_eq!(roots.len(), transactions(&block).len());
        let pays_nothing_later = block["difficulty"] == "0x0"
            && block["withdrawals"].as_array().is_none_or(Vec::is_empty)
            && block.get("requestsHash").is_none();
        if let Some(last) = roots.last().filter(|_| pays_nothing_later) {
            assert_eq!(*last, block["stateRoot"], "{}", block["number"]);
            compared += 1;
        }
    }
    assert!(compared > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_in_bundles_see_what_those_before_them_did() {
    let Some(node) = node() else { return };
    // Counts its calls in slot 0 and returns the count.
    let code = "0x6000546001018060005560005260206000f3";
    let overrides =
        json!({ "stateOverrides": { "0x00000000000000000000000000000000000000cc": { "code": code } } });
    let call = json!({ "to": "0x00000000000000000000000000000000000000cc", "gas": "0x20000" });
    let bundle = json!([{ "transactions": [call, call] }, { "transactions": [call], "blockOverride": { "blockNumber": "0x99" } }]);
    let at = json!({ "blockNumber": "latest", "transactionIndex": -1 });
    let traces = result(&node, "debug_traceCallMany", json!([bundle, at, overrides])).await;
    let returned =
        |trace: &Value| trace["returnValue"].as_str().unwrap().trim_start_matches("0x0").to_owned();
    let counts: Vec<Vec<String>> = traces
        .as_array()
        .unwrap()
        .iter()
        .map(|bundle| bundle.as_array().unwrap().iter().map(returned).collect())
        .collect();
    assert_eq!(counts.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    assert!(
        counts[0][0].ends_with('1') && counts[0][1].ends_with('2') && counts[1][0].ends_with('3'),
        "{counts:?}"
    );

    // Before the first transaction of a block its sender has its old balance.
    let block = blocks(&node).await.into_iter().rev().find(|block| transactions(block).len() > 1).unwrap();
    let sender = &transactions(&block)[0]["from"];
    let balance = json!({ "to": "0x00000000000000000000000000000000000000dd", "data": "0x" });
    let reads = format!("0x73{}3160005260206000f3", &sender.as_str().unwrap()[2..]);
    for (index, at) in [(0, &block["parentHash"]), (transactions(&block).len(), &block["hash"])] {
        let options = json!({ "txIndex": hex(index as u64), "stateOverrides": { "0x00000000000000000000000000000000000000dd": { "code": reads } } });
        let trace = result(&node, "debug_traceCall", json!([balance, block["number"], options])).await;
        let expected = result(&node, "eth_getBalance", json!([sender, at])).await;
        let found = trace["returnValue"].as_str().unwrap().trim_start_matches("0x").trim_start_matches('0');
        assert_eq!(format!("0x{found}"), expected, "before transaction {index}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn erigons_methods_agree_with_others() {
    let Some(node) = node() else { return };
    let blocks = blocks(&node).await;
    for block in &blocks {
        let header = result(&node, "erigon_getHeaderByNumber", json!([block["number"]])).await;
        assert_eq!(header, result(&node, "erigon_getHeaderByHash", json!([block["hash"]])).await);
        for (name, value) in header.as_object().unwrap() {
            assert_eq!(*value, *block.get(name).unwrap_or(&Value::Null), "{name}");
        }
        let at = result(&node, "erigon_getBlockByTimestamp", json!([block["timestamp"], true])).await;
        assert_eq!(at["hash"], block["hash"]);
        let logs = result(&node, "erigon_getLogsByHash", json!([block["hash"]])).await;
        assert_eq!(logs.as_array().unwrap().len(), transactions(block).len());
        let all: Vec<&Value> =
            logs.as_array().unwrap().iter().flat_map(|logs| logs.as_array().unwrap()).collect();
        let range = json!([{ "fromBlock": block["number"], "toBlock": block["number"] }]);
        assert_eq!(json!(all), result(&node, "eth_getLogs", range).await);
    }
    let filter = json!({ "fromBlock": "0x0", "toBlock": "latest" });
    let all = result(&node, "eth_getLogs", json!([filter])).await;
    let newest = all.as_array().unwrap().last().unwrap();
    let latest = result(&node, "erigon_getLatestLogs", json!([filter, { "logCount": 1 }])).await;
    assert_eq!(latest[0]["blockNumber"], newest["blockNumber"]);
    assert_eq!(latest.as_array().unwrap().len(), 1);
    assert_eq!(result(&node, "erigon_blockNumber", json!([])).await, hex(HEAD));
    assert_eq!(result(&node, "erigon_blockNumber", json!(["earliest"])).await, "0x0");
    let forks = result(&node, "erigon_forks", json!([])).await;
    assert_eq!(forks["genesis"], blocks[0]["hash"]);
    assert_eq!(error_code(&node, "erigon_getHeaderByNumber", json!(["0xffff"])).await, Some(-32000));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_says_so() {
    let Some(node) = node() else { return };
    assert_eq!(result(&node, "txpool_status", json!([])).await, json!({ "pending": "0x0", "queued": "0x0" }));
    for method in ["txpool_content", "txpool_inspect"] {
        assert_eq!(result(&node, method, json!([])).await, json!({ "pending": {}, "queued": {} }));
    }
    assert_eq!(
        result(&node, "txpool_contentFrom", json!([CREATOR])).await,
        json!({ "pending": {}, "queued": {} })
    );
    assert_eq!(result(&node, "admin_peers", json!([])).await, json!([]));
    let info = result(&node, "admin_nodeInfo", json!([])).await;
    assert_eq!(info["protocols"]["eth"]["head"], blocks(&node).await.last().unwrap()["hash"]);
    assert!(!result(&node, "admin_datadir", json!([])).await.as_str().unwrap().is_empty());
    assert_eq!(error_code(&node, "admin_addPeer", json!(["enode://00@127.0.0.1:30303"])).await, Some(-32004));
    let hash = "0x0000000000000000000000000000000000000000000000000000000000000001";
    assert_eq!(error_code(&node, "debug_preimage", json!([hash])).await, Some(-32000));
    assert_eq!(error_code(&node, "debug_traceBadBlock", json!([hash])).await, Some(-32000));
    assert_eq!(result(&node, "debug_getBadBlocks", json!([])).await, json!([]));
    assert_eq!(error_code(&node, "debug_dbGet", json!(["NoSuchTable", "0x00"])).await, Some(-32602));
    assert_eq!(error_code(&node, "debug_getRawBlockAccessList", json!(["latest"])).await, Some(-32001));
    let genesis = result(&node, "eth_getBlockByNumber", json!(["0x0", false])).await["hash"].clone();
    assert_eq!(result(&node, "debug_dbGet", json!(["CanonicalHeaders/0x0000000000000000"])).await, genesis);
    let beyond = json!(["CanonicalHeaders", "0xffffffffffffffff"]);
    assert_eq!(result(&node, "debug_dbGet", beyond).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_traced_block_by_block() {
    let Some(node) = node() else { return };
    let chain = result(&node, "debug_traceChain", json!(["0x2", "0x6", { "tracer": "callTracer" }])).await;
    assert_eq!(chain.as_array().unwrap().len(), 4);
    for block in chain.as_array().unwrap() {
        let traces =
            result(&node, "debug_traceBlockByHash", json!([block["hash"], { "tracer": "callTracer" }])).await;
        assert_eq!(block["traces"], traces);
    }
    assert_eq!(error_code(&node, "debug_traceChain", json!(["0x6", "0x2"])).await, Some(-32602));
}

/// All traces of the chain, in order.
async fn all_traces(node: &RpcNode) -> Vec<Value> {
    let mut traces = Vec::new();
    for number in 0..=HEAD {
        traces.extend(result(node, "trace_block", json!([hex(number)])).await.as_array().unwrap().clone());
    }
    traces
}

fn is_from(trace: &Value, address: &str) -> bool {
    let action = &trace["action"];
    let from = if trace["type"] == "suicide" { &action["address"] } else { &action["from"] };
    from == address
}

fn is_to(trace: &Value, address: &str) -> bool {
    let action = &trace["action"];
    let to = match trace["type"].as_str().unwrap() {
        "create" => &trace["result"]["address"],
        "suicide" => &action["refundAddress"],
        "reward" => &action["author"],
        _ => &action["to"],
    };
    to == address
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_filter_finds_what_a_scan_finds() {
    let Some(node) = node() else { return };
    let all = all_traces(&node).await;
    let mut addresses: BTreeSet<String> = touched(&node).await.into_values().flatten().collect();
    let authors = all.iter().filter_map(|trace| trace["action"]["author"].as_str());
    addresses.extend(authors.map(str::to_owned));
    let addresses: Vec<&String> = addresses.iter().collect();
    let mut compared = 0;
    for (position, from) in addresses.iter().enumerate() {
        let to = addresses[(position * 7 + 3) % addresses.len()];
        for mode in [None, Some("union"), Some("intersection")] {
            for (has_from, has_to) in [(true, false), (false, true), (true, true)] {
                let mut filter = json!({ "fromBlock": "0x3", "toBlock": "latest" });
                if has_from {
                    filter["fromAddress"] = json!([from]);
                }
                if has_to {
                    filter["toAddress"] = json!([to]);
                }
                if let Some(mode) = mode {
                    filter["mode"] = json!(mode);
                }
                let matches = |trace: &&Value| {
                    let (by_from, by_to) = (is_from(trace, from), is_to(trace, to));
                    let in_range = trace["blockNumber"].as_u64().unwrap() >= 3;
                    in_range
                        && match (has_from, has_to) {
                            (true, true) if mode == Some("intersection") => by_from && by_to,
                            (true, true) => by_from || by_to,
                            (true, false) => by_from,
                            _ => by_to,
                        }
                };
                let expected: Vec<&Value> = all.iter().filter(matches).collect();
                assert_eq!(result(&node, "trace_filter", json!([filter])).await, json!(expected), "{filter}");
                compared += expected.len();
                filter["after"] = json!(1);
                filter["count"] = json!(2);
                let part: Vec<&&Value> = expected.iter().skip(1).take(2).collect();
                assert_eq!(result(&node, "trace_filter", json!([filter])).await, json!(part), "{filter}");
            }
        }
    }
    assert!(compared > 500, "{compared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_execute_only_blocks_that_the_index_names() {
    let Some(node) = node() else { return };
    let all = all_traces(&node).await;
    // An address that appears late: blocks before it cannot be executed any more, and need not be.
    let first_block = |address: &str| {
        let first = all.iter().find(|trace| is_from(trace, address) || is_to(trace, address));
        first.unwrap()["blockNumber"].as_u64().unwrap()
    };
    let addresses: BTreeSet<String> = touched(&node).await.into_values().flatten().collect();
    let late = addresses.iter().find(|address| first_block(address) > 30).unwrap();
    let txn = node.node().database.begin_rw().unwrap();
    portico_chain::write_prune_checkpoint(&txn, "History", first_block(late) - 2).unwrap();
    txn.commit().unwrap();
    let range = json!({ "fromBlock": "0x0", "toBlock": "latest" });
    let mut filter = range.clone();
    filter["toAddress"] = json!([late]);
    filter["fromAddress"] = json!([late]);
    let expected: Vec<&Value> =
        all.iter().filter(|trace| is_from(trace, late) || is_to(trace, late)).collect();
    assert_eq!(result(&node, "trace_filter", json!([filter])).await, json!(expected));
    assert_eq!(error_code(&node, "trace_filter", json!([range])).await, Some(4444));
    let page = result(&node, "ots_searchTransactionsBefore", json!([late, 0, 25])).await;
    assert!(!page["txs"].as_array().unwrap().is_empty());

    // Without the index there is no answer, and not an empty one.
    let txn = node.node().database.begin_rw().unwrap();
    portico_chain::write_checkpoint(&txn, "CallTraceIndex", HEAD - 1).unwrap();
    txn.commit().unwrap();
    assert_eq!(error_code(&node, "trace_filter", json!([filter])).await, Some(-32002));
    assert_eq!(error_code(&node, "ots_searchTransactionsBefore", json!([late, 0, 25])).await, Some(-32002));
}

#[tokio::test(flavor = "multi_thread")]
async fn tracers_without_fixtures_say_what_happened() {
    let Some(node) = node() else { return };
    let call = json!({ "to": "0x00000000000000000000000000000000000000cc", "gas": "0x20000" });
    // KECCAK256 of the word 1.
    let code = "0x600160005260206000205000";
    let trace = async |tracer: &str, config: Value| {
        let options = json!({
            "tracer": tracer, "tracerConfig": config, "timeout": "2s", "reexec": 128,
            "stateOverrides": { "0x00000000000000000000000000000000000000cc": { "code": code } },
        });
        result(&node, "debug_traceCall", json!([call, "latest", options])).await
    };
    let word = format!("0x{:0>64}", 1);
    let hash = "0xb10e2d527612073b26eecdfd717e6a320cf44b4afac2b0732d9fcbe2b7fa0cf6";
    assert_eq!(trace("keccak256PreimageTracer", Value::Null).await, json!({ hash: word }));
    assert_eq!(trace("opcountTracer", Value::Null).await, 8);
    assert_eq!(
        trace("bigramTracer", Value::Null).await,
        json!({ "PUSH1-PUSH1": 2, "PUSH1-MSTORE": 1, "MSTORE-PUSH1": 1, "PUSH1-KECCAK256": 1, "KECCAK256-POP": 1, "POP-STOP": 1 })
    );
    assert_eq!(trace("noopTracer", Value::Null).await, json!({}));
    let mux = trace("muxTracer", json!({ "callTracer": null, "prestateTracer": { "diffMode": true } })).await;
    assert_eq!(mux["callTracer"]["type"], "CALL");
    assert!(mux["prestateTracer"]["post"].is_object(), "{mux}");
    let script =
        "{ n: 0, step: function() { this.n++ }, fault: function() {}, result: function() { return this.n } }";
    assert_eq!(trace(script, Value::Null).await, 8);
    let bad = json!([call, "latest", { "tracer": "callTracer", "timeout": "soon" }]);
    assert_eq!(error_code(&node, "debug_traceCall", bad).await, Some(-32602));
    let unknown = json!([call, "latest", { "tracer": "noSuchTracer" }]);
    assert_eq!(error_code(&node, "debug_traceCall", unknown).await, Some(-32602));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracer_stops_when_its_time_is_up() {
    let Some(node) = node() else { return };
    let call = json!({ "to": "0x00000000000000000000000000000000000000cc", "gas": "0x2faf080" });
    // Jumps to itself until the gas is gone.
    let endless = json!({ "0x00000000000000000000000000000000000000cc": { "code": "0x5b600056" } });
    let script = "{ step: function(log) { for (var i = 0; i < 100; i++) log.stack.length() }, fault: function() {}, result: function() { return 1 } }";
    let options = json!({ "tracer": script, "timeout": "200ms", "stateOverrides": endless });
    let started = std::time::Instant::now();
    assert_eq!(error_code(&node, "debug_traceCall", json!([call, "latest", options])).await, Some(-32002));
    assert!(started.elapsed() < std::time::Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_does_not_fit_is_refused() {
    let Some(node) = node() else { return };
    // A deep stack at every instruction: 1000 words, then jumps without end.
    let code = format!("0x{}5b61{:04x}56", "5f".repeat(1000), 1000);
    let call = json!({ "to": "0x00000000000000000000000000000000000000cc", "gas": "0x2faf080" });
    let options =
        json!({ "stateOverrides": { "0x00000000000000000000000000000000000000cc": { "code": code } } });
    assert_eq!(error_code(&node, "debug_traceCall", json!([call, "latest", options])).await, Some(-32005));
    let mut limited = options.clone();
    limited["disableStack"] = json!(true);
    limited["limit"] = json!(10);
    let trace =
        result(&node, "debug_traceCall", json!([{ "to": call["to"], "gas": "0x7000" }, "latest", limited]))
            .await;
    assert_eq!(trace["structLogs"].as_array().unwrap().len(), 10);
}
