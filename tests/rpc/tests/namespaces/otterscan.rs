//! What Otterscan asks, against a scan of the chain.

use super::*;

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
    assert_eq!(result(&node, "ots_hasCode", json!([CREATOR, 1])).await, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn block_details_add_up() {
    let Some(node) = node() else { return };
    for block in blocks(&node).await {
        let number = block["number"].clone();
        let details = result(&node, "ots_getBlockDetails", json!([number])).await;
        assert_eq!(details, result(&node, "ots_getBlockDetailsByHash", json!([block["hash"]])).await);
        // The explorer sends its numbers as JSON has them.
        let decimal = u64::from_str_radix(&number.as_str().unwrap()[2..], 16).unwrap();
        assert_eq!(details, result(&node, "ots_getBlockDetails", json!([decimal])).await);
        let page = |number: Value| result(&node, "ots_getBlockTransactions", json!([number, 0, 25]));
        assert_eq!(page(json!(decimal)).await, page(number.clone()).await);
        let header = |number: Value| result(&node, "erigon_getHeaderByNumber", json!([number]));
        assert_eq!(header(json!(decimal)).await, header(number.clone()).await);
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
