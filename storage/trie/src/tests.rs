//! Incremental = from scratch = naive, in root and in every stored row.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use alloy_primitives::{B256, KECCAK256_EMPTY, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, TrieAccount, proof::verify_proof};
use portico_db::{
    Database, DatabaseSettings, DbError, RwTxn, Table,
    models::{Account, StorageEntry},
    tables::{AccountsTrie, HashedAccounts, HashedStorage, StoragesTrie},
};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::{
    ChangedKeys, HashedOverlay, TrieError, TrieUpdates, incremental_root, overlay_root, prove, rebuild,
    rebuild::rebuild_with, state_root_of, storage_root_of,
};

/// A state as a map.
#[derive(Debug, Clone, Default)]
struct Model(BTreeMap<B256, (Account, BTreeMap<B256, U256>)>);

impl Model {
    fn root(&self) -> B256 {
        state_root_of(self.0.iter().map(|(address, (account, slots))| {
            let storage_root = storage_root_of(slots.iter().map(|(slot, value)| (*slot, *value)));
            (*address, *account, storage_root)
        }))
    }
}

#[derive(Debug, Clone)]
enum Op {
    SetAccount(B256, u64),
    DeleteAccount(B256),
    SetSlot(B256, B256, u64),
    ClearSlot(B256, B256),
    Wipe(B256),
}

/// Where a changed state goes.
trait Target {
    fn account(&mut self, address: B256, account: Option<Account>);
    fn slot(&mut self, address: B256, slot: B256, value: U256);
    fn wipe(&mut self, address: B256);
}

/// The tables, and the keys that changed in them.
struct Tables<'t> {
    txn: &'t RwTxn<'t>,
    changed: ChangedKeys,
}

impl Target for Tables<'_> {
    fn account(&mut self, address: B256, account: Option<Account>) {
        self.changed.add_account(address);
        match account {
            Some(account) => self.txn.put::<HashedAccounts>(&address, &account).unwrap(),
            None => drop(self.txn.delete::<HashedAccounts>(&address).unwrap()),
        }
    }

    fn slot(&mut self, address: B256, slot: B256, value: U256) {
        self.changed.add_slot(address, slot);
        let mut cursor = self.txn.cursor::<HashedStorage>().unwrap();
        cursor.delete_dup(&address, &slot).unwrap();
        if !value.is_zero() {
            cursor.upsert(&address, &StorageEntry { slot, value }).unwrap();
        }
    }

    fn wipe(&mut self, address: B256) {
        self.changed.wipe_storage(address);
        self.txn.delete::<HashedStorage>(&address).unwrap();
    }
}

impl Target for HashedOverlay {
    fn account(&mut self, address: B256, account: Option<Account>) {
        self.set_account(address, account);
    }

    fn slot(&mut self, address: B256, slot: B256, value: U256) {
        self.set_slot(address, slot, value);
    }

    fn wipe(&mut self, address: B256) {
        self.wipe_storage(address);
    }
}

fn apply(model: &mut Model, ops: &[Op], target: &mut dyn Target) {
    for op in ops {
        match *op {
            Op::SetAccount(address, nonce) => {
                let account = Account { nonce, balance: U256::from(nonce) << 70, code_hash: KECCAK256_EMPTY };
                model.0.entry(address).or_default().0 = account;
                target.account(address, Some(account));
            }
            Op::DeleteAccount(address) => {
                if model.0.remove(&address).is_some() {
                    target.wipe(address);
                }
                target.account(address, None);
            }
            Op::SetSlot(address, slot, value) => {
                if let Some((_, slots)) = model.0.get_mut(&address) {
                    slots.insert(slot, U256::from(value));
                    target.slot(address, slot, U256::from(value));
                }
            }
            Op::ClearSlot(address, slot) => {
                if let Some((_, slots)) = model.0.get_mut(&address) {
                    slots.remove(&slot);
                    target.slot(address, slot, U256::ZERO);
                }
            }
            Op::Wipe(address) => {
                if let Some((_, slots)) = model.0.get_mut(&address) {
                    slots.clear();
                    target.wipe(address);
                }
            }
        }
    }
}

type Dump = Vec<(Vec<u8>, Vec<u8>)>;

fn dump(txn: &RwTxn<'_>) -> (Dump, Dump) {
    let rows = |table| txn.raw_from(table, &[], usize::MAX).unwrap();
    (rows(AccountsTrie::INDEX), rows(StoragesTrie::INDEX))
}

fn from_scratch(txn: &RwTxn<'_>) -> B256 {
    rebuild(txn, &AtomicBool::new(false), &mut |_| {}).unwrap()
}

fn database() -> (TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    let settings = DatabaseSettings { max_size: 1 << 30, ..Default::default() };
    let database = Database::open(folder.path(), &settings).unwrap();
    (folder, database)
}

/// Applies each step to the tables and updates the trie; checks root and rows against a rebuild.
fn check_incremental(txn: &RwTxn<'_>, steps: &[Vec<Op>]) {
    let mut model = Model::default();
    for ops in steps {
        let mut tables = Tables { txn, changed: ChangedKeys::new() };
        apply(&mut model, ops, &mut tables);
        let (root, updates) = incremental_root(txn, &tables.changed).unwrap();
        updates.write(txn).unwrap();
        let incremental = dump(txn);
        assert_eq!(from_scratch(txn), model.root(), "a rebuild has the naive root");
        assert_eq!(root, model.root(), "an update has the naive root");
        assert_eq!(incremental, dump(txn), "an update leaves the rows of a rebuild");
        let (root, updates) = incremental_root(txn, &tables.changed).unwrap();
        updates.write(txn).unwrap();
        assert_eq!((root, dump(txn)), (model.root(), incremental), "an update twice is an update once");
    }
}

/// Applies all steps, then updates the trie in parts: first some of the changed keys, then the others.
fn check_in_parts(txn: &RwTxn<'_>, steps: &[Vec<Op>]) {
    let mut model = Model::default();
    for ops in steps {
        let (mut state, mut block) = (model.clone(), HashedOverlay::new());
        apply(&mut state, ops, &mut block);
        apply(&mut model, ops, &mut Tables { txn, changed: ChangedKeys::new() });
        let mut parts = [ChangedKeys::new(), ChangedKeys::new()];
        let part = |key: &B256| usize::from(key.iter().fold(0, |parity, byte| parity ^ byte)) % 2;
        for address in block.accounts.keys() {
            parts[part(address)].add_account(*address);
        }
        for (address, storage) in &block.storages {
            if storage.wiped {
                parts[part(address)].wipe_storage(*address);
            }
            storage.slots.keys().for_each(|slot| parts[part(slot)].add_slot(*address, *slot));
        }
        let mut last = None;
        for changed in &parts {
            let (root, updates) = incremental_root(txn, changed).unwrap();
            updates.write(txn).unwrap();
            last = Some(root);
        }
        let in_parts = dump(txn);
        assert_eq!(last, Some(from_scratch(txn)), "the last part's root");
        assert_eq!(in_parts, dump(txn), "the rows of a rebuild");
    }
}

/// Applies the first step to the tables and the others to overlays, each upon the nodes of the ones before.
fn check_overlay(txn: &RwTxn<'_>, steps: &[Vec<Op>]) {
    let Some((first, others)) = steps.split_first() else { return };
    let mut model = Model::default();
    let mut tables = Tables { txn, changed: ChangedKeys::new() };
    apply(&mut model, first, &mut tables);
    from_scratch(txn);
    let (mut state, mut nodes) = (HashedOverlay::new(), TrieUpdates::default());
    for ops in others {
        let mut block = HashedOverlay::new();
        apply(&mut model, ops, &mut block);
        state.extend(&block);
        let (root, updates) = overlay_root(txn, &state, &nodes, &block.changed_keys()).unwrap();
        assert_eq!(root, model.root(), "upon the nodes of the blocks before");
        nodes.extend(updates);
        check_proofs(txn, &model, &state, &nodes);
        let (root, _) = overlay_root(txn, &state, &TrieUpdates::default(), &state.changed_keys()).unwrap();
        assert_eq!(root, model.root(), "upon the tables");
    }
    let mut tables = Tables { txn, changed: ChangedKeys::new() };
    for (address, account) in &state.accounts {
        tables.account(*address, *account);
    }
    for (address, storage) in &state.storages {
        if storage.wiped {
            tables.wipe(*address);
        }
        storage.slots.iter().for_each(|(slot, value)| tables.slot(*address, *slot, *value));
    }
    nodes.write(txn).unwrap();
    let written = dump(txn);
    from_scratch(txn);
    assert_eq!(written, dump(txn), "the updates of all blocks leave the rows of a rebuild");
}

/// Proves some accounts and slots, there or not, as anyone verifies proofs.
fn check_proofs(txn: &RwTxn<'_>, model: &Model, state: &HashedOverlay, nodes: &TrieUpdates) {
    let absent = [B256::ZERO, B256::repeat_byte(0x10), keccak256("absent")];
    for address in model.0.keys().step_by(model.0.len() / 3 + 1).chain(&absent) {
        let known = model.0.get(address);
        let slots = known.into_iter().flat_map(|(_, slots)| slots.keys());
        let slots: Vec<B256> = slots.copied().step_by(7).chain(absent).collect();
        let proof = prove(txn, state, nodes, *address, &slots).unwrap();
        assert_eq!(proof.root, model.root());
        let leaf = known.map(|(account, slots)| {
            let storage_root = storage_root_of(slots.iter().map(|(slot, value)| (*slot, *value)));
            assert_eq!(proof.storage_root, storage_root);
            let Account { nonce, balance, code_hash } = *account;
            alloy_rlp::encode(TrieAccount { nonce, balance, storage_root, code_hash })
        });
        verify_proof(proof.root, Nibbles::unpack(address), leaf, &proof.account).unwrap();
        for (slot, nodes) in slots.iter().zip(&proof.slots) {
            let value = known.and_then(|(_, slots)| slots.get(slot)).map(alloy_rlp::encode);
            verify_proof(proof.storage_root, Nibbles::unpack(slot), value, nodes).unwrap();
        }
    }
}

/// Keys that share long prefixes: zero but for a nibble or two.
fn deep_key() -> impl Strategy<Value = B256> {
    let place = || prop::sample::select(vec![0usize, 1, 2, 3, 30, 31, 61, 62, 63]);
    let nibble = || prop::sample::select(vec![0u8, 1, 2, 15]);
    ((place(), nibble()), (place(), nibble())).prop_map(|(a, b)| {
        let mut key = B256::ZERO;
        for (place, nibble) in [a, b] {
            key[place / 2] |= if place % 2 == 0 { nibble << 4 } else { nibble };
        }
        key
    })
}

/// Few keys, as spread as hashes are but for a narrow front.
fn dense_key() -> impl Strategy<Value = B256> {
    (0u8..=255).prop_map(|seed| {
        let mut key = keccak256([seed]);
        key[0] &= 0x11;
        key
    })
}

fn key() -> impl Strategy<Value = B256> {
    prop_oneof![deep_key(), dense_key()]
}

fn op(address: BoxedStrategy<B256>, slot: BoxedStrategy<B256>) -> impl Strategy<Value = Op> {
    let value = || prop_oneof![1u64..4, Just(u64::MAX)];
    prop_oneof![
        4 => (address.clone(), value()).prop_map(|(address, nonce)| Op::SetAccount(address, nonce)),
        2 => address.clone().prop_map(Op::DeleteAccount),
        8 => (address.clone(), slot.clone(), value()).prop_map(|(address, slot, value)| Op::SetSlot(address, slot, value)),
        4 => (address.clone(), slot).prop_map(|(address, slot)| Op::ClearSlot(address, slot)),
        1 => address.prop_map(Op::Wipe),
    ]
}

fn steps(
    address: impl Fn() -> BoxedStrategy<B256>,
    slot: impl Fn() -> BoxedStrategy<B256>,
) -> impl Strategy<Value = Vec<Vec<Op>>> {
    let batch = prop_oneof![
        prop::collection::vec(op(address(), slot()), 1..4),
        prop::collection::vec(op(address(), slot()), 1..120),
    ];
    prop::collection::vec(batch, 1..8)
}

/// Runs `check` on random steps; every case starts with empty tables.
fn run(cases: u32, steps: impl Strategy<Value = Vec<Vec<Op>>>, check: fn(&RwTxn<'_>, &[Vec<Op>])) {
    let (_folder, database) = database();
    let config = ProptestConfig { cases, failure_persistence: None, ..Default::default() };
    proptest::test_runner::TestRunner::new(config)
        .run(&steps, |steps| {
            check(&database.begin_rw().unwrap(), &steps);
            Ok(())
        })
        .unwrap();
}

fn few_addresses() -> BoxedStrategy<B256> {
    prop::sample::select((0u8..3).map(|seed| keccak256([seed])).collect::<Vec<_>>()).boxed()
}

#[test]
fn updates_of_many_accounts_equal_a_rebuild() {
    run(1000, steps(|| key().boxed(), || deep_key().boxed()), check_incremental);
}

#[test]
fn updates_of_few_large_storages_equal_a_rebuild() {
    run(1000, steps(few_addresses, || key().boxed()), check_incremental);
}

#[test]
fn overlays_of_many_accounts_equal_a_rebuild() {
    run(1000, steps(|| key().boxed(), || deep_key().boxed()), check_overlay);
}

#[test]
fn overlays_of_few_large_storages_equal_a_rebuild() {
    run(1000, steps(few_addresses, || key().boxed()), check_overlay);
}

#[test]
fn updates_in_parts_equal_a_rebuild() {
    run(500, steps(|| key().boxed(), || deep_key().boxed()), check_in_parts);
    run(500, steps(few_addresses, || key().boxed()), check_in_parts);
}

/// A large state, changed at random, all by seed.
#[test]
fn updates_of_a_large_state_equal_a_rebuild() {
    let (_folder, database) = database();
    let txn = database.begin_rw().unwrap();
    let address = |seed: u64| keccak256((seed % 20_000).to_be_bytes());
    let slot = |seed: u64| keccak256((seed % 3_000).to_le_bytes());
    let set_up = (0..20_000).map(|seed| Op::SetAccount(address(seed), seed));
    let set_up =
        set_up.chain((0..20_000).map(|seed| Op::SetSlot(address(seed % 40), slot(seed / 7), seed + 1)));
    let mut steps = vec![set_up.collect::<Vec<_>>()];
    for step in 1..4u64 {
        let seeds = (0..700 * step).map(|seed| seed * 7919 + step * 104_729);
        let ops = seeds.map(|seed| match seed % 5 {
            0 => Op::SetAccount(address(seed), seed),
            1 => Op::DeleteAccount(address(seed * 31)),
            2 => Op::ClearSlot(address(seed % 40), slot(seed)),
            3 if seed % 100 == 3 => Op::Wipe(address(seed % 40)),
            _ => Op::SetSlot(address(seed % 40), slot(seed), seed + 1),
        });
        steps.push(ops.collect());
    }
    check_incremental(&txn, &steps);
}

#[test]
fn an_empty_state_has_the_empty_root() {
    let (_folder, database) = database();
    let txn = database.begin_rw().unwrap();
    assert_eq!(from_scratch(&txn), EMPTY_ROOT_HASH);
    let (root, updates) = incremental_root(&txn, &ChangedKeys::new()).unwrap();
    assert_eq!((root, updates.is_empty()), (EMPTY_ROOT_HASH, true));
}

/// Sets up a state that is large enough to have stored nodes everywhere.
fn filled(txn: &RwTxn<'_>) -> Model {
    let mut model = Model::default();
    let accounts = (0..600u64).map(|seed| Op::SetAccount(keccak256(seed.to_be_bytes()), seed));
    let slots = (0..600u64)
        .map(|seed| Op::SetSlot(keccak256(7u64.to_be_bytes()), keccak256(seed.to_be_bytes()), seed + 1));
    let ops: Vec<_> = accounts.chain(slots).collect();
    apply(&mut model, &ops, &mut Tables { txn, changed: ChangedKeys::new() });
    model
}

#[test]
fn a_rebuild_that_writes_often_leaves_the_same_rows() {
    let (_folder, database) = database();
    let txn = database.begin_rw().unwrap();
    let model = filled(&txn);
    assert_eq!(from_scratch(&txn), model.root());
    let expected = dump(&txn);
    for buffer in [1, 2000, 10_000] {
        let root = rebuild_with(&txn, buffer, &AtomicBool::new(false), &mut |_| {}).unwrap();
        assert_eq!(root, model.root());
        assert_eq!(dump(&txn), expected);
    }
}

#[test]
fn an_update_touches_only_the_way_to_what_changed() {
    let (_folder, database) = database();
    let txn = database.begin_rw().unwrap();
    let mut model = filled(&txn);
    from_scratch(&txn);
    let mut tables = Tables { txn: &txn, changed: ChangedKeys::new() };
    apply(&mut model, &[Op::SetAccount(keccak256(5u64.to_be_bytes()), 1234)], &mut tables);
    let (root, updates) = incremental_root(&txn, &tables.changed).unwrap();
    assert_eq!(root, model.root());
    assert!((1..=3).contains(&updates.len()), "{}", updates.len());
}

#[test]
fn a_deleted_account_leaves_no_nodes() {
    let (_folder, database) = database();
    let txn = database.begin_rw().unwrap();
    filled(&txn);
    from_scratch(&txn);
    let address = keccak256(7u64.to_be_bytes());
    txn.delete::<HashedAccounts>(&address).unwrap();
    txn.delete::<HashedStorage>(&address).unwrap();
    let mut changed = ChangedKeys::new();
    changed.add_account(address);
    let (_, updates) = incremental_root(&txn, &changed).unwrap();
    updates.write(&txn).unwrap();
    assert_eq!(txn.entries::<StoragesTrie>().unwrap(), 0);
}

#[test]
fn slots_without_an_account_have_no_nodes() {
    let (_folder, database) = database();
    let txn = database.begin_rw().unwrap();
    filled(&txn);
    let address = keccak256(7u64.to_be_bytes());
    txn.delete::<HashedAccounts>(&address).unwrap();
    let expected = from_scratch(&txn);
    let mut changed = ChangedKeys::new();
    (0..600u64).for_each(|seed| changed.add_slot(address, keccak256(seed.to_be_bytes())));
    let (root, updates) = incremental_root(&txn, &changed).unwrap();
    assert_eq!((root, updates.is_empty()), (expected, true));
    assert_eq!(txn.entries::<StoragesTrie>().unwrap(), 0);
}

#[test]
fn a_raised_stop_flag_stops_a_rebuild() {
    let (_folder, database) = database();
    let txn = database.begin_rw().unwrap();
    let ops: Vec<_> = (0..5000u64).map(|seed| Op::SetAccount(keccak256(seed.to_be_bytes()), seed)).collect();
    apply(&mut Model::default(), &ops, &mut Tables { txn: &txn, changed: ChangedKeys::new() });
    let stop = AtomicBool::new(false);
    let mut told = 0;
    let stopped = rebuild(&txn, &stop, &mut |progress| {
        told += 1;
        assert_ne!(progress.accounts, 0);
        stop.store(true, Ordering::Relaxed);
    });
    assert!(matches!(stopped, Err(TrieError::Stopped)));
    assert_eq!(told, 1);
}

#[test]
fn a_missing_node_is_named() {
    let (_folder, database) = database();
    let txn = database.begin_rw().unwrap();
    filled(&txn);
    from_scratch(&txn);
    for (key, _) in dump(&txn).0.into_iter().filter(|(key, _)| !key.is_empty()) {
        txn.cursor::<AccountsTrie>().unwrap().delete_range(&key, Some(&[&key[..], &[16]].concat())).unwrap();
    }
    let mut changed = ChangedKeys::new();
    changed.add_account(keccak256(5u64.to_be_bytes()));
    let error = incremental_root(&txn, &changed).unwrap_err();
    assert!(matches!(error, TrieError::MissingNode { table: "AccountsTrie", .. }), "{error}");
}

#[test]
fn damaged_rows_name_their_table() {
    let (_folder, database) = database();
    let mut changed = ChangedKeys::new();
    for seed in 0..600u64 {
        changed.add_account(keccak256(seed.to_be_bytes()));
        changed.add_slot(keccak256(7u64.to_be_bytes()), keccak256(seed.to_be_bytes()));
    }
    for index in [AccountsTrie::INDEX, StoragesTrie::INDEX, HashedAccounts::INDEX, HashedStorage::INDEX] {
        let txn = database.begin_rw().unwrap();
        filled(&txn);
        from_scratch(&txn);
        let name = portico_db::tables::TABLES[index].name;
        let (key, value) = txn.raw_from(index, &[], 1).unwrap().remove(0);
        let mut damaged = value.clone();
        damaged.push(0);
        match index {
            index if index == AccountsTrie::INDEX => txn.put_bytes::<AccountsTrie>(&key, &damaged),
            index if index == StoragesTrie::INDEX => txn.put_bytes::<StoragesTrie>(&key, &damaged),
            index if index == HashedAccounts::INDEX => txn.put_bytes::<HashedAccounts>(&key, &damaged),
            _ => txn.put_bytes::<HashedStorage>(&key, &damaged),
        }
        .unwrap();
        match incremental_root(&txn, &changed).unwrap_err() {
            TrieError::Db(DbError::Corrupt { table, .. }) => assert_eq!(table, name),
            other => panic!("{other}"),
        }
    }
}
