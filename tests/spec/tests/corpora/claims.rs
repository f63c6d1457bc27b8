//! Who runs which file of the archives, and what is not run, with the reason.

use std::{collections::BTreeSet, ops::ControlFlow, path::Path};

use portico_spec::for_each_file;
use portico_test_support::fixture;
use serde_json::Value;

use crate::{Tally, basic, difficulty, genesis, inner_name, keystore, rlp, transactions, tries};

/// What becomes of the files below a folder.
#[derive(Clone, Copy)]
pub enum Claim {
    /// All run by this crate's tests.
    Run(fn(&mut Tally, &Value)),
    /// Run by `portico evm blocktest`: a selection in `consensus.rs`, all by `make conformance`.
    BlockTests,
    /// Run by `portico evm statetest`, likewise.
    StateTests,
    /// Run by another crate's tests.
    Elsewhere(&'static str),
    /// Not run, for this reason.
    Skip(&'static str),
}

/// Each folder, or single file, of the archives.
pub const CLAIMS: [(&str, Claim); 16] = [
    ("ABITests/", Claim::Skip("nothing of ours encodes contract calls")),
    ("BasicTests/", Claim::Run(basic::run)),
    ("BlockchainTests/", Claim::BlockTests),
    ("Cancun/BlockchainTests/", Claim::BlockTests),
    ("Constantinople/BlockchainTests/", Claim::BlockTests),
    ("DifficultyTests/", Claim::Run(difficulty::run)),
    ("GenesisTests/", Claim::Run(genesis::run)),
    ("KeyStoreTests/", Claim::Run(keystore::run)),
    ("PoWTests/", Claim::Elsewhere("execution/consensus/tests/ethash.rs")),
    ("RLPTests/", Claim::Run(rlp::run)),
    ("TransactionTests/", Claim::Run(transactions::run)),
    ("TrieTests/", Claim::Run(tries::run)),
    ("blockchain_tests/", Claim::BlockTests),
    ("blockchain_tests_devnet/for_amsterdam/", Claim::BlockTests),
    ("blockchain_tests_devnet/for_", Claim::BlockTests),
    ("state_tests/", Claim::StateTests),
];

/// For the printed list; the file of another crate must exist.
fn by_whom(claim: &Claim) -> String {
    match claim {
        Claim::Run(_) => "run here".to_owned(),
        Claim::BlockTests => "block tests".to_owned(),
        Claim::StateTests => "state tests".to_owned(),
        Claim::Elsewhere(file) => {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
            assert!(path.is_file(), "{file} does not exist");
            format!("run by {file}")
        }
        Claim::Skip(reason) => format!("SKIPPED: {reason}"),
    }
}

/// A case that is not run.
#[derive(Debug)]
pub struct Skip {
    /// Beginning of the file's path in the archive.
    pub file: &'static str,
    /// Beginning of the case's name.
    pub case: &'static str,
    /// Why.
    pub reason: &'static str,
}

const PLAIN_KEYS: &str = "keys that are not 32 bytes long, or a walk by them: our tries are keyed by hashes";
const WIDE_PRICE: &str =
    "a gas price of more than 128 bits, which no account could pay: refused when it is read";

/// Of 360 blocks in `BasicTests/difficultyCustom…`, told by their content.
pub const EASY_PARENT: &str =
    "a parent below the lowest difficulty, which no block has: formulas differ there";

/// All cases of kinds that are run which are not run.
pub const SKIPS: &[Skip] = &[
    Skip {
        file: "BasicTests/blockgenesistest.json",
        case: "",
        reason: "headers from before Frontier, with other fields",
    },
    Skip {
        file: "BasicTests/crypto.json",
        case: "",
        reason: "encryption between peers, which this version does not have",
    },
    Skip { file: "TrieTests/trieanyorder.json", case: "", reason: PLAIN_KEYS },
    Skip { file: "TrieTests/trietest.json", case: "", reason: PLAIN_KEYS },
    Skip { file: "TrieTests/trietestnextprev.json", case: "", reason: PLAIN_KEYS },
    Skip { file: "TransactionTests/ttGasPrice/TransactionWithHighGasPrice", case: "", reason: WIDE_PRICE },
    Skip {
        file: "TransactionTests/ttEIP1559/GasLimitPriceProductOverflowtMinusOne.json",
        case: "",
        reason: WIDE_PRICE,
    },
    Skip { file: "TransactionTests/ttVValue/V_equals38.json", case: "", reason: WIDE_PRICE },
    Skip {
        file: "KeyStoreTests/basic_tests.json",
        case: "test2",
        reason: "scrypt with n = 2^18 and r = 1, beyond n < 2^(16 r) of RFC 7914: the library refuses it",
    },
];

/// Archives whose files must all be claimed.
const ARCHIVES: [&str; 8] = [
    "eest/blockchain.tar.zst",
    "eest/blockchain-static-sample.tar.zst",
    "eest/devnet.tar.zst",
    "eest/devnet-amsterdam.tar.zst",
    "eest/state.tar.zst",
    "ethereum-tests/ethereum-tests.tar.zst",
    "ethereum-tests/legacy-cancun.tar.zst",
    "ethereum-tests/legacy-constantinople.tar.zst",
];

#[test]
fn every_file_is_claimed_and_every_claim_meets_a_file() {
    let mut met = BTreeSet::new();
    let mut unclaimed = Vec::new();
    let mut skips_met = BTreeSet::new();
    for archive in ARCHIVES {
        let Some(path) = fixture(archive) else { return };
        for_each_file(std::slice::from_ref(&path), |file| {
            let name = file.expect("a readable file").name;
            let inner = inner_name(&path, &name);
            match CLAIMS.iter().find(|(prefix, _)| inner.starts_with(prefix)) {
                Some((prefix, claim)) => {
                    if met.insert(*prefix) {
                        println!("{prefix:<40} {}", by_whom(claim));
                    }
                }
                None => unclaimed.push(name.clone()),
            }
            skips_met.extend(SKIPS.iter().map(|skip| skip.file).filter(|file| inner.starts_with(file)));
            ControlFlow::Continue(())
        })
        .expect("readable fixtures");
    }
    assert!(unclaimed.is_empty(), "files that no runner claims: {unclaimed:#?}");
    let idle: Vec<_> =
        CLAIMS.iter().map(|(prefix, _)| *prefix).filter(|prefix| !met.contains(prefix)).collect();
    assert!(idle.is_empty(), "claims without a file: {idle:?}");
    let idle: Vec<_> = SKIPS.iter().map(|skip| skip.file).filter(|file| !skips_met.contains(file)).collect();
    assert!(idle.is_empty(), "skips without a file: {idle:?}");
}

#[test]
fn archives_on_disk_are_all_in_the_list() {
    for folder in ["eest", "ethereum-tests"] {
        let Some(path) = fixture(folder) else { return };
        for entry in std::fs::read_dir(path).expect("a folder") {
            let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
            let archive = format!("{folder}/{name}");
            assert!(!name.ends_with(".tar.zst") || ARCHIVES.contains(&archive.as_str()), "{archive}");
        }
    }
}
