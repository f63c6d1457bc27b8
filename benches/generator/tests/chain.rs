//! Whole chains, executed by revm in memory: everything planned is included and ends as planned, headers hold
//! together, and equal configurations give equal bytes.

mod database_state;
mod in_memory;

use alloy_consensus::{Header, Transaction as _, TxReceipt, proofs};
use alloy_eips::{eip1559::BaseFeeParams, eip7685::EMPTY_REQUESTS_HASH, eip7840::BlobParams};
use alloy_primitives::{Bloom, b256};
use alloy_rlp::Decodable;
use in_memory::InMemoryState;
use portico_generator::{
    Fork, ForkSchedule, GeneratedBlock, Generator, GeneratorConfig, Kind, Mix, Outcome, Transaction, genesis,
    genesis_header, write_blocks,
};
use std::collections::{BTreeMap, BTreeSet};

fn config() -> GeneratorConfig {
    GeneratorConfig { genesis_users: 300, tokens: 16, ..GeneratorConfig::default() }
}

fn generator(config: &GeneratorConfig) -> Generator<InMemoryState> {
    Generator::new(config.clone(), |genesis| Ok(InMemoryState::new(config, genesis))).unwrap()
}

fn generate(config: &GeneratorConfig, count: usize) -> Vec<GeneratedBlock> {
    generator(config).take(count).collect::<Result<_, _>>().unwrap()
}

fn assert_goes_as_planned(block: &GeneratedBlock) {
    let number = block.block.header.number;
    let describe = |planned: &portico_generator::PlannedTransaction| (planned.kind, planned.outcome);
    let refused: Vec<_> = block.refused.iter().map(describe).collect();
    assert!(refused.is_empty(), "block {number} refuses {refused:?}");
    let surprises: Vec<_> = block.surprises().map(|position| describe(&block.planned[position])).collect();
    assert!(surprises.is_empty(), "block {number} has surprises: {surprises:?}");
}

/// Checks a block against its parent with nothing but the consensus rules.
fn assert_follows(block: &GeneratedBlock, parent: &Header, blob_params: Option<BlobParams>) {
    let header = &block.block.header;
    let body = &block.block.body;
    assert_eq!(header.number, parent.number + 1);
    assert_eq!(header.parent_hash, parent.hash_slow());
    assert_eq!(block.hash, header.hash_slow());
    assert!(header.timestamp > parent.timestamp);
    assert_eq!(header.base_fee_per_gas, parent.next_block_base_fee(BaseFeeParams::ethereum()));
    assert_eq!(header.transactions_root, proofs::calculate_transaction_root(&body.transactions));
    assert_eq!(header.receipts_root, proofs::calculate_receipt_root(&block.receipts));
    let bloom = block.receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom());
    assert_eq!(header.logs_bloom, bloom);
    let withdrawals_root = body.withdrawals.as_ref().map(|list| proofs::calculate_withdrawals_root(list));
    assert_eq!(header.withdrawals_root, withdrawals_root);
    let blob_gas: u64 = body.transactions.iter().filter_map(|tx| tx.blob_gas_used()).sum();
    assert_eq!(header.blob_gas_used, blob_params.map(|_| blob_gas));
    let excess = blob_params.map(|params| parent.next_block_excess_blob_gas(params).unwrap_or(0));
    assert_eq!(header.excess_blob_gas, excess);
    assert!(blob_params.is_none_or(|params| blob_gas <= params.max_blob_gas_per_block()));
    let gas_limits: u64 = body.transactions.iter().map(|tx| tx.gas_limit()).sum();
    assert!(header.gas_used <= gas_limits && gas_limits <= header.gas_limit);
    for (transaction, sender) in body.transactions.iter().zip(&block.senders) {
        use alloy_consensus::transaction::SignerRecoverable;
        assert_eq!(transaction.recover_signer().unwrap(), *sender);
    }
}

#[test]
fn twenty_blocks_go_as_planned() {
    // The rarest kind comes often enough here to be seen.
    let config = GeneratorConfig { mix: Mix { staking: 12, ..Mix::default() }, ..config() };
    let mut parent = genesis_header(&config, &genesis(&config));
    let mut generator = generator(&config);
    assert_eq!(generator.state().root(), parent.state_root);
    let mut kinds = BTreeSet::new();
    let mut types = BTreeSet::new();
    for _ in 0..20 {
        let block = generator.next_block().unwrap();
        assert_goes_as_planned(&block);
        assert_follows(&block, &parent, Some(BlobParams::osaka()));
        let header = block.block.header.clone();
        assert_eq!(header.state_root, generator.state().root());
        assert_eq!(block.block.body.withdrawals.as_ref().unwrap().len(), 16);
        kinds.extend(block.planned.iter().map(|planned| planned.kind));
        types.extend(block.block.body.transactions.iter().map(|tx| u8::from(tx.tx_type())));
        parent = header;
    }
    assert_eq!(kinds.len(), Kind::ALL.len(), "{kinds:?}");
    assert_eq!(Vec::from_iter(types), [0, 1, 2, 3, 4]);
    for user in 0..config.genesis_users {
        let user = generator.workload().accounts().user(user);
        let account = generator.state().account(user.address);
        assert_eq!(account.nonce, user.nonce);
        assert!(account.balance >= alloy_primitives::U256::from(user.balance));
        assert_eq!(account.code_hash != alloy_primitives::KECCAK256_EMPTY, user.is_delegated);
    }
}

#[test]
fn chain_passes_through_the_forks() {
    let mut config = config();
    config.forks = ForkSchedule::passing_through(config.genesis_timestamp, 48);
    let mut parent = genesis_header(&config, &genesis(&config));
    let mut forks = BTreeSet::new();
    for block in generator(&config).take(32) {
        let block = block.unwrap();
        assert_goes_as_planned(&block);
        let header = &block.block.header;
        let fork = config.forks.fork_at(header.timestamp);
        assert_follows(&block, &parent, config.forks.blob_params_at(header.timestamp));
        assert_eq!(block.block.body.withdrawals.is_some(), fork >= Fork::Shanghai);
        assert_eq!(header.parent_beacon_block_root.is_some(), fork >= Fork::Cancun);
        assert_eq!(header.requests_hash.is_some(), fork >= Fork::Prague);
        assert!(block.planned.iter().all(|planned| planned.kind.first_fork() <= fork));
        forks.insert((
            fork,
            config.forks.blob_params_at(header.timestamp).map(|params| params.max_blob_count),
        ));
        parent = header.clone();
    }
    assert_eq!(forks.len(), 7, "{forks:?}");
}

/// Destruction and re-creation at the same address, on both sides of EIP-6780.
#[test]
fn children_come_and_go_through_the_forks() {
    let mut config = config();
    config.forks = ForkSchedule::passing_through(config.genesis_timestamp, 60);
    config.mix = Mix { creation: 1, child: 2, ..Mix::none() };
    for block in generator(&config).take(15) {
        assert_goes_as_planned(&block.unwrap());
    }
}

#[test]
fn requests_reach_the_header() {
    let config = GeneratorConfig { mix: Mix { staking: 1, ..Mix::none() }, ..config() };
    for block in generate(&GeneratorConfig { transactions_per_block: 4, ..config }, 5) {
        assert_goes_as_planned(&block);
        assert_ne!(block.block.header.requests_hash, Some(EMPTY_REQUESTS_HASH));
    }
}

#[test]
fn file_holds_the_blocks_and_the_seed_decides() {
    let config = config();
    let write = |config: &GeneratorConfig, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut file = Vec::new();
        let written = pool.install(|| write_blocks(generator(config).take(4), &mut file)).unwrap();
        assert_eq!(written, file.len() as u64);
        file
    };
    let file = write(&config, 1);
    assert_eq!(file, write(&config, 3));
    assert_ne!(file, write(&GeneratorConfig { seed: 2, ..config.clone() }, 1));

    let mut rest = &file[..];
    for block in generate(&config, 4) {
        assert_eq!(alloy_consensus::Block::<Transaction>::decode(&mut rest).unwrap(), block.block);
    }
    assert!(rest.is_empty());
}

/// The bytes of a chain are a promise: whoever keeps a generated chain can make it again.
#[test]
fn chain_is_pinned() {
    let config = config();
    let tip = generate(&config, 3).pop().unwrap();
    let genesis = genesis_header(&config, &genesis(&config)).hash_slow();
    assert_eq!(genesis, b256!("0x040a866aba5dcb8f6d8e6c2e5209ac27c04cb4da8ca81f393b9eb46c2c90cf36"));
    assert_eq!(tip.hash, b256!("0x7ee7485d581882fcdd9c2d826b5b251ded395c123387f5ca5bfffb891c6d91f4"));
}

/// A state that refuses some transactions is followed: later blocks are valid again.
#[test]
fn refused_transactions_are_forgotten() {
    let config = config();
    let mut generator = Generator::new(config.clone(), |genesis| {
        Ok(Forgetful { state: InMemoryState::new(&config, genesis) })
    })
    .unwrap();
    let first = generator.next_block().unwrap();
    assert!(first.refused.len() >= 3, "{}", first.refused.len());
    assert_follows(&first, &genesis_header(&config, &genesis(&config)), Some(BlobParams::osaka()));
    for _ in 0..5 {
        assert_eq!(generator.next_block().unwrap().refused, []);
    }
}

/// Does not see every fiftieth transaction of block 1.
struct Forgetful {
    state: InMemoryState,
}

impl portico_generator::ChainState for Forgetful {
    fn execute(
        &mut self,
        header: &portico_generator::HeaderTemplate,
        transactions: &[alloy_consensus::transaction::Recovered<Transaction>],
        withdrawals: &[alloy_eips::eip4895::Withdrawal],
    ) -> Result<portico_generator::ExecutedBlock, Box<dyn std::error::Error + Send + Sync>> {
        if header.number > 1 {
            return self.state.execute(header, transactions, withdrawals);
        }
        let seen: Vec<usize> = (0..transactions.len()).filter(|position| position % 50 != 7).collect();
        let list: Vec<_> = seen.iter().map(|position| transactions[*position].clone()).collect();
        let mut executed = self.state.execute(header, &list, withdrawals)?;
        let refused: BTreeSet<usize> = executed.refused.iter().map(|position| seen[*position]).collect();
        let unseen = (0..transactions.len()).filter(|position| position % 50 == 7);
        executed.refused = BTreeSet::from_iter(unseen).union(&refused).copied().collect();
        Ok(executed)
    }

    fn state_root(&mut self) -> Result<alloy_primitives::B256, Box<dyn std::error::Error + Send + Sync>> {
        self.state.state_root()
    }
}

/// Gas and outcome by kind: `cargo test -p portico-generator --test chain -- --ignored --nocapture report`.
#[test]
#[ignore = "prints a table and asserts nothing; `make mix` runs it"]
fn report() {
    let config = GeneratorConfig::default();
    let blocks: usize = std::env::var("BLOCKS").map_or(20, |count| count.parse().unwrap());
    let mut by_kind: BTreeMap<Kind, [u64; 5]> = BTreeMap::new();
    let (mut count, mut gas, mut bytes, mut logs) = (0, 0, 0, 0);
    let mut fees = Vec::new();
    for block in generator(&config).take(blocks) {
        let block = block.unwrap();
        assert_goes_as_planned(&block);
        let mut before = 0;
        for ((planned, receipt), tx) in
            block.planned.iter().zip(&block.receipts).zip(&block.block.body.transactions)
        {
            let used = receipt.cumulative_gas_used() - before;
            before = receipt.cumulative_gas_used();
            let row = by_kind.entry(planned.kind).or_default();
            row[0] += 1;
            row[1] += used;
            row[2] += tx.gas_limit();
            row[3] = row[3].max(used * 1000 / tx.gas_limit());
            row[4] += u64::from(planned.outcome == Outcome::Failure);
        }
        count += block.receipts.len() as u64;
        logs += block.receipts.iter().map(|receipt| receipt.logs().len() as u64).sum::<u64>();
        gas += block.block.header.gas_used;
        bytes += alloy_rlp::encode(&block.block).len();
        fees.push(block.block.header.base_fee_per_gas.unwrap());
    }
    let mut json = Vec::new();
    portico_generator::write_genesis(&genesis(&config), &mut json).unwrap();
    println!("{} bytes of genesis", json.len());
    println!("kind             count  gas/tx   limit  used/limit max ‰");
    for (kind, [count, used, limit, ratio, _]) in by_kind {
        println!("{:15} {count:6} {:7} {:7} {ratio:5}", format!("{kind:?}"), used / count, limit / count);
    }
    let blocks = blocks as u64;
    println!(
        "{} tx/block, {} gas/tx, {} gas/block, {} logs/block",
        count / blocks,
        gas / count,
        gas / blocks,
        logs / blocks
    );
    println!(
        "{} bytes/block, base fee at start, middle, end: {} {} {}",
        bytes as u64 / blocks,
        fees[0],
        fees[fees.len() / 2],
        fees[fees.len() - 1]
    );
}
