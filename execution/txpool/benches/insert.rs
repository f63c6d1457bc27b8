//! How fast transactions come in, and how long a builder waits for the first of them.
//!
//! `cargo bench --bench insert`. Senders are known, as they are for transactions that peers sent in batches and whose
//! signatures were recovered on the way; accounts come from memory.

#[path = "../tests/kit/mod.rs"]
mod kit;

use alloy_primitives::{Address, U256};
use divan::{Bencher, counter::ItemsCount};
use kit::{Accounts, GWEI, NOW, from, plain, signer};
use portico_chainspec::{ChainSpec, Fork};
use portico_txpool::{BestFor, Incoming, Origin, Pool, Settings};

fn main() {
    divan::main();
}

const COUNT: u64 = 20_000;

fn roomy() -> Settings {
    Settings { global_slots: 1 << 20, account_slots: 64, ..Settings::default() }
}

/// Plain transfers of `accounts` accounts, each with the same number of nonces.
fn transfers(accounts: u64) -> Vec<Incoming> {
    let nonces = COUNT / accounts;
    let of = |index: u64| {
        let sender = Address::left_padding_from(&(index % accounts + 1).to_be_bytes());
        let tip = GWEI + u128::from(index * 7919 % 1000);
        let mut tx = plain();
        (tx.nonce, tx.value) = (index / accounts, U256::from(index));
        (tx.max_priority_fee_per_gas, tx.max_fee_per_gas) = (tip, 2 * tip);
        from(sender, tx)
    };
    (0..nonces * accounts).map(of).collect()
}

/// In batches of 256, as they come from a peer.
#[divan::bench(args = [100, 1_000, 20_000], sample_count = 10)]
fn senders_known(bencher: Bencher<'_, '_>, accounts: u64) {
    let state = Accounts::default();
    let incoming = transfers(accounts);
    bencher
        .counter(ItemsCount::new(incoming.len()))
        .with_inputs(|| (Pool::new(roomy(), ChainSpec::dev()), incoming.clone()))
        .bench_local_refs(|(pool, incoming)| {
            for batch in incoming.chunks(256) {
                for outcome in pool.add_batch(Origin::External, batch.to_vec(), &state, NOW) {
                    outcome.expect("there is room");
                }
            }
        });
}

/// The same into a pool that is full: each pushes out another, or is refused.
#[divan::bench(sample_count = 10)]
fn into_a_full_pool(bencher: Bencher<'_, '_>) {
    let state = Accounts::default();
    let incoming = transfers(COUNT);
    bencher
        .counter(ItemsCount::new(incoming.len()))
        .with_inputs(|| (Pool::new(Settings::default(), ChainSpec::dev()), incoming.clone()))
        .bench_local_refs(|(pool, incoming)| {
            for batch in incoming.chunks(256) {
                pool.add_batch(Origin::External, batch.to_vec(), &state, NOW);
            }
        });
}

/// With signatures to be recovered.
#[divan::bench(sample_count = 5)]
fn senders_unknown(bencher: Bencher<'_, '_>) {
    let state = Accounts::default();
    let incoming: Vec<Incoming> = (0..2_000).map(|index| signer(index).legacy(0, 2 * GWEI).into()).collect();
    bencher
        .counter(ItemsCount::new(incoming.len()))
        .with_inputs(|| (Pool::new(roomy(), ChainSpec::dev()), incoming.clone()))
        .bench_local_refs(|(pool, incoming)| {
            for batch in incoming.chunks(256) {
                pool.add_batch(Origin::External, batch.to_vec(), &state, NOW);
            }
        });
}

/// The first 1,400 transactions (a block of 30 million gas) out of 20,000.
#[divan::bench(args = [100, 20_000], sample_count = 20)]
fn best_of_a_block(bencher: Bencher<'_, '_>, accounts: u64) {
    let state = Accounts::default();
    let pool = Pool::new(roomy(), ChainSpec::dev());
    pool.add_batch(Origin::External, transfers(accounts), &state, NOW);
    let wanted = BestFor { base_fee: 7, blob_fee: Some(1), fork: Fork::Osaka };
    bencher.bench_local(|| pool.best(wanted).take(1_400).count());
}
