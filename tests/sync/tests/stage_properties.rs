//! What must hold for all stages together, table by table: pieces equal one go, unwinding is identity, and a batch
//! that fails leaves nothing.

use std::{path::PathBuf, sync::OnceLock};

use portico_db::TableDigest;
use portico_generator::{ForkSchedule, GeneratorConfig, Mix};
use portico_stages::{Pipeline, StopSignal};
use portico_test_support::{TestNode, assert_same_tables, fixture};
use tempfile::TempDir;

/// Rows that unwinding keeps on purpose: code, which other accounts may share.
const KEPT: &[&str] = &["Bytecodes"];

struct Chain {
    genesis: PathBuf,
    blocks: PathBuf,
    head: u64,
}

impl Chain {
    fn find(folder: &str, genesis: &str, blocks: &str, head: u64) -> Option<Self> {
        let folder = fixture(folder)?;
        Some(Self { genesis: folder.join(genesis), blocks: folder.join(blocks), head })
    }

    /// Chains with all forks before the merge, over it and after it, with contracts and withdrawals.
    fn all() -> Vec<Self> {
        let chains = [
            Self::find("besu-chains/snap", "snapGenesis.json", "testBlockchain.blocks", 500),
            Self::find("devp2p/ethtest-chain", "genesis.json", "chain.rlp", 600),
            Self::find("devp2p/hive-pow-chain", "genesis.json", "halfchain.rlp", 999),
            Self::find("execution-apis/chain-54-osaka-bpo", "genesis.json", "chain.rlp", 54),
        ];
        chains.into_iter().flatten().chain([Self::generated()]).collect()
    }

    /// A chain of our own with transactions of every kind, passing through the forks from Paris on.
    fn generated() -> Self {
        static FOLDER: OnceLock<TempDir> = OnceLock::new();
        let folder = FOLDER.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let defaults = GeneratorConfig::default();
            let config = GeneratorConfig {
                genesis_users: 300,
                tokens: 16,
                transactions_per_block: 60,
                mix: Mix { staking: 12, ..Mix::default() },
                forks: ForkSchedule::passing_through(defaults.genesis_timestamp, 40),
                ..defaults
            };
            portico::generate_chain(&config, 40, folder.path(), &StopSignal::default(), &mut |_| {}).unwrap();
            folder
        });
        Self {
            genesis: folder.path().join("genesis.json"),
            blocks: folder.path().join("chain.rlp"),
            head: 40,
        }
    }

    fn node(&self) -> TestNode {
        TestNode::new(&self.genesis.to_string_lossy()).unwrap()
    }

    fn forward(&self, node: &TestNode, to: u64) -> Vec<TableDigest> {
        assert_eq!(node.import(std::slice::from_ref(&self.blocks), Some(to)).unwrap().0, to);
        node.digests().unwrap()
    }
}

fn with_pipeline<T>(node: &TestNode, work: impl FnOnce(&mut Pipeline<'_>) -> T) -> T {
    node.with_pipeline(work).unwrap()
}

fn unwind(node: &TestNode, to: u64) -> Vec<TableDigest> {
    with_pipeline(node, |pipeline| pipeline.unwind(to)).unwrap();
    node.digests().unwrap()
}

#[test]
fn forward_in_pieces_equals_forward_in_one_go() {
    for chain in Chain::all() {
        let whole = chain.forward(&chain.node(), chain.head);
        for batch_blocks in [1, 7, 64] {
            let to = if batch_blocks == 1 { 60.min(chain.head) } else { chain.head };
            let mut node = chain.node();
            node.settings.batch_blocks = batch_blocks;
            let pieces = chain.forward(&node, to);
            let expected = if to == chain.head { whole.clone() } else { chain.forward(&chain.node(), to) };
            assert_same_tables(&format!("pieces of {batch_blocks}"), &pieces, &expected, &[]);
        }
    }
}

#[test]
fn execution_that_ends_its_batch_early_changes_nothing() {
    for chain in Chain::all() {
        let mut node = chain.node();
        node.settings.batch_gas = 1_000_000;
        node.settings.etl_bytes = 1 << 12;
        let pieces = chain.forward(&node, chain.head);
        assert_same_tables("small batches", &pieces, &chain.forward(&chain.node(), chain.head), &[]);
    }
}

#[test]
fn forward_then_unwind_is_identity() {
    for chain in Chain::all() {
        let node = chain.node();
        let whole = chain.forward(&node, chain.head);
        for to in [chain.head - 1, chain.head * 2 / 3, chain.head / 2, 1, 0] {
            let unwound = unwind(&node, to);
            let direct = chain.node();
            let expected = if to == 0 {
                portico_stages_init(&direct);
                direct.digests().unwrap()
            } else {
                chain.forward(&direct, to)
            };
            // Checkpoints of a database at genesis have no rows; after unwinding they say 0.
            let except: Vec<&str> =
                if to == 0 { [KEPT, &["StageCheckpoints"]].concat() } else { KEPT.to_vec() };
            assert_same_tables(&format!("unwound to {to}"), &unwound, &expected, &except);
        }
        let again = chain.forward(&node, chain.head);
        assert_same_tables("forward again", &again, &whole, &[]);
    }
}

/// Writes the genesis block only.
fn portico_stages_init(node: &TestNode) {
    let context = portico_stages::StageContext {
        spec: &node.spec,
        settings: &node.settings,
        stop: &StopSignal::default(),
        progress: &(),
        scratch: node.data_dir().scratch().unwrap(),
    };
    assert!(portico_stages::initialize(&node.database, &context, env!("CARGO_PKG_VERSION")).unwrap());
}

#[test]
fn an_empty_range_changes_nothing() {
    for chain in Chain::all() {
        let node = chain.node();
        let before = chain.forward(&node, chain.head);
        let after = chain.forward(&node, chain.head);
        assert_same_tables("import of what is there", &after, &before, &[]);
        let below = node.import(std::slice::from_ref(&chain.blocks), Some(chain.head / 2)).unwrap();
        assert_eq!(below.0, chain.head, "the head stays where it is");
        assert_same_tables("import up to a block below the head", &node.digests().unwrap(), &before, &[]);
        assert_same_tables("unwind to the head", &unwind(&node, chain.head), &before, &[]);
    }
}

#[test]
fn a_dropped_transaction_leaves_nothing() {
    for chain in Chain::all() {
        let node = chain.node();
        let before = chain.forward(&node, chain.head);
        let txn = node.database.begin_rw().unwrap();
        with_pipeline(&node, |pipeline| {
            for stage in portico_stages::UNWIND {
                pipeline.unwind_stage(&txn, stage, chain.head / 2).unwrap();
            }
        });
        drop(txn);
        assert_same_tables("dropped unwind", &node.digests().unwrap(), &before, &[]);
    }
}

#[test]
fn stages_can_be_rebuilt_from_the_tables_before_them() {
    use portico_stages::StageId::{
        AccountHashing, CallTraceIndex, History, LogIndex, Senders, StorageHashing, Trie, TxLookup,
    };
    for chain in Chain::all() {
        let node = chain.node();
        let before = chain.forward(&node, chain.head);
        for stage in
            [Senders, AccountHashing, StorageHashing, Trie, History, LogIndex, CallTraceIndex, TxLookup]
        {
            let txn = node.database.begin_rw().unwrap();
            with_pipeline(&node, |pipeline| pipeline.rebuild_stage(&txn, stage)).unwrap();
            txn.commit().unwrap();
            assert_same_tables(&format!("{stage} rebuilt"), &node.digests().unwrap(), &before, &[]);
        }
    }
}

#[test]
fn unwinding_beyond_the_horizon_is_refused() {
    let Some(chain) = Chain::find("devp2p/ethtest-chain", "genesis.json", "chain.rlp", 600) else { return };
    let mut node = chain.node();
    node.settings.unwind_horizon = 100;
    let before = chain.forward(&node, 600);
    let error = with_pipeline(&node, |pipeline| pipeline.unwind(400)).unwrap_err().to_string();
    assert!(error.contains("cannot unwind to block 400") && error.contains("500"), "{error}");
    assert_same_tables("after a refused unwind", &node.digests().unwrap(), &before, &[]);
    with_pipeline(&node, |pipeline| pipeline.unwind(500)).unwrap();
}

#[test]
fn pruning_changes_no_later_read() {
    use portico_state::{HistoryBounds, StateAt};
    for chain in Chain::all() {
        let node = chain.node();
        chain.forward(&node, chain.head);
        let middle = chain.head / 2;
        let reads = |first: u64| {
            let txn = node.database.begin_ro().unwrap();
            let mut accounts = Vec::new();
            portico_state::iter_accounts(&txn, |address, _| {
                accounts.push(address);
                Ok::<(), portico_db::DbError>(())
            })
            .unwrap();
            let mut found = Vec::new();
            for block_number in [middle, middle + 1, chain.head - 1, chain.head] {
                let bounds = HistoryBounds { first, head: chain.head };
                let mut state = StateAt::new(&txn, block_number, bounds).unwrap();
                for address in &accounts {
                    found.push(state.account(address).unwrap());
                }
            }
            found
        };
        let before = reads(0);
        let txn = node.database.begin_rw().unwrap();
        with_pipeline(&node, |pipeline| pipeline.prune(&txn, middle)).unwrap();
        txn.commit().unwrap();
        assert_eq!(reads(middle), before);
        let txn = node.database.begin_ro().unwrap();
        assert_eq!(portico_chain::prune_checkpoint(&txn, "History").unwrap(), Some(middle));
    }
}
