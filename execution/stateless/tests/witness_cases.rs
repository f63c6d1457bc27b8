//! Witnesses that two other clients made, for blocks of every fork from Frontier to Prague.

mod support;

use std::collections::BTreeMap;

use alloy_primitives::hex;
use portico_chainspec::ChainSpec;
use portico_stateless::{Block, StatelessError, Witness, WitnessError, validate};
use serde_json::Value;
use support::{blocks, fixture};

/// A witness in JSON and the block that it is for.
struct Case {
    name: String,
    block: Block,
    witness: Value,
}

fn cases() -> Option<(ChainSpec, Vec<Case>)> {
    let chain = fixture("execution-apis/chain-45-prague")?;
    let folder = fixture("erigon-rpc/hive/debug_executionWitness")?;
    let spec = ChainSpec::from_genesis_json(&std::fs::read(chain.join("genesis.json")).unwrap()).unwrap();
    let blocks: BTreeMap<u64, Block> =
        blocks(&chain.join("chain.rlp")).into_iter().map(|block| (block.header.number, block)).collect();
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut cases = Vec::new();
    for file in &files {
        let conversation: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        for exchange in conversation.as_array().unwrap() {
            let number = exchange["request"]["params"][0].as_str().unwrap().trim_start_matches("0x");
            let block = blocks[&u64::from_str_radix(number, 16).unwrap()].clone();
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            cases.push(Case { name, block, witness: exchange["response"]["result"].clone() });
        }
    }
    assert_eq!(cases.len(), 60, "the fixtures hold 60");
    Some((spec, cases))
}

fn decode(witness: &Value) -> Result<Witness, WitnessError> {
    Witness::decode_json(&serde_json::to_vec(witness).unwrap())
}

#[test]
fn blocks_are_proven_by_the_witnesses_of_other_clients() {
    let Some((spec, cases)) = cases() else { return };
    let mut ommers = 0;
    for Case { name, block, witness } in &cases {
        let report = validate(&spec, block, &decode(witness).unwrap())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(report.state_root, block.header.state_root);
        assert_eq!(report.transactions, block.body.transactions.len());
        assert!(report.assumed_absent.is_empty(), "{name}");
        ommers += report.ommers;
    }
    assert_eq!(ommers, 21, "one in each of seven blocks, three witnesses of each");
}

#[test]
fn whatever_is_taken_away_or_changed_is_missed_or_was_not_needed() {
    let Some((spec, cases)) = cases() else { return };
    let (mut errors, mut needless) = (0, 0);
    for Case { name, block, witness } in &cases {
        let report = validate(&spec, block, &decode(witness).unwrap()).unwrap();
        for part in ["headers", "codes", "state"] {
            for item in 0..witness[part].as_array().unwrap().len() {
                let mut less = witness.clone();
                let taken = less[part].as_array_mut().unwrap().remove(item);
                let mut damaged = vec![less.clone()];
                if let Some(hex) = taken.as_str() {
                    let mut bytes: Vec<u8> = hex::decode(hex).unwrap();
                    for at in (0..bytes.len()).step_by(bytes.len().div_ceil(3).max(1)) {
                        bytes[at] ^= 1;
                        less[part].as_array_mut().unwrap().push(hex::encode_prefixed(&bytes).into());
                        damaged.push(less.clone());
                    }
                }
                for damaged in damaged {
                    match decode(&damaged)
                        .map_err(StatelessError::from)
                        .and_then(|witness| validate(&spec, block, &witness))
                    {
                        Ok(without) => {
                            assert_eq!(without, report, "{name}: {part} {item}");
                            needless += 1;
                        }
                        Err(StatelessError::Witness(_)) => errors += 1,
                        Err(error) => panic!("{name}: {part} {item}: {error}"),
                    }
                }
            }
        }
    }
    println!("{errors} damaged witnesses are refused, {needless} lack what was not needed");
    assert!(errors > 10 * needless, "{errors} against {needless}");
}
