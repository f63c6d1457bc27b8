//! Random chains on random states, the stages against the naive way.
//!
//! ```text
//!  seed ─> genesis, code, transactions, branches ─> naive: block by block on maps, roots from scratch
//!                                                     │ blocks
//!            one batch ──┐                            v
//!            pieces, unwound and done again ──────> databases ─> tables, state, history, receipts, indexes compared
//!            blocks one by one with side branches ─┘
//! ```
//! A failure prints how to run its case again, made as small as it still fails. Environment:
//!
//! - `PORTICO_DIFFERENTIAL_SECONDS`: for how long new cases are tried (`make differential SECONDS=600`);
//! - `PORTICO_DIFFERENTIAL_SEED`: the first seed, or with `PORTICO_DIFFERENTIAL_BLOCKS` and
//!   `PORTICO_DIFFERENTIAL_TRANSACTIONS` the one case.

mod compare;
mod staged;

use std::{
    collections::BTreeMap,
    ops::AddAssign,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use portico_chainspec::Fork;
use portico_stages::{Inserted, StageError, StageSettings};
use portico_test_support::{
    assert_same_tables,
    naive::{NaiveTree, Network, Random},
};

use crate::staged::{Staged, blocks_to, random_settings, spoiled};

/// Cases in an ordinary test run.
const CASES: u64 = 40;

/// Rows of blocks that lost: one database of three sees them.
const OF_SIDE_BLOCKS: &[&str] = &["SideBlocks", "HeaderNumbers", "Bytecodes"];

/// How much of a case is run.
#[derive(Debug, Clone, Copy)]
struct Extent {
    blocks: u64,
    transactions: u64,
}

const WHOLE: Extent = Extent { blocks: 14, transactions: 9 };

/// What was compared.
#[derive(Debug, Default)]
struct Count {
    chains: u64,
    blocks: u64,
    transactions: u64,
    /// Transactions that did not revert or fail.
    successes: u64,
    reorganisations: u64,
    unwinds: u64,
    /// Bad blocks that were refused.
    refused: u64,
    /// Blocks by fork.
    forks: BTreeMap<Fork, u64>,
}

impl Count {
    fn of(naive: &NaiveTree) -> Self {
        let grown = &naive.blocks[1..];
        let receipts = || grown.iter().flat_map(|block| &block.receipts);
        let mut forks = BTreeMap::new();
        for block in grown {
            *forks.entry(block.fork).or_default() += 1;
        }
        Self {
            chains: 1,
            blocks: grown.len() as u64,
            transactions: receipts().count() as u64,
            successes: receipts().filter(|receipt| receipt.success).count() as u64,
            forks,
            ..Self::default()
        }
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.chains += other.chains;
        self.blocks += other.blocks;
        self.transactions += other.transactions;
        self.successes += other.successes;
        self.reorganisations += other.reorganisations;
        self.unwinds += other.unwinds;
        self.refused += other.refused;
        for (fork, blocks) in other.forks {
            *self.forks.entry(fork).or_default() += blocks;
        }
    }
}

#[test]
fn the_stages_do_what_the_naive_way_does() {
    let variable = |name: &str| std::env::var(format!("PORTICO_DIFFERENTIAL_{name}")).ok();
    let number = |name: &str| variable(name).map(|value| value.parse::<u64>().expect("a number"));
    let first = number("SEED").unwrap_or(1);
    if let (Some(blocks), Some(transactions)) = (number("BLOCKS"), number("TRANSACTIONS")) {
        println!("{:?}", run(first, Extent { blocks, transactions }));
        return;
    }
    let end = number("SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut total = Count::default();
    for seed in first.. {
        match end {
            Some(end) if Instant::now() >= end => break,
            None if seed - first == CASES => break,
            _ => {}
        }
        match catch_unwind(|| run(seed, WHOLE)) {
            Ok(count) => total += count,
            Err(_) => {
                let Extent { blocks, transactions } = reduce(seed);
                panic!(
                    "the case fails that PORTICO_DIFFERENTIAL_SEED={seed} PORTICO_DIFFERENTIAL_BLOCKS={blocks} \
                     PORTICO_DIFFERENTIAL_TRANSACTIONS={transactions} runs alone; compared before it: {total:?}"
                );
            }
        }
    }
    println!("compared: {total:?}");
    assert!(
        end.is_some() || total.successes > total.transactions / 4,
        "most of it does something: {total:?}"
    );
}

/// The fewest blocks with which the case fails, and then the fewest transactions a block.
fn reduce(seed: u64) -> Extent {
    let fails = |extent| catch_unwind(AssertUnwindSafe(|| run(seed, extent))).is_err();
    let by_blocks = (1..=WHOLE.blocks).map(|blocks| Extent { blocks, ..WHOLE }).find(|extent| fails(*extent));
    let extent = by_blocks.unwrap_or(WHOLE);
    let smaller = (0..extent.transactions).map(|transactions| Extent { transactions, ..extent });
    smaller.into_iter().find(|extent| fails(*extent)).unwrap_or(extent)
}

fn run(seed: u64, extent: Extent) -> Count {
    let folder = tempfile::tempdir().unwrap();
    let genesis = folder.path().join("genesis.json");
    let network = Network::random(seed);
    std::fs::write(&genesis, &network.genesis_json).unwrap();
    let mut naive = NaiveTree::new(network);
    for index in 0..extent.blocks {
        let parent = random_parent(&naive, &mut Random::new(seed, "parent", index));
        naive.grow(parent, seed, extent.transactions);
    }
    let mut count = Count::of(&naive);
    let (one_by_one, tip) = insert_one_by_one(&genesis, &naive, seed, &mut count);
    let whole = Staged::new(&genesis, StageSettings::default());
    let head = whole.tree().extend(blocks_to(&naive, tip)).unwrap();
    assert_eq!(head, naive.blocks[tip].number());
    whole.assert_chain(&naive, tip);
    let expected = whole.digests();
    assert_same_tables("one by one", &one_by_one.digests(), &expected, OF_SIDE_BLOCKS);
    let pieces = extend_in_pieces(&genesis, &naive, tip, seed, &mut count);
    assert_same_tables("in pieces", &pieces.digests(), &expected, &[]);
    count
}

/// Mostly the newest block, else one of the last few.
fn random_parent(naive: &NaiveTree, random: &mut Random) -> usize {
    let newest = naive.blocks.len() - 1;
    if random.percent(70) { newest } else { newest - random.below(newest.min(5) as u64 + 1) as usize }
}

/// Inserts the blocks as they were grown, with blocks that are known or bad and unwinds between them; gives the head.
fn insert_one_by_one(
    genesis: &std::path::Path,
    naive: &NaiveTree,
    seed: u64,
    count: &mut Count,
) -> (Staged, usize) {
    let settings = random_settings(&mut Random::new(seed, "settings", 0));
    let staged = Staged::new(genesis, settings);
    let mut tree = staged.tree();
    let mut head = 0;
    for (index, block) in naive.blocks.iter().enumerate().skip(1) {
        let mut random = Random::new(seed, "insertion", index as u64);
        let becomes_head = block.parent == head || block.replaces(&naive.blocks[head]);
        if becomes_head && random.percent(20) {
            let result = tree.insert(spoiled(block.parts.clone(), &mut random));
            assert!(
                matches!(result, Err(StageError::InvalidBlock { number, .. }) if number == block.number())
            );
            let parent = &naive.blocks[block.parent];
            if block.parent != head && !block.merged && parent.outweighs(&naive.blocks[head]) {
                // What is good of a bad branch wins where it would have won by itself. After the merge nobody has
                // asked for it.
                head = block.parent;
            }
            let known = &naive.blocks[head];
            assert_eq!(tree.head().unwrap(), (known.number(), known.parts.hash), "after a bad block");
            staged.assert_plain_state(known);
            count.refused += 1;
        }
        let inserted = tree.insert(block.parts.clone()).unwrap();
        assert_eq!(inserted, if becomes_head { Inserted::Head } else { Inserted::Side }, "block {index}");
        if becomes_head {
            count.reorganisations += u64::from(block.parent != head);
            head = index;
        }
        let known = &naive.blocks[head];
        assert_eq!(tree.head().unwrap(), (known.number(), known.parts.hash), "after block {index}");
        staged.assert_plain_state(known);
        if random.percent(20) {
            let again = random.below(index as u64 + 1) as usize;
            assert_eq!(tree.insert(naive.blocks[again].parts.clone()).unwrap(), Inserted::Known);
        }
        if random.percent(20) {
            let path = naive.path_to(head);
            let to = random.below(path.len() as u64);
            tree.unwind(to).unwrap();
            staged.assert_plain_state(&naive.blocks[path[to as usize]]);
            tree.extend(blocks_to(naive, head).split_off(to as usize)).unwrap();
            count.unwinds += 1;
        }
    }
    staged.assert_chain(naive, head);
    drop(tree);
    (staged, head)
}

/// Extends the chain to `tip` piece by piece, and now and then takes some of it back.
fn extend_in_pieces(
    genesis: &std::path::Path,
    naive: &NaiveTree,
    tip: usize,
    seed: u64,
    count: &mut Count,
) -> Staged {
    let mut random = Random::new(seed, "pieces", 0);
    let staged = Staged::new(genesis, random_settings(&mut random));
    let mut tree = staged.tree();
    let (path, blocks) = (naive.path_to(tip), blocks_to(naive, tip));
    let (mut head, mut unwinds_left) = (0, 4);
    while head < blocks.len() {
        let end = blocks.len().min(head + random.between(1, 6) as usize);
        tree.extend(blocks[head..end].to_vec()).unwrap();
        head = end;
        staged.assert_plain_state(&naive.blocks[path[head]]);
        if unwinds_left > 0 && random.percent(50) {
            head = random.below(head as u64 + 1) as usize;
            tree.unwind(head as u64).unwrap();
            staged.assert_plain_state(&naive.blocks[path[head]]);
            unwinds_left -= 1;
            count.unwinds += 1;
        }
    }
    staged.assert_chain(naive, tip);
    drop(tree);
    staged
}
