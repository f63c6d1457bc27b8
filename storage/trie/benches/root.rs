//! The state root of a million accounts and a million slots, after some of them changed, and from scratch.
//!
//! Half of the slots are in 100,000 small storage tries, half in five large ones. Divide a time by its argument for
//! the cost of a changed leaf.

use std::{
    hint::black_box,
    sync::{LazyLock, atomic::AtomicBool},
};

use alloy_primitives::{B256, KECCAK256_EMPTY, U256, keccak256};
use divan::Bencher;
use portico_db::{
    Database, DatabaseSettings, RwTxn, SyncMode,
    models::{Account, StorageEntry},
    tables::{HashedAccounts, HashedStorage},
};
use portico_trie::{HashedOverlay, TrieUpdates, incremental_root, overlay_root, rebuild, state_root_of};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::{ThreadPool, ThreadPoolBuilder};
use tempfile::TempDir;

const ACCOUNTS: u64 = 1_000_000;
const SMALL: u64 = 100_000;
const SMALL_SLOTS: u64 = 5;
const LARGE: u64 = 5;
const LARGE_SLOTS: u64 = 100_000;

const CHANGES: [u64; 3] = [100, 1_000, 10_000];

fn main() {
    divan::main();
}

struct World {
    database: Database,
    _folder: TempDir,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let settings = DatabaseSettings { sync_mode: SyncMode::Bulk, max_size: 8 << 30, ..Default::default() };
    let database = Database::open(folder.path(), &settings).unwrap();
    let txn = database.begin_rw().unwrap();
    fill(&txn);
    rebuild(&txn, &AtomicBool::new(false), &mut |_| {}).unwrap();
    txn.commit().unwrap();
    World { database, _folder: folder }
});

fn address(seed: u64) -> B256 {
    keccak256(seed.to_be_bytes())
}

fn slot(seed: u64) -> B256 {
    keccak256(seed.to_le_bytes())
}

fn account(nonce: u64) -> Account {
    Account { nonce, balance: U256::from(nonce) << 60, code_hash: KECCAK256_EMPTY }
}

/// The account and slot with this number of all.
fn nth_slot(n: u64) -> (B256, B256) {
    match n.checked_sub(SMALL * SMALL_SLOTS) {
        None => (address(LARGE + n % SMALL), slot(n / SMALL)),
        Some(n) => (address(n % LARGE), slot(n / LARGE)),
    }
}

const SLOTS: u64 = SMALL * SMALL_SLOTS + LARGE * LARGE_SLOTS;

fn sorted_accounts() -> Vec<(B256, Account)> {
    let mut accounts: Vec<_> = (0..ACCOUNTS).map(|seed| (address(seed), account(seed))).collect();
    accounts.sort_unstable_by_key(|(address, _)| *address);
    accounts
}

fn fill(txn: &RwTxn<'_>) {
    let mut cursor = txn.cursor::<HashedAccounts>().unwrap();
    for (address, account) in sorted_accounts() {
        cursor.append(&address, &account).unwrap();
    }
    let mut slots: Vec<_> = (0..SLOTS).map(nth_slot).collect();
    slots.sort_unstable();
    let mut cursor = txn.cursor::<HashedStorage>().unwrap();
    for (address, slot) in slots {
        cursor.append_dup(&address, &StorageEntry { slot, value: U256::from(1_000_000) }).unwrap();
    }
}

/// Random accounts and slots, as many of one as of the other.
fn random_changes(count: u64) -> HashedOverlay {
    let mut rng = ChaCha8Rng::seed_from_u64(count);
    let mut overlay = HashedOverlay::new();
    for _ in 0..count / 2 {
        overlay.set_account(address(rng.random_range(0..ACCOUNTS)), Some(account(7)));
        let (address, slot) = nth_slot(rng.random_range(0..SLOTS));
        overlay.set_slot(address, slot, U256::from(7));
    }
    overlay
}

fn random_accounts(count: u64) -> HashedOverlay {
    let mut rng = ChaCha8Rng::seed_from_u64(count);
    let mut overlay = HashedOverlay::new();
    for _ in 0..count {
        overlay.set_account(address(rng.random_range(0..ACCOUNTS)), Some(account(7)));
    }
    overlay
}

/// Writes what `random_changes` or `random_accounts` has, leaving out that slots change.
fn write_accounts(txn: &RwTxn<'_>, count: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(count);
    for _ in 0..count {
        txn.put::<HashedAccounts>(&address(rng.random_range(0..ACCOUNTS)), &account(7)).unwrap();
    }
}

fn threads(count: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(count).build().unwrap()
}

fn overlay_on(bencher: Bencher<'_, '_>, overlay: &HashedOverlay, pool: &ThreadPool) {
    let changed = overlay.changed_keys();
    let txn = WORLD.database.begin_ro().unwrap();
    let nodes = TrieUpdates::default();
    bencher.bench_local(|| pool.install(|| overlay_root(&txn, overlay, &nodes, &changed).unwrap()));
}

#[divan::bench(args = CHANGES)]
fn overlay_one_thread(bencher: Bencher<'_, '_>, count: u64) {
    overlay_on(bencher, &random_changes(count), &threads(1));
}

#[divan::bench(args = CHANGES)]
fn overlay_two_threads(bencher: Bencher<'_, '_>, count: u64) {
    overlay_on(bencher, &random_changes(count), &threads(2));
}

#[divan::bench(args = CHANGES)]
fn overlay_accounts_one_thread(bencher: Bencher<'_, '_>, count: u64) {
    overlay_on(bencher, &random_accounts(count), &threads(1));
}

fn incremental_on(bencher: Bencher<'_, '_>, count: u64, pool: &ThreadPool) {
    let changed = random_accounts(count).changed_keys();
    let txn = WORLD.database.begin_rw().unwrap();
    write_accounts(&txn, count);
    bencher.bench_local(|| pool.install(|| incremental_root(&txn, &changed).unwrap()));
}

#[divan::bench(args = CHANGES)]
fn incremental_accounts_one_thread(bencher: Bencher<'_, '_>, count: u64) {
    incremental_on(bencher, count, &threads(1));
}

#[divan::bench(args = CHANGES)]
fn incremental_accounts_two_threads(bencher: Bencher<'_, '_>, count: u64) {
    incremental_on(bencher, count, &threads(2));
}

/// Only the keys: how much of an update is sorting them.
#[divan::bench(args = CHANGES)]
fn changed_keys(bencher: Bencher<'_, '_>, count: u64) {
    let overlay = random_changes(count);
    bencher.bench_local(|| black_box(&overlay).changed_keys());
}

/// Writes the updates of an update, over and over the same rows.
#[divan::bench(args = CHANGES)]
fn write_updates(bencher: Bencher<'_, '_>, count: u64) {
    let overlay = random_changes(count);
    let txn = WORLD.database.begin_rw().unwrap();
    let (_, updates) =
        overlay_root(&txn, &overlay, &TrieUpdates::default(), &overlay.changed_keys()).unwrap();
    bencher.bench_local(|| updates.write(&txn).unwrap());
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn rebuild_all(bencher: Bencher<'_, '_>) {
    let txn = WORLD.database.begin_rw().unwrap();
    bencher.bench_local(|| rebuild(&txn, &AtomicBool::new(false), &mut |_| {}).unwrap());
}

/// The accounts alone, in memory, by the hash builder of `alloy_trie`: what our kernel is measured against.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn alloy_accounts_in_memory(bencher: Bencher<'_, '_>) {
    let accounts = sorted_accounts();
    bencher.bench_local(|| {
        state_root_of(
            accounts.iter().map(|(address, account)| (*address, *account, alloy_trie::EMPTY_ROOT_HASH)),
        )
    });
}
