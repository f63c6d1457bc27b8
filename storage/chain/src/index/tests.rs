//! The indexes against a map of sets.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_primitives::{Address, B256, Signature, U256};
use portico_db::{
    Database, DatabaseSettings, RoTxn, RwTxn, SyncMode, TableDigest,
    models::{SHARD_BLOCKS, StoredBody, TransactionHashPrefix, TxNumber},
    tables,
};
use proptest::prelude::*;

use super::*;
use crate::{ChainError, Transaction, append_transactions, encode_row, find_transaction};

const AMPLE: usize = 1 << 20;

struct TestDatabase {
    database: Database,
    folder: tempfile::TempDir,
}

impl TestDatabase {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            DatabaseSettings { sync_mode: SyncMode::Bulk, max_size: 64 << 20, ..Default::default() };
        Self { database: Database::open(folder.path(), &settings).unwrap(), folder }
    }

    fn write<R>(&self, change: impl FnOnce(&RwTxn<'_>) -> R) -> R {
        let txn = self.database.begin_rw().unwrap();
        let result = change(&txn);
        txn.commit().unwrap();
        result
    }

    fn digests(&self) -> Vec<TableDigest> {
        TableDigest::of_all(&self.database.begin_ro().unwrap()).unwrap()
    }

    /// Collects the pairs of `model` whose blocks are in `blocks`, block by block.
    fn collect(
        &self,
        model: &Model,
        blocks: RangeInclusive<u64>,
        bytes: usize,
    ) -> BlockCollector<LogAddressIndex> {
        let mut collector = BlockCollector::new(self.folder.path(), bytes);
        for block in blocks {
            for (subject, set) in model {
                if set.contains(&block) {
                    collector.insert(&subject_of(*subject), block).unwrap();
                    collector.insert(&subject_of(*subject), block).unwrap();
                }
            }
        }
        collector
    }

    fn append(&self, model: &Model, blocks: RangeInclusive<u64>) {
        let collector = self.collect(model, blocks, AMPLE);
        self.write(|txn| collector.append(txn, unasked).unwrap());
    }

    fn shards(&self, subject: u8) -> Vec<(u64, usize)> {
        let txn = self.database.begin_ro().unwrap();
        let mut cursor = txn.cursor::<LogAddressIndex>().unwrap();
        let rows =
            cursor.walk_all().map(Result::unwrap).filter(|(key, _)| key.address == subject_of(subject));
        rows.map(|(key, shard)| (key.last_block, shard.0.len())).collect()
    }
}

type Model = BTreeMap<u8, BTreeSet<u64>>;

fn subject_of(subject: u8) -> Address {
    Address::repeat_byte(subject)
}

fn unasked() -> Result<(), ChainError> {
    Ok(())
}

fn read(txn: &RoTxn<'_>, subject: u8, blocks: RangeInclusive<u64>) -> Vec<u64> {
    blocks_with_log_address(txn, subject_of(subject), blocks).unwrap().map(Result::unwrap).collect()
}

/// Runs of blocks with gaps, long enough for several shards.
fn any_model() -> impl Strategy<Value = Model> {
    let runs = proptest::collection::vec((0u64..6, 1u64..900), 0..4);
    proptest::collection::btree_map(0u8..5, runs, 1..5).prop_map(|subjects| {
        let blocks_of = |runs: Vec<(u64, u64)>| {
            let mut block = 0;
            let mut set = BTreeSet::new();
            for (gap, len) in runs {
                block += gap * 40;
                set.extend((block..block + len * (1 + gap % 2)).step_by(1 + gap as usize % 2));
                block += len * 2;
            }
            set
        };
        subjects.into_iter().map(|(subject, runs)| (subject, blocks_of(runs))).collect()
    })
}

const LAST: u64 = 6000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn forward_in_pieces_equals_forward_in_one_go(model in any_model(), mut cuts in proptest::collection::vec(0..LAST, 0..6), bytes in 1usize..20_000) {
        let (whole, pieces, spilled) = (TestDatabase::new(), TestDatabase::new(), TestDatabase::new());
        whole.append(&model, 0..=LAST);
        cuts.push(LAST);
        cuts.sort();
        let mut start = 0;
        for cut in cuts {
            pieces.append(&model, start..=cut);
            start = cut + 1;
        }
        prop_assert_eq!(pieces.digests(), whole.digests());
        let collector = spilled.collect(&model, 0..=LAST, bytes);
        spilled.write(|txn| collector.append(txn, unasked).unwrap());
        prop_assert_eq!(spilled.digests(), whole.digests());
        // Appending again changes nothing.
        whole.append(&model, 0..=LAST);
        prop_assert_eq!(spilled.digests(), whole.digests());
    }

    #[test]
    fn cutting_off_leaves_what_was_there_before(model in any_model(), to in 0..LAST) {
        let (less, keyed, scanned) = (TestDatabase::new(), TestDatabase::new(), TestDatabase::new());
        less.append(&model, 0..=to);
        keyed.append(&model, 0..=LAST);
        let gone = keyed.collect(&model, to + 1..=LAST, 3000);
        keyed.write(|txn| gone.cut_above(txn, to, unasked).unwrap());
        prop_assert_eq!(keyed.digests(), less.digests());
        scanned.append(&model, 0..=LAST);
        scanned.write(|txn| cut_index_above::<LogAddressIndex, _>(txn, to, unasked).unwrap());
        prop_assert_eq!(scanned.digests(), less.digests());
        // And forward again.
        keyed.append(&model, to + 1..=LAST);
        less.append(&model, to + 1..=LAST);
        prop_assert_eq!(keyed.digests(), less.digests());
    }

    #[test]
    fn pruning_changes_no_later_read(model in any_model(), to in 0..LAST, later in 0..LAST) {
        let (keyed, scanned) = (TestDatabase::new(), TestDatabase::new());
        keyed.append(&model, 0..=LAST);
        let gone = keyed.collect(&model, 0..=to, AMPLE);
        keyed.write(|txn| gone.prune(txn, to, unasked).unwrap());
        scanned.append(&model, 0..=LAST);
        scanned.write(|txn| prune_index::<LogAddressIndex, _>(txn, to, unasked).unwrap());
        prop_assert_eq!(keyed.digests(), scanned.digests());
        let check = |cut: u64| {
            let txn = keyed.database.begin_ro().unwrap();
            for (subject, set) in &model {
                let expected: Vec<u64> = set.iter().copied().filter(|block| (to + 1..=cut).contains(block)).collect();
                assert_eq!(read(&txn, *subject, 0..=u64::MAX), expected);
            }
        };
        check(LAST);
        // Cutting and appending after pruning.
        let cut = to.max(later);
        keyed.write(|txn| cut_index_above::<LogAddressIndex, _>(txn, cut, unasked).unwrap());
        check(cut);
        keyed.append(&model, cut + 1..=LAST);
        check(LAST);
    }

    #[test]
    fn reads_are_those_of_a_set(model in any_model(), start in 0..LAST, len in 0..LAST) {
        let database = TestDatabase::new();
        database.append(&model, 0..=LAST);
        let txn = database.database.begin_ro().unwrap();
        for (subject, set) in &model {
            let expected: Vec<u64> = set.range(start..=start + len).copied().collect();
            prop_assert_eq!(read(&txn, *subject, start..=start + len), expected);
        }
    }

    #[test]
    fn unions_and_intersections_are_those_of_sets(model in any_model(), tree in any_tree(), range in (0..LAST, 0..LAST), jumps in proptest::collection::vec(0u64..400, 1..20)) {
        let database = TestDatabase::new();
        database.append(&model, 0..=LAST);
        let txn = database.database.begin_ro().unwrap();
        let blocks = range.0..=range.0 + range.1;
        let expected: Vec<u64> = blocks.clone().filter(|block| tree.matches(&model, *block)).collect();
        let got: Vec<u64> = tree.stream(&txn, blocks.clone()).map(Result::unwrap).collect();
        prop_assert_eq!(&got, &expected);

        let mut stream = tree.stream(&txn, blocks);
        let mut target = 0;
        for jump in jumps.iter().cycle().take(60) {
            target += jump;
            let at = expected.partition_point(|block| *block < target);
            prop_assert_eq!(stream.seek(target).unwrap(), expected.get(at).copied());
            prop_assert_eq!(stream.seek(0).unwrap(), expected.get(at).copied());
        }
        let rest: Vec<u64> = stream.map(Result::unwrap).collect();
        prop_assert_eq!(&rest[..], &expected[expected.partition_point(|block| *block < target)..]);
    }
}

/// A filter over subjects.
#[derive(Debug, Clone)]
enum Tree {
    All,
    Subject(u8),
    Any(Vec<Tree>),
    Every(Vec<Tree>),
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![1 => Just(Tree::All), 6 => (0u8..6).prop_map(Tree::Subject)];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let parts = proptest::collection::vec(inner, 0..4);
        prop_oneof![parts.clone().prop_map(Tree::Any), parts.prop_map(Tree::Every)]
    })
}

impl Tree {
    fn matches(&self, model: &Model, block: u64) -> bool {
        match self {
            Self::All => true,
            Self::Subject(subject) => model.get(subject).is_some_and(|set| set.contains(&block)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(model, block)),
            Self::Every(parts) => parts.iter().all(|part| part.matches(model, block)),
        }
    }

    fn stream<'txn>(
        &self,
        txn: &'txn RoTxn<'_>,
        blocks: RangeInclusive<u64>,
    ) -> BlockStream<'txn, portico_db::RO> {
        let streams = |parts: &[Self]| parts.iter().map(|part| part.stream(txn, blocks.clone())).collect();
        match self {
            Self::All => BlockStream::all(blocks),
            Self::Subject(subject) => blocks_with_log_address(txn, subject_of(*subject), blocks).unwrap(),
            Self::Any(parts) => BlockStream::union(blocks.clone(), streams(parts)),
            Self::Every(parts) => BlockStream::intersection(blocks.clone(), streams(parts)),
        }
    }
}

#[test]
fn a_full_shard_is_closed_when_the_next_block_comes() {
    let full = SHARD_BLOCKS as u64;
    let model = Model::from([(1, (1..=full + 1).collect()), (2, BTreeSet::from([7]))]);
    let database = TestDatabase::new();
    database.append(&model, 0..=full);
    assert_eq!(database.shards(1), [(u64::MAX, SHARD_BLOCKS)]);
    database.append(&model, full + 1..=full + 1);
    assert_eq!(database.shards(1), [(full, SHARD_BLOCKS), (u64::MAX, 1)]);
    database.write(|txn| cut_index_above::<LogAddressIndex, _>(txn, full, unasked).unwrap());
    assert_eq!(database.shards(1), [(u64::MAX, SHARD_BLOCKS)]);
    assert_eq!(database.shards(2), [(u64::MAX, 1)]);
    database.write(|txn| cut_index_above::<LogAddressIndex, _>(txn, 0, unasked).unwrap());
    assert_eq!(database.shards(1), []);
}

#[test]
fn the_four_indexes_are_apart() {
    let database = TestDatabase::new();
    let folder = database.folder.path();
    let (address, topic) = (Address::repeat_byte(1), B256::repeat_byte(2));
    database.write(|txn| {
        let mut collector = BlockCollector::<CallFromIndex>::new(folder, AMPLE);
        collector.insert(&address, 3).unwrap();
        assert_eq!(collector.append(txn, unasked).unwrap(), 1);
        let mut collector = BlockCollector::<LogTopicIndex>::new(folder, AMPLE);
        collector.insert(&topic, 4).unwrap();
        assert_eq!(collector.append(txn, unasked).unwrap(), 1);
        let mut collector = BlockCollector::<CallToIndex>::new(folder, AMPLE);
        collector.insert(&address, u64::MAX).unwrap();
        assert_eq!(collector.append(txn, unasked).unwrap(), 1);
    });
    let txn = database.database.begin_ro().unwrap();
    let all = |stream: BlockStream<'_, _>| stream.map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(all(blocks_with_call_from(&txn, address, 0..=9).unwrap()), [3]);
    assert_eq!(all(blocks_with_log_topic(&txn, topic, 0..=9).unwrap()), [4]);
    assert_eq!(all(blocks_with_call_to(&txn, address, 0..=u64::MAX).unwrap()), [u64::MAX]);
    assert_eq!(all(blocks_with_log_address(&txn, address, 0..=9).unwrap()), [0; 0]);
}

#[test]
fn a_check_that_fails_ends_the_writing() {
    let database = TestDatabase::new();
    let stop = || Err(ChainError::NoGenesis);
    let model = Model::from([(1, (1..9).collect()), (2, (1..9).collect())]);
    let txn = database.database.begin_rw().unwrap();
    for bytes in [AMPLE, 1] {
        let collector = database.collect(&model, 0..=9, bytes);
        assert!(matches!(collector.append(&txn, stop), Err(ChainError::NoGenesis)));
    }
    assert_eq!(txn.entries::<LogAddressIndex>().unwrap(), 0);
}

/// Hash that begins with `prefix`, and differs in `rest`.
fn hash(prefix: u64, rest: u8) -> B256 {
    let mut hash = B256::repeat_byte(rest);
    hash[..8].copy_from_slice(&prefix.to_be_bytes());
    hash
}

fn lookup_rows(database: &TestDatabase) -> Vec<(u64, u64)> {
    let txn = database.database.begin_ro().unwrap();
    let mut cursor = txn.cursor::<tables::TransactionLookup>().unwrap();
    let rows = cursor.walk_all().map(Result::unwrap);
    rows.map(|(TransactionHashPrefix(prefix), TxNumber(number))| (u64::from_be_bytes(prefix), number))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_lookup_is_a_set_of_pairs(prefixes in proptest::collection::vec(0u64..20, 1..200), cut in 0usize..200, bytes in 1usize..4000) {
        let database = TestDatabase::new();
        let collect = |numbers: std::ops::Range<usize>| {
            let mut collector = LookupCollector::new(database.folder.path(), bytes);
            for number in numbers {
                collector.insert(&hash(prefixes[number], number as u8), number as u64).unwrap();
            }
            collector
        };
        let pairs = |numbers: std::ops::Range<usize>| {
            numbers.map(|number| (prefixes[number], number as u64)).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
        };
        let (cut, end) = (cut.min(prefixes.len()), prefixes.len());
        database.write(|txn| collect(0..cut).append(txn, unasked).unwrap());
        prop_assert_eq!(lookup_rows(&database), pairs(0..cut));
        database.write(|txn| collect(cut..end).append(txn, unasked).unwrap());
        prop_assert_eq!(lookup_rows(&database), pairs(0..end));
        database.write(|txn| collect(cut..end).delete(txn, unasked).unwrap());
        prop_assert_eq!(lookup_rows(&database), pairs(0..cut));
        database.write(|txn| collect(0..end).append(txn, unasked).unwrap());
        database.write(|txn| prune_lookup(txn, cut as u64, unasked).unwrap());
        prop_assert_eq!(lookup_rows(&database), pairs(cut..end));
        database.write(|txn| clear_lookup(txn).unwrap());
        prop_assert_eq!(lookup_rows(&database), vec![]);
    }
}

fn transaction(nonce: u64) -> Transaction {
    let tx = TxLegacy { nonce, gas_limit: 21_000, ..Default::default() };
    tx.into_signed(Signature::new(U256::from(1), U256::from(2), false)).into()
}

#[test]
fn a_shared_prefix_finds_the_transaction_whose_whole_hash_it_is() {
    let database = TestDatabase::new();
    let transactions = [transaction(0), transaction(1), transaction(2)];
    let rows: Vec<_> = transactions.iter().map(encode_row).collect();
    let searched = *transactions[2].tx_hash();
    database.write(|txn| {
        append_transactions(txn, 0, &rows).unwrap();
        let mut collector = LookupCollector::new(database.folder.path(), AMPLE);
        // All three under the prefix of the last one.
        for number in 0..3 {
            collector.insert(&searched, number).unwrap();
        }
        collector.append(txn, unasked).unwrap();
    });
    let txn = database.database.begin_ro().unwrap();
    let found = find_transaction(&txn, &searched).unwrap().unwrap();
    assert_eq!((found.0, found.1.tx_hash()), (2, &searched));
    assert!(find_transaction(&txn, transactions[0].tx_hash()).unwrap().is_none());
    let mut same_prefix = searched;
    same_prefix[31] ^= 1;
    assert!(find_transaction(&txn, &same_prefix).unwrap().is_none());
}

#[test]
fn chunks_hold_whole_blocks() {
    let database = TestDatabase::new();
    let counts = [0, 2, 0, 3, 1, 0];
    database.write(|txn| {
        let mut first_tx_number = 0;
        for (number, tx_count) in (0u64..).zip(counts) {
            let body = StoredBody { first_tx_number, tx_count, ..Default::default() };
            txn.put::<tables::BlockBodies>(&number, &body).unwrap();
            first_tx_number += tx_count;
        }
        let rows: Vec<_> = (0..first_tx_number).map(|nonce| encode_row(&transaction(nonce))).collect();
        append_transactions(txn, 0, &rows).unwrap();
    });
    let txn = database.database.begin_ro().unwrap();
    let chunks = |blocks, len| {
        let mut chunks = Vec::new();
        iter_tx_chunks::<_, ChainError>(&txn, blocks, len, |chunk| {
            for (position, row) in chunk.rows.iter().enumerate() {
                let expected = transaction(chunk.first_tx_number + position as u64);
                assert_eq!(decode_transaction(row).unwrap(), expected);
            }
            chunks.push((chunk.first_tx_number, chunk.blocks));
            Ok(())
        })?;
        Ok::<_, ChainError>(chunks)
    };
    assert_eq!(
        chunks(1..=5, 2).unwrap(),
        [(0, vec![(1, 0..2)]), (2, vec![(2, 0..0), (3, 0..3)]), (5, vec![(4, 0..1), (5, 1..1)])]
    );
    assert_eq!(chunks(4..=4, 100).unwrap(), [(5, vec![(4, 0..1)])]);
    assert!(matches!(chunks(4..=6, 100), Err(ChainError::Missing { what: "body", block_number: 6 })));
    let receipts = iter_receipt_chunks::<_, ChainError>(&txn, 0..=5, 9, |_| Ok(()));
    assert!(matches!(receipts, Err(ChainError::Missing { what: "receipt", block_number: 1 })));
}
