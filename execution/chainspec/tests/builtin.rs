//! Facts about the built-in chains that need no test data.

use alloy_primitives::{B256, U256, b256};
use portico_chainspec::{Activation, BlobParams, BlockContext, ChainSpec, Fork, ForkHash};
use std::sync::Arc;

fn hash_of(spec: &ChainSpec, timestamp: u64) -> [u8; 4] {
    spec.fork_id(u64::MAX, timestamp).hash.0
}

#[test]
fn genesis_hashes_are_the_known_ones() {
    let known: [(Arc<ChainSpec>, u64, B256); 3] = [
        (ChainSpec::mainnet(), 1, b256!("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3")),
        (
            ChainSpec::sepolia(),
            11_155_111,
            b256!("25a5cc106eea7138acab33231d7160d69cb777ee0c2c553fcddf5138993e6dd9"),
        ),
        (
            ChainSpec::hoodi(),
            560_048,
            b256!("bbe312868b376a3001692a646dd2d7d1e4406380dfd86b98aa8a34d1557c971b"),
        ),
    ];
    for (spec, chain_id, hash) in known {
        assert_eq!(spec.genesis_hash(), hash, "{}", spec.name());
        assert_eq!((spec.chain_id(), spec.network_id()), (chain_id, chain_id));
        let alloc = spec.genesis_alloc();
        assert!(alloc.is_sorted_by(|a, b| a.0 < b.0));
    }
}

#[test]
fn packed_allocations_give_the_state_roots() {
    for spec in [ChainSpec::mainnet(), ChainSpec::sepolia(), ChainSpec::hoodi()] {
        let accounts = spec.genesis_alloc();
        let accounts = accounts.iter().map(|(address, account)| (*address, account));
        let root = alloy_trie::root::state_root_unhashed(accounts);
        assert_eq!(root, spec.genesis_header().state_root, "{}", spec.name());
    }
}

#[test]
fn amsterdam_is_scheduled_on_sepolia_only() {
    let sepolia = ChainSpec::sepolia();
    assert_eq!(sepolia.activation(Fork::Amsterdam), Some(Activation::Timestamp(1_791_294_816)));
    assert_eq!(hash_of(&sepolia, 1_791_294_816), [0x6c, 0x1d, 0x94, 0x23]);
    assert_eq!(sepolia.fork_id(u64::MAX, 1_761_607_008).next, 1_791_294_816);
    assert_eq!(sepolia.fork_id(0, 0).hash, ForkHash([0xfe, 0x33, 0x66, 0xe7]));
    for spec in [ChainSpec::mainnet(), ChainSpec::hoodi()] {
        assert_eq!(spec.activation(Fork::Amsterdam), None);
        assert_eq!(spec.fork_id(u64::MAX, u64::MAX).next, 0);
    }
    assert_eq!(hash_of(&ChainSpec::hoodi(), u64::MAX), [0x23, 0xaa, 0x13, 0x51]);
}

#[test]
fn mainnet_forks_and_blob_parameters() {
    let mainnet = ChainSpec::mainnet();
    let at = |number, timestamp, merged| mainnet.fork_at(BlockContext { number, timestamp, merged });
    assert_eq!(at(0, 0, false), Fork::Frontier);
    assert_eq!(at(7_280_000, 0, false), Fork::Petersburg);
    assert_eq!(at(15_537_393, 1_663_224_161, false), Fork::GrayGlacier);
    assert_eq!(at(15_537_394, 1_663_224_179, true), Fork::Paris);
    assert_eq!(at(30_000_000, 1_764_798_550, true), Fork::Prague);
    assert_eq!(at(30_000_000, 1_764_798_551, true), Fork::Osaka);
    assert_eq!(at(30_000_000, u64::MAX, true), Fork::Bpo2);
    assert_eq!(mainnet.dao_fork_block(), Some(1_920_000));
    assert_eq!(mainnet.blob_params_at(1_710_338_134), None);
    assert_eq!(mainnet.blob_params_at(1_710_338_135), Some(BlobParams::cancun()));
    assert_eq!(mainnet.blob_params_at(1_764_798_551), Some(BlobParams::osaka()));
    assert_eq!(mainnet.blob_params_at(1_765_290_071), Some(BlobParams::bpo1()));
    assert_eq!(mainnet.blob_params_at(u64::MAX), Some(BlobParams::bpo2()));
    let ttd = mainnet.terminal_total_difficulty().unwrap();
    assert_eq!(ttd.to_string(), "58750000000000000000000");
    assert!(mainnet.is_merged(ttd, 0) && !mainnet.is_merged(ttd - U256::ONE, u64::MAX));
}

#[test]
fn bomb_delay_follows_the_glaciers() {
    let delay = |spec: &ChainSpec, number| {
        spec.difficulty_bomb_delay(BlockContext { number, timestamp: 0, merged: false })
    };
    let mainnet = ChainSpec::mainnet();
    let cases = [
        (4_369_999, 0),
        (4_370_000, 3_000_000),
        (7_280_000, 5_000_000),
        (9_200_000, 9_000_000),
        (12_965_000, 9_700_000),
        (13_773_000, 10_700_000),
        (15_050_000, 11_400_000),
    ];
    for (number, expected) in cases {
        assert_eq!(delay(&mainnet, number), expected, "{number}");
    }
    assert_eq!(delay(&ChainSpec::sepolia(), 1), 9_700_000);
}

#[test]
fn dev_chain_is_merged_with_all_forks_to_osaka() {
    let dev = ChainSpec::load("dev").unwrap();
    let block = dev.block_context(1, 1, dev.genesis_header().difficulty);
    assert!(block.merged);
    assert_eq!(dev.fork_at(block), Fork::Osaka);
    assert_eq!(dev.chain_id(), 1337);
    let alloc = dev.genesis_alloc();
    let funded = alloc.iter().filter(|(_, account)| !account.balance.is_zero()).count();
    let contracts = alloc.iter().filter(|(_, account)| !account.code.is_empty()).count();
    assert_eq!((funded, contracts), (10, 4));
    assert!(dev.genesis_header().requests_hash.is_some());
}
