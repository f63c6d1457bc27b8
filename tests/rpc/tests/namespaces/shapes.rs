//! Erigon's answers on mainnet, which only their members' names can be compared with.

use portico_tests_rpc::Report;

use super::*;

/// The first exchange of a file of recorded answers.
fn recorded(file: &str) -> Option<Value> {
    let path = fixture("erigon-rpc/shapes-mainnet")?.join(file);
    let exchanges: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    Some(exchanges[0]["response"]["result"].clone())
}

/// Names of members, with those of the first element of each list below.
fn names(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                // Addresses and slots are no names.
                let name = if name.starts_with("0x") { "0x…" } else { name };
                found.insert(format!("{path}.{name}"));
                names(member, &format!("{path}.{name}"), found);
            }
        }
        Value::Array(elements) => {
            elements.first().into_iter().for_each(|element| names(element, &format!("{path}[]"), found));
        }
        _ => {}
    }
}

/// Members that depend on the fork or on the kind of transaction.
const VARYING: [&str; 21] = [
    "accessList",
    "authorizationList",
    "baseFeePerGas",
    "blobGasPrice",
    "blobGasUsed",
    "blobVersionedHashes",
    "chainId",
    "excessBlobGas",
    "logs[]",
    "maxFeePerBlobGas",
    "maxFeePerGas",
    "maxPriorityFeePerGas",
    "parentBeaconBlockRoot",
    "requestsHash",
    "root",
    "status",
    "uncles[]",
    "withdrawals",
    "withdrawalsRoot",
    "yParity",
    "storage",
];

fn is_varying(name: &str) -> bool {
    VARYING.iter().any(|varying| name.contains(varying))
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_have_the_members_that_erigons_have() {
    let Some(node) = node() else { return };
    let blocks = blocks(&node).await;
    let calls = |block: &&Value| transactions(block).first().is_some_and(|tx| !tx["to"].is_null());
    let block = blocks.iter().rev().find(calls).unwrap();
    let tx = &transactions(block)[0];
    let cases = [
        ("ots_getBlockDetails/test_05.json", "ots_getBlockDetails", json!([block["number"]])),
        ("ots_getBlockTransactions/test_07.json", "ots_getBlockTransactions", json!([block["number"], 0, 5])),
        (
            "ots_searchTransactionsBefore/test_11.json",
            "ots_searchTransactionsBefore",
            json!([tx["from"], 0, 1]),
        ),
        (
            "ots_searchTransactionsAfter/test_11.json",
            "ots_searchTransactionsAfter",
            json!([tx["from"], 0, 1]),
        ),
        ("ots_traceTransaction/test_13.json", "ots_traceTransaction", json!([tx["hash"]])),
        ("erigon_getHeaderByNumber/test_08.json", "erigon_getHeaderByNumber", json!([block["number"]])),
        ("erigon_getHeaderByHash/test_06.json", "erigon_getHeaderByHash", json!([block["hash"]])),
        (
            "erigon_getBlockByTimestamp/test_05.json",
            "erigon_getBlockByTimestamp",
            json!([block["timestamp"], false]),
        ),
        ("debug_accountAt/test_09.json", "debug_accountAt", json!([block["hash"], 0, tx["from"]])),
        (
            "debug_accountRange/test_08.json",
            "debug_accountRange",
            json!(["latest", "0x", 1, false, true, false]),
        ),
        ("trace_block/test_10.json", "trace_block", json!([block["number"]])),
        ("trace_transaction/test_10.json", "trace_transaction", json!([tx["hash"]])),
    ];
    let mut report = Report::default();
    for (file, method, params) in cases {
        let Some(expected) = recorded(file) else { return };
        let (mut theirs, mut ours) = (BTreeSet::new(), BTreeSet::new());
        names(&expected, "", &mut theirs);
        names(&result(&node, method, params).await, "", &mut ours);
        let (missing, more): (Vec<_>, Vec<_>) = (
            theirs.difference(&ours).filter(|name| !is_varying(name)).collect(),
            ours.difference(&theirs).filter(|name| !is_varying(name)).collect(),
        );
        if missing.is_empty() && more.is_empty() {
            report.pass();
        } else {
            report.fail(method, &format!("{missing:?} are missing, {more:?} are too many"));
        }
    }
    report.finish("members of Erigon's answers");
}
