//! The official difficulty tests.

mod support;

use alloy_primitives::U256;
use portico_consensus::{DifficultyInput, DifficultyRule, next_difficulty};
use serde_json::Value;
use support::{fixtures, untar};

fn rule(fork: &str) -> DifficultyRule {
    let byzantium = |bomb_delay| DifficultyRule::Byzantium { bomb_delay };
    match fork {
        "Frontier" => DifficultyRule::Frontier,
        "Homestead" => DifficultyRule::Homestead,
        "Byzantium" => byzantium(3_000_000),
        "Constantinople" => byzantium(5_000_000),
        "Berlin" => byzantium(9_000_000),
        "ArrowGlacier" => byzantium(10_700_000),
        "GrayGlacier" => byzantium(11_400_000),
        other => panic!("unknown fork {other}"),
    }
}

fn number(case: &Value, field: &str) -> U256 {
    case[field].as_str().unwrap().parse().unwrap()
}

#[test]
fn official_difficulty_tests() {
    let Some(fixtures) = fixtures() else { return };
    let mut run = 0;
    for (path, content) in untar(&fixtures.join("ethereum-tests/ethereum-tests.tar.zst")) {
        if !path.starts_with("DifficultyTests/") || !path.ends_with(".json") {
            continue;
        }
        let file: Value = serde_json::from_slice(&content).unwrap();
        let tests = file.as_object().unwrap().values().flat_map(|test| test.as_object().unwrap());
        for (fork, cases) in tests.filter(|(fork, _)| *fork != "_info") {
            for (name, case) in cases.as_object().unwrap() {
                let input = DifficultyInput {
                    number: number(case, "currentBlockNumber").to(),
                    timestamp: number(case, "currentTimestamp").to(),
                    parent_difficulty: number(case, "parentDifficulty"),
                    parent_timestamp: number(case, "parentTimestamp").to(),
                    parent_has_ommers: !number(case, "parentUncles").is_zero(),
                };
                let expected = number(case, "currentDifficulty");
                assert_eq!(next_difficulty(rule(fork), input), expected, "{path} {name}");
                run += 1;
            }
        }
    }
    println!("{run} difficulty cases");
    assert_eq!(run, 18_598);
}
