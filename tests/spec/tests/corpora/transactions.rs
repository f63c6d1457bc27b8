//! Transactions alone, by the rules of each fork.

use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, U64};
use portico_chainspec::{BlockContext, ChainSpec};
use portico_evm::{BlockRules, Transaction, TransactionFault, validate_transaction};
use revm::context::result::InvalidTransaction;
use serde_json::Value;

use crate::{Tally, bytes, same};

pub fn run(tally: &mut Tally, cases: &Value) {
    for (name, case) in cases.as_object().expect("cases by name") {
        for (fork, expected) in case["result"].as_object().expect("results by fork") {
            tally.case(&format!("{name} {fork}"), || {
                // Bytes that are no hex are no transaction.
                let decoded = bytes(&case["txbytes"]).ok().map(|rlp| Transaction::decode_2718_exact(&rlp));
                judge(fork, expected, decoded.and_then(Result::ok))
            });
        }
    }
}

fn judge(fork: &str, expected: &Value, transaction: Option<Transaction>) -> Result<(), String> {
    let exception = expected.get("exception").and_then(Value::as_str);
    let Some(transaction) = transaction else {
        return exception.map(|_| ()).ok_or_else(|| "the bytes are refused".to_owned());
    };
    let spec = ChainSpec::for_test_network(fork, 1, None).map_err(|error| error.to_string())?;
    let merged = spec.terminal_total_difficulty().is_some();
    let rules = BlockRules::new(&spec, BlockContext { number: 1, timestamp: 1, merged });
    match (validate_transaction(rules, &transaction), exception) {
        (Ok(valid), None) => {
            let field = |name: &str| expected[name].clone();
            let sender: Address =
                serde_json::from_value(field("sender")).map_err(|error| error.to_string())?;
            let hash: B256 = serde_json::from_value(field("hash")).map_err(|error| error.to_string())?;
            let gas: U64 =
                serde_json::from_value(field("intrinsicGas")).map_err(|error| error.to_string())?;
            same("sender", &sender, &valid.sender)?;
            same("hash", &hash, transaction.hash())?;
            same("intrinsic gas", &gas.to(), &valid.intrinsic_gas)
        }
        (Err(fault), Some(exception)) if is_meant(exception, &fault) => Ok(()),
        (Err(fault), Some(exception)) => Err(format!("expected {exception}, got {fault:?}")),
        (Ok(_), Some(exception)) => Err(format!("expected {exception}, got a valid transaction")),
        (Err(fault), None) => Err(format!("expected a valid transaction, got {fault:?}")),
    }
}

/// Whether a fault found after reading is what the exception names.
fn is_meant(exception: &str, fault: &TransactionFault) -> bool {
    use InvalidTransaction as Rule;
    let exception = exception.strip_prefix("TransactionException.").unwrap_or(exception);
    match fault {
        TransactionFault::Signature => {
            exception.contains("SIGNATURE") || matches!(exception, "INVALID_CHAINID" | "EC_RECOVERY_FAIL")
        }
        TransactionFault::Rule(rule) => match rule {
            Rule::CallGasCostMoreThanGasLimit { .. } | Rule::GasFloorMoreThanGasLimit { .. } => {
                exception == "INTRINSIC_GAS_TOO_LOW"
            }
            Rule::CreateInitCodeSizeLimit => exception == "INITCODE_SIZE_EXCEEDED",
            Rule::NonceOverflowInTransaction => exception.starts_with("NONCE_"),
            Rule::PriorityFeeGreaterThanMaxFee => exception.starts_with("PRIORITY_"),
            Rule::InvalidChainId => matches!(exception, "INVALID_CHAINID" | "INVALID_SIGNATURE_VRS"),
            // A type that the fork does not have may be anything else as well.
            Rule::Eip2930NotSupported | Rule::Eip1559NotSupported => true,
            _ => false,
        },
    }
}
