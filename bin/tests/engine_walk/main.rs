//! A scripted consensus client drives a node as a process: random blocks upon random blocks, bad ones, missing
//! ancestors, long branches, heads chosen back and forth, restarts, SIGKILLs also in the middle of a request.
//!
//! ```text
//!  NaiveTree: blocks on maps ──payloads, forkchoice──> Engine API ┐
//!     │                                                           portico node (killed, ended, started again)
//!     └── state, receipts, logs, proofs <──compared── JSON-RPC ───┘ └─ its folder: db check; tables as of a straight import
//! ```
//! After each step head, safe and finalized block, accounts, receipts, logs and proofs are those of the naive way, at the
//! head and at random heights. Environment:
//!
//! - `PORTICO_WALK_STEPS`, `PORTICO_WALK_SEED`: how far and where (`make walk` goes 10,000 steps);
//! - `PORTICO_WALK_PROGRAM`: another program than the one of this build.

mod checks;
mod driver;
mod tables;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::PathBuf,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use driver::{Driver, Status, forkchoice_params};
use portico::{NodeCommand, run_on};
use portico_chain::BlockParts;
use portico_spec::{BesidePayload, new_payload_call};
use portico_test_support::naive::{NaiveBlock, NaiveTree, Network, Random};
use tables::{Straight, head_of};

/// How far back blocks are put upon and heads are chosen.
const DEPTH: u64 = 64;
/// Transactions in a block at most.
const TRANSACTIONS_MAX: u64 = 5;
/// Blocks between forks.
const FORK_BLOCKS: u64 = 25;
/// How long a killed node has for a request, in microseconds.
const KILL_MICROS_MAX: u64 = 20_000;

/// What was done.
#[derive(Debug, Default)]
struct Counts {
    blocks: u64,
    bad: u64,
    orphans: u64,
    branches: u64,
    jumps: u64,
    ended: u64,
    killed: u64,
    killed_within: u64,
    /// Blocks by which a killed node was behind.
    lost: u64,
    tables: u64,
}

struct Walk {
    driver: Driver,
    naive: NaiveTree,
    seed: u64,
    random: Random,
    /// Positions of blocks by hash.
    places: HashMap<B256, usize>,
    /// Blocks whose state is remembered.
    with_state: BTreeSet<usize>,
    head: usize,
    safe: Option<usize>,
    finalized: Option<usize>,
    /// The chain up to the head.
    canonical: Vec<usize>,
    /// Blocks that the node has, as it has said since it was started.
    known: HashSet<usize>,
    /// Blocks that were canonical at some time, or may have been.
    chosen: HashSet<usize>,
    straight: Straight,
    counts: Counts,
    _folder: tempfile::TempDir,
}

fn number_from(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |value| value.parse().expect("a number"))
}

#[test]
fn a_node_says_what_the_naive_way_says_wherever_a_consensus_client_leads_it() {
    let steps = number_from("PORTICO_WALK_STEPS", 150);
    let seed = number_from("PORTICO_WALK_SEED", 1);
    println!("{steps} steps with seed {seed}");
    let started = Instant::now();
    let mut walk = Walk::new(seed);
    for step in 1..=steps {
        walk.step();
        walk.compare();
        if step % 250 == 0 {
            let (head, elapsed) = (walk.block(walk.head).number(), started.elapsed().as_secs());
            println!(
                "step {step}: head {head}, {} MiB, {elapsed} s, {:?}",
                walk.driver.node_mib(),
                walk.counts
            );
        }
    }
    walk.restart(Stop::End);
    walk.compare();
    println!("{:?} in {:.0?}", walk.counts, started.elapsed());
    let Counts { blocks, bad, orphans, ended, killed, killed_within, tables, .. } = walk.counts;
    let least = [blocks, bad, orphans, ended, killed, killed_within, tables].into_iter().min();
    assert!(steps < 150 || least > Some(0), "something was never done: {:?}", walk.counts);
}

/// How a node is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    End,
    Kill,
    KillWithin,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let naive = NaiveTree::new(Network::merged(seed, FORK_BLOCKS));
        let genesis = folder.path().join("genesis.json");
        std::fs::write(&genesis, &naive.network.genesis_json).unwrap();
        let program = std::env::var_os("PORTICO_WALK_PROGRAM").map(PathBuf::from);
        let command = NodeCommand {
            program: program.unwrap_or_else(|| env!("CARGO_BIN_EXE_portico").into()),
            datadir: folder.path().join("data"),
            genesis: genesis.clone(),
            flags: Vec::new(),
        };
        let mut walk = Self {
            driver: Driver::new(command),
            seed,
            random: Random::new(seed, "walk", 0),
            places: HashMap::from([(naive.blocks[0].parts.hash, 0)]),
            with_state: BTreeSet::from([0]),
            head: 0,
            safe: None,
            finalized: None,
            canonical: vec![0],
            known: HashSet::from([0]),
            chosen: HashSet::from([0]),
            straight: Straight::new(&genesis),
            counts: Counts::default(),
            naive,
            _folder: folder,
        };
        walk.driver.start(16);
        walk
    }

    fn block(&self, index: usize) -> &NaiveBlock {
        &self.naive.blocks[index]
    }

    fn hash(&self, index: usize) -> B256 {
        self.block(index).parts.hash
    }

    fn is_canonical(&self, index: usize) -> bool {
        self.canonical.get(self.block(index).number() as usize) == Some(&index)
    }

    /// The block before `index`, or itself, with this number.
    fn ancestor(&self, mut index: usize, number: u64) -> usize {
        while self.block(index).number() > number {
            index = self.block(index).parent;
        }
        index
    }

    fn continues_finalized(&self, index: usize) -> bool {
        self.finalized
            .is_none_or(|finalized| self.ancestor(index, self.block(finalized).number()) == finalized)
    }

    /// Blocks upon which blocks may be put, and the highest of them.
    fn near(&self) -> (Vec<usize>, usize) {
        let known = self.with_state.iter().copied().filter(|index| self.continues_finalized(*index));
        let known: Vec<usize> = known.collect();
        let highest =
            *known.iter().max_by_key(|index| self.block(**index).number()).expect("the head is one");
        let top = self.block(highest).number();
        (known.into_iter().filter(|index| self.block(*index).number() + DEPTH >= top).collect(), highest)
    }

    /// The highest block, the head, or any block not far below the highest.
    fn somewhere(&mut self) -> usize {
        let (near, highest) = self.near();
        match self.random.below(10) {
            0..5 => highest,
            5..7 => self.head,
            _ => self.random.pick(&near),
        }
    }

    /// A new block upon `parent`, which the node does not know yet.
    fn grow(&mut self, parent: usize) -> usize {
        self.naive.grow(parent, self.seed, TRANSACTIONS_MAX);
        let index = self.naive.blocks.len() - 1;
        self.places.insert(self.hash(index), index);
        self.with_state.insert(index);
        self.counts.blocks += 1;
        // Old states are forgotten, but for a few.
        let (near, highest) = self.near();
        let floor = self.block(highest).number().saturating_sub(2 * DEPTH);
        let near: HashSet<usize> = near.into_iter().chain([self.head]).collect();
        let old: Vec<usize> = self.with_state.iter().copied().filter(|old| !near.contains(old)).collect();
        for old in old {
            let number = self.block(old).number();
            if number < floor && !number.is_multiple_of(100) {
                self.naive.forget_state(old);
                self.with_state.remove(&old);
            }
        }
        index
    }

    fn call_of(&self, index: usize) -> (String, serde_json::Value) {
        let block = self.block(index);
        let beside = BesidePayload { requests: block.requests.clone(), access_list: None };
        new_payload_call(&self.naive.network.spec, &block.parts, beside)
    }

    /// Sends a block, and before it those that the node lacks; what it knows must be valid at once.
    fn bring(&mut self, index: usize) {
        let mut missing = vec![index];
        while let Some(&next) = missing.last() {
            let parent = self.block(next).parent;
            let status = self.driver.new_payload(&self.call_of(next));
            if status.is_syncing() {
                assert!(!self.known.contains(&parent) && !self.known.contains(&next), "a known block went");
                missing.push(parent);
                continue;
            }
            assert_eq!(
                status,
                Status::new("VALID", Some(self.hash(next))),
                "block {}",
                self.block(next).number()
            );
            self.known.insert(next);
            missing.pop();
        }
    }

    fn hash_of(&self, named: Option<usize>) -> B256 {
        named.map_or(B256::ZERO, |index| self.hash(index))
    }

    fn forkchoice(&mut self, head: B256) -> Result<Status, i64> {
        let (safe, finalized) = (self.hash_of(self.safe), self.hash_of(self.finalized));
        self.driver.forkchoice(head, safe, finalized)
    }

    /// Chooses a head, which brings new safe and finalized blocks with it now and then.
    fn choose(&mut self, index: usize) {
        if !self.known.contains(&index) {
            self.bring(index);
        }
        let number = self.block(index).number();
        let floor = self.finalized.map_or(0, |finalized| self.block(finalized).number());
        let depth = self.random.between(DEPTH / 2, DEPTH + DEPTH / 2);
        if number > depth && number - depth > floor && self.random.percent(15) {
            self.finalized = Some(self.ancestor(index, number - depth));
        }
        let floor = self.finalized.map_or(0, |finalized| self.block(finalized).number());
        let safe = number.saturating_sub(self.random.below(DEPTH / 2)).max(floor);
        self.safe = (self.finalized.is_some() || self.random.percent(50)).then(|| self.ancestor(index, safe));
        let status = self.forkchoice(self.hash(index));
        assert_eq!(status, Ok(Status::new("VALID", Some(self.hash(index)))), "block {number} as head");
        self.set_head(index);
    }

    fn set_head(&mut self, index: usize) {
        self.head = index;
        self.canonical = self.naive.path_to(index);
        self.chosen.extend(&self.canonical);
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..50 => {
                let parent = self.somewhere();
                let index = self.grow(parent);
                self.bring(index);
                if self.random.percent(80) {
                    self.choose(index);
                }
            }
            50..62 => self.bring_bad_blocks(),
            62..70 => self.bring_orphans(),
            70..72 => self.bring_a_branch(),
            72..84 => {
                let (near, _) = self.near();
                let index = self.random.pick(&near);
                self.counts.jumps += 1;
                self.choose(index);
            }
            84..87 => self.choose_what_cannot_be(),
            87..90 => {
                // Again what is known.
                let index = self.canonical[self.random.below(self.canonical.len() as u64) as usize];
                if index != 0 {
                    self.bring(index);
                }
            }
            90..93 => {
                // The second time there is nothing to write, but for what is safe and finalized.
                for _ in 0..self.random.between(1, 2) {
                    self.restart(Stop::End);
                }
            }
            93..96 => self.restart(Stop::Kill),
            _ => self.restart(Stop::KillWithin),
        }
    }

    /// A block that breaks a rule, what builds upon it, and each as head.
    fn bring_bad_blocks(&mut self) {
        let parent = self.somewhere();
        self.bring_upon(parent);
        let good = self.grow(parent);
        let (parts, requests) = (self.block(good).parts.clone(), self.block(good).requests.clone());
        let spec = self.naive.network.spec.clone();
        let beside = || BesidePayload { requests: requests.clone(), access_list: None };
        let refused = Status::new("INVALID", Some(self.hash(parent)));
        if self.random.percent(20) {
            // Another hash than the block's: nothing is known of its ancestors then.
            let (method, mut params) = new_payload_call(&spec, &parts, beside());
            params[0]["blockHash"] = serde_json::json!(self.random.word());
            assert_eq!(self.driver.new_payload(&(method, params)), Status::new("INVALID", None));
        }
        let bad = spoiled(parts.clone(), &mut self.random);
        let found = self.driver.new_payload(&new_payload_call(&spec, &bad, beside()));
        assert_eq!(found, refused, "{:?}", bad.header);
        let mut child = parts;
        child.header.number += 1;
        child.header.parent_hash = bad.hash;
        child.hash = child.header.hash_slow();
        assert_eq!(
            self.driver.new_payload(&new_payload_call(&spec, &child, beside())),
            refused,
            "upon a bad block"
        );
        for hash in [bad.hash, child.hash] {
            assert_eq!(self.forkchoice(hash), Ok(refused.clone()), "a bad head");
        }
        self.counts.bad += 1;
        if self.random.percent(50) {
            self.bring(good);
        }
    }

    /// Sees to it that a block that is not the genesis block is known.
    fn bring_upon(&mut self, parent: usize) {
        if !self.known.contains(&parent) {
            self.bring(parent);
        }
    }

    /// Blocks that come before their ancestors.
    fn bring_orphans(&mut self) {
        let head = self.random.word();
        assert!(self.forkchoice(head).is_ok_and(|status| status.is_syncing()), "a head that nobody knows");
        let mut chain = vec![self.somewhere()];
        self.bring_upon(chain[0]);
        for _ in 0..self.random.between(2, 6) {
            chain.push(self.grow(chain[chain.len() - 1]));
        }
        let last = chain[chain.len() - 1];
        for index in chain[2..].iter().rev() {
            let status = self.driver.new_payload(&self.call_of(*index));
            assert!(status.is_syncing(), "a block without its parent: {status:?}");
        }
        let status = self.forkchoice(self.hash(last));
        assert!(status.as_ref().is_ok_and(Status::is_syncing), "a head without its ancestors: {status:?}");
        self.bring(chain[1]);
        // All that waited is there now.
        if self.random.percent(50) {
            self.known.extend(&chain);
        }
        self.choose(last);
        self.known.extend(&chain);
        self.counts.orphans += 1;
    }

    /// A branch from far below that becomes longer than the chain.
    fn bring_a_branch(&mut self) {
        let number = self.block(self.head).number();
        let floor = self.finalized.map_or(0, |finalized| self.block(finalized).number());
        let depth = self.random.between(1, DEPTH).min(number - floor);
        let mut tip = self.ancestor(self.head, number - depth);
        if !self.with_state.contains(&tip) {
            return;
        }
        for _ in 0..=depth {
            tip = self.grow(tip);
            if self.random.percent(80) {
                self.bring(tip);
            }
        }
        self.counts.branches += 1;
        self.choose(tip);
        self.known.extend(&self.canonical);
    }

    /// Choices that must change nothing.
    fn choose_what_cannot_be(&mut self) {
        let (head, safe) = (self.hash(self.head), self.hash_of(self.safe));
        if let Some(finalized) = self.finalized.filter(|finalized| self.block(*finalized).number() > 0) {
            let parent = self.hash(self.block(finalized).parent);
            assert_eq!(
                self.forkchoice(parent),
                Ok(Status::new("VALID", Some(parent))),
                "before the finalized block"
            );
        }
        let (near, _) = self.near();
        let elsewhere: Vec<usize> = near
            .into_iter()
            .filter(|index| self.known.contains(index) && !self.is_canonical(*index))
            .collect();
        if !elsewhere.is_empty() {
            let other = self.random.pick(&elsewhere);
            assert_eq!(self.driver.forkchoice(head, safe, self.hash(other)), Err(-38002));
            assert_eq!(self.driver.forkchoice(head, self.hash(other), B256::ZERO), Err(-38002));
        }
        let nobody = self.random.word();
        assert_eq!(self.driver.forkchoice(head, nobody, B256::ZERO), Err(-38002));
    }

    fn restart(&mut self, stop: Stop) {
        match stop {
            Stop::End => {
                self.driver.terminate();
                self.counts.ended += 1;
            }
            Stop::Kill => {
                self.driver.kill();
                self.counts.killed += 1;
            }
            Stop::KillWithin => {
                self.begin_something();
                std::thread::sleep(Duration::from_micros(self.random.below(KILL_MICROS_MAX)));
                self.driver.kill();
                self.counts.killed_within += 1;
            }
        }
        let found = self.look_into_the_folder(stop);
        let memory_blocks = self.random.pick(&[1, 2, 4, 16, 16, 40]);
        self.driver.start(memory_blocks);
        let (head, safe, finalized) = (self.head, self.safe, self.finalized);
        // The consensus client says where the head is, or goes on elsewhere.
        let next = if self.random.percent(70) { head } else { self.somewhere() };
        self.set_head(found);
        self.known = self.canonical.iter().copied().collect();
        if stop == Stop::End {
            self.compare();
        } else {
            self.counts.lost += self.block(head).number().saturating_sub(self.block(found).number());
            let latest = self.driver.ask(&[("eth_getBlockByNumber", serde_json::json!(["latest", false]))]);
            assert_eq!(latest[0]["hash"], serde_json::json!(self.hash(found)), "the head after a crash");
        }
        (self.safe, self.finalized) = (safe, finalized);
        self.choose(next);
    }

    /// Sends a request that will be cut off.
    fn begin_something(&mut self) {
        let index = self.somewhere();
        self.bring_upon(index);
        if self.random.percent(50) {
            let child = self.grow(index);
            let (method, params) = self.call_of(child);
            self.driver.send(&method, &params);
        } else {
            let path = self.naive.path_to(index);
            self.chosen.extend(path);
            let params = forkchoice_params(self.hash(index), B256::ZERO, B256::ZERO);
            self.driver.send("engine_forkchoiceUpdatedV3", &params);
        }
    }

    /// The head of the database, which must be sound, and now and then is compared row by row.
    fn look_into_the_folder(&mut self, stop: Stop) -> usize {
        let datadir = self.driver.command.datadir.clone();
        run_on(&self.driver.command.program, &["db", "check"], &datadir).unwrap();
        let hash = head_of(&datadir);
        let found = self.places[&hash];
        assert!(self.chosen.contains(&found), "block {} was never canonical", self.block(found).number());
        if stop == Stop::End {
            assert_eq!(hash, self.hash(self.head), "all was written");
        }
        let stops = self.counts.ended + self.counts.killed + self.counts.killed_within;
        if stops % 5 == 1 {
            self.straight.compare(&self.naive, found, &datadir);
            self.counts.tables += 1;
        }
        found
    }
}

/// A block that breaks a rule, of its header or of execution.
fn spoiled(mut block: BlockParts, random: &mut Random) -> BlockParts {
    let header = &mut block.header;
    match random.below(7) {
        0 => header.state_root = random.word(),
        1 => header.receipts_root = random.word(),
        2 => header.gas_used = header.gas_used.wrapping_add(1).min(header.gas_limit - 1),
        3 => header.logs_bloom.0[5] ^= 1,
        4 => header.base_fee_per_gas = header.base_fee_per_gas.map(|fee| fee + 1),
        5 => header.gas_limit *= 2,
        _ => header.number += 1,
    }
    block.hash = block.header.hash_slow();
    block
}
