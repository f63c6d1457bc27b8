//! Genesis blocks from their descriptions.

use alloy_primitives::hex;
use portico_chainspec::ChainSpec;
use portico_evm::Transaction;
use serde_json::{Value, json};

use crate::{Tally, bytes, same};

pub fn run(tally: &mut Tally, cases: &Value) {
    for (name, case) in cases.as_object().expect("cases by name") {
        tally.case(name, || {
            let spec = ChainSpec::from_genesis_json(modern(case).to_string().as_bytes());
            let spec = spec.map_err(|error| error.to_string())?;
            let block = alloy_consensus::Block::<Transaction>::uncle(spec.genesis_header().clone());
            same("block", &hex::encode(bytes(&case["result"])?), &hex::encode(alloy_rlp::encode(&block)))
        });
    }
}

/// The description in the words of today: `wei` is a balance, nothing is 0, and the rules are Frontier's.
fn modern(case: &Value) -> Value {
    let mut genesis = case.clone();
    let fields = genesis.as_object_mut().expect("an object");
    fields.remove("result");
    fields.insert("config".to_owned(), json!({ "chainId": 1 }));
    if fields["timestamp"] == "0x" {
        fields.insert("timestamp".to_owned(), json!("0x0"));
    }
    for account in fields["alloc"].as_object_mut().expect("accounts").values_mut() {
        let account = account.as_object_mut().expect("an account");
        let balance = account.remove("wei").or(account.remove("balance")).unwrap_or(json!("0x0"));
        account.insert("balance".to_owned(), balance);
    }
    genesis
}
