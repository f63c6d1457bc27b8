//! The smaller corpora of `ethereum-tests`, in full: RLP, tries, transactions, difficulty, genesis blocks, keys. Block
//! and state tests have runners of their own.

mod access_lists;
mod basic;
mod claims;
mod difficulty;
mod genesis;
mod keystore;
mod rlp;
mod transactions;
mod tries;

use std::{collections::BTreeMap, ops::ControlFlow, path::Path};

use claims::{CLAIMS, Claim, SKIPS};
use portico_spec::for_each_file;
use portico_test_support::fixture;
use serde_json::Value;

/// The archive that the smaller corpora are in.
pub const ETHEREUM_TESTS: &str = "ethereum-tests/ethereum-tests.tar.zst";

/// What became of the cases of one kind.
#[derive(Debug, Default)]
pub struct Tally {
    file: String,
    /// Cases that were run; one case under the rules of two forks is two.
    pub run: u64,
    /// By reason.
    pub skipped: BTreeMap<&'static str, u64>,
    failures: Vec<String>,
}

impl Tally {
    /// Runs a case, unless the list of skips has it.
    pub fn case(&mut self, name: &str, run: impl FnOnce() -> Result<(), String>) {
        let skip = SKIPS.iter().find(|skip| self.file.starts_with(skip.file) && name.starts_with(skip.case));
        if let Some(skip) = skip {
            return self.skip(skip.reason);
        }
        self.run += 1;
        if let Err(difference) = run() {
            self.failures.push(format!("{} {name}: {difference}", self.file));
        }
    }

    /// Leaves out a case for a reason in the list.
    fn skip(&mut self, reason: &'static str) {
        *self.skipped.entry(reason).or_default() += 1;
    }
}

/// Runs all files of a kind; `None` where the fixtures are absent.
///
/// # Panics
/// When a case fails, or a file holds no case that was run or is on the list of skips.
fn run_kind(prefix: &str) -> Option<Tally> {
    let claim = CLAIMS.iter().find(|(claimed, _)| *claimed == prefix).expect("a claimed kind");
    let Claim::Run(run) = claim.1 else { panic!("{prefix} is not run here") };
    let path = fixture(ETHEREUM_TESTS)?;
    let mut tally = Tally::default();
    for_each_file(std::slice::from_ref(&path), |file| {
        let file = file.expect("a readable file");
        let inner = inner_name(&path, &file.name);
        if inner.starts_with(prefix) {
            let cases: Value = serde_json::from_str(&file.text).expect("JSON");
            let before = (tally.run, tally.skipped.values().sum::<u64>());
            tally.file = inner.to_owned();
            run(&mut tally, &cases);
            let after = (tally.run, tally.skipped.values().sum::<u64>());
            assert_ne!(before, after, "{inner}: no case was run or skipped for a reason");
        }
        ControlFlow::Continue(())
    })
    .expect("readable fixtures");
    println!("{prefix} {} cases run, skipped: {:?}", tally.run, tally.skipped);
    let failures = &tally.failures;
    let shown = failures.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} of {} cases failed:\n{shown}", failures.len(), tally.run);
    Some(tally)
}

/// The path in an archive, from the name that the reader gives.
fn inner_name<'a>(archive: &Path, name: &'a str) -> &'a str {
    name.strip_prefix(&format!("{}:", archive.display())).expect("a name within the archive")
}

/// What two values that must be equal are.
pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, got: &T) -> Result<(), String> {
    if expected == got { Ok(()) } else { Err(format!("{what}: expected {expected:?}, got {got:?}")) }
}

/// The bytes of a hex string, with `0x` or without.
pub fn bytes(value: &Value) -> Result<Vec<u8>, String> {
    let text = value.as_str().ok_or("no string")?;
    alloy_primitives::hex::decode(text).map_err(|error| format!("{text}: {error}"))
}

#[test]
fn rlp_tests_agree() {
    let Some(tally) = run_kind("RLPTests/") else { return };
    assert_eq!(tally.run, 55);
}

#[test]
fn trie_tests_agree() {
    let Some(tally) = run_kind("TrieTests/") else { return };
    assert_eq!(tally.run, 13);
}

#[test]
fn transaction_tests_agree() {
    let Some(tally) = run_kind("TransactionTests/") else { return };
    assert!(tally.run >= 2500, "{} cases", tally.run);
}

#[test]
fn difficulty_tests_agree() {
    let Some(tally) = run_kind("DifficultyTests/") else { return };
    assert_eq!(tally.run, 18_598);
}

#[test]
fn basic_tests_agree() {
    let Some(tally) = run_kind("BasicTests/") else { return };
    assert!(tally.run >= 4600, "{} cases", tally.run);
}

#[test]
fn genesis_tests_agree() {
    let Some(tally) = run_kind("GenesisTests/") else { return };
    assert_eq!(tally.run, 3);
}

#[test]
fn key_store_tests_agree() {
    let Some(tally) = run_kind("KeyStoreTests/") else { return };
    assert_eq!(tally.run, 4);
}
