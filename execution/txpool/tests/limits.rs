//! A pool under attack: it stays within its limits, and those who pay stay in it.

mod kit;

use alloy_consensus::TxEip1559;
use alloy_eips::{
    eip4844::{c_kzg, env_settings::EnvKzgSettings},
    eip7594::BlobCellMask,
};
use alloy_primitives::{Address, U256};
use kit::*;
use portico_txpool::{Incoming, NetworkTransaction, Origin, PoolError, Settings, Sidecar};

fn somebody(index: u64) -> Address {
    Address::left_padding_from(&(index + 1).to_be_bytes())
}

fn paying(index: u64, nonce: u64, tip: u128) -> Incoming {
    let tx = TxEip1559 { nonce, max_fee_per_gas: 10 * GWEI + tip, max_priority_fee_per_gas: tip, ..plain() };
    from(somebody(index), tx)
}

fn large(index: u64, nonce: u64, tip: u128) -> Incoming {
    let tx = TxEip1559 {
        nonce,
        gas_limit: 16_000_000,
        max_fee_per_gas: 10 * GWEI + tip,
        max_priority_fee_per_gas: tip,
        input: bytes(120_000),
        ..plain()
    };
    from(somebody(index), tx)
}

fn small() -> Settings {
    Settings { global_slots: 64, global_queue: 32, account_slots: 4, account_queue: 8, ..Settings::default() }
}

#[test]
fn a_million_senders_take_no_more_room_than_a_few() {
    let bench = Bench::new();
    let mut taken = 0;
    let mut bytes_max = 0;
    for first in (0..1_000_000).step_by(10_000) {
        let batch = (first..first + 10_000)
            .map(|index| paying(index, index % 2, 1 + u128::from(index % 977)))
            .collect();
        let outcomes = bench.pool.add_batch(Origin::External, batch, &bench.accounts, NOW);
        taken += outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let status = bench.pool.status();
        assert!(status.pending <= 5120 && status.queued <= 1024 && status.senders <= 6144, "{status:?}");
        bytes_max = bytes_max.max(status.bytes);
    }
    assert!(taken >= 6144);
    assert!(bytes_max < 6144 * 4096, "{bytes_max} bytes");
    // Those who pay most are there: of 1000 with the highest tip, none was pushed out.
    let contents = bench.pool.contents();
    let tips: Vec<u128> = contents.pending.values().flatten().map(|tx| tx.tip_cap()).collect();
    assert_eq!(tips.len(), 5120);
    assert!(tips.iter().all(|tip| *tip > 960), "{:?}", tips.iter().min());
}

#[test]
fn a_full_pool_refuses_who_pays_no_more() {
    let bench = Bench::with(small());
    for index in 0..64 {
        bench.add_incoming(paying(index, 0, 100)).unwrap();
    }
    for tip in [1, 99, 100] {
        let error = bench.add_incoming(paying(100, 0, tip)).unwrap_err();
        assert_eq!(error.to_string(), "transaction underpriced");
    }
    bench.add_incoming(paying(100, 0, 101)).unwrap();
    let status = bench.pool.status();
    assert_eq!((status.pending, status.senders), (64, 64));
    // The newest of those who paid least is the one that went.
    assert!(bench.pool.contents_from(somebody(63)).0.is_empty());
}

#[test]
fn nobody_pushes_out_others_by_many_transactions() {
    let bench = Bench::with(small());
    for index in 0..30 {
        bench.add_incoming(paying(index, 0, 1)).unwrap();
    }
    for nonce in 0..500 {
        let _ = bench.add_incoming(paying(999, nonce, 1_000_000));
    }
    assert_eq!(bench.pool.status().pending, 64);
    assert!((0..30).all(|index| bench.pool.contents_from(somebody(index)).0.len() == 1));
    // And gives way when they come: down to its share.
    for index in 100..160 {
        bench.add_incoming(paying(index, 0, 2)).unwrap();
    }
    assert_eq!(bench.nonces(somebody(999)).0, [0, 1, 2, 3]);
    assert_eq!(bench.pool.status().pending, 64);
}

#[test]
fn what_waits_is_bounded_by_account_and_in_all() {
    let bench = Bench::with(small());
    for nonce in (1..100).rev() {
        let _ = bench.add_incoming(paying(0, nonce, 1));
    }
    // The nearest stay.
    assert_eq!(bench.nonces(somebody(0)).1, (1..9).collect::<Vec<_>>());
    let error = bench.add_incoming(paying(0, 50, 1)).unwrap_err();
    assert_eq!(error.to_string(), "txpool is full");
    for index in 0..1_000 {
        let _ = bench.add_incoming(paying(index, 7, 1 + u128::from(index)));
        assert!(bench.pool.status().queued <= 32);
    }
    let contents = bench.pool.contents();
    assert_eq!(contents.queued.len(), 32, "one each: nobody has more while others have none");
    // Gaps push out nothing that a block could take, and what pays less than that may wait.
    let bench = Bench::with(small());
    for index in 0..64 {
        bench.add_incoming(paying(index, 0, 1)).unwrap();
    }
    for index in 100..1_000 {
        let tip = if index < 110 { 1 } else { 1_000_000 };
        let outcome = bench.add_incoming(paying(index, 1, tip));
        assert!(index > 110 || outcome.is_ok());
    }
    assert_eq!((bench.pool.status().pending, bench.pool.status().queued), (64, 32));
}

#[test]
fn replacing_again_and_again_leaves_nothing_behind() {
    let bench = Bench::new();
    let mut tip = 1_000u128;
    let mut bytes = None;
    for _ in 0..300 {
        let tx = TxEip1559 { max_fee_per_gas: tip, max_priority_fee_per_gas: tip, ..plain() };
        let address = somebody(1);
        bench
            .accounts
            .known
            .borrow_mut()
            .insert(address, portico_txpool::PoolAccount { balance: U256::MAX, ..rich() });
        bench.add_incoming(from(address, tx)).unwrap();
        let status = bench.pool.status();
        assert_eq!((status.pending, status.queued), (1, 0));
        assert_eq!(*bytes.get_or_insert(status.bytes), status.bytes);
        tip = tip * 11 / 10 + 1;
    }
}

#[test]
fn large_transactions_count_by_their_size() {
    let bench = Bench::with(small());
    for index in 0..100 {
        let _ = bench.add_incoming(large(index, 0, 100 + u128::from(index)));
    }
    assert_eq!(bench.pool.status().pending, 16);
    // A large one that pays less than the cheapest leaves all as it was.
    let before = bench.pool.contents();
    assert!(matches!(bench.add_incoming(large(500, 0, 50)), Err(PoolError::Underpriced)));
    assert_eq!(bench.pool.contents().pending.len(), before.pending.len());
    let bytes = Bench::with(Settings { bytes_max: 1 << 20, ..Settings::default() });
    for index in 0..100 {
        let _ = bytes.add_incoming(large(index, 0, 100 + u128::from(index)));
        assert!(bytes.pool.status().bytes <= 1 << 20);
    }
    assert_eq!(bytes.pool.status().pending, 8);
}

#[test]
fn a_refused_transaction_changes_nothing() {
    let bench = Bench::with(small());
    for index in 0..64 {
        bench.add_incoming(paying(index, 0, 100 + u128::from(index))).unwrap();
    }
    // Room for four slots is found from the first on, until it would have to go itself.
    let before = bench.pool.contents();
    assert!(matches!(bench.add_incoming(large(200, 0, 102)), Err(PoolError::Underpriced)));
    let after = bench.pool.contents();
    assert_eq!(before.pending.keys().collect::<Vec<_>>(), after.pending.keys().collect::<Vec<_>>());
    assert_eq!(bench.pool.status().pending, 64);
    // A replacement that grows too large leaves the one that it would replace.
    let old = bench.pool.contents_from(somebody(0)).0[0].hash();
    assert!(bench.add_incoming(large(0, 0, 2 * GWEI)).is_ok(), "it pays more than those it pushes out");
    assert!(bench.pool.get(&old).is_none());
    let mut lowest =
        bench.pool.contents().pending.into_values().flatten().map(|tx| tx.tip_cap()).min().unwrap();
    lowest += 1;
    assert!(matches!(bench.add_incoming(large(300, 0, lowest)), Err(PoolError::Underpriced)));
}

#[test]
fn a_refused_replacement_leaves_what_it_would_replace() {
    let bench = Bench::with(small());
    for index in 0..64 {
        bench.add_incoming(paying(index, 0, if index == 0 { 10 } else { 1_000 })).unwrap();
    }
    let old = bench.pool.contents_from(somebody(0)).0[0].hash();
    let mut grown = large(0, 0, 20);
    let NetworkTransaction::Eip1559(signed) = grown.transaction else { unreachable!() };
    let tx = TxEip1559 { max_fee_per_gas: 20 * GWEI, ..signed.strip_signature() };
    grown = from(somebody(0), tx);
    assert!(matches!(bench.add_incoming(grown), Err(PoolError::Underpriced)));
    assert!(bench.pool.get(&old).is_some());
    assert_eq!(bench.pool.status().pending, 64);
}

#[test]
fn invalid_blobs_leave_nothing_behind() {
    let bench = Bench::new();
    let Sidecar::Eip7594(mut sidecar) = cells(0) else { unreachable!() };
    sidecar.cell_proofs.swap(0, 1);
    for index in 0..20 {
        let bad = signer(index).blob_with(0, 2 * GWEI, GWEI, Sidecar::Eip7594(sidecar.clone()));
        assert!(matches!(bench.add(bad), Err(PoolError::Kzg(_))));
    }
    let status = bench.pool.status();
    assert_eq!((status.bytes, status.senders, status.kept_bytes), (0, 0, 0));
    assert!(bench.pool.blobs(&cells(0).versioned_hashes().collect::<Vec<_>>())[0].is_none());
}

#[test]
fn cells_of_a_pooled_blob_hold_against_its_commitment() {
    let bench = Bench::new();
    bench.add(signer(1).blob(0, 2 * GWEI, GWEI)).unwrap();
    let hash = cells(0).versioned_hashes().next().unwrap();
    let blob = bench.pool.blobs(&[hash]).remove(0).unwrap();
    let wanted = [0, 5, 127];
    let mask = BlobCellMask::from_bits(wanted.iter().fold(0, |bits, index| bits | 1 << index));
    let found = blob.cells(mask).unwrap();
    let commitment = c_kzg::Bytes48::new(**blob.commitment());
    let parts: Vec<_> = found.blob_cells.iter().map(|cell| c_kzg::Cell::new(*cell.unwrap())).collect();
    let proofs: Vec<_> = found.proofs.iter().map(|proof| c_kzg::Bytes48::new(*proof.unwrap())).collect();
    assert_eq!((parts.len(), proofs.len()), (3, 3));
    let settings = EnvKzgSettings::Default.get();
    assert!(settings.verify_cell_kzg_proof_batch(&[commitment; 3], &wanted, &parts, &proofs).unwrap());
    let others = [0, 5, 126];
    assert!(!settings.verify_cell_kzg_proof_batch(&[commitment; 3], &others, &parts, &proofs).unwrap());
    assert_eq!(blob.cells(BlobCellMask::default()).unwrap().proofs.len(), 0);
}

#[test]
fn blob_transactions_have_their_own_room() {
    let bench = Bench::with(Settings { blob_bytes_max: 450_000, ..small() });
    for index in 0..64 {
        bench.add_incoming(paying(index, 0, 1)).unwrap();
    }
    let fee = |index: u64| u128::from(index) * GWEI;
    for index in [5, 4, 6] {
        bench.add(signer(index).blob(0, fee(index), GWEI)).unwrap();
    }
    assert!(matches!(bench.add(signer(4000).blob(0, fee(4), GWEI)), Err(PoolError::Underpriced)));
    bench.add(signer(7).blob(0, fee(7), GWEI)).unwrap();
    assert!(bench.pool.contents_from(signer(4).address).0.is_empty());
    let status = bench.pool.status();
    assert_eq!((status.blobs, status.pending), (3, 67));
}

#[test]
fn an_account_is_worth_no_more_than_its_cheapest_in_front() {
    let bench = Bench::with(small());
    bench.add_incoming(paying(0, 0, 1)).unwrap();
    bench.add_incoming(paying(0, 1, 1_000_000)).unwrap();
    for index in 1..63 {
        bench.add_incoming(paying(index, 0, 100)).unwrap();
    }
    bench.add_incoming(paying(100, 0, 50)).unwrap();
    // The dear one goes: no block gets it before the cheap one.
    assert_eq!(bench.nonces(somebody(0)), (vec![0], vec![]));
}

#[test]
fn local_transactions_stay() {
    let bench = Bench::with(Settings { local_slots: 3, ..small() });
    for nonce in 0..3 {
        bench.add_local(signer(1).fee(nonce, 2 * GWEI, 1)).unwrap();
    }
    for index in 0..200 {
        let _ = bench.add_incoming(paying(index, 0, 1_000_000));
    }
    assert_eq!(bench.nonces(signer(1).address).0, [0, 1, 2]);
    assert_eq!(bench.pool.status().pending, 64 + 3);
    // Protection is not for everybody.
    assert_eq!(bench.add_local(signer(1).fee(3, 2 * GWEI, 1)).unwrap_err().to_string(), "txpool is full");
    assert_eq!(
        bench.add_local(signer(2).fee(0, 2 * GWEI, 1)).unwrap_err().to_string(),
        "transaction underpriced"
    );
    let error = bench.add_local(signer(3).fee(0, 2 * GWEI, 0)).unwrap_err();
    assert_eq!(error.reason(), "below_minimum", "it pays like all others");
    let open = Bench::with(Settings { no_locals: true, ..small() });
    assert_eq!(open.add_local(signer(1).fee(0, GWEI, 0)).unwrap_err().reason(), "below_minimum");
    open.add_local(signer(1).fee(0, GWEI, 1)).unwrap();
    assert_eq!(open.pool.contents_from(signer(1).address).0[0].origin(), Origin::External);
}
