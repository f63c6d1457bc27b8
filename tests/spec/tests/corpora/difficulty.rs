//! The difficulty formulas, block by block.

use alloy_consensus::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::{B256, U256};
use portico_chainspec::{BlockContext, ChainSpec};
use portico_consensus::{DifficultyInput, DifficultyRule, next_difficulty};
use serde_json::Value;

use crate::{Tally, same};

pub fn run(tally: &mut Tally, cases: &Value) {
    for groups in cases.as_object().expect("cases by name").values() {
        let groups = groups.as_object().expect("networks by name");
        for (network, blocks) in groups.iter().filter(|(name, _)| *name != "_info") {
            let spec = ChainSpec::for_test_network(network, 1, None).expect("a known network");
            for (name, block) in blocks.as_object().expect("blocks by name") {
                let name = format!("{network} {name}");
                tally.case(&name, || check(block, |context| DifficultyRule::of(&spec, context)));
            }
        }
    }
}

/// Checks one block under the formula that `rule` says it follows.
pub fn check(block: &Value, rule: impl Fn(BlockContext) -> DifficultyRule) -> Result<(), String> {
    let number = |field: &str| -> Result<U256, String> {
        let text = block[field].as_str().ok_or_else(|| format!("{field} is missing"))?;
        // Decimal, or hex with 0x.
        text.parse().map_err(|error| format!("{field} {text}: {error}"))
    };
    let small = |field: &str| Ok::<u64, String>(number(field)?.saturating_to());
    let input = DifficultyInput {
        number: small("currentBlockNumber")?,
        timestamp: small("currentTimestamp")?,
        parent_difficulty: number("parentDifficulty")?,
        parent_timestamp: small("parentTimestamp")?,
        parent_has_ommers: has_ommers(block)?,
    };
    let context = BlockContext { number: input.number, timestamp: input.timestamp, merged: false };
    same("difficulty", &number("currentDifficulty")?, &next_difficulty(rule(context), input))
}

/// Whether the parent is one that no chain has: see [`EASY_PARENT`](crate::claims::EASY_PARENT).
pub fn has_easy_parent(block: &Value) -> bool {
    let text = block["parentDifficulty"].as_str().unwrap_or_default();
    text.parse().is_ok_and(|difficulty: U256| difficulty < U256::from(131_072))
}

/// `0x00` or `0x01`, or the hash of the ommers; none where nothing is said.
fn has_ommers(block: &Value) -> Result<bool, String> {
    let Some(text) = block.get("parentUncles").and_then(Value::as_str) else { return Ok(false) };
    match text {
        "0x00" => Ok(false),
        "0x01" => Ok(true),
        hash => Ok(hash.parse::<B256>().map_err(|error| error.to_string())? != EMPTY_OMMER_ROOT_HASH),
    }
}
