//! A heavier or longer branch in files replaces the chain; a lighter one does not.

use std::path::{Path, PathBuf};

use portico_generator::GeneratorConfig;
use portico_stages::StopSignal;
use portico_test_support::{TestNode, assert_same_tables, fixture};

/// What a reorganisation leaves beside the new chain: the blocks that lost, their numbers, and their code.
const OF_THE_LOSER: &[&str] = &["SideBlocks", "HeaderNumbers", "Bytecodes"];

/// Chains over the same genesis state that differ from block 1 on.
fn generate(folder: &Path, transactions_per_block: u64, blocks: u64) -> (PathBuf, PathBuf) {
    let config = GeneratorConfig {
        genesis_users: 200,
        tokens: 8,
        transactions_per_block,
        ..GeneratorConfig::default()
    };
    let folder = folder.join(transactions_per_block.to_string());
    let chain =
        portico::generate_chain(&config, blocks, &folder, &StopSignal::default(), &mut |_| {}).unwrap();
    (chain.genesis, chain.chain)
}

#[test]
fn the_longer_branch_wins_and_the_tables_are_those_of_a_straight_import() {
    let folder = tempfile::tempdir().unwrap();
    let (genesis, short) = generate(folder.path(), 20, 12);
    let (same_genesis, long) = generate(folder.path(), 30, 20);
    assert_eq!(std::fs::read(&genesis).unwrap(), std::fs::read(same_genesis).unwrap());

    let node = TestNode::new(&genesis.to_string_lossy()).unwrap();
    let (_, short_head) = node.import(std::slice::from_ref(&short), None).unwrap();
    let (head, long_head) = node.import(std::slice::from_ref(&long), None).unwrap();
    assert_eq!(head, 20);

    let straight = TestNode::new(&genesis.to_string_lossy()).unwrap();
    assert_eq!(straight.import(std::slice::from_ref(&long), None).unwrap(), (20, long_head));
    let (reorganised, expected) = (node.digests().unwrap(), straight.digests().unwrap());
    assert_same_tables("after the reorganisation", &reorganised, &expected, OF_THE_LOSER);

    let txn = node.database.begin_ro().unwrap();
    assert!(portico_chain::read_side_block(&txn, 12, short_head).unwrap().is_some(), "the loser is kept");
    assert_eq!(portico_chain::block_number_of(&txn, &short_head).unwrap(), Some(12));
    drop(txn);

    let error = format!("{:#}", node.import(std::slice::from_ref(&short), None).unwrap_err());
    assert!(error.contains("branch from block 1 to 12"), "{error}");
    assert_eq!(node.digests().unwrap(), reorganised, "a branch that loses changes nothing");
}

/// Two networks that differ in a rule from block 7 on: each branch is valid under its own rules only.
#[test]
fn a_branch_of_other_rules_is_refused_where_it_begins() {
    let Some(folder) = fixture("besu-chains/fork-chain-data") else { return };
    for (ours, theirs) in [("upgraded", "outdated"), ("outdated", "upgraded")] {
        let genesis = folder.join(format!("genesis-{ours}.json"));
        let node = TestNode::new(&genesis.to_string_lossy()).unwrap();
        let foreign = [folder.join(format!("fork-{theirs}.blocks"))];
        let error = format!("{:#}", node.import(&foreign, None).unwrap_err());
        assert!(error.contains("block 7 ") && error.contains("gas used"), "{error}");
        let own = [folder.join(format!("fork-{ours}.blocks"))];
        assert_eq!(node.import(&own, None).unwrap().0, 10, "the common blocks are there, ours follow");
    }
}
