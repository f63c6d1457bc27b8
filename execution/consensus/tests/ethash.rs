//! Proof-of-work seals: the official tests, real blocks, and real blocks changed.

mod support;

use alloy_consensus::Header;
use alloy_primitives::{B64, B256, U256, hex};
use alloy_rlp::Decodable;
use portico_consensus::{
    ConsensusError,
    ethash::{EPOCH_BLOCKS, Epoch, LightCaches, seal_hash},
};
use serde_json::Value;
use std::{path::Path, sync::LazyLock};
use support::{blocks, fixtures, untar};

/// For blocks of the first epoch: its cache is made once.
static FIRST: LazyLock<LightCaches> = LazyLock::new(LightCaches::default);

const BESU: &str = "real-chains/mainnet/besu";

fn header(file: &Path) -> Header {
    blocks(file).remove(0).header
}

#[test]
fn official_pow_tests() {
    let Some(fixtures) = fixtures() else { return };
    let mut run = 0;
    for (path, content) in untar(&fixtures.join("ethereum-tests/ethereum-tests.tar.zst")) {
        if !path.starts_with("PoWTests/") || !path.ends_with(".json") {
            continue;
        }
        let file: Value = serde_json::from_slice(&content).unwrap();
        for (name, case) in file.as_object().unwrap() {
            let hash = |field: &str| case[field].as_str().unwrap().parse::<B256>().unwrap();
            let rlp = hex::decode(case["header"].as_str().unwrap()).unwrap();
            let header = Header::decode(&mut rlp.as_slice()).unwrap();
            let epoch = Epoch::of_block(header.number).unwrap();
            assert_eq!(epoch.seed(), hash("seed"), "{name}");
            assert_eq!(epoch.cache_bytes(), case["cache_size"].as_u64().unwrap(), "{name}");
            assert_eq!(epoch.dataset_bytes(), case["full_size"].as_u64().unwrap(), "{name}");
            assert_eq!(seal_hash(&header), hash("header_hash"), "{name}");
            let nonce: B64 = case["nonce"].as_str().unwrap().parse().unwrap();
            let found = FIRST.of_epoch(epoch).hashimoto(hash("header_hash"), nonce);
            assert_eq!((found.mix_hash, found.result), (hash("mixHash"), hash("result")), "{name}");
            // The nonces were not searched for: the mix hashes are right, the results too high.
            let boundary =
                ConsensusError::EthashBoundary { difficulty: header.difficulty, result: found.result };
            assert_eq!(FIRST.verify_seal(&header), Err(boundary), "{name}");
            run += 1;
        }
    }
    println!("{run} proof-of-work cases");
    assert_eq!(run, 2);
}

#[test]
fn early_blocks_of_mainnet_and_their_ommers_are_sealed() {
    let Some(fixtures) = fixtures() else { return };
    let mut sealed = 0;
    for block in blocks(&fixtures.join(BESU).join("1000.blocks")).into_iter().skip(1).step_by(4) {
        for header in [&block.header].into_iter().chain(&block.body.ommers) {
            assert_eq!(FIRST.verify_seal(header), Ok(()), "block {}", block.header.number);
            sealed += 1;
        }
    }
    assert_eq!(sealed, 250 + 69);
}

#[test]
fn blocks_of_later_epochs_are_sealed() {
    let Some(fixtures) = fixtures() else { return };
    let caches = LightCaches::default();
    for number in [1, 300_005, 300_006, 1_200_000, 1_200_001, 4_400_000, 4_400_001, 4_400_002] {
        let header = header(&fixtures.join(BESU).join(format!("single/block_{number}.blocks")));
        assert_eq!(header.number, number);
        assert_eq!(caches.verify_seal(&header), Ok(()), "block {number}");
    }
}

#[test]
fn a_block_without_work_is_refused() {
    let Some(fixtures) = fixtures() else { return };
    let block = blocks(&fixtures.join(BESU).join("badpow.blocks")).remove(1);
    let error = FIRST.verify_seal(&block.header).unwrap_err();
    assert!(matches!(error, ConsensusError::EthashMixHash { .. }), "{error}");
}

#[test]
fn a_changed_header_is_refused() {
    let Some(fixtures) = fixtures() else { return };
    let caches = LightCaches::default();
    let good = header(&fixtures.join(BESU).join("single/block_300005.blocks"));
    assert_eq!(caches.verify_seal(&good), Ok(()));
    let refused = |change: &dyn Fn(&mut Header)| {
        let mut header = good.clone();
        change(&mut header);
        assert_ne!(header, good);
        caches.verify_seal(&header).unwrap_err()
    };

    // Everything but mix hash and nonce is in the seal hash, so that another mix hash is due.
    let changes: [&dyn Fn(&mut Header); 16] = [
        &|header| header.parent_hash.0[31] ^= 1,
        &|header| header.ommers_hash.0[0] ^= 1,
        &|header| header.beneficiary.0[19] ^= 1,
        &|header| header.state_root.0[7] ^= 1,
        &|header| header.transactions_root.0[7] ^= 1,
        &|header| header.receipts_root.0[7] ^= 1,
        &|header| header.logs_bloom.0[255] ^= 1,
        &|header| header.difficulty -= U256::ONE,
        &|header| header.number += 1,
        &|header| header.gas_limit += 1,
        &|header| header.gas_used += 1,
        &|header| header.timestamp += 1,
        &|header| header.extra_data = [&header.extra_data[..], &[0]].concat().into(),
        &|header| header.base_fee_per_gas = Some(0),
        &|header| header.nonce.0[7] ^= 1,
        &|header| header.mix_hash.0[0] ^= 1,
    ];
    for (position, change) in changes.into_iter().enumerate() {
        let error = refused(change);
        assert!(matches!(error, ConsensusError::EthashMixHash { .. }), "change {position}: {error}");
    }

    // A nonce that was not searched for, with its right mix hash.
    let cache = caches.of_epoch(Epoch::of_block(good.number).unwrap());
    let error = refused(&|header| {
        header.nonce = B64::ZERO;
        header.mix_hash = cache.hashimoto(seal_hash(header), header.nonce).mix_hash;
    });
    assert!(matches!(error, ConsensusError::EthashBoundary { .. }), "{error}");
    assert_eq!(refused(&|header| header.difficulty = U256::ZERO), ConsensusError::EthashDifficultyZero);
    let beyond = refused(&|header| header.number = u64::MAX);
    assert_eq!(beyond, ConsensusError::EthashEpoch { epoch: u64::MAX / EPOCH_BLOCKS, max: 2047 });
}
