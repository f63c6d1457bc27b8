//! The conversations of the execution API's test suite.

use std::path::Path;

use portico_test_support::fixture;
use portico_tests_rpc::{Comparison, Conversation, Report, RpcNode, compare};
use serde_json::Value;

/// The newer release answers -32602, and so do we.
const OLD_CODE: &str = "the older release expects -32000 where the newer one expects -32602";

/// The newer release answers -38012, and so do we.
const OLD_FEE_CODE: &str =
    "the older release expects -32602 for a fee below the base fee, the newer one -38012";

/// The newer release answers 3, and so do we.
const OLD_REVERT_CODE: &str = "the older release has -32000 for a simulated revert, the newer one 3";

/// Conversations that go otherwise, and why.
const KNOWN: [(&str, &str, &str); 12] = [
    (
        "chain-54-osaka-bpo",
        "eth_capabilities/get-capabilities",
        "the recorded node deletes old logs, this one old proofs only: optional fields",
    ),
    ("chain-45-prague", "eth_getStorageAt/get-storage-invalid-key", OLD_CODE),
    ("chain-45-prague", "eth_getStorageAt/get-storage-invalid-key-too-large", OLD_CODE),
    ("chain-45-prague", "eth_simulateV1/ethSimulate-basefee-too-low-with-validation-38012", OLD_FEE_CODE),
    ("chain-45-prague", "eth_simulateV1/ethSimulate-check-invalid-nonce", OLD_FEE_CODE),
    (
        "chain-45-prague",
        "eth_simulateV1/ethSimulate-gas-fees-and-value-error-38014-with-validation",
        OLD_FEE_CODE,
    ),
    (
        "chain-45-prague",
        "eth_simulateV1/ethSimulate-simple-no-funds-with-validation-without-nonces",
        OLD_FEE_CODE,
    ),
    ("chain-45-prague", "eth_simulateV1/ethSimulate-simple-no-funds-with-validation", OLD_FEE_CODE),
    ("chain-45-prague", "eth_simulateV1/ethSimulate-simple-send-from-contract-with-validation", OLD_FEE_CODE),
    (
        "chain-45-prague",
        "eth_simulateV1/ethSimulate-eth-send-should-not-produce-logs-on-revert",
        OLD_REVERT_CODE,
    ),
    (
        "chain-45-prague",
        "eth_simulateV1/ethSimulate-eth-send-should-produce-no-logs-on-forward-revert",
        OLD_REVERT_CODE,
    ),
    ("chain-45-prague", "eth_simulateV1/ethSimulate-fee-recipient-receiving-funds", OLD_REVERT_CODE),
];

#[tokio::test(flavor = "multi_thread")]
async fn osaka_chain_answers_as_recorded() {
    replay("chain-54-osaka-bpo", Dialect::Current).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prague_chain_answers_as_recorded() {
    replay("chain-45-prague", Dialect::Prague).await;
}

/// What an older release of the suite did not know yet: times of transactions, gas before refunds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Current,
    Prague,
}

async fn replay(chain: &str, dialect: Dialect) {
    let Some(folder) = fixture("execution-apis").map(|root| root.join(chain)) else { return };
    let node = RpcNode::import(&folder.join("genesis.json"), &folder.join("chain.rlp")).unwrap();
    node.apply_forkchoice(&folder.join("headfcu.json")).unwrap();
    let mut report = Report::default();
    for conversation in Conversation::read_all(&folder).unwrap() {
        replay_one(&node, chain, dialect, &conversation, &mut report).await;
    }
    report.finish(chain);
}

async fn replay_one(
    node: &RpcNode,
    chain: &str,
    dialect: Dialect,
    conversation: &Conversation,
    report: &mut Report,
) {
    let missing = conversation.exchanges.iter().find(|exchange| !node.has_method(exchange.method()));
    if let Some(exchange) = missing {
        return report.skip(format!("{} is not implemented", exchange.method()));
    }
    let name = conversation.name();
    let known = known_difference(chain, &name);
    match (hold(node, dialect, conversation).await, known) {
        (Ok(()), None) => report.pass(),
        (Ok(()), Some(_)) => report.fail(&name, "answers as recorded now: take it off the list"),
        (Err(_), Some(reason)) => report.known(&name, reason),
        (Err(reason), None) => report.fail(&name, &reason),
    }
}

fn known_difference(chain: &str, name: &str) -> Option<&'static str> {
    KNOWN.iter().find(|known| (known.0, known.1) == (chain, name)).map(|known| known.2)
}

async fn hold(node: &RpcNode, dialect: Dialect, conversation: &Conversation) -> Result<(), String> {
    let comparison = if conversation.shape_only { Comparison::Shape } else { Comparison::Exact };
    for exchange in &conversation.exchanges {
        let mut found = node.call(&exchange.request).await.unwrap();
        if dialect == Dialect::Prague {
            drop_later_fields(&mut found);
        }
        compare(&exchange.response, &found, comparison)?;
    }
    Ok(())
}

fn drop_later_fields(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.contains_key("input") {
                fields.remove("blockTimestamp");
            }
            fields.remove("maxUsedGas");
            fields.values_mut().for_each(drop_later_fields);
        }
        Value::Array(elements) => elements.iter_mut().for_each(drop_later_fields),
        _ => {}
    }
}

#[test]
fn the_list_of_known_differences_names_files() {
    let Some(root) = fixture("execution-apis") else { return };
    for (chain, name, _) in KNOWN {
        let file = root.join(chain).join(Path::new(name).with_extension("io"));
        assert!(file.is_file(), "{}", file.display());
    }
}
