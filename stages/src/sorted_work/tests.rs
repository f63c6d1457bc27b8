//! The shared suite for the stages that work from changes: hashing and history.

use std::{ops::RangeInclusive, path::PathBuf, sync::Arc};

use alloy_primitives::{Address, B256, U256};
use portico_chain::write_prune_checkpoint;
use portico_chainspec::ChainSpec;
use portico_db::{Database, DatabaseSettings, RwTxn, SyncMode, TableDigest};
use portico_state::{
    Account, AccountChange, BlockChanges, PlainWriter, StateError, StorageChange, account_at,
    delete_changes_below, read_account, read_storage, storage_at, write_changes,
};
use tempfile::TempDir;

use crate::{
    AccountHashing, BlockRange, History, Stage, StageContext, StageError, StageId, StageSettings, StopSignal,
    StorageHashing,
};

const BLOCKS: u64 = 120;
const ADDRESSES: u64 = 7;
const SLOTS: u64 = 5;

/// What the stages write.
const TABLES: [&str; 4] = ["HashedAccounts", "HashedStorage", "AccountHistory", "StorageHistory"];

struct Node {
    db: Database,
    folder: TempDir,
    spec: Arc<ChainSpec>,
    settings: StageSettings,
    stop: StopSignal,
}

impl Node {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = DatabaseSettings {
            sync_mode: SyncMode::Bulk,
            max_size: 1 << 30,
            growth_step: 1 << 20,
            ..Default::default()
        };
        let db = Database::open(&folder.path().join("db"), &settings).unwrap();
        let settings = StageSettings { etl_bytes: 10_000, ..Default::default() };
        Self { db, folder, spec: ChainSpec::dev(), settings, stop: StopSignal::default() }
    }

    /// A node that went forward to each of `ends` in turn.
    fn at(ends: &[u64]) -> Self {
        let node = Self::new();
        let mut done = 0;
        for to in ends {
            node.forward(done, *to);
            done = *to;
        }
        node
    }

    fn scratch(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    fn write<R>(&self, work: impl FnOnce(&StageContext<'_>, &RwTxn<'_>) -> R) -> R {
        let context = StageContext {
            spec: &self.spec,
            settings: &self.settings,
            stop: &self.stop,
            progress: &(),
            scratch: self.scratch(),
        };
        let txn = self.db.begin_rw().unwrap();
        let result = work(&context, &txn);
        txn.commit().unwrap();
        result
    }

    fn forward(&self, done: u64, to: u64) {
        self.write(|context, txn| {
            execute(txn, done + 1..=to);
            for stage in &mut stages() {
                let output = stage.forward(context, txn, BlockRange { done, to }).unwrap();
                assert_eq!(output.reached, to);
            }
        });
    }

    fn unwind(&self, to: u64, from: u64) {
        self.write(|context, txn| {
            for stage in stages().iter_mut().rev() {
                stage.unwind(context, txn, BlockRange { done: to, to: from }).unwrap();
            }
        });
    }

    /// What the pipeline does around pruning history.
    fn prune(&self, block_number: u64) {
        self.write(|context, txn| {
            History.prune(context, txn, block_number).unwrap();
            write_prune_checkpoint(txn, StageId::History.name(), block_number).unwrap();
        });
    }

    fn delete_changes(&self, through: u64) {
        self.write(|_, txn| {
            delete_changes_below(txn, through + 1).unwrap();
            write_prune_checkpoint(txn, StageId::Execution.name(), through).unwrap();
        });
    }

    fn tables(&self) -> Vec<TableDigest> {
        let all = TableDigest::of_all(&self.db.begin_ro().unwrap()).unwrap();
        all.into_iter().filter(|digest| TABLES.contains(&digest.table)).collect()
    }

    fn all_tables(&self) -> Vec<TableDigest> {
        TableDigest::of_all(&self.db.begin_ro().unwrap()).unwrap()
    }

    /// Every account and slot as of each of `blocks`.
    fn answers(&self, blocks: RangeInclusive<u64>) -> Vec<(Option<Account>, Vec<U256>)> {
        let txn = self.db.begin_ro().unwrap();
        let mut answers = Vec::new();
        for block_number in blocks {
            for address in (0..ADDRESSES).map(address) {
                let slots =
                    (0..SLOTS).map(|slot| storage_at(&txn, &address, &slot_of(slot), block_number).unwrap());
                answers.push((account_at(&txn, &address, block_number).unwrap(), slots.collect()));
            }
        }
        answers
    }
}

fn stages() -> [Box<dyn Stage>; 3] {
    [Box::new(AccountHashing), Box::new(StorageHashing), Box::new(History)]
}

fn address(number: u64) -> Address {
    Address::with_last_byte(number as u8)
}

fn slot_of(number: u64) -> B256 {
    B256::with_last_byte(number as u8)
}

/// A number that looks random.
fn mixed(parts: [u64; 3]) -> u64 {
    let bytes: Vec<u8> = parts.iter().flat_map(|part| part.to_be_bytes()).collect();
    u64::from_be_bytes(alloy_primitives::keccak256(bytes)[..8].try_into().unwrap())
}

/// Plain state and changes of blocks in which about a third of everything changes, and some of it vanishes.
fn execute(txn: &RwTxn<'_>, blocks: RangeInclusive<u64>) {
    let mut plain = PlainWriter::new(txn).unwrap();
    for block_number in blocks {
        let mut changes = BlockChanges::default();
        for who in 0..ADDRESSES {
            let (address, random) = (address(who), mixed([block_number, who, 99]));
            if random.is_multiple_of(3) {
                changes
                    .accounts
                    .push(AccountChange { address, before: read_account(txn, &address).unwrap() });
                let account =
                    Account { nonce: block_number, balance: U256::from(random), ..Default::default() };
                plain.set_account(&address, (!random.is_multiple_of(5)).then_some(&account)).unwrap();
            }
            for slot in 0..SLOTS {
                let random = mixed([block_number, who, slot]);
                if random.is_multiple_of(3) {
                    let before = read_storage(txn, &address, &slot_of(slot)).unwrap();
                    changes.storage.push(StorageChange { address, slot: slot_of(slot), before });
                    let value =
                        if random.is_multiple_of(5) { U256::ZERO } else { U256::MAX - U256::from(random) };
                    plain.set_slot(&address, &slot_of(slot), value).unwrap();
                }
            }
        }
        write_changes(txn, block_number, &changes).unwrap();
    }
}

#[test]
fn an_empty_range_changes_nothing() {
    let node = Node::at(&[20]);
    let before = node.all_tables();
    node.forward(20, 20);
    node.unwind(20, 20);
    assert_eq!(node.all_tables(), before);
}

#[test]
fn forward_in_one_go_equals_forward_in_pieces() {
    let pieces: Vec<u64> = (1..=BLOCKS).collect();
    let whole = Node::at(&[BLOCKS]);
    assert_eq!(whole.all_tables(), Node::at(&pieces).all_tables());
    assert_eq!(whole.all_tables(), Node::at(&[7, 50, 51, BLOCKS]).all_tables());
    assert!(whole.tables().iter().all(|digest| digest.entries > 0));
}

#[test]
fn unwinding_leaves_what_going_less_far_leaves() {
    for to in [0, 1, 37, 90, BLOCKS - 1] {
        let node = Node::at(&[30, BLOCKS]);
        node.unwind(to, BLOCKS);
        let there = if to == 0 { Node::new() } else { Node::at(&[to]) };
        assert_eq!(node.tables(), there.tables(), "back to {to}");
    }
}

#[test]
fn a_rebuilt_table_is_the_one_that_was_kept_up() {
    let node = Node::at(&[10, 60, BLOCKS]);
    let before = node.all_tables();
    node.write(|context, txn| {
        AccountHashing::rebuild(context, txn).unwrap();
        StorageHashing::rebuild(context, txn).unwrap();
    });
    assert_eq!(node.all_tables(), before);
}

#[test]
fn a_dropped_transaction_leaves_nothing() {
    let node = Node::at(&[20]);
    let before = node.all_tables();
    let context = StageContext {
        spec: &node.spec,
        settings: &node.settings,
        stop: &node.stop,
        progress: &(),
        scratch: node.scratch(),
    };
    let txn = node.db.begin_rw().unwrap();
    execute(&txn, 21..=40);
    for stage in &mut stages() {
        stage.forward(&context, &txn, BlockRange { done: 20, to: 40 }).unwrap();
    }
    drop(txn);
    assert_eq!(node.all_tables(), before);
}

#[test]
fn pruning_changes_no_later_read_with_or_without_changes_that_name_the_keys() {
    let (named, walked) = (Node::at(&[BLOCKS]), Node::at(&[BLOCKS]));
    let expected = named.answers(70..=BLOCKS);
    for through in [25, 26, 70] {
        named.prune(through);
        named.delete_changes(through);
    }
    walked.delete_changes(100);
    walked.prune(70);
    assert_eq!(named.tables(), walked.tables());
    assert_eq!(named.answers(70..=BLOCKS), expected);
    assert_eq!(walked.answers(70..=BLOCKS), expected);
    assert!(named.tables()[3].entries < Node::at(&[BLOCKS]).tables()[3].entries);
}

#[test]
fn going_forward_over_deleted_changes_is_refused() {
    let node = Node::at(&[40]);
    node.delete_changes(30);
    node.write(|context, txn| {
        for stage in &mut stages() {
            let error = stage.forward(context, txn, BlockRange { done: 20, to: 40 }).unwrap_err();
            let pruned = StateError::Pruned { block_number: 20, first_block: 30 };
            assert_eq!(error.to_string(), pruned.to_string());
        }
    });
}

#[test]
fn a_stop_ends_forward_unwind_and_prune() {
    let node = Node::at(&[20]);
    node.stop.stop();
    node.write(|context, txn| {
        execute(txn, 21..=40);
        let range = BlockRange { done: 20, to: 40 };
        for stage in &mut stages() {
            assert!(matches!(stage.forward(context, txn, range), Err(StageError::Stopped)));
            assert!(matches!(stage.unwind(context, txn, range), Err(StageError::Stopped)));
        }
        assert!(matches!(History.prune(context, txn, 20), Err(StageError::Stopped)));
    });
}
