use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use portico_db::{Database, DatabaseSettings, SyncMode, TableDigest, models::Account};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{
    AccountChange, BlockChanges, PlainWriter, StorageChange, account_at, delete_changes_below, read_account,
    read_hashed_account, read_storage, rebuild_hashed_accounts, rebuild_hashed_storage,
    revert_hashed_accounts, revert_hashed_storage, storage_at, update_hashed_accounts, update_hashed_storage,
    write_changes,
};

/// What a block sets: few keys with long values, so that chunks fill up.
#[derive(Debug, Clone, Default)]
struct Block {
    accounts: BTreeMap<Address, Option<Account>>,
    slots: BTreeMap<(Address, B256), U256>,
}

type State = Block;

fn blocks() -> impl Strategy<Value = Vec<Block>> {
    let address = || (0u8..5).prop_map(Address::repeat_byte);
    let slot = (0u8..3).prop_map(B256::with_last_byte);
    let word = || prop_oneof![1 => Just(U256::ZERO), 4 => any::<[u8; 32]>().prop_map(U256::from_be_bytes)];
    let account = (any::<u64>(), word(), any::<[u8; 32]>()).prop_map(|(nonce, balance, code)| Account {
        nonce,
        balance,
        code_hash: code.into(),
    });
    let accounts = proptest::collection::btree_map(address(), proptest::option::weighted(0.8, account), 0..4);
    let slots = proptest::collection::btree_map((address(), slot), word(), 0..8);
    let block = (accounts, slots).prop_map(|(accounts, slots)| Block { accounts, slots });
    proptest::collection::vec(block, 2..90)
}

struct Store {
    db: Database,
    folder: TempDir,
    sort_bytes: usize,
}

impl Store {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = DatabaseSettings {
            sync_mode: SyncMode::Bulk,
            max_size: 1 << 30,
            growth_step: 1 << 20,
            ..Default::default()
        };
        let db = Database::open(&folder.path().join("db"), &settings).unwrap();
        Self { db, folder, sort_bytes: 4096 }
    }

    /// Plain state and changes of all blocks, numbered from 1.
    fn executed(blocks: &[Block]) -> Self {
        let store = Self::new();
        store.write(|txn, _| {
            for (block_number, block) in (1..).zip(blocks) {
                execute(txn, block_number, block);
            }
        });
        store
    }

    fn write(&self, work: impl FnOnce(&RwTxn<'_>, SortSpace<'_>)) {
        let txn = self.db.begin_rw().unwrap();
        work(&txn, SortSpace { folder: self.folder.path(), bytes: self.sort_bytes });
        txn.commit().unwrap();
    }

    fn append(&self, blocks: RangeInclusive<u64>) {
        self.write(|txn, space| {
            append_account_history(txn, blocks.clone(), space, fine).unwrap();
            append_storage_history(txn, blocks, space, fine).unwrap();
        });
    }

    fn unwind(&self, blocks: RangeInclusive<u64>) {
        self.write(|txn, space| {
            unwind_account_history(txn, blocks.clone(), space, fine).unwrap();
            unwind_storage_history(txn, blocks, space, fine).unwrap();
        });
    }

    fn prune(&self, through: u64, keys: PruneKeys) {
        self.write(|txn, space| {
            prune_account_history(txn, through, keys.clone(), space, fine).unwrap();
            prune_storage_history(txn, through, keys, space, fine).unwrap();
        });
    }

    fn digest(&self, tables: &[usize]) -> Vec<TableDigest> {
        let txn = self.db.begin_ro().unwrap();
        tables.iter().map(|table| TableDigest::of(&txn, *table).unwrap()).collect()
    }

    fn history(&self) -> Vec<TableDigest> {
        self.digest(&[tables::AccountHistory::INDEX, tables::StorageHistory::INDEX])
    }

    fn hashed(&self) -> Vec<TableDigest> {
        self.digest(&[tables::HashedAccounts::INDEX, tables::HashedStorage::INDEX])
    }
}

fn fine(_: u64) -> Result<(), DbError> {
    Ok(())
}

fn execute(txn: &RwTxn<'_>, block_number: u64, block: &Block) {
    let mut changes = BlockChanges::default();
    let mut plain = PlainWriter::new(txn).unwrap();
    for (address, account) in &block.accounts {
        changes
            .accounts
            .push(AccountChange { address: *address, before: read_account(txn, address).unwrap() });
        plain.set_account(address, account.as_ref()).unwrap();
    }
    for ((address, slot), value) in &block.slots {
        let before = read_storage(txn, address, slot).unwrap();
        changes.storage.push(StorageChange { address: *address, slot: *slot, before });
        plain.set_slot(address, slot, *value).unwrap();
    }
    write_changes(txn, block_number, &changes).unwrap();
}

/// The naive model: the whole state after each block, from block 0 on.
fn states(blocks: &[Block]) -> Vec<State> {
    let mut states = vec![State::default()];
    for block in blocks {
        let mut state = states.last().unwrap().clone();
        state.accounts.extend(block.accounts.clone());
        state.slots.extend(block.slots.clone());
        states.push(state);
    }
    states
}

/// Compares reads as of every block from `first` on with the model.
fn check_reads(store: &Store, blocks: &[Block], first: usize) {
    let txn = store.db.begin_ro().unwrap();
    for (block_number, state) in states(blocks).iter().enumerate().skip(first) {
        let block_number = block_number as u64;
        for address in (0u8..6).map(Address::repeat_byte) {
            let expected = state.accounts.get(&address).copied().flatten();
            assert_eq!(account_at(&txn, &address, block_number).unwrap(), expected, "block {block_number}");
            for slot in (0u8..3).map(B256::with_last_byte) {
                let expected = state.slots.get(&(address, slot)).copied().unwrap_or_default();
                assert_eq!(
                    storage_at(&txn, &address, &slot, block_number).unwrap(),
                    expected,
                    "block {block_number}"
                );
            }
        }
    }
}

/// The stored chunks of storage: blocks in each, by key.
fn chunks(store: &Store) -> Vec<(Vec<u8>, Vec<u64>)> {
    let txn = store.db.begin_ro().unwrap();
    let mut cursor = txn.cursor::<tables::StorageHistory>().unwrap();
    let rows = cursor.walk_all().map(|row| {
        let (key, chunk) = row.unwrap();
        let blocks =
            chunk.chunk().entries().unwrap().into_iter().map(|(block_number, _)| block_number).collect();
        (key.encode().to_vec(), blocks)
    });
    rows.collect()
}

/// Cuts `1..=last` at `cuts`.
fn pieces(last: u64, cuts: &[prop::sample::Index]) -> Vec<RangeInclusive<u64>> {
    let mut ends: Vec<u64> =
        cuts.iter().map(|cut| cut.index(last as usize) as u64).filter(|end| *end > 0).collect();
    ends.push(last);
    ends.sort_unstable();
    ends.dedup();
    let starts = std::iter::once(1).chain(ends.iter().map(|end| end + 1));
    starts.zip(&ends).map(|(start, end)| start..=*end).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn reads_as_of_every_block_equal_the_model(blocks in blocks(), cuts: [prop::sample::Index; 3]) {
        let store = Store::executed(&blocks);
        for piece in pieces(blocks.len() as u64, &cuts) {
            store.append(piece);
        }
        check_reads(&store, &blocks, 0);
    }

    #[test]
    fn forward_in_pieces_equals_forward_in_one_go(blocks in blocks(), cuts: [prop::sample::Index; 5]) {
        let last = blocks.len() as u64;
        let (whole, parts) = (Store::executed(&blocks), Store::executed(&blocks));
        whole.append(1..=last);
        for piece in pieces(last, &cuts) {
            parts.append(piece);
        }
        prop_assert_eq!(whole.history(), parts.history());
    }

    #[test]
    fn unwinding_leaves_what_going_less_far_leaves(blocks in blocks(), to: prop::sample::Index, cuts: [prop::sample::Index; 3]) {
        let last = blocks.len() as u64;
        let to = to.index(blocks.len()) as u64;
        let (there, back) = (Store::executed(&blocks), Store::executed(&blocks));
        if to > 0 {
            there.append(1..=to);
        }
        for piece in pieces(last, &cuts) {
            back.append(piece);
        }
        back.unwind(to + 1..=last);
        prop_assert_eq!(there.history(), back.history());
        back.append(to + 1..=last);
        check_reads(&back, &blocks, 0);
    }

    #[test]
    fn pruning_changes_no_later_read(blocks in blocks(), cuts: [prop::sample::Index; 3], through: prop::sample::Index) {
        let last = blocks.len() as u64;
        let through = through.index(blocks.len()) as u64;
        let (named, walked) = (Store::executed(&blocks), Store::executed(&blocks));
        named.append(1..=last);
        walked.append(1..=last);
        if through > 0 {
            for piece in pieces(through, &cuts) {
                named.prune(*piece.end(), PruneKeys::ChangedIn(piece.clone()));
                // What a node does: changes behind the pruned blocks go.
                named.write(|txn, _| delete_changes_below(txn, piece.end() + 1).unwrap());
            }
        }
        walked.prune(through, PruneKeys::All);
        prop_assert_eq!(named.history(), walked.history());
        check_reads(&named, &blocks, through as usize);
        prop_assert!(chunks(&named).iter().all(|(_, blocks)| !blocks.is_empty() && blocks[0] > through));
    }

    #[test]
    fn pruning_and_unwinding_give_the_same_in_either_order(blocks in blocks(), a: prop::sample::Index, b: prop::sample::Index) {
        let last = blocks.len() as u64;
        let (a, b) = (a.index(blocks.len()) as u64, b.index(blocks.len()) as u64);
        let (through, to) = (a.min(b), a.max(b));
        let (one, other) = (Store::executed(&blocks), Store::executed(&blocks));
        one.append(1..=last);
        one.prune(through, PruneKeys::All);
        one.unwind(to + 1..=last);
        other.append(1..=last);
        other.unwind(to + 1..=last);
        other.prune(through, PruneKeys::All);
        prop_assert_eq!(one.history(), other.history());
    }

    #[test]
    fn hashed_state_is_the_hash_of_the_plain_state(blocks in blocks(), cuts: [prop::sample::Index; 3], to: prop::sample::Index) {
        let last = blocks.len() as u64;
        let to = to.index(blocks.len()) as u64;
        let updated = Store::new();
        for piece in pieces(last, &cuts) {
            updated.write(|txn, space| {
                for block_number in piece.clone() {
                    execute(txn, block_number, &blocks[block_number as usize - 1]);
                }
                update_hashed_accounts(txn, piece.clone(), space, fine).unwrap();
                update_hashed_storage(txn, piece, space, fine).unwrap();
            });
        }
        let rebuilt = |blocks: &[Block]| {
            let store = Store::executed(blocks);
            store.write(|txn, space| {
                rebuild_hashed_accounts(txn, space, || fine(0)).unwrap();
                rebuild_hashed_storage(txn, space, || fine(0)).unwrap();
            });
            store.hashed()
        };
        prop_assert_eq!(updated.hashed(), rebuilt(&blocks));
        check_hashed(&updated, states(&blocks).last().unwrap());

        updated.write(|txn, space| {
            revert_hashed_storage(txn, to + 1..=last, space, fine).unwrap();
            revert_hashed_accounts(txn, to + 1..=last, space, fine).unwrap();
        });
        prop_assert_eq!(updated.hashed(), rebuilt(&blocks[..to as usize]));
    }
}

/// Compares the hashed tables with a state, hashing here by hand.
fn check_hashed(store: &Store, state: &State) {
    use alloy_primitives::keccak256;
    let txn = store.db.begin_ro().unwrap();
    let accounts = state.accounts.iter().filter(|(_, account)| account.is_some());
    assert_eq!(txn.entries::<tables::HashedAccounts>().unwrap(), accounts.clone().count());
    for (address, account) in accounts {
        assert_eq!(read_hashed_account(&txn, &keccak256(address)).unwrap(), *account);
    }
    let slots = state.slots.iter().filter(|(_, value)| !value.is_zero());
    assert_eq!(txn.entries::<tables::HashedStorage>().unwrap(), slots.clone().count());
    let mut cursor = txn.cursor::<tables::HashedStorage>().unwrap();
    for ((address, slot), value) in slots {
        let found = cursor.seek_dup_exact(&keccak256(address), &keccak256(slot)).unwrap().unwrap();
        assert_eq!(found.value, *value);
    }
}

/// A block that sets slot `n` of `who` to a long value.
fn setting(who: u8, slot: u64, value: u64) -> Block {
    let slot = B256::from(U256::from(slot));
    let value = U256::MAX - U256::from(value);
    Block { accounts: BTreeMap::new(), slots: BTreeMap::from([((Address::repeat_byte(who), slot), value)]) }
}

#[test]
fn a_full_chunk_is_named_by_its_last_block_and_the_last_one_stays_open() {
    let blocks: Vec<_> = (0..40).map(|value| setting(1, 7, value)).collect();
    let store = Store::executed(&blocks);
    store.append(1..=40);
    let chunks = chunks(&store);
    // The first entry has no value before; each further one takes 34 bytes of the 640.
    let ends: Vec<_> =
        chunks.iter().map(|(key, _)| u64::from_be_bytes(key[52..].try_into().unwrap())).collect();
    assert_eq!(ends, [19, 37, u64::MAX]);
    assert_eq!(chunks[0].1, (1..=19).collect::<Vec<_>>());
    assert_eq!(chunks[2].1, [38, 39, 40]);
}

#[test]
fn unwinding_to_the_end_of_a_closed_chunk_opens_it() {
    let blocks: Vec<_> = (0..40).map(|value| setting(1, 7, value)).collect();
    let store = Store::executed(&blocks);
    store.append(1..=40);
    store.unwind(20..=40);
    let chunks = chunks(&store);
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0].0[52..], [0xff; 8]);
    assert_eq!(chunks[0].1.last(), Some(&19));
    store.unwind(1..=19);
    assert_eq!(self::chunks(&store), []);
}

#[test]
fn appending_the_same_blocks_twice_is_an_error() {
    let store = Store::executed(&[setting(1, 1, 1), setting(1, 1, 2)]);
    store.append(1..=2);
    store.write(|txn, space| {
        let error = append_storage_history(txn, 2..=2, space, fine).unwrap_err();
        assert!(matches!(error, DbError::Corrupt { table: "StorageHistory", .. }), "{error}");
    });
}

#[test]
fn an_error_of_the_caller_ends_the_work() {
    let store = Store::executed(&[setting(1, 1, 1), setting(1, 1, 2)]);
    store.write(|txn, space| {
        let stop = |block_number| {
            if block_number == 2 { Err(crate::StateError::Ahead { block_number, head: 1 }) } else { Ok(()) }
        };
        let error = append_storage_history(txn, 1..=2, space, stop).unwrap_err();
        assert!(matches!(error, crate::StateError::Ahead { block_number: 2, .. }), "{error}");
    });
}
