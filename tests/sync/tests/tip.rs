//! Blocks in memory: what readers see, what is written in the end, and what happens to bad, missing and lost ones.

use std::{collections::HashMap, path::Path, sync::Arc};

use alloy_consensus::{Block, Header, Transaction as _, transaction::SignerRecoverable};
use alloy_primitives::{Address, B256, U256};
use alloy_rlp::Decodable;
use portico_chain::{BlockParts, Transaction, canonical_hash, read_checkpoint};
use portico_db::{LiveDatabase, TableDigest};
use portico_generator::GeneratorConfig;
use portico_stages::{
    BuildAttributes, Candidate, CandidateSource, KnownSenders, Refusal, Room, StageError, StageSettings,
    StopSignal, Tip, TipConfig, TipSettings, TipWorker, Verdict,
};
use portico_test_support::{TestNode, assert_same_tables};
use proptest::prelude::*;

/// What other branches leave beside the chain: the blocks that lost, their numbers, and their code.
const OF_THE_LOSER: &[&str] = &["SideBlocks", "HeaderNumbers", "Bytecodes"];

/// Chains over the same genesis state that differ from block 1 on.
struct Chains {
    folder: tempfile::TempDir,
    genesis: String,
    blocks: [Vec<BlockParts>; 2],
}

fn generate(folder: &Path, transactions_per_block: u64, blocks: u64) -> (String, Vec<BlockParts>) {
    let config = GeneratorConfig {
        genesis_users: 100,
        tokens: 4,
        transactions_per_block,
        ..GeneratorConfig::default()
    };
    let folder = folder.join(transactions_per_block.to_string());
    let chain =
        portico::generate_chain(&config, blocks, &folder, &StopSignal::default(), &mut |_| {}).unwrap();
    let file = std::fs::read(&chain.chain).unwrap();
    let (mut rest, mut parts) = (file.as_slice(), Vec::new());
    while !rest.is_empty() {
        let block = Block::<Transaction>::decode(&mut rest).unwrap();
        parts.push(BlockParts {
            hash: block.header.hash_slow(),
            header: block.header,
            transactions: block.body.transactions,
            ommers: block.body.ommers,
            withdrawals: block.body.withdrawals.map(|withdrawals| withdrawals.into_inner()),
        });
    }
    (chain.genesis.to_string_lossy().into_owned(), parts)
}

fn chains() -> Chains {
    let folder = tempfile::tempdir().unwrap();
    let (genesis, first) = generate(folder.path(), 8, 14);
    let (_, second) = generate(folder.path(), 12, 14);
    Chains { folder, genesis, blocks: [first, second] }
}

impl Chains {
    fn node(&self) -> TestNode {
        let node = TestNode::in_memory(&self.genesis).unwrap();
        node.import(&[self.folder.path().join("8").join("chain.rlp")], Some(0)).unwrap();
        node
    }

    /// Tables after a straight import of one chain up to a block.
    fn straight(&self, chain: usize, to: u64) -> Vec<TableDigest> {
        let node = self.node();
        let name = if chain == 0 { "8" } else { "12" };
        let file = self.folder.path().join(name).join("chain.rlp");
        node.import(&[file], Some(to)).unwrap();
        node.digests().unwrap()
    }
}

/// A block with another header.
fn seal(header: Header, of: &BlockParts) -> BlockParts {
    BlockParts { hash: header.hash_slow(), header, ..of.clone() }
}

fn start(node: &TestNode, settings: TipSettings) -> (Tip, TipWorker) {
    let config = TipConfig {
        live: LiveDatabase::of(node.database.clone()),
        spec: node.spec.clone(),
        stages: StageSettings::default(),
        settings,
        scratch: node.data_dir().scratch().unwrap(),
        observer: Box::new(()),
    };
    Tip::start(config).unwrap()
}

/// Number and hash of what readers see, by two ways.
fn seen(live: &Arc<LiveDatabase>) -> (u64, B256) {
    let txn = live.begin_ro().unwrap();
    let number = read_checkpoint(&txn, "Finish").unwrap();
    (number, canonical_hash(&txn, number).unwrap().unwrap())
}

#[test]
fn readers_see_a_head_at_once_and_what_is_written_is_what_an_import_writes() {
    let chains = chains();
    let node = chains.node();
    let settings = TipSettings { memory_blocks_min: 2, memory_blocks_max: 4, ..TipSettings::default() };
    let (tip, worker) = start(&node, settings);
    for (position, block) in chains.blocks[0].iter().enumerate() {
        assert_eq!(tip.insert(block.clone()).unwrap(), Verdict::Valid);
        assert_eq!(seen(tip.live()).0, position as u64, "nobody chose it yet");
        assert_eq!(tip.set_head(block.hash).unwrap(), Verdict::Valid);
        assert_eq!(seen(tip.live()), (position as u64 + 1, block.hash));
        let whole = TableDigest::of_all(&tip.live().begin_ro().unwrap()).unwrap();
        if position % 5 == 4 {
            let expected = chains.straight(0, position as u64 + 1);
            assert_same_tables("in memory", &whole, &expected, OF_THE_LOSER);
        }
    }
    worker.stop().unwrap();
    assert_same_tables("written", &node.digests().unwrap(), &chains.straight(0, 14), &[]);
}

/// Senders by transaction hash.
struct Pooled(HashMap<B256, Address>);

impl KnownSenders for Pooled {
    fn sender(&self, tx_hash: &B256) -> Option<Address> {
        self.0.get(tx_hash).copied()
    }
}

#[test]
fn senders_that_a_pool_knows_are_taken_from_it_and_the_others_recovered() {
    let chains = chains();
    let node = chains.node();
    let (tip, worker) = start(&node, TipSettings::default());
    let transactions = chains.blocks[0].iter().flat_map(|block| &block.transactions);
    let every_second = transactions.step_by(2).map(|transaction| (*transaction.hash(), transaction));
    let mut known: HashMap<B256, Address> =
        every_second.map(|(hash, transaction)| (hash, transaction.recover_signer().unwrap())).collect();
    // A mistake, which shows who is believed.
    let (last, before) = chains.blocks[0].split_last().unwrap();
    known.insert(*last.transactions[0].hash(), Address::repeat_byte(7));
    tip.ask_for_senders(Arc::new(Pooled(known)));
    for block in before {
        assert_eq!(tip.insert(block.clone()).unwrap(), Verdict::Valid);
        assert_eq!(tip.set_head(block.hash).unwrap(), Verdict::Valid);
    }
    assert!(matches!(tip.insert(last.clone()).unwrap(), Verdict::Invalid { .. }));
    worker.stop().unwrap();
    assert_same_tables("written", &node.digests().unwrap(), &chains.straight(0, 13), OF_THE_LOSER);
}

#[test]
fn blocks_of_the_chain_can_be_executed_again_and_nothing_changes() {
    let chains = chains();
    let node = chains.node();
    let settings = TipSettings { memory_blocks_min: 1, memory_blocks_max: 3, ..TipSettings::default() };
    let (tip, worker) = start(&node, settings);
    for block in &chains.blocks[0] {
        tip.insert(block.clone()).unwrap();
        tip.set_head(block.hash).unwrap();
    }
    let whole = || TableDigest::of_all(&tip.live().begin_ro().unwrap()).unwrap();
    let before = whole();
    for number in [14, 1, 7, 13] {
        assert_eq!(tip.execute_again(number).unwrap(), Verdict::Valid, "block {number}");
    }
    assert_eq!(tip.execute_again(15).unwrap(), Verdict::Missing);
    assert_same_tables("after it", &whole(), &before, OF_THE_LOSER);
    assert_eq!(tip.head(), (14, chains.blocks[0][13].hash));
    worker.stop().unwrap();
}

#[test]
fn what_is_safe_and_finalized_outlives_a_restart_without_another_block() {
    let chains = chains();
    let node = chains.node();
    let hashes: Vec<B256> = chains.blocks[0].iter().map(|block| block.hash).collect();
    let (tip, worker) = start(&node, TipSettings::default());
    for block in &chains.blocks[0] {
        tip.insert(block.clone()).unwrap();
    }
    tip.set_head(hashes[13]).unwrap();
    tip.set_named(Some(hashes[9]), Some(hashes[4]));
    tip.flush().unwrap();
    tip.set_named(Some(hashes[10]), Some(hashes[5]));
    worker.stop().unwrap();
    let (tip, _worker) = start(&node, TipSettings::default());
    assert_eq!(tip.named(), [Some(hashes[10]), Some(hashes[5])]);
}

#[test]
fn a_bad_block_and_what_builds_on_it_is_refused_and_the_chain_goes_on() {
    let chains = chains();
    let node = chains.node();
    let (tip, worker) = start(&node, TipSettings::default());
    let [first, second, third] = &chains.blocks[0][..3] else { panic!("three blocks") };
    assert_eq!(tip.insert(first.clone()).unwrap(), Verdict::Valid);
    let bad = seal(Header { state_root: B256::ZERO, ..second.header.clone() }, second);
    let child = seal(Header { parent_hash: bad.hash, ..third.header.clone() }, third);
    let Verdict::Invalid { reason, latest_valid } = tip.insert(bad.clone()).unwrap() else {
        panic!("it is bad")
    };
    assert!(reason.contains("state root"), "{reason}");
    assert_eq!(latest_valid, Some(first.hash));
    for hash in [child.hash, bad.hash] {
        let verdict = if hash == child.hash { tip.insert(child.clone()) } else { tip.set_head(hash) };
        let refused = matches!(verdict.unwrap(), Verdict::Invalid { latest_valid, .. } if latest_valid == Some(first.hash));
        assert!(refused);
    }
    assert_eq!(tip.insert(third.clone()).unwrap(), Verdict::Missing, "its parent is not there");
    assert_eq!(tip.set_head(third.hash).unwrap(), Verdict::Missing);
    assert_eq!(tip.set_head(B256::repeat_byte(7)).unwrap(), Verdict::Missing);
    assert_eq!(tip.insert(second.clone()).unwrap(), Verdict::Valid);
    assert_eq!(tip.set_head(third.hash).unwrap(), Verdict::Valid, "it waited");
    assert_eq!(seen(tip.live()), (3, third.hash));
    let wrong_number = seal(Header { number: 9, ..chains.blocks[0][3].header.clone() }, &chains.blocks[0][3]);
    assert!(matches!(tip.insert(wrong_number).unwrap(), Verdict::Invalid { .. }));
    let heavy = Header { difficulty: U256::MAX, ..chains.blocks[0][3].header.clone() };
    assert!(matches!(tip.insert(seal(heavy, &chains.blocks[0][3])).unwrap(), Verdict::Invalid { .. }));
    worker.stop().unwrap();
    assert_same_tables("written", &node.digests().unwrap(), &chains.straight(0, 3), &[]);
}

#[test]
fn after_a_crash_blocks_that_were_only_in_memory_are_executed_again_when_they_are_chosen() {
    let chains = chains();
    let node = chains.node();
    {
        let (tip, worker) = start(&node, TipSettings::default());
        for block in &chains.blocks[0] {
            tip.insert(block.clone()).unwrap();
        }
        let last = chains.blocks[0].last().unwrap();
        tip.set_head(chains.blocks[0][1].hash).unwrap();
        tip.flush().unwrap();
        tip.set_head(last.hash).unwrap();
        assert_eq!(seen(tip.live()).0, 14);
        tip.settle().unwrap();
        // No stop: the process dies.
        std::mem::forget(worker);
    }
    assert_eq!(read_checkpoint(&node.database.begin_ro().unwrap(), "Finish").unwrap(), 2);
    let (tip, worker) = start(&node, TipSettings::default());
    let last = chains.blocks[0].last().unwrap();
    assert_eq!(tip.set_head(last.hash).unwrap(), Verdict::Valid);
    assert_eq!(seen(tip.live()), (14, last.hash));
    worker.stop().unwrap();
    assert_same_tables("written", &node.digests().unwrap(), &chains.straight(0, 14), &[]);
}

/// Gives the transactions of a block that exists.
struct Same<'a> {
    block: &'a BlockParts,
    next: usize,
}

impl CandidateSource for Same<'_> {
    fn next(&mut self, room: Room) -> Option<Candidate> {
        let transaction = self.block.transactions.get(self.next)?;
        assert!(room.gas >= transaction.gas_limit(), "{room:?}");
        self.next += 1;
        let sender = transaction.recover_signer().unwrap();
        Some(Candidate { transaction: transaction.clone(), sender })
    }

    fn refused(&mut self, _: &Candidate, reason: &Refusal) -> Result<(), StageError> {
        panic!("{reason}")
    }
}

fn attributes_of(header: &Header, block: &BlockParts) -> BuildAttributes {
    BuildAttributes {
        timestamp: header.timestamp,
        prev_randao: header.mix_hash,
        fee_recipient: header.beneficiary,
        withdrawals: block.withdrawals.clone(),
        parent_beacon_block_root: header.parent_beacon_block_root,
        slot_number: header.slot_number,
        gas_limit_target: header.gas_limit,
        extra_data: header.extra_data.clone(),
    }
}

#[test]
fn a_block_built_from_the_same_transactions_is_the_same_block_and_need_not_be_executed_again() {
    let chains = chains();
    let node = chains.node();
    let (tip, worker) = start(&node, TipSettings::default());
    let mut parent = chains.blocks[0][0].header.parent_hash;
    for block in &chains.blocks[0] {
        let attributes = attributes_of(&block.header, block);
        let mut source = Same { block, next: 0 };
        let built = tip.build(&parent, &attributes, &mut source).unwrap().unwrap();
        assert_eq!(built.block.header, block.header);
        assert_eq!(built.block, *block);
        assert!(built.fees > U256::ZERO);
        assert_eq!(tip.verdict(&block.hash).unwrap(), None, "nobody took it yet");
        assert!(tip.adopt(&built));
        assert_eq!(tip.verdict(&block.hash).unwrap(), Some(Verdict::Valid));
        assert_eq!(tip.set_head(block.hash).unwrap(), Verdict::Valid);
        parent = block.hash;
    }
    worker.stop().unwrap();
    assert_same_tables("written", &node.digests().unwrap(), &chains.straight(0, 14), &[]);
}

/// Limits that two blocks at once already meet.
fn hurried_settings() -> TipSettings {
    TipSettings {
        memory_blocks_min: 2,
        memory_blocks_max: 4,
        waiting_blocks_max: 3,
        at_once_cost: 3_000_000,
        ahead_cost: 10_000_000,
        ..TipSettings::default()
    }
}

/// Brings blocks of which none can be executed yet, one by one, each written before the next.
fn put_aside(tip: &Tip, blocks: &[BlockParts]) {
    for block in blocks {
        assert!(matches!(tip.insert(block.clone()).unwrap(), Verdict::Missing | Verdict::Behind));
        tip.settle().unwrap();
    }
}

#[test]
fn what_would_take_long_is_said_to_be_behind_and_done_by_the_pipeline() {
    let chains = chains();
    let node = chains.node();
    let (tip, worker) = start(&node, hurried_settings());
    let blocks = &chains.blocks[0];
    put_aside(&tip, &blocks[1..]);
    let last = blocks[13].hash;
    let txn = node.database.begin_ro().unwrap();
    assert_eq!(
        portico_chain::block_number_of(&txn, &last).unwrap(),
        None,
        "no reader finds what nobody executed"
    );
    drop(txn);
    assert_eq!(tip.insert(blocks[0].clone()).unwrap(), Verdict::Valid);
    assert_eq!(tip.insert(blocks[13].clone()).unwrap(), Verdict::Behind);
    assert_eq!(tip.set_head(last).unwrap(), Verdict::Behind);
    assert_eq!(seen(tip.live()).0, 0, "nothing happens by itself");
    tip.want(last);
    assert_eq!(tip.wanted(), Some(14));
    tip.catch_up(last);
    tip.wait_caught_up().unwrap();
    assert_eq!((tip.wanted(), tip.head()), (None, (14, last)));
    assert_eq!(seen(tip.live()), (14, last));
    assert_eq!(tip.set_head(last).unwrap(), Verdict::Valid);
    worker.stop().unwrap();
    assert_same_tables("written", &node.digests().unwrap(), &chains.straight(0, 14), &[]);
}

#[test]
fn blocks_that_wait_survive_a_restart_and_a_missing_one_stops_nothing() {
    let chains = chains();
    let node = chains.node();
    let blocks = &chains.blocks[0];
    {
        let (tip, worker) = start(&node, hurried_settings());
        put_aside(&tip, &blocks[2..]);
        worker.stop().unwrap();
    }
    let (tip, worker) = start(&node, hurried_settings());
    let last = blocks[13].hash;
    assert_eq!(tip.insert(blocks[0].clone()).unwrap(), Verdict::Valid);
    assert_eq!(tip.set_head_in_time(last).unwrap(), Verdict::Behind, "the second is not there");
    assert_eq!(tip.wanted(), Some(14));
    assert_eq!(tip.insert(blocks[1].clone()).unwrap(), Verdict::Valid);
    assert_eq!(tip.set_head_in_time(last).unwrap(), Verdict::Valid);
    worker.stop().unwrap();
    assert_same_tables("written", &node.digests().unwrap(), &chains.straight(0, 14), &[]);
}

#[test]
fn a_bad_block_on_the_way_is_named_and_the_good_ones_before_it_stay() {
    let chains = chains();
    let node = chains.node();
    let (tip, worker) = start(&node, hurried_settings());
    let blocks = &chains.blocks[0];
    let bad = seal(Header { state_root: B256::repeat_byte(1), ..blocks[6].header.clone() }, &blocks[6]);
    let mut branch = vec![bad];
    for block in &blocks[7..10] {
        let parent_hash = branch.last().unwrap().hash;
        branch.push(seal(Header { parent_hash, ..block.header.clone() }, block));
    }
    put_aside(&tip, &blocks[1..6]);
    put_aside(&tip, &branch);
    assert_eq!(tip.insert(blocks[0].clone()).unwrap(), Verdict::Valid);
    let good = blocks[5].hash;
    let verdict = tip.set_head_in_time(branch[3].hash).unwrap();
    assert!(
        matches!(verdict, Verdict::Invalid { latest_valid, .. } if latest_valid == Some(good)),
        "{verdict:?}"
    );
    for block in &branch {
        assert!(matches!(tip.verdict(&block.hash).unwrap(), Some(Verdict::Invalid { .. })));
    }
    assert_eq!(seen(tip.live()), (6, good));
    put_aside(&tip, &blocks[7..]);
    assert_eq!(tip.insert(blocks[6].clone()).unwrap(), Verdict::Valid);
    assert_eq!(tip.set_head_in_time(blocks[13].hash).unwrap(), Verdict::Valid);
    worker.stop().unwrap();
    assert_same_tables("written", &node.digests().unwrap(), &chains.straight(0, 14), OF_THE_LOSER);
}

#[test]
fn a_long_branch_from_far_below_wins_and_loses_again() {
    let chains = chains();
    let node = chains.node();
    let (tip, worker) = start(&node, TipSettings { nodes_max: 4, ..hurried_settings() });
    for chain in [0, 1] {
        for block in &chains.blocks[chain] {
            tip.insert(block.clone()).unwrap();
            tip.settle().unwrap();
        }
        let last = chains.blocks[chain][13].hash;
        assert_eq!(tip.set_head_in_time(last).unwrap(), Verdict::Valid);
        assert_eq!(seen(tip.live()), (14, last));
        let whole = TableDigest::of_all(&tip.live().begin_ro().unwrap()).unwrap();
        assert_same_tables("of the branch", &whole, &chains.straight(chain, 14), OF_THE_LOSER);
    }
    let early = chains.blocks[1][2].hash;
    assert_eq!(tip.set_head(early).unwrap(), Verdict::Behind, "too many to be taken back in memory");
    assert_eq!(tip.set_head_in_time(early).unwrap(), Verdict::Valid);
    assert_eq!(seen(tip.live()), (3, early));
    assert_eq!(tip.set_head_in_time(chains.blocks[0][13].hash).unwrap(), Verdict::Valid);
    worker.stop().unwrap();
    assert_same_tables("written", &node.digests().unwrap(), &chains.straight(0, 14), OF_THE_LOSER);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Insert(usize, usize),
    Head(usize, usize),
    Flush,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..2_usize, 0..14_usize).prop_map(|(chain, block)| Step::Insert(chain, block)),
        6 => (0..2_usize, 0..14_usize).prop_map(|(chain, block)| Step::Head(chain, block)),
        1 => Just(Step::Flush),
        1 => Just(Step::Restart),
    ]
}

#[test]
fn whatever_the_order_readers_see_the_chosen_head_and_the_tables_of_its_chain() {
    let chains = chains();
    let expected: Vec<Vec<Vec<TableDigest>>> =
        (0..2).map(|chain| (0..=14).map(|to| chains.straight(chain, to)).collect()).collect();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(12));
    let result = runner.run(&(prop::collection::vec(step(), 1..40), any::<bool>()), |(steps, hurried)| {
        let node = chains.node();
        let settings = TipSettings {
            memory_blocks_min: 2,
            memory_blocks_max: 4,
            nodes_max: 9,
            ..TipSettings::default()
        };
        let settings = if hurried { TipSettings { nodes_max: 4, ..hurried_settings() } } else { settings };
        let (mut tip, mut worker) = start(&node, settings);
        let mut head = (0, 0);
        for step in steps {
            match step {
                Step::Insert(chain, block) => {
                    let verdict = tip.insert(chains.blocks[chain][block].clone()).unwrap();
                    prop_assert!(!matches!(verdict, Verdict::Invalid { .. }), "{verdict:?}");
                    prop_assert!(verdict != Verdict::Behind || hurried);
                }
                Step::Head(chain, block) => {
                    let verdict = tip.set_head_in_time(chains.blocks[chain][block].hash).unwrap();
                    prop_assert!(!matches!(verdict, Verdict::Invalid { .. }), "{verdict:?}");
                    prop_assert!(verdict != Verdict::Behind || hurried);
                    if verdict == Verdict::Valid {
                        head = (chain, block + 1);
                    }
                }
                Step::Flush => tip.flush().unwrap(),
                Step::Restart => {
                    worker.stop().unwrap();
                    drop(tip);
                    (tip, worker) = start(&node, settings);
                }
            }
            prop_assert_eq!(seen(tip.live()).0, head.1 as u64);
            let tables = TableDigest::of_all(&tip.live().begin_ro().unwrap()).unwrap();
            assert_same_tables(&format!("after {step:?}"), &tables, &expected[head.0][head.1], OF_THE_LOSER);
        }
        worker.stop().unwrap();
        let tables = node.digests().unwrap();
        assert_same_tables("written", &tables, &expected[head.0][head.1], OF_THE_LOSER);
        Ok(())
    });
    result.unwrap();
}
