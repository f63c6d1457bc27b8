//! Random operations against a naive pool: maps that are searched from end to end.

mod kit;

use std::collections::{BTreeMap, HashSet};

use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B256, U256};
use kit::*;
use portico_txpool::{Origin, PoolTransaction, Settings};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Operation {
    Add { account: u8, nonce: u8, tip: u16, value: u8, is_local: bool },
    Head { account: u8, nonce: u8, balance: u8, base_fee: u8 },
}

fn operation() -> impl Strategy<Value = Operation> {
    let add = (0..6u8, 0..12u8, 1..500u16, 0..40u8, prop::bool::weighted(0.1)).prop_map(
        |(account, nonce, tip, value, is_local)| Operation::Add { account, nonce, tip, value, is_local },
    );
    let head = (0..6u8, 0..10u8, 0..120u8, 0..8u8).prop_map(|(account, nonce, balance, base_fee)| {
        Operation::Head { account, nonce, balance, base_fee }
    });
    prop_oneof![6 => add, 1 => head]
}

fn address(account: u8) -> Address {
    Address::repeat_byte(account + 1)
}

/// Values are in these, so that some accounts can pay for a few transactions only.
const UNIT: u128 = ETHER;

fn transaction(nonce: u8, tip: u16, value: u8) -> TxEip1559 {
    TxEip1559 {
        nonce: nonce.into(),
        max_fee_per_gas: u128::from(tip) * GWEI,
        max_priority_fee_per_gas: u128::from(tip) * GWEI,
        value: U256::from(u128::from(value) * UNIT),
        ..plain()
    }
}

/// What must hold whatever happened.
fn check(bench: &Bench, settings: &Settings) {
    let contents = bench.pool.contents();
    let status = bench.pool.status();
    let known = bench.accounts.known.borrow();
    let mut seen: HashSet<B256> = HashSet::new();
    let mut slots = 0;
    let mut queued_slots = 0;
    let mut local_slots = 0;
    let of = |map: &BTreeMap<Address, Vec<_>>, address| -> Vec<std::sync::Arc<PoolTransaction>> {
        map.get(&address).cloned().unwrap_or_default()
    };
    for account in 0..6 {
        let address = address(account);
        let state = known[&address];
        let (pending, queued) = (of(&contents.pending, address), of(&contents.queued, address));
        // Pending: one after the other, and paid for together.
        let nonces: Vec<u64> = pending.iter().map(|tx| tx.nonce()).collect();
        let expected: Vec<u64> = (state.nonce..state.nonce + nonces.len() as u64).collect();
        assert_eq!(nonces, expected);
        let cost: U256 = pending.iter().map(|tx| tx.cost()).sum();
        assert!(cost <= state.balance);
        // Queued: there is a reason.
        let next = state.nonce + nonces.len() as u64;
        if let Some(first) = queued.first() {
            assert!(first.nonce() >= next);
            assert!(first.nonce() > next || cost + first.cost() > state.balance);
        }
        assert!(queued.is_sorted_by_key(|tx| tx.nonce()));
        let expected = (!nonces.is_empty()).then_some(next);
        assert_eq!(bench.pool.next_nonce(address), expected);
        let all = || pending.iter().chain(&queued);
        for tx in all() {
            assert!(seen.insert(tx.hash()), "a transaction is there twice");
            assert!(bench.pool.get(&tx.hash()).is_some());
            assert_eq!(tx.sender(), address);
            assert!(tx.cost() <= state.balance);
        }
        if all().any(|tx| tx.origin() == Origin::Local) {
            local_slots += all().count();
        } else {
            slots += pending.len();
            queued_slots += queued.len();
            assert!(queued.len() <= settings.account_queue || queued.len() <= settings.global_queue);
        }
    }
    assert!(slots <= settings.global_slots && queued_slots <= settings.global_queue);
    assert!(local_slots <= settings.local_slots);
    assert_eq!(status.pending + status.queued, seen.len());
    assert_eq!(status.pending, contents.pending.values().map(Vec::len).sum::<usize>());
    let footprints = contents.pending.values().chain(contents.queued.values()).flatten();
    assert_eq!(status.bytes, footprints.map(|tx| tx.footprint()).sum::<usize>());
    check_best(bench);
}

/// The best come by a naive choice: each time, the dearest of all accounts' next ones.
fn check_best(bench: &Bench) {
    let wanted = portico_txpool::BestFor {
        base_fee: bench.base_fee,
        blob_fee: Some(1),
        fork: portico_chainspec::Fork::Osaka,
    };
    let mut queues: Vec<Vec<_>> = bench.pool.contents().pending.into_values().collect();
    for given in bench.pool.best(wanted) {
        let tip = |queue: &Vec<std::sync::Arc<PoolTransaction>>| {
            queue.first().and_then(|tx| tx.effective_tip(bench.base_fee))
        };
        let best = queues.iter().filter_map(tip).max().expect("something is left");
        assert_eq!(given.effective_tip(bench.base_fee), Some(best));
        let queue = queues.iter_mut().find(|queue| queue.first().is_some_and(|tx| tx.hash() == given.hash()));
        queue.expect("it is its account's next one").remove(0);
    }
    assert!(
        queues.iter().all(|queue| queue.first().is_none_or(|tx| tx.effective_tip(bench.base_fee).is_none()))
    );
}

/// Without limits in the way, it is known exactly what is in the pool.
#[derive(Default)]
struct Naive {
    /// By account and nonce: fee and value.
    transactions: BTreeMap<(u8, u64), (u16, u8)>,
}

impl Naive {
    fn cost(&(tip, value): &(u16, u8)) -> u128 {
        u128::from(tip) * GWEI * 21_000 + u128::from(value) * UNIT
    }

    /// Nonces of pending transactions.
    fn pending(&self, account: u8, nonce: u64, balance: u128) -> Vec<u64> {
        let mut left = balance;
        let mut pending = Vec::new();
        for next in nonce.. {
            let Some(cost) = self.transactions.get(&(account, next)).map(Self::cost) else { break };
            if cost > left {
                break;
            }
            left -= cost;
            pending.push(next);
        }
        pending
    }

    fn takes(&self, account: u8, nonce: u64, new: (u16, u8), state: (u64, u128)) -> bool {
        let pending = self.pending(account, state.0, state.1);
        let is_beside = |other: u64| other != nonce && (pending.contains(&other) || other < nonce);
        let of_account = self.transactions.range((account, 0)..=(account, u64::MAX));
        let beside: u128 =
            of_account.filter(|((_, other), _)| is_beside(*other)).map(|(_, tx)| Self::cost(tx)).sum();
        let raised = self
            .transactions
            .get(&(account, nonce))
            .is_none_or(|old| u32::from(new.0) * 10 >= u32::from(old.0) * 11 && new.0 > old.0);
        nonce >= state.0 && beside + Self::cost(&new) <= state.1 && raised
    }
}

fn run(operations: Vec<Operation>, settings: Settings, compare: bool) {
    let mut bench = Bench::with(settings.clone());
    let mut naive = Naive::default();
    for account in 0..6 {
        bench.accounts.set(address(account), 0, 60 * UNIT);
    }
    for operation in operations {
        match operation {
            Operation::Add { account, nonce, tip, value, is_local } => {
                let state = bench.accounts.known.borrow()[&address(account)];
                let state = (state.nonce, state.balance.to::<u128>());
                let origin = if is_local { Origin::Local } else { Origin::External };
                let incoming = from(address(account), transaction(nonce, tip, value));
                let outcome =
                    bench.pool.add_batch(origin, vec![incoming], &bench.accounts, NOW).pop().unwrap();
                if compare {
                    let key = (account, u64::from(nonce));
                    let is_known = naive.transactions.get(&key) == Some(&(tip, value));
                    let expected = !is_known && naive.takes(account, nonce.into(), (tip, value), state);
                    assert_eq!(outcome.is_ok(), expected, "{outcome:?}");
                    if expected {
                        naive.transactions.insert(key, (tip, value));
                    }
                }
            }
            Operation::Head { account, nonce, balance, base_fee } => {
                bench.accounts.set(address(account), nonce.into(), u128::from(balance) * UNIT);
                bench.base_fee = u64::from(base_fee) * 100 * GWEI as u64;
                bench.advance(vec![], vec![]);
                naive.transactions.retain(|key, tx| {
                    let is_useless = key.1 < nonce.into() || Naive::cost(tx) > u128::from(balance) * UNIT;
                    key.0 != account || !is_useless
                });
            }
        }
        check(&bench, &settings);
        if compare {
            for account in 0..6 {
                let state = bench.accounts.known.borrow()[&address(account)];
                let pending = naive.pending(account, state.nonce, state.balance.to());
                let of_account = naive.transactions.range((account, 0)..=(account, u64::MAX));
                let queued =
                    of_account.map(|((_, nonce), _)| *nonce).filter(|nonce| !pending.contains(nonce));
                assert_eq!(bench.nonces(address(account)), (pending.clone(), queued.collect()));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_roomy_pool_is_what_a_naive_one_is(operations in prop::collection::vec(operation(), 1..120)) {
        run(operations, Settings::default(), true);
    }

    #[test]
    fn a_tight_pool_keeps_its_limits(operations in prop::collection::vec(operation(), 1..160)) {
        let settings = Settings {
            global_slots: 12,
            global_queue: 5,
            account_slots: 2,
            account_queue: 3,
            local_slots: 6,
            ..Settings::default()
        };
        run(operations, settings, false);
    }
}
