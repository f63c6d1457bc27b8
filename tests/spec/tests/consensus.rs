//! A bounded selection of the published block and state tests, every fork and every archive among it; `make
//! conformance` runs them all.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use portico_spec::{
    BlockTestSettings, Report, RunOptions, StateTestSettings, run_block_tests, run_state_tests,
};
use portico_test_support::fixture;

/// Archives of block tests, and every how many-th case of each is run. One case of the Constantinople set that expands the
/// interpreter's memory to 1.5 GB (`randomStatetest94`) is not among them.
const BLOCK_TESTS: [(&str, u64); 6] = [
    ("eest/blockchain.tar.zst", 8),
    ("eest/blockchain-static-sample.tar.zst", 8),
    ("eest/devnet.tar.zst", 24),
    ("ethereum-tests/ethereum-tests.tar.zst", 4),
    ("ethereum-tests/legacy-cancun.tar.zst", 12),
    ("ethereum-tests/legacy-constantinople.tar.zst", 6),
];

/// One run at a time: each keeps all processors busy, with a database and waiting files for each of them.
fn alone() -> MutexGuard<'static, ()> {
    static RUNNING: Mutex<()> = Mutex::new(());
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn every(every: u64) -> RunOptions {
    RunOptions { every, ..RunOptions::default() }
}

fn block_tests(archive: &str, options: &RunOptions, settings: BlockTestSettings) -> Option<Report> {
    let path = fixture(archive)?;
    let report = run_block_tests(&[path], options, settings).expect("readable fixtures");
    println!("{archive}\n{report}");
    Some(report)
}

#[test]
fn block_tests_of_all_archives_agree() {
    let _alone = alone();
    let mut networks = BTreeSet::new();
    let mut run = 0;
    let mut refused = 0;
    for (archive, nth) in BLOCK_TESTS {
        let Some(report) = block_tests(archive, &every(nth), BlockTestSettings::default()) else { return };
        assert!(report.is_success(), "{archive}");
        assert!(report.total().run >= 60, "{archive}: only {} cases", report.total().run);
        refused += report.refused_blocks;
        run += report.total().run;
        networks.extend(report.forks.into_iter().filter(|(_, counts)| counts.run > 0).map(|(fork, _)| fork));
    }
    assert!(run >= 1000, "{run} cases");
    assert!(refused >= 50, "{refused} blocks that must be refused");
    let wanted = [
        "Frontier",
        "Homestead",
        "EIP150",
        "EIP158",
        "Byzantium",
        "Constantinople",
        "ConstantinopleFix",
        "Istanbul",
        "Berlin",
        "London",
        "Paris",
        "Shanghai",
        "Cancun",
        "Prague",
        "Osaka",
    ];
    let missing: Vec<_> = wanted.into_iter().filter(|fork| !networks.contains(*fork)).collect();
    assert!(missing.is_empty(), "no case of {missing:?} among {networks:?}");
}

#[test]
fn forks_change_at_their_block_or_time() {
    let _alone = alone();
    // All transitions of the older corpora; the names of the networks tell them.
    let options = RunOptions { filter: Some("To".to_owned()), every: 1, ..RunOptions::default() };
    let Some(path) = fixture("ethereum-tests/ethereum-tests.tar.zst") else { return };
    let report = run_block_tests(&[path], &options, BlockTestSettings::default()).expect("readable fixtures");
    println!("{report}");
    assert!(report.is_success());
    let transitions = report.forks.iter().filter(|(fork, counts)| fork.contains("To") && counts.run > 0);
    assert!(transitions.count() >= 6, "{:?}", report.forks.keys());
}

#[test]
fn chains_go_back_to_genesis_and_forward_again() {
    let _alone = alone();
    let settings = BlockTestSettings { unwind: true, ..BlockTestSettings::default() };
    for (archive, nth) in [
        ("eest/blockchain.tar.zst", 40),
        ("eest/devnet.tar.zst", 150),
        ("ethereum-tests/legacy-constantinople.tar.zst", 21),
    ] {
        let Some(report) = block_tests(archive, &every(nth), settings) else { return };
        assert!(report.is_success(), "{archive}");
        assert!(report.total().run >= 20, "{archive}: only {} cases", report.total().run);
    }
}

#[test]
fn blocks_one_by_one_lead_where_batches_lead() {
    let _alone = alone();
    let settings = BlockTestSettings { one_by_one: true, ..BlockTestSettings::default() };
    for (archive, nth) in [("eest/blockchain.tar.zst", 40), ("ethereum-tests/legacy-cancun.tar.zst", 60)] {
        let Some(report) = block_tests(archive, &every(nth), settings) else { return };
        assert!(report.is_success(), "{archive}");
        assert!(report.total().run >= 20, "{archive}: only {} cases", report.total().run);
    }
}

#[test]
fn state_tests_agree() {
    let _alone = alone();
    let Some(path) = fixture("eest/state.tar.zst") else { return };
    let report =
        run_state_tests(&[path], &every(4), &StateTestSettings::default()).expect("readable fixtures");
    println!("{report}");
    assert!(report.is_success());
    assert!(report.total().run >= 2000, "only {} cases", report.total().run);
    assert!(report.refused_blocks > 0, "no transaction that must be refused");
}

#[test]
fn block_tests_are_no_state_tests_and_say_so() {
    let _alone = alone();
    let Some(path) = fixture("eest/state.tar.zst") else { return };
    let paths: [PathBuf; 1] = [path];
    let report =
        run_block_tests(&paths, &every(500), BlockTestSettings::default()).expect("readable fixtures");
    assert!(!report.is_success(), "nothing was run");
    assert_eq!(report.total().run, 0);
    assert!(report.skips["not a block test"] > 0);
}
