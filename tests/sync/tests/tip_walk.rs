//! A scripted consensus client and a naive ledger: random blocks upon random blocks, bad ones, missing ancestors, heads
//! chosen back and forth, restarts and crashes; after each step the head and its accounts are those of the ledger, and
//! now and then all tables are those of a straight run over the same chain.
//!
//! `PORTICO_TIP_STEPS=10000` walks further than `make test` does.

use std::{collections::HashMap, sync::Arc};

use alloy_consensus::{Header, SignableTransaction, TxEip1559};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use portico_chain::{
    BlockParts, Transaction, canonical_hash, read_block, read_block_receipts, read_body, read_checkpoint,
};
use portico_chainspec::{DEV_ACCOUNTS, DEV_KEYS};
use portico_db::{LiveDatabase, TableDigest};
use portico_stages::{
    BuildAttributes, Candidate, CandidateSource, Refusal, Room, StageError, StageSettings, Tip, TipConfig,
    TipSettings, TipWorker, Verdict,
};
use portico_state::PlainReader;
use portico_test_support::{TestNode, assert_same_tables};
use rand::{Rng, SeedableRng, rngs::StdRng};
use secp256k1::{Message, SECP256K1, SecretKey};

/// How far back blocks are put upon and heads are chosen.
const DEPTH: usize = 64;
/// Who gets fees and withdrawals.
const COLLECTOR: Address = Address::repeat_byte(0xfe);
/// What other branches leave beside the chain: the blocks that lost and their numbers.
const OF_THE_LOSER: &[&str] = &["SideBlocks", "HeaderNumbers"];

/// A block with the balances and nonces after it.
#[derive(Clone)]
struct Known {
    parts: BlockParts,
    ledger: Arc<HashMap<Address, (U256, u64)>>,
}

struct Given(std::vec::IntoIter<Candidate>);

impl CandidateSource for Given {
    fn next(&mut self, _: Room) -> Option<Candidate> {
        self.0.next()
    }

    fn refused(&mut self, _: &Candidate, reason: &Refusal) -> Result<(), StageError> {
        panic!("{reason}")
    }
}

struct Walk {
    node: TestNode,
    tip: Tip,
    worker: Option<TipWorker>,
    blocks: Vec<Known>,
    /// Positions of blocks by hash.
    places: HashMap<B256, usize>,
    head: usize,
    /// How often the pipeline was sent after a head.
    caught_up: u64,
    random: StdRng,
}

fn settings() -> TipSettings {
    // Blocks cost a little over two millions: a branch of a dozen is caught up with by the pipeline.
    TipSettings {
        memory_blocks_min: 3,
        memory_blocks_max: 6,
        nodes_max: 40,
        waiting_blocks_max: 200,
        at_once_cost: 25_000_000,
        ahead_cost: 60_000_000,
    }
}

fn start(node: &TestNode) -> (Tip, TipWorker) {
    Tip::start(TipConfig {
        live: LiveDatabase::of(node.database.clone()),
        spec: node.spec.clone(),
        stages: StageSettings::default(),
        settings: settings(),
        scratch: node.data_dir().scratch().unwrap(),
        observer: Box::new(()),
    })
    .unwrap()
}

impl Walk {
    fn new(seed: u64) -> Self {
        let node = TestNode::in_memory("dev").unwrap();
        node.initialize().unwrap();
        let (tip, worker) = start(&node);
        let header = node.spec.genesis_header().clone();
        let balances = node
            .spec
            .genesis_alloc()
            .iter()
            .map(|(address, account)| (*address, (account.balance, account.nonce)))
            .collect();
        let parts = BlockParts {
            hash: node.spec.genesis_hash(),
            header,
            transactions: Vec::new(),
            ommers: Vec::new(),
            withdrawals: Some(Vec::new()),
        };
        let places = HashMap::from([(parts.hash, 0)]);
        let blocks = vec![Known { parts, ledger: Arc::new(balances) }];
        Self {
            node,
            tip,
            worker: Some(worker),
            blocks,
            places,
            head: 0,
            caught_up: 0,
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// The highest block, the head, or any block not far below the highest.
    fn somewhere(&mut self) -> usize {
        let highest =
            (0..self.blocks.len()).max_by_key(|place| self.blocks[*place].parts.header.number).unwrap();
        match self.random.random_range(0..10) {
            0..5 => return highest,
            5..7 => return self.head,
            _ => {}
        }
        let top = self.blocks[highest].parts.header.number;
        let near = |known: &Known| known.parts.header.number + DEPTH as u64 >= top;
        let near: Vec<usize> = (0..self.blocks.len()).filter(|place| near(&self.blocks[*place])).collect();
        near[self.random.random_range(0..near.len())]
    }

    fn transfer(&mut self, ledger: &mut HashMap<Address, (U256, u64)>, base_fee: u64) -> Candidate {
        let from = self.random.random_range(0..DEV_ACCOUNTS.len());
        let sender = DEV_ACCOUNTS[from];
        let to = match self.random.random_bool(0.3) {
            true => Address::repeat_byte(self.random.random_range(1..200)),
            false => DEV_ACCOUNTS[self.random.random_range(0..DEV_ACCOUNTS.len())],
        };
        let (_, nonce) = ledger[&sender];
        let tip = self.random.random_range(0..1_000_000_000_u128);
        let tx = TxEip1559 {
            chain_id: self.node.spec.chain_id(),
            nonce,
            gas_limit: 21_000,
            max_fee_per_gas: u128::from(base_fee) + tip,
            max_priority_fee_per_gas: tip,
            to: TxKind::Call(to),
            value: U256::from(self.random.random_range(0..1_000_000_000_000_u64)),
            ..TxEip1559::default()
        };
        let gas = U256::from(21_000);
        let payer = ledger.get_mut(&sender).unwrap();
        payer.0 -= tx.value + gas * U256::from(tx.max_fee_per_gas);
        payer.1 += 1;
        ledger.entry(to).or_default().0 += tx.value;
        ledger.entry(COLLECTOR).or_default().0 += gas * U256::from(tip);
        let key = SecretKey::from_byte_array(DEV_KEYS[from].0).unwrap();
        let signature = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(tx.signature_hash().0), &key);
        let (id, bytes) = signature.serialize_compact();
        let number = |bytes: &[u8]| U256::from_be_slice(bytes);
        let signature = Signature::new(number(&bytes[..32]), number(&bytes[32..]), i32::from(id) == 1);
        Candidate { transaction: Transaction::Eip1559(tx.into_signed(signature)), sender }
    }

    /// A block upon `parent`, with the ledger after it; it is not executed as one of the chain yet.
    fn make(&mut self, parent: usize) -> (Known, portico_stages::BuiltBlock) {
        let below = self.blocks[parent].clone();
        let header = &below.parts.header;
        let mut ledger = (*below.ledger).clone();
        let base_fee = portico_consensus::next_base_fee(&self.node.spec, header).unwrap();
        let count = self.random.random_range(0..5);
        let candidates: Vec<Candidate> = (0..count).map(|_| self.transfer(&mut ledger, base_fee)).collect();
        let amount = self.random.random_range(0..1_000);
        let withdrawal = Withdrawal { index: 0, validator_index: 1, address: COLLECTOR, amount };
        ledger.entry(COLLECTOR).or_default().0 += U256::from(amount) * U256::from(1_000_000_000);
        let attributes = BuildAttributes {
            timestamp: header.timestamp + self.random.random_range(1..30),
            prev_randao: B256::from(self.random.random::<[u8; 32]>()),
            fee_recipient: COLLECTOR,
            withdrawals: Some(vec![withdrawal]),
            parent_beacon_block_root: Some(B256::from(self.random.random::<[u8; 32]>())),
            slot_number: None,
            gas_limit_target: 60_000_000,
            extra_data: Bytes::new(),
        };
        let built = loop {
            // What is beside the chain may be dropped whenever blocks are written.
            self.at_hand(parent);
            let mut source = Given(candidates.clone().into_iter());
            if let Some(built) = self.tip.build(&below.parts.hash, &attributes, &mut source).unwrap() {
                break built;
            }
        };
        (Known { parts: built.block.clone(), ledger: Arc::new(ledger) }, built)
    }

    /// Sees to it that a known block can be built upon; forgotten ones are brought again, as a consensus client would. Where
    /// that takes long, the block becomes the head.
    fn at_hand(&mut self, place: usize) {
        let mut chain = vec![place];
        loop {
            let place = *chain.last().unwrap();
            let block = &self.blocks[place].parts;
            match self.tip.prepare(block.hash).unwrap() {
                Verdict::Valid => break,
                Verdict::Behind => {
                    if self.catch_up(place) {
                        break;
                    }
                    // Farther down a block was forgotten.
                    chain.push(self.places[&self.blocks[place].parts.header.parent_hash]);
                }
                Verdict::Missing => chain.push(self.places[&block.header.parent_hash]),
                invalid => panic!("a known block became {invalid:?}"),
            }
        }
        for place in chain.into_iter().rev() {
            match self.tip.insert(self.blocks[place].parts.clone()).unwrap() {
                Verdict::Valid => {}
                Verdict::Behind => assert!(self.catch_up(place), "its ancestors are there"),
                refused => panic!("a known block is {refused:?}"),
            }
        }
    }

    /// Makes a block the head however long it takes; says whether its ancestors are there.
    fn catch_up(&mut self, place: usize) -> bool {
        let block = &self.blocks[place].parts;
        self.caught_up += 1;
        let is_head = self.tip.set_head_in_time(block.hash).unwrap() == Verdict::Valid;
        if is_head {
            assert_eq!(self.tip.head(), (block.header.number, block.hash));
            assert_eq!(self.tip.wanted(), None);
            self.head = place;
        }
        is_head
    }

    fn remember(&mut self, known: Known) -> usize {
        self.places.insert(known.parts.hash, self.blocks.len());
        self.blocks.push(known);
        self.blocks.len() - 1
    }

    fn choose(&mut self, place: usize) {
        self.at_hand(place);
        assert_eq!(self.tip.set_head(self.blocks[place].parts.hash).unwrap(), Verdict::Valid);
        self.head = place;
    }

    fn step(&mut self) {
        match self.random.random_range(0..20) {
            0..12 => {
                let parent = self.somewhere();
                let (known, built) = self.make(parent);
                let adopt = self.random.random_bool(0.5);
                let place = self.remember(known);
                if !adopt || !self.tip.adopt(&built) {
                    self.at_hand(place);
                }
                if self.random.random_bool(0.8) {
                    self.choose(place);
                }
            }
            12..14 => self.bring_a_bad_block(),
            14..16 => self.bring_an_orphan(),
            16..18 => {
                let place = self.somewhere();
                self.choose(place);
            }
            18 => self.restart(true),
            _ => self.restart(false),
        }
        self.compare();
    }

    fn bring_a_bad_block(&mut self) {
        let parent = self.somewhere();
        let (known, _) = self.make(parent);
        let header = known.parts.header.clone();
        let header = match self.random.random_range(0..4) {
            0 => Header { state_root: B256::repeat_byte(1), ..header },
            1 => Header { gas_used: header.gas_used + 1, ..header },
            2 => Header { receipts_root: B256::repeat_byte(2), ..header },
            _ => Header { base_fee_per_gas: header.base_fee_per_gas.map(|fee| fee + 1), ..header },
        };
        let bad = BlockParts { hash: header.hash_slow(), header, ..known.parts };
        let verdict = match self.tip.insert(bad.clone()).unwrap() {
            // Its parents fill the memory.
            Verdict::Behind => {
                assert!(self.catch_up(parent));
                self.tip.insert(bad.clone()).unwrap()
            }
            verdict => verdict,
        };
        let parent_hash = bad.header.parent_hash;
        assert!(
            matches!(&verdict, Verdict::Invalid { latest_valid, .. } if *latest_valid == Some(parent_hash)),
            "{verdict:?}"
        );
        assert!(matches!(self.tip.set_head(bad.hash).unwrap(), Verdict::Invalid { .. }));
    }

    /// A block whose parent is nowhere, then two that follow each other.
    fn bring_an_orphan(&mut self) {
        let parent = self.somewhere();
        let (first, built) = self.make(parent);
        let header = Header { parent_hash: B256::repeat_byte(9), ..first.parts.header.clone() };
        let orphan = BlockParts { hash: header.hash_slow(), header, ..first.parts.clone() };
        assert_eq!(self.tip.insert(orphan.clone()).unwrap(), Verdict::Missing);
        assert_eq!(self.tip.set_head(orphan.hash).unwrap(), Verdict::Missing);
        self.tip.adopt(&built);
        let place = self.remember(first);
        let (second, _) = self.make(place);
        let place = self.remember(second);
        self.choose(place);
    }

    fn restart(&mut self, orderly: bool) {
        let worker = self.worker.take().unwrap();
        match orderly {
            true => worker.stop().unwrap(),
            false => {
                self.tip.settle().unwrap();
                std::mem::forget(worker);
            }
        }
        let (tip, worker) = start(&self.node);
        (self.tip, self.worker) = (tip, Some(worker));
        // The consensus client says again where the head is.
        self.choose(self.head);
    }

    fn compare(&mut self) {
        let head = &self.blocks[self.head];
        let txn = self.tip.live().begin_ro().unwrap();
        let number = read_checkpoint(&txn, "Finish").unwrap();
        assert_eq!(number, head.parts.header.number);
        assert_eq!(canonical_hash(&txn, number).unwrap(), Some(head.parts.hash));
        let mut state = PlainReader::new(&txn).unwrap();
        let addresses: Vec<Address> = head.ledger.keys().copied().collect();
        for _ in 0..4 {
            let address = addresses[self.random.random_range(0..addresses.len())];
            let found = state.account(&address).unwrap().unwrap_or_default();
            assert_eq!((found.balance, found.nonce), head.ledger[&address], "{address} after block {number}");
        }
        if number > 0 {
            let block = read_block(&txn, number).unwrap().unwrap();
            assert_eq!(block.transactions.len(), head.parts.transactions.len());
            let body = read_body(&txn, number).unwrap().unwrap();
            let receipts = read_block_receipts(&txn, &body, number).unwrap();
            assert!(receipts.iter().all(|receipt| receipt.success));
            assert_eq!(receipts.len(), block.transactions.len());
        }
    }

    /// All tables against a node that takes the canonical chain straight.
    fn compare_tables(&mut self) {
        let mut chain = Vec::new();
        let mut place = self.head;
        while place != 0 {
            chain.push(self.blocks[place].parts.clone());
            place = self.places[&self.blocks[place].parts.header.parent_hash];
        }
        chain.reverse();
        let straight = TestNode::in_memory("dev").unwrap();
        straight.initialize().unwrap();
        if !chain.is_empty() {
            straight.with_tree(|tree| tree.extend(chain)).unwrap().unwrap();
        }
        let in_memory = TableDigest::of_all(&self.tip.live().begin_ro().unwrap()).unwrap();
        assert_same_tables("in memory", &in_memory, &straight.digests().unwrap(), OF_THE_LOSER);
        self.tip.flush().unwrap();
        let written = self.node.digests().unwrap();
        assert_same_tables("written", &written, &straight.digests().unwrap(), OF_THE_LOSER);
    }
}

#[test]
fn heads_accounts_receipts_and_tables_are_those_of_the_ledger_wherever_the_walk_goes() {
    let steps = std::env::var("PORTICO_TIP_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(300);
    let seed = std::env::var("PORTICO_TIP_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("{steps} steps with seed {seed}");
    let mut walk = Walk::new(seed);
    for step in 1..=steps {
        walk.step();
        if step % 100 == 0 {
            walk.compare_tables();
        }
    }
    walk.compare_tables();
    let side = walk.blocks.len() as u64 - walk.blocks[walk.head].parts.header.number;
    let head = walk.blocks[walk.head].parts.header.number;
    println!("head {head}, {side} blocks beside the chain, {} times caught up", walk.caught_up);
    assert!(walk.caught_up > 0, "the limits are never met");
}
