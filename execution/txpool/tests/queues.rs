//! What is pending, what waits, what takes another's place, and in which order blocks get it.

mod kit;

use alloy_primitives::{Address, B256};
use kit::*;
use portico_chainspec::Fork;
use portico_txpool::{AccountCode, BestFor, PoolTransaction};
use std::sync::Arc;

fn best(bench: &Bench) -> Vec<Arc<PoolTransaction>> {
    bench.pool.best(wanted()).collect()
}

fn wanted() -> BestFor {
    BestFor { base_fee: GWEI as u64, blob_fee: Some(1), fork: Fork::Osaka }
}

#[test]
fn pending_is_what_follows_from_the_accounts_nonce() {
    let bench = Bench::new();
    let address = signer(1).address;
    bench.accounts.set(address, 3, 1000 * ETHER);
    assert_eq!(bench.pool.next_nonce(address), None);
    for (nonce, is_pending) in [(4, false), (6, false), (3, true)] {
        assert_eq!(bench.add(signer(1).fee(nonce, 2 * GWEI, 1)).unwrap().is_pending, is_pending);
    }
    assert_eq!(bench.nonces(address), (vec![3, 4], vec![6]));
    assert_eq!(bench.pool.next_nonce(address), Some(5));
    assert!(bench.add(signer(1).fee(5, 2 * GWEI, 1)).unwrap().is_pending);
    assert_eq!(bench.nonces(address), (vec![3, 4, 5, 6], vec![]));
    let contents = bench.pool.contents();
    assert_eq!(contents.pending[&address].len(), 4);
    assert!(contents.queued.is_empty());
}

#[test]
fn a_replacement_pays_a_tenth_more_of_both_fees() {
    let bench = Bench::new();
    let first = bench.add(signer(1).fee(0, 20 * GWEI, 10 * GWEI)).unwrap();
    let text = "replacement transaction underpriced";
    assert_eq!(bench.refusal(signer(1).fee(0, 22 * GWEI, 11 * GWEI - 1)), text);
    assert_eq!(bench.refusal(signer(1).fee(0, 22 * GWEI - 1, 11 * GWEI)), text);
    let second = bench.add(signer(1).fee(0, 22 * GWEI, 11 * GWEI)).unwrap();
    assert_eq!(second.replaced, Some(first.hash));
    assert!(bench.pool.get(&first.hash).is_none());
    assert!(bench.pool.get(&second.hash).is_some());
    assert_eq!(bench.pool.status().pending, 1);
    // Where a tenth is nothing, it is still more.
    let bench = Bench::new();
    bench.add(signer(1).fee(0, 5, 5)).unwrap();
    assert!(bench.add(signer(1).fee(0, 6, 6)).is_ok());
}

#[test]
fn a_blob_replacement_pays_twice_everything() {
    let bench = Bench::new();
    bench.add(signer(1).blob(0, 2 * GWEI, GWEI)).unwrap();
    let text = "replacement transaction underpriced";
    assert_eq!(bench.refusal(signer(1).blob(0, 4 * GWEI - 1, 2 * GWEI)), text);
    assert_eq!(bench.refusal(signer(1).blob(0, 4 * GWEI, 2 * GWEI - 1)), text);
    assert!(bench.add(signer(1).blob(0, 4 * GWEI, 2 * GWEI)).unwrap().replaced.is_some());
    assert_eq!(bench.pool.status().blobs, 1);
}

#[test]
fn blob_accounts_send_only_blobs_and_in_a_row() {
    let bench = Bench::new();
    assert_eq!(
        bench.refusal(signer(1).blob(1, 2 * GWEI, GWEI)),
        "nonce too high: tx nonce 1, gapped nonce 0"
    );
    bench.add(signer(1).blob(0, 2 * GWEI, GWEI)).unwrap();
    assert_eq!(bench.refusal(signer(1).fee(1, 2 * GWEI, 1)), "address already reserved");
    bench.add(signer(2).fee(0, 2 * GWEI, 1)).unwrap();
    assert_eq!(bench.refusal(signer(2).blob(1, 2 * GWEI, GWEI)), "address already reserved");
    for nonce in 1..16 {
        bench.add(signer(1).blob(nonce, 2 * GWEI, GWEI)).unwrap();
    }
    assert_eq!(bench.refusal(signer(1).blob(16, 2 * GWEI, GWEI)), "account limit exceeded: pooled 16 txs");
}

#[test]
fn blobs_are_found_by_their_hashes() {
    let bench = Bench::new();
    let hashes: Vec<_> = [cells(0), cells(1)]
        .iter()
        .flat_map(|sidecar| sidecar.versioned_hashes().collect::<Vec<_>>())
        .collect();
    bench.add(signer(1).blob(0, 2 * GWEI, GWEI)).unwrap();
    bench.add(signer(2).blob(0, 2 * GWEI, GWEI)).unwrap();
    let found = bench.pool.blobs(&[hashes[1], hashes[0]]);
    assert!(found[0].is_none());
    let found = found[1].as_ref().unwrap();
    assert_eq!(found.blob(), &cells(0).blobs()[0]);
    assert_eq!(found.commitment(), &cells(0).commitments()[0]);
    assert_eq!(found.proof(), None);
    assert_eq!(found.cell_proofs().unwrap(), cells(0).into_eip7594().unwrap().cell_proofs);
}

#[test]
fn delegated_accounts_have_one_transaction_at_a_time() {
    let bench = Bench::new();
    let address = signer(1).address;
    bench.accounts.set_code(address, AccountCode::Delegation);
    assert_eq!(bench.refusal(signer(1).fee(1, 2 * GWEI, 1)), "gapped-nonce tx from delegated accounts");
    bench.add(signer(1).fee(0, 2 * GWEI, GWEI)).unwrap();
    let text = "in-flight transaction limit reached for delegated accounts";
    assert_eq!(bench.refusal(signer(1).fee(1, 2 * GWEI, GWEI)), text);
    assert!(bench.add(signer(1).fee(0, 3 * GWEI, 2 * GWEI)).is_ok());
}

#[test]
fn so_have_those_who_are_about_to_be_delegated() {
    let mut bench = Bench::new();
    let delegating = bench.add(signer(1).delegating(0, 2 * GWEI, &[signer(2), signer(3)])).unwrap();
    bench.add(signer(2).fee(0, 2 * GWEI, 1)).unwrap();
    let text = "in-flight transaction limit reached for delegated accounts";
    assert_eq!(bench.refusal(signer(2).fee(1, 2 * GWEI, 1)), text);
    assert_eq!(bench.refusal(signer(3).fee(1, 2 * GWEI, 1)), "gapped-nonce tx from delegated accounts");
    // Once it is mined, only the accounts' code counts.
    bench.accounts.set(signer(1).address, 1, ETHER);
    bench.advance(vec![delegating.hash], vec![]);
    assert!(bench.add(signer(2).fee(1, 2 * GWEI, 1)).is_ok());
    // Who has several is not delegated.
    let text = "authority already reserved";
    assert_eq!(bench.refusal(signer(4).delegating(0, 2 * GWEI, &[signer(2)])), text);
}

#[test]
fn the_best_come_first_and_accounts_keep_their_order() {
    let bench = Bench::new();
    let tips = [(1, 0, 5), (1, 1, 50), (2, 0, 20), (2, 1, 10), (3, 0, 7), (4, 0, 20)];
    for (account, nonce, tip) in tips {
        bench.add(signer(account).fee(nonce, 100 * GWEI, tip * GWEI)).unwrap();
    }
    let order: Vec<(Address, u64)> = best(&bench).iter().map(|tx| (tx.sender(), tx.nonce())).collect();
    let expected = [(2, 0), (4, 0), (2, 1), (3, 0), (1, 0), (1, 1)];
    let expected: Vec<_> = expected.map(|(account, nonce)| (signer(account).address, nonce)).into();
    assert_eq!(order, expected);
}

#[test]
fn the_fee_cap_bounds_the_tip() {
    let bench = Bench::new();
    bench.add(signer(1).fee(0, 3 * GWEI, 3 * GWEI)).unwrap();
    bench.add(signer(2).fee(0, 9 * GWEI, GWEI)).unwrap();
    bench.add(signer(3).fee(0, GWEI - 1, 1)).unwrap();
    let tips = |base_fee: u128| -> Vec<u128> {
        let wanted = BestFor { base_fee: base_fee as u64, ..wanted() };
        bench.pool.best(wanted).map(|tx| tx.effective_tip(base_fee as u64).unwrap()).collect()
    };
    assert_eq!(tips(GWEI), [2 * GWEI, GWEI]);
    assert_eq!(tips(5 * GWEI / 2), [GWEI, GWEI / 2]);
    assert_eq!(tips(4 * GWEI), [GWEI]);
}

#[test]
fn blobs_are_offered_if_they_pay_and_fit() {
    let bench = Bench::new();
    bench.add(signer(1).blob(0, 2 * GWEI, 100)).unwrap();
    bench.add(signer(2).fee(0, 2 * GWEI, 1)).unwrap();
    let count = |wanted| bench.pool.best(wanted).count();
    assert_eq!(count(BestFor { blob_fee: Some(100), ..wanted() }), 2);
    assert_eq!(count(BestFor { blob_fee: Some(101), ..wanted() }), 1);
    assert_eq!(count(BestFor { blob_fee: None, ..wanted() }), 1);
    assert_eq!(count(BestFor { fork: Fork::Prague, ..wanted() }), 1);
}

#[test]
fn a_skipped_account_is_not_offered_again() {
    let bench = Bench::new();
    for account in 1..4 {
        for nonce in 0..3 {
            bench.add(signer(account).fee(nonce, 9 * GWEI, u128::from(account) * GWEI)).unwrap();
        }
    }
    let mut best = bench.pool.best(wanted());
    let mut seen = Vec::new();
    while let Some(transaction) = best.next() {
        if transaction.sender() == signer(2).address && transaction.nonce() == 1 {
            best.skip_sender();
        }
        seen.push((transaction.sender(), transaction.nonce()));
    }
    let account = |index: u64, nonces: u64| (0..nonces).map(move |nonce| (signer(index).address, nonce));
    let expected: Vec<_> = account(3, 3).chain(account(2, 2)).chain(account(1, 3)).collect();
    assert_eq!(seen, expected);
}

#[test]
fn the_iterator_is_a_snapshot() {
    let bench = Bench::new();
    bench.add(signer(1).fee(0, 2 * GWEI, 1)).unwrap();
    let best = bench.pool.best(wanted());
    bench.add(signer(2).fee(0, 2 * GWEI, 1)).unwrap();
    assert_eq!(best.count(), 1);
}

#[test]
fn listeners_hear_what_becomes_pending_once() {
    let bench = Bench::new();
    let heard = bench.pool.subscribe(16);
    let second = bench.add(signer(1).fee(1, 2 * GWEI, GWEI)).unwrap().hash;
    assert!(heard.is_empty());
    let first = bench.add(signer(1).fee(0, 2 * GWEI, GWEI)).unwrap().hash;
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), [first, second]);
    let third = bench.add(signer(1).fee(0, 3 * GWEI, 2 * GWEI)).unwrap().hash;
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), [third]);
    assert_eq!(bench.pool.announced_since(0), (vec![first, second, third], 3));
    assert_eq!(bench.pool.announced_since(2), (vec![third], 3));
    assert_eq!(bench.pool.announced_since(9), (vec![], 3));
    assert_eq!(bench.pool.announced(), 3);
}

#[test]
fn listeners_that_lag_are_dropped() {
    let bench = Bench::new();
    let slow = bench.pool.subscribe(2);
    let quick = bench.pool.subscribe(100);
    let hashes: Vec<B256> =
        (0..5).map(|nonce| bench.add(signer(1).fee(nonce, 2 * GWEI, GWEI)).unwrap().hash).collect();
    assert_eq!(slow.iter().collect::<Vec<_>>(), hashes[..2], "the receiver ends after what it has room for");
    assert_eq!(quick.try_iter().collect::<Vec<_>>(), hashes);
}

#[test]
fn code_is_none_a_delegation_or_a_contracts() {
    let delegation = [&[0xef, 1, 0][..], &[7; 20]].concat();
    assert_eq!(AccountCode::of(&[]), AccountCode::None);
    assert_eq!(AccountCode::of(&delegation), AccountCode::Delegation);
    assert_eq!(AccountCode::of(&delegation[..22]), AccountCode::Contract);
    assert_eq!(AccountCode::of(&[0]), AccountCode::Contract);
}
