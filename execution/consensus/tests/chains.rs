//! Whole chains: every header, ommer and body passes with the strict rules.

mod support;

use alloy_consensus::Header;
use alloy_primitives::{Address, B256};
use portico_chainspec::{ChainSpec, Fork};
use portico_consensus::{
    Ancestor, BodyView, ConsensusError, HeaderChecks, OMMER_GENERATIONS_MAX, Parent, clique,
    total_difficulty, validate_body, validate_header_with, validate_ommers_with,
};
use std::collections::BTreeSet;
use support::{TestBlock, blocks, fixtures, spec};

/// What a walk over a chain saw.
#[derive(Debug, Default)]
struct Walk {
    blocks: usize,
    transactions: usize,
    ommers: usize,
    merged: usize,
    forks: BTreeSet<Fork>,
}

/// Validates blocks from genesis (which the file may begin with) on.
fn walk(checks: HeaderChecks, spec: &ChainSpec, blocks: &[TestBlock]) -> Result<Walk, (u64, ConsensusError)> {
    let genesis = TestBlock { header: spec.genesis_header().clone(), body: Default::default() };
    let start = usize::from(blocks[0].header.number == 0);
    if start == 1 {
        assert_eq!(blocks[0].header, genesis.header);
    }
    let chain: Vec<&TestBlock> = std::iter::once(&genesis).chain(&blocks[start..]).collect();
    let hashes: Vec<B256> = chain.iter().map(|block| block.header.hash_slow()).collect();
    let ommer_hashes: Vec<Vec<B256>> =
        chain.iter().map(|block| block.body.ommers.iter().map(Header::hash_slow).collect()).collect();

    let mut seen = Walk::default();
    let mut parent_difficulty = genesis.header.difficulty;
    for index in 1..chain.len() {
        let (header, body) = (&chain[index].header, BodyView::from(&chain[index].body));
        let fail = |error| (header.number, error);
        let parent = Parent {
            header: &chain[index - 1].header,
            hash: hashes[index - 1],
            total_difficulty: parent_difficulty,
        };
        validate_header_with(checks, spec, parent, header).map_err(fail)?;
        let ancestors: Vec<Ancestor<'_>> = (0..index)
            .rev()
            .take(OMMER_GENERATIONS_MAX)
            .map(|at| Ancestor {
                hash: hashes[at],
                header: &chain[at].header,
                ommer_hashes: &ommer_hashes[at],
            })
            .collect();
        validate_ommers_with(checks, spec, body.ommers, &ancestors).map_err(fail)?;
        let block = spec.block_context(header.number, header.timestamp, parent_difficulty);
        validate_body(spec, block, header, body).map_err(fail)?;
        parent_difficulty = total_difficulty(parent_difficulty, header.difficulty).map_err(fail)?;

        seen.blocks += 1;
        seen.transactions += body.transactions.len();
        seen.ommers += body.ommers.len();
        seen.merged += usize::from(block.merged);
        seen.forks.insert(spec.fork_at(block));
    }
    Ok(seen)
}

/// Genesis file, block file, and what is in the blocks after genesis: how many, transactions, ommers, merged.
type Chain = (&'static str, &'static str, [usize; 4]);

const BESU_CHAINS: [Chain; 7] = [
    ("byzantium/testGenesis.json", "byzantium/testBlockchain.blocks", [32, 32, 2, 0]),
    ("clique-to-pos/clique_to_pos.json", "clique-to-pos/clique.blocks", [4, 4, 0, 0]),
    ("fork-chain-data/genesis-outdated.json", "fork-chain-data/fork-outdated.blocks", [10, 2, 0, 0]),
    ("fork-chain-data/genesis-upgraded.json", "fork-chain-data/fork-upgraded.blocks", [10, 2, 0, 0]),
    ("fork-london-data/testLondonGenesis.json", "fork-london-data/testLondonBlockchain.blocks", [5, 4, 0, 0]),
    ("snap/snapGenesis.json", "snap/testBlockchain.blocks", [500, 402, 14, 429]),
    ("test-eth-ref-rpc-compact/genesis.json", "test-eth-ref-rpc-compact/chain.blocks", [3, 3, 0, 0]),
];

const BESU_RPC: [Chain; 5] = [
    ("debug-geth/chain-data/genesis.json", "debug-geth/chain-data/blocks.bin", [34, 56, 0, 34]),
    ("eth-chain/testGenesis.json", "eth-chain/testBlockchain.blocks", [34, 34, 2, 2]),
    ("eth/simulateV1/chain-data/genesis.json", "eth/simulateV1/chain-data/blocks.bin", [45, 160, 19, 10]),
    ("trace/chain-data/genesis.json", "trace/chain-data/blocks.bin", [33, 53, 0, 0]),
    (
        "trace-2025-mined/chain-data/genesis-ethash.json",
        "trace-2025-mined/chain-data/blocks.bin",
        [33, 53, 0, 0],
    ),
];

const OTHERS: [Chain; 6] = [
    ("graphql/chain/testGenesis.json", "graphql/chain/testBlockchain.blocks", [34, 34, 2, 2]),
    (
        "execution-apis/chain-54-osaka-bpo/genesis.json",
        "execution-apis/chain-54-osaka-bpo/chain.rlp",
        [54, 249, 18, 19],
    ),
    (
        "execution-apis/chain-45-prague/genesis.json",
        "execution-apis/chain-45-prague/chain.rlp",
        [45, 160, 19, 10],
    ),
    ("devp2p/ethtest-chain/genesis.json", "devp2p/ethtest-chain/chain.rlp", [600, 603, 0, 600]),
    ("devp2p/hive-pow-chain/genesis.json", "devp2p/hive-pow-chain/fullchain.rlp", [3000, 300, 0, 0]),
    ("devp2p/hive-sync-chain/genesis.json", "devp2p/hive-sync-chain/chain.rlp", [3000, 546, 0, 3000]),
];

fn walk_all(folder: &str, chains: &[Chain]) -> BTreeSet<Fork> {
    let Some(fixtures) = fixtures() else { return BTreeSet::new() };
    let fixtures = fixtures.join(folder);
    let mut forks = BTreeSet::new();
    for (genesis, chain, expected) in chains {
        let (spec, blocks) = (spec(&fixtures.join(genesis)), blocks(&fixtures.join(chain)));
        let seen = walk(HeaderChecks::default(), &spec, &blocks)
            .unwrap_or_else(|(number, error)| panic!("{chain}, block {number}: {error}"));
        assert_eq!([seen.blocks, seen.transactions, seen.ommers, seen.merged], *expected, "{chain}");
        forks.extend(seen.forks);
    }
    forks
}

#[test]
fn besu_chains_are_valid() {
    walk_all("besu-chains", &BESU_CHAINS);
}

#[test]
fn besu_rpc_chains_are_valid() {
    walk_all("besu-rpc", &BESU_RPC);
}

#[test]
fn geth_and_hive_chains_are_valid() {
    let forks = walk_all("", &OTHERS);
    assert!(forks.is_empty() || forks.contains(&Fork::Bpo2));
}

/// This chain was made before headers had a slot number.
#[test]
fn early_amsterdam_chain_lacks_only_the_slot_number() {
    let Some(fixtures) = fixtures() else { return };
    let folder = fixtures.join("besu-rpc/testing_buildBlockV1/chain-data");
    let (spec, blocks) = (spec(&folder.join("genesis.json")), blocks(&folder.join("blocks.bin")));
    let missing = ConsensusError::HeaderFieldMissing { field: "slot number", fork: Fork::Amsterdam };
    assert_eq!(walk(HeaderChecks::default(), &spec, &blocks).unwrap_err(), (1, missing));
    let lenient = HeaderChecks { slot_number: false, ..HeaderChecks::default() };
    let seen = walk(lenient, &spec, &blocks).unwrap();
    assert_eq!((seen.blocks, seen.forks), (10, BTreeSet::from([Fork::Amsterdam])));
}

#[test]
fn first_thousand_mainnet_blocks_are_valid() {
    let Some(fixtures) = fixtures() else { return };
    let blocks = blocks(&fixtures.join("real-chains/mainnet/besu/1000.blocks"));
    let seen = walk(HeaderChecks::default(), &ChainSpec::mainnet(), &blocks).unwrap();
    assert_eq!((seen.blocks, seen.ommers), (999, 293));
}

#[test]
fn clique_seals_are_by_the_authorised_signer() {
    let Some(fixtures) = fixtures() else { return };
    let folder = fixtures.join("besu-chains/clique-to-pos");
    let spec = spec(&folder.join("clique_to_pos.json"));
    let signer = Address::from_slice(&spec.genesis_header().extra_data[32..52]);
    let blocks = blocks(&folder.join("clique.blocks"));
    for block in blocks.iter().filter(|block| block.header.number > 0) {
        assert_eq!(clique::recover_block_signer(&block.header), Ok(signer));
        let mut forged = block.header.clone();
        forged.gas_used += 1;
        assert_ne!(clique::recover_block_signer(&forged), Ok(signer));
    }
}

/// Single mainnet blocks whose parents are at hand: difficulty and gas limit rules of Homestead and Byzantium.
#[test]
fn consecutive_single_blocks_are_valid() {
    let Some(fixtures) = fixtures() else { return };
    let folder = fixtures.join("real-chains/mainnet/besu/single");
    let spec = ChainSpec::mainnet();
    for (parent, child) in
        [(300_005, 300_006), (1_200_000, 1_200_001), (4_400_000, 4_400_001), (4_400_001, 4_400_002)]
    {
        let block = |number: u64| blocks(&folder.join(format!("block_{number}.blocks"))).remove(0);
        let (parent, child) = (block(parent), block(child));
        let hash = parent.header.hash_slow();
        let parent = Parent { header: &parent.header, hash, total_difficulty: Default::default() };
        portico_consensus::validate_header(&spec, parent, &child.header).unwrap();
        let context = spec.block_context(child.header.number, child.header.timestamp, Default::default());
        validate_body(&spec, context, &child.header, BodyView::from(&child.body)).unwrap();
    }
}
