//! The state in pages, within blocks, and its roots.

use std::time::Duration;

use alloy_primitives::{Address, B256, keccak256};
use portico_query::{Budget, QueryError};

use super::*;

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
async fn what_was_hashed_is_found_where_the_database_has_it() {
    let Some(node) = node() else { return };
    let preimage = async |hash: B256| result(&node, "debug_preimage", json!([hash])).await;
    assert_eq!(preimage(keccak256([])).await, "0x");
    let page = result(&node, "debug_accountRange", json!([hex(HEAD), "0x", 256, false, false, false])).await;
    let (mut codes, mut slots) = (0, Vec::new());
    for (address, account) in page["accounts"].as_object().unwrap() {
        assert_eq!(preimage(address.parse::<Address>().map(keccak256).unwrap()).await, *address);
        let code = account["code"].as_str().unwrap();
        if code != "0x" {
            codes += 1;
            assert_eq!(preimage(account["codeHash"].as_str().unwrap().parse().unwrap()).await, code);
        }
        slots
            .extend(account["storage"].as_object().unwrap().keys().map(|slot| slot.parse::<B256>().unwrap()));
    }
    assert!(codes > 3 && slots.len() > 20, "{codes} codes, {} slots", slots.len());
    for slot in &slots {
        assert_eq!(preimage(keccak256(slot)).await, json!(slot));
    }
    for block in blocks(&node).await {
        let header = result(&node, "debug_getRawHeader", json!([block["hash"]])).await;
        assert_eq!(result(&node, "debug_preimage", json!([block["hash"]])).await, header);
        for transaction in transactions(&block) {
            let raw = result(&node, "debug_getRawTransaction", json!([transaction["hash"]])).await;
            assert_eq!(result(&node, "debug_preimage", json!([transaction["hash"]])).await, raw);
        }
    }
    let nobody = Address::repeat_byte(0x5a);
    let answer = call(&node, "debug_preimage", json!([keccak256(nobody)])).await;
    assert_eq!(answer["error"]["code"], -32000);
    assert_eq!(answer["error"]["message"], format!("unknown preimage of {}", keccak256(nobody)));

    let spent = node.query().snapshot_within(Budget::lasting(Duration::ZERO)).unwrap();
    let searched = spent.preimage(&keccak256(slots[0]));
    assert!(matches!(searched, Err(QueryError::TimedOut { .. })), "{searched:?}");
    assert_eq!(spent.preimage(&keccak256([])).unwrap().len(), 0, "no search is needed");
}
