//! The stages that index logs, calls and transaction hashes, on generated chains.

use std::collections::{BTreeMap, BTreeSet};

use alloy_consensus::{EthereumReceipt, SignableTransaction, TxLegacy, TxType};
use alloy_primitives::{Address, B256, Bytes, Log, LogData, Signature, U256};
use portico_chain::{
    ChainError, Receipt, StoredBody, Transaction, append_receipts, append_transactions,
    blocks_with_call_from, blocks_with_call_to, blocks_with_log_address, blocks_with_log_topic,
    delete_receipts_from, encode_row, find_transaction, write_prune_checkpoint,
};
use portico_chainspec::ChainSpec;
use portico_db::{Database, DatabaseSettings, RoTxn, RwTxn, SyncMode, TableDigest, tables};
use portico_stages::{
    BlockRange, CallTraceIndex, LogIndex, Stage, StageContext, StageError, StageId, StageSettings,
    StopSignal, TxLookup,
};
use portico_state::{BlockChanges, TraceAddress, delete_changes_below, write_changes};
use proptest::prelude::*;

/// One block: per transaction its logs as (address, topics); per address in calls, whether from and to.
#[derive(Debug, Clone, Default)]
struct Block {
    logs: Vec<Vec<(u8, Vec<u8>)>>,
    calls: BTreeMap<u8, (bool, bool)>,
}

/// Blocks from 0; the first one is empty.
type Chain = Vec<Block>;

fn any_chain() -> impl Strategy<Value = Chain> {
    let log = (0u8..6, proptest::collection::vec(0u8..8, 0..=4));
    let logs = proptest::collection::vec(proptest::collection::vec(log, 0..4), 0..4);
    let calls = proptest::collection::btree_map(0u8..6, any::<(bool, bool)>(), 0..4);
    let block = (logs, calls).prop_map(|(logs, calls)| Block { logs, calls });
    proptest::collection::vec(block, 1..40).prop_map(|mut blocks| {
        blocks[0] = Block::default();
        blocks
    })
}

fn address(of: u8) -> Address {
    Address::repeat_byte(of)
}

fn topic(of: u8) -> B256 {
    B256::repeat_byte(of)
}

fn transaction(tx_number: u64) -> Transaction {
    let tx = TxLegacy { nonce: tx_number, gas_limit: 21_000, ..Default::default() };
    tx.into_signed(Signature::new(U256::from(1), U256::from(2), false)).into()
}

fn receipt(logs: &[(u8, Vec<u8>)]) -> Receipt {
    let log = |(from, topics): &(u8, Vec<u8>)| Log {
        address: address(*from),
        data: LogData::new_unchecked(
            topics.iter().map(|of| topic(*of)).collect(),
            Bytes::from_static(b"data"),
        ),
    };
    EthereumReceipt {
        tx_type: TxType::Legacy,
        success: true,
        cumulative_gas_used: 0,
        logs: logs.iter().map(log).collect(),
    }
}

struct Node {
    database: Database,
    folder: tempfile::TempDir,
    settings: StageSettings,
    stop: StopSignal,
}

impl Node {
    /// A database with the bodies, transactions, receipts and trace addresses of `chain`.
    fn new(chain: &Chain) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            DatabaseSettings { sync_mode: SyncMode::Bulk, max_size: 256 << 20, ..Default::default() };
        let database = Database::open(folder.path(), &settings).unwrap();
        let node = Self { database, folder, settings: StageSettings::default(), stop: StopSignal::default() };
        node.write(|txn| {
            let mut first_tx_number = 0;
            for (number, block) in (0u64..).zip(chain) {
                let tx_count = block.logs.len() as u64;
                let body = StoredBody { first_tx_number, tx_count, ..Default::default() };
                txn.put::<tables::BlockBodies>(&number, &body).unwrap();
                let rows: Vec<_> = body.tx_numbers().map(|number| encode_row(&transaction(number))).collect();
                append_transactions(txn, first_tx_number, &rows).unwrap();
                let rows: Vec<_> = block.logs.iter().map(|logs| encode_row(&receipt(logs))).collect();
                append_receipts(txn, first_tx_number, &rows).unwrap();
                let trace = |(of, (from, to)): (&u8, &(bool, bool))| TraceAddress {
                    address: address(*of),
                    from: *from,
                    to: *to,
                };
                let changes =
                    BlockChanges { traces: block.calls.iter().map(trace).collect(), ..Default::default() };
                write_changes(txn, number, &changes).unwrap();
                first_tx_number += tx_count;
            }
        });
        node
    }

    fn write<R>(&self, change: impl FnOnce(&RwTxn<'_>) -> R) -> R {
        let txn = self.database.begin_rw().unwrap();
        let result = change(&txn);
        txn.commit().unwrap();
        result
    }

    fn with_context<R>(&self, run: impl FnOnce(&StageContext<'_>) -> R) -> R {
        run(&StageContext {
            spec: &ChainSpec::dev(),
            settings: &self.settings,
            stop: &self.stop,
            progress: &(),
            scratch: self.folder.path().to_owned(),
        })
    }

    fn forward(&self, done: u64, to: u64) {
        for stage in &mut stages() {
            let range = BlockRange { done, to };
            let output =
                self.write(|txn| self.with_context(|context| stage.forward(context, txn, range))).unwrap();
            assert_eq!(output.reached, to);
        }
    }

    fn unwind(&self, done: u64, to: u64) {
        for stage in &mut stages() {
            let range = BlockRange { done, to };
            self.write(|txn| self.with_context(|context| stage.unwind(context, txn, range))).unwrap();
        }
    }

    fn prune(&self, block_number: u64) {
        for stage in &mut stages() {
            self.write(|txn| {
                self.with_context(|context| stage.prune(context, txn, block_number)).unwrap();
                write_prune_checkpoint(txn, stage.id().name(), block_number).unwrap();
            });
        }
    }

    fn digests(&self) -> Vec<TableDigest> {
        TableDigest::of_all(&self.database.begin_ro().unwrap()).unwrap()
    }
}

fn stages() -> [Box<dyn Stage>; 3] {
    [Box::new(LogIndex), Box::new(CallTraceIndex), Box::new(TxLookup)]
}

fn head(chain: &Chain) -> u64 {
    chain.len() as u64 - 1
}

/// Compares all that the indexes say about the blocks after `pruned` with `chain`.
fn assert_indexed(txn: &RoTxn<'_>, chain: &Chain, pruned: u64) {
    let blocks = || pruned + 1..=u64::MAX;
    let expected = |holds: &dyn Fn(&Block) -> bool| -> BTreeSet<u64> {
        (0..)
            .zip(chain)
            .filter(|(number, block)| *number > pruned && holds(block))
            .map(|(number, _)| number)
            .collect()
    };
    for of in 0..8 {
        let logged = expected(&|block| block.logs.iter().flatten().any(|(from, _)| *from == of));
        let stream = blocks_with_log_address(txn, address(of), blocks()).unwrap();
        assert_eq!(stream.map(Result::unwrap).collect::<BTreeSet<_>>(), logged);
        let logged = expected(&|block| block.logs.iter().flatten().any(|(_, topics)| topics.contains(&of)));
        let stream = blocks_with_log_topic(txn, topic(of), blocks()).unwrap();
        assert_eq!(stream.map(Result::unwrap).collect::<BTreeSet<_>>(), logged);
        let called = expected(&|block| block.calls.get(&of).is_some_and(|(from, _)| *from));
        let stream = blocks_with_call_from(txn, address(of), blocks()).unwrap();
        assert_eq!(stream.map(Result::unwrap).collect::<BTreeSet<_>>(), called);
        let called = expected(&|block| block.calls.get(&of).is_some_and(|(_, to)| *to));
        let stream = blocks_with_call_to(txn, address(of), blocks()).unwrap();
        assert_eq!(stream.map(Result::unwrap).collect::<BTreeSet<_>>(), called);
    }
    let tx_count = |blocks: &[Block]| blocks.iter().map(|block| block.logs.len() as u64).sum::<u64>();
    for tx_number in tx_count(&chain[..=pruned as usize])..tx_count(chain) {
        let found = find_transaction(txn, transaction(tx_number).tx_hash()).unwrap();
        assert_eq!(found.map(|(number, _)| number), Some(tx_number));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_indexes_hold_the_chain(chain in any_chain(), etl_bytes in 1usize..4000) {
        let mut node = Node::new(&chain);
        node.forward(0, head(&chain));
        assert_indexed(&node.database.begin_ro().unwrap(), &chain, 0);
        let digests = node.digests();
        node = Node::new(&chain);
        node.settings.etl_bytes = etl_bytes;
        node.forward(0, head(&chain));
        prop_assert_eq!(node.digests(), digests);
    }

    #[test]
    fn forward_in_pieces_equals_forward_in_one_go(chain in any_chain(), piece in 1u64..9) {
        let (whole, pieces) = (Node::new(&chain), Node::new(&chain));
        whole.forward(0, head(&chain));
        let mut done = 0;
        while done < head(&chain) {
            let to = head(&chain).min(done + piece);
            pieces.forward(done, to);
            done = to;
        }
        prop_assert_eq!(pieces.digests(), whole.digests());
    }

    #[test]
    fn unwinding_leaves_what_was_there_before(chain in any_chain(), to: prop::sample::Index, lost: bool) {
        let to = to.index(chain.len()) as u64;
        let (less, more) = (Node::new(&chain), Node::new(&chain));
        for (node, reached) in [(&less, to), (&more, head(&chain))] {
            node.forward(0, reached);
            if lost {
                // What names the subjects is gone: unwinding has to look at every row.
                node.write(|txn| {
                    delete_receipts_from(txn, 0).unwrap();
                    delete_changes_below(txn, u64::MAX).unwrap();
                    write_prune_checkpoint(txn, StageId::Execution.name(), head(&chain)).unwrap();
                });
            }
        }
        more.unwind(to, head(&chain));
        prop_assert_eq!(more.digests(), less.digests());
    }

    #[test]
    fn pruning_changes_no_later_read(chain in any_chain(), to: prop::sample::Index, lost: bool) {
        let to = to.index(chain.len()) as u64;
        let node = Node::new(&chain);
        node.forward(0, head(&chain));
        if lost {
            node.write(|txn| {
                delete_receipts_from(txn, 0).unwrap();
                write_prune_checkpoint(txn, StageId::Execution.name(), head(&chain)).unwrap();
            });
        }
        node.prune(to / 2);
        assert_indexed(&node.database.begin_ro().unwrap(), &chain, to / 2);
        node.prune(to);
        assert_indexed(&node.database.begin_ro().unwrap(), &chain, to);
        node.prune(head(&chain));
        let txn = node.database.begin_ro().unwrap();
        prop_assert_eq!(txn.entries::<tables::LogAddressIndex>().unwrap(), 0);
        prop_assert_eq!(txn.entries::<tables::LogTopicIndex>().unwrap(), 0);
        prop_assert_eq!(txn.entries::<tables::CallFromIndex>().unwrap(), 0);
        prop_assert_eq!(txn.entries::<tables::CallToIndex>().unwrap(), 0);
        prop_assert_eq!(txn.entries::<tables::TransactionLookup>().unwrap(), 0);
    }
}

/// A chain on which address and topic 1 are in every block, and topic 2 in every hundredth.
fn busy_chain(blocks: u64) -> Chain {
    let block = |number: u64| {
        let topics = if number.is_multiple_of(100) { vec![1, 2] } else { vec![1] };
        Block {
            logs: vec![vec![(1, topics)]],
            calls: BTreeMap::from([(1, (true, number.is_multiple_of(3)))]),
        }
    };
    std::iter::once(Block::default()).chain((1..=blocks).map(block)).collect()
}

#[test]
fn shards_fill_alike_at_the_tip_and_in_bulk() {
    let chain = busy_chain(1100);
    let (whole, tip) = (Node::new(&chain), Node::new(&chain));
    whole.forward(0, 1100);
    tip.forward(0, 1000);
    for block_number in 1001..=1100 {
        tip.forward(block_number - 1, block_number);
    }
    assert_eq!(tip.digests(), whole.digests());
    assert_indexed(&tip.database.begin_ro().unwrap(), &chain, 0);
    let less = Node::new(&chain);
    less.forward(0, 512);
    tip.unwind(512, 1100);
    assert_eq!(tip.digests(), less.digests());
}

#[test]
fn an_empty_range_does_nothing() {
    let chain = busy_chain(5);
    let node = Node::new(&chain);
    node.forward(0, 3);
    let before = node.digests();
    node.forward(3, 3);
    node.unwind(3, 3);
    assert_eq!(node.digests(), before);
}

#[test]
fn a_dropped_transaction_leaves_nothing() {
    let chain = busy_chain(5);
    let node = Node::new(&chain);
    let before = node.digests();
    let txn = node.database.begin_rw().unwrap();
    for stage in &mut stages() {
        node.with_context(|context| stage.forward(context, &txn, BlockRange { done: 0, to: 5 })).unwrap();
    }
    drop(txn);
    assert_eq!(node.digests(), before);
}

#[test]
fn a_stop_is_heard() {
    let chain = busy_chain(5);
    let node = Node::new(&chain);
    node.stop.stop();
    for stage in &mut stages() {
        let forward = |txn: &RwTxn<'_>| {
            node.with_context(|context| stage.forward(context, txn, BlockRange { done: 0, to: 5 }))
        };
        assert!(matches!(node.write(forward), Err(StageError::Stopped)));
    }
}

#[test]
fn what_cannot_be_indexed_is_named() {
    let chain = busy_chain(9);
    let node = Node::new(&chain);
    node.write(|txn| {
        delete_receipts_from(txn, 4).unwrap();
        delete_changes_below(txn, 4).unwrap();
        write_prune_checkpoint(txn, StageId::Execution.name(), 3).unwrap();
    });
    let forward = |stage: &mut dyn Stage, done| {
        let txn = node.database.begin_rw().unwrap();
        node.with_context(|context| stage.forward(context, &txn, BlockRange { done, to: 9 }))
    };
    let missing = forward(&mut LogIndex, 0);
    assert!(matches!(
        missing,
        Err(StageError::Chain(ChainError::Missing { what: "receipt", block_number: 5 }))
    ));
    let missing = forward(&mut CallTraceIndex, 2);
    assert!(matches!(missing, Err(StageError::Chain(ChainError::Missing { block_number: 3, .. }))));
    forward(&mut CallTraceIndex, 3).unwrap();
}
