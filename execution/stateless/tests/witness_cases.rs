//! Witnesses that two other clients made, for blocks of every fork from Frontier to Prague.

mod support;

use std::collections::BTreeMap;

use portico_chainspec::ChainSpec;
use portico_stateless::{Witness, validate};
use serde_json::Value;
use support::{blocks, fixture};

#[test]
fn blocks_are_proven_by_the_witnesses_of_other_clients() {
    let Some(chain) = fixture("execution-apis/chain-45-prague") else { return };
    let Some(cases) = fixture("erigon-rpc/hive/debug_executionWitness") else { return };
    let spec = ChainSpec::from_genesis_json(&std::fs::read(chain.join("genesis.json")).unwrap()).unwrap();
    let blocks: BTreeMap<u64, _> =
        blocks(&chain.join("chain.rlp")).into_iter().map(|block| (block.header.number, block)).collect();
    let mut files: Vec<_> = std::fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut failures = Vec::new();
    for file in &files {
        let name = file.file_name().unwrap().to_string_lossy();
        let conversation: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        for exchange in conversation.as_array().unwrap() {
            let number = exchange["request"]["params"][0].as_str().unwrap().trim_start_matches("0x");
            let block = &blocks[&u64::from_str_radix(number, 16).unwrap()];
            let witness = serde_json::to_vec(&exchange["response"]["result"]).unwrap();
            let witness = Witness::decode_json(&witness).unwrap_or_else(|error| panic!("{name}: {error}"));
            match validate(&spec, block, &witness) {
                Ok(report) => {
                    assert_eq!(report.state_root, block.header.state_root);
                    assert_eq!(report.transactions, block.body.transactions.len());
                }
                Err(error) => failures.push(format!("{name}: {error}")),
            }
        }
    }
    println!("{} witnesses, {} fail", files.len(), failures.len());
    assert_eq!(files.len(), 60, "the fixtures hold 60");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
