//! New heads: what was mined goes, what was taken back returns, the rest is judged anew.

mod kit;

use alloy_primitives::U256;
use kit::*;
use portico_chainspec::{ChainSpec, Fork};
use portico_txpool::{BestFor, Origin, Settings};

const HOUR: u64 = 3600;

#[test]
fn mined_transactions_go_and_others_move_up() {
    let mut bench = Bench::new();
    for nonce in [0, 1, 2, 4] {
        bench.add(signer(1).fee(nonce, 2 * GWEI, 1)).unwrap();
    }
    bench.accounts.set(signer(1).address, 4, ETHER);
    bench.advance(vec![], vec![]);
    assert_eq!(bench.nonces(signer(1).address), (vec![4], vec![]));
    bench.accounts.set(signer(1).address, 5, ETHER);
    bench.advance(vec![], vec![]);
    assert_eq!(bench.pool.status(), portico_txpool::Status::default());
}

#[test]
fn all_accounts_are_read_at_once() {
    let mut bench = Bench::new();
    for index in 0..40 {
        bench.add(signer(index).fee(0, 2 * GWEI, 1)).unwrap();
    }
    let before = bench.accounts.reads.get();
    bench.advance(vec![], vec![]);
    assert_eq!(bench.accounts.reads.get(), before + 1);
}

#[test]
fn what_cannot_be_paid_any_more_goes_or_waits() {
    let mut bench = Bench::new();
    let cost = 21_000 * 2 * GWEI;
    for nonce in 0..4 {
        bench.add(signer(1).fee(nonce, 2 * GWEI, 1)).unwrap();
    }
    bench.add(signer(1).fee(4, 20 * GWEI, 1)).unwrap();
    bench.accounts.set(signer(1).address, 0, 2 * cost);
    bench.advance(vec![], vec![]);
    assert_eq!(bench.nonces(signer(1).address), (vec![0, 1], vec![2, 3]));
    bench.accounts.set(signer(1).address, 0, 4 * cost);
    bench.advance(vec![], vec![]);
    assert_eq!(bench.nonces(signer(1).address), (vec![0, 1, 2, 3], vec![]));
    bench.accounts.set(signer(1).address, 0, cost - 1);
    bench.advance(vec![], vec![]);
    assert_eq!(bench.pool.status().senders, 0);
}

#[test]
fn transactions_of_lost_blocks_come_back() {
    let mut bench = Bench::new();
    let sent = [signer(1).legacy(0, 2 * GWEI), signer(1).fee(1, 2 * GWEI, 1), signer(2).fee(0, 2 * GWEI, 1)];
    let hashes: Vec<_> = sent.iter().map(|tx| bench.add(tx.clone()).unwrap().hash).collect();
    bench.accounts.set(signer(1).address, 2, ETHER);
    bench.accounts.set(signer(2).address, 1, ETHER);
    bench.advance(hashes.clone(), vec![]);
    assert_eq!(bench.pool.status().pending, 0);
    // The other branch has only the second account's.
    bench.accounts.set(signer(1).address, 0, ETHER);
    bench.advance(vec![hashes[2]], sent.iter().map(bare).collect());
    assert_eq!(bench.nonces(signer(1).address), (vec![0, 1], vec![]));
    assert_eq!(bench.pool.status().senders, 1);
    assert_eq!(bench.pool.get(&hashes[0]).unwrap().sender(), signer(1).address);
}

#[test]
fn what_came_meanwhile_keeps_its_place() {
    let mut bench = Bench::new();
    let mined = signer(1).fee(0, 2 * GWEI, 1);
    let newer = signer(1).fee(0, 5 * GWEI, 2);
    let newer_hash = bench.add(newer).unwrap().hash;
    bench.advance(vec![], vec![bare(&mined)]);
    assert_eq!(bench.pool.contents_from(signer(1).address).0[0].hash(), newer_hash);
    assert_eq!(bench.pool.status().pending, 1);
}

#[test]
fn returning_transactions_are_judged_like_others() {
    let mut bench = Bench::new();
    bench.accounts.set(signer(1).address, 0, 1);
    bench.accounts.set(signer(2).address, 3, ETHER);
    let reverted = [signer(1).fee(0, GWEI, 1), signer(2).fee(2, GWEI, 1), signer(3).fee(5, GWEI, 1)];
    bench.advance(vec![], reverted.iter().map(bare).collect());
    assert_eq!(bench.pool.status().pending, 0);
    assert_eq!(bench.nonces(signer(3).address), (vec![], vec![5]));
}

#[test]
fn blobs_of_included_transactions_are_kept_until_they_are_final() {
    let mut bench = Bench::new();
    let sent = signer(1).blob(0, 2 * GWEI, GWEI);
    let hash = bench.add(sent.clone()).unwrap().hash;
    let blob_hash = cells(0).versioned_hashes().next().unwrap();
    let has_blob = |bench: &Bench| bench.pool.blobs(&[blob_hash])[0].is_some();
    bench.accounts.set(signer(1).address, 1, ETHER);
    bench.advance(vec![hash], vec![]);
    assert!(bench.pool.get(&hash).is_none());
    assert_eq!(bench.pool.status().kept, 1);
    assert!(has_blob(&bench));
    // The block is taken back: the transaction returns with its blobs.
    bench.accounts.set(signer(1).address, 0, ETHER);
    bench.advance(vec![], vec![bare(&sent)]);
    assert_eq!(bench.pool.get(&hash).unwrap().to_network(), sent);
    assert_eq!((bench.pool.status().kept, bench.pool.status().kept_bytes), (0, 0));
    // It is included again, and final.
    bench.accounts.set(signer(1).address, 1, ETHER);
    bench.advance(vec![hash], vec![]);
    bench.advance_with(vec![], vec![], Some(bench.number - 1));
    assert_eq!(bench.pool.status().kept, 1);
    bench.advance_with(vec![], vec![], Some(bench.number - 1));
    assert_eq!((bench.pool.status().kept, bench.pool.status().kept_bytes), (0, 0));
    assert!(!has_blob(&bench));
    // Now nobody has the blobs any more.
    bench.accounts.set(signer(1).address, 0, ETHER);
    bench.advance(vec![], vec![bare(&sent)]);
    assert!(bench.pool.get(&hash).is_none());
}

#[test]
fn blobs_are_kept_for_so_many_blocks_and_bytes() {
    let include = |settings: Settings| {
        let mut bench = Bench::with(settings);
        for index in 1..=3 {
            let hash = bench.add(signer(index).blob(0, 2 * GWEI, GWEI)).unwrap().hash;
            bench.accounts.set(signer(index).address, 1, ETHER);
            bench.advance(vec![hash], vec![]);
        }
        bench
    };
    let mut bench = include(Settings { kept_blocks: 5, ..Settings::default() });
    let counts: Vec<usize> = (0..6)
        .map(|_| {
            bench.advance(vec![], vec![]);
            bench.pool.status().kept
        })
        .collect();
    assert_eq!(counts, [3, 3, 2, 1, 0, 0]);
    let bench = include(Settings { kept_bytes_max: 300_000, ..Settings::default() });
    assert_eq!(bench.pool.status().kept, 2);
    assert!(bench.pool.status().kept_bytes <= 300_000);
}

#[test]
fn local_transactions_come_back_as_local() {
    let mut bench = Bench::new();
    let sent = signer(1).fee(0, 2 * GWEI, 1);
    let hash = bench.add_local(sent.clone()).unwrap().hash;
    bench.accounts.set(signer(1).address, 1, ETHER);
    bench.advance(vec![hash], vec![]);
    bench.accounts.set(signer(1).address, 0, ETHER);
    bench.advance(vec![], vec![bare(&sent)]);
    assert_eq!(bench.pool.get(&hash).unwrap().origin(), Origin::Local);
}

#[test]
fn what_waits_too_long_is_dropped_unless_it_is_local() {
    let mut bench = Bench::new();
    bench.add(signer(1).fee(1, 2 * GWEI, 1)).unwrap();
    bench.add(signer(2).fee(0, 2 * GWEI, 1)).unwrap();
    bench.add_local(signer(3).fee(1, 2 * GWEI, 1)).unwrap();
    bench.now += 3 * HOUR;
    bench.add(signer(4).fee(1, 2 * GWEI, 1)).unwrap();
    bench.advance(vec![], vec![]);
    assert_eq!(bench.pool.status().queued, 3);
    bench.now += 1;
    bench.advance(vec![], vec![]);
    let contents = bench.pool.contents();
    let mut queued: Vec<_> = contents.queued.into_keys().collect();
    let mut expected = vec![signer(3).address, signer(4).address];
    queued.sort();
    expected.sort();
    assert_eq!(queued, expected);
    assert_eq!(contents.pending.len(), 1);
}

/// A chain on which Osaka starts at `osaka`.
fn until_osaka(osaka: u64) -> ChainSpec {
    let json = format!(
        r#"{{"config":{{"chainId":1337,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,
        "byzantiumBlock":0,"constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0,"berlinBlock":0,
        "londonBlock":0,"terminalTotalDifficulty":0,"shanghaiTime":0,"cancunTime":0,"pragueTime":0,
        "osakaTime":{osaka},"blobSchedule":{{
        "cancun":{{"target":3,"max":6,"baseFeeUpdateFraction":3338477}},
        "prague":{{"target":6,"max":9,"baseFeeUpdateFraction":5007716}},
        "osaka":{{"target":6,"max":9,"baseFeeUpdateFraction":5007716}}}}}},
        "difficulty":"0x0","gasLimit":"0x1c9c380","alloc":{{}}}}"#
    );
    ChainSpec::from_genesis_json(json.as_bytes()).unwrap()
}

#[test]
fn a_fork_drops_what_it_forbids() {
    let mut bench = Bench::on(until_osaka(NOW + 12).into(), Settings::default());
    bench.add(signer(1).blob_with(0, 2 * GWEI, GWEI, one_proof())).unwrap();
    let mut greedy = plain();
    greedy.gas_limit = 20_000_000;
    bench.add_incoming(from(signer(2).address, greedy)).unwrap();
    bench.add(signer(3).fee(0, 2 * GWEI, 1)).unwrap();
    let at = |fork| BestFor { base_fee: GWEI as u64, blob_fee: Some(1), fork };
    assert_eq!(bench.pool.best(at(Fork::Prague)).count(), 3);
    assert_eq!(bench.pool.best(at(Fork::Osaka)).count(), 2);
    bench.now += 12;
    // Before the pool is told of a new head, new transactions are judged by the fork to come already.
    assert!(bench.refusal(signer(4).blob_with(0, 2 * GWEI, GWEI, one_proof())).contains("sidecar version"));
    bench.advance(vec![], vec![]);
    assert_eq!(
        bench.pool.best(at(Fork::Osaka)).map(|tx| tx.sender()).collect::<Vec<_>>(),
        [signer(3).address]
    );
    assert_eq!(bench.pool.status().senders, 1);
}

#[test]
fn a_lower_block_gas_limit_drops_what_does_not_fit() {
    let bench = Bench::under("Prague");
    let mut large = plain();
    large.gas_limit = 25_000_000;
    bench.add_incoming(from(signer(1).address, large)).unwrap();
    let header = alloy_consensus::Header {
        number: 2,
        gas_limit: 20_000_000,
        base_fee_per_gas: Some(7),
        ..Default::default()
    };
    let change = portico_txpool::HeadChange { header, total_difficulty: U256::ZERO, ..Default::default() };
    bench.pool.on_new_head(change, &bench.accounts, NOW).unwrap();
    assert_eq!(bench.pool.status().senders, 0);
}
