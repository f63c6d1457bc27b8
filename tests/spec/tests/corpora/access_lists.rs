//! Block access lists: the bytes that a header commits to, and what no list may look like.

use alloy_eip7928::{BlockAccessList, compute_block_access_list_hash};
use alloy_primitives::{B256, U64};
use alloy_rlp::Decodable;
use portico_consensus::{BlockAccessListFault, validate_block_access_list};
use portico_test_support::fixture;
use serde_json::Value;

fn read(name: &str) -> Option<Value> {
    let text = std::fs::read_to_string(fixture(&format!("bal/{name}.json"))?).expect("readable");
    Some(serde_json::from_str(&text).expect("JSON"))
}

fn list(value: &Value) -> BlockAccessList {
    serde_json::from_value(value.clone()).expect("a block access list")
}

/// List, header's hash and gas limit of a block that must be refused.
fn refused(name: &str) -> Option<(BlockAccessList, B256, u64)> {
    let case = read(name)?;
    let block =
        &case.as_object().expect("a case").values().next().expect("one case")["blocks"][0]["rlp_decoded"];
    let header = &block["blockHeader"];
    let hash = serde_json::from_value(header["blockAccessListHash"].clone()).expect("a hash");
    let gas_limit: U64 = serde_json::from_value(header["gasLimit"].clone()).expect("a number");
    Some((list(&block["blockAccessList"]), hash, gas_limit.to()))
}

#[test]
fn valid_lists_survive_their_encoding_and_keep_the_rules() {
    for (name, accounts) in
        [("bal_simple", 8), ("bal_empty_block_no_coinbase", 4), ("bal_all_transaction_types", 16)]
    {
        let Some(case) = read(name) else { return };
        let list = list(&case);
        let rlp = alloy_rlp::encode(&list);
        assert_eq!(BlockAccessList::decode(&mut rlp.as_slice()).as_ref(), Ok(&list), "{name}");
        let hash = compute_block_access_list_hash(&list);
        assert_eq!(validate_block_access_list(&list, 30, 60_000_000, hash), Ok(()), "{name}");
        assert_eq!(list.len(), accounts, "{name}");
        let few = validate_block_access_list(&list, 30, 2000, hash);
        assert!(matches!(few, Err(BlockAccessListFault::Items { max: 1, .. })), "{name}: {few:?}");
    }
}

#[test]
fn accounts_out_of_order_are_refused_by_their_order() {
    let Some((list, hash, gas_limit)) = refused("bal_invalid_account_order") else { return };
    let fault = validate_block_access_list(&list, 1, gas_limit, hash);
    assert!(matches!(fault, Err(BlockAccessListFault::Form(_))), "{fault:?}");
    assert!(fault.unwrap_err().to_string().contains("order"));
}

#[test]
fn an_account_twice_is_refused() {
    let Some((list, hash, gas_limit)) = refused("bal_invalid_duplicate_account") else { return };
    let fault = validate_block_access_list(&list, 1, gas_limit, hash).expect_err("a duplicate");
    assert!(fault.to_string().contains("more than once"), "{fault}");
}

#[test]
fn a_list_with_another_hash_is_refused() {
    let Some((list, hash, gas_limit)) = refused("bal_invalid_hash_mismatch") else { return };
    let got = compute_block_access_list_hash(&list);
    let fault = validate_block_access_list(&list, 1, gas_limit, hash);
    assert_eq!(fault, Err(BlockAccessListFault::Hash { expected: hash, got }));
}
