//! The stages on a database in a temporary folder.

use std::path::Path;

use alloy_primitives::B256;
use portico_chain::BlockParts;
use portico_consensus::ethash::VerifyPow;
use portico_db::TableDigest;
use portico_stages::{BlockTree, PipelineConfig, StageContext, StageSettings, StopSignal, initialize};
use portico_test_support::{
    TestNode,
    naive::{NaiveBlock, NaiveTree, Random},
};

use crate::compare::{assert_chain, assert_plain_state};

/// A database with its genesis block.
pub(crate) struct Staged {
    node: TestNode,
    stop: StopSignal,
}

impl Staged {
    pub(crate) fn new(genesis: &Path, settings: StageSettings) -> Self {
        let mut node = TestNode::in_memory(&genesis.to_string_lossy()).unwrap();
        node.settings = StageSettings { verify_pow: Some(VerifyPow::None), ..settings };
        let staged = Self { node, stop: StopSignal::default() };
        let context = StageContext {
            spec: &staged.node.spec,
            settings: &staged.node.settings,
            stop: &staged.stop,
            progress: &(),
            scratch: staged.node.data_dir().scratch().unwrap(),
        };
        assert!(initialize(&staged.node.database, &context, "differential").unwrap());
        staged
    }

    /// The chain as blocks come in one by one.
    pub(crate) fn tree(&self) -> BlockTree<'_> {
        BlockTree::new(PipelineConfig {
            database: &self.node.database,
            spec: &self.node.spec,
            settings: &self.node.settings,
            stop: &self.stop,
            observer: &(),
            scratch: self.node.data_dir().scratch().unwrap(),
            light_caches: Default::default(),
        })
    }

    pub(crate) fn digests(&self) -> Vec<TableDigest> {
        self.node.digests().unwrap()
    }

    pub(crate) fn assert_plain_state(&self, block: &NaiveBlock) {
        assert_plain_state(&self.node.database.begin_ro().unwrap(), block);
    }

    pub(crate) fn assert_chain(&self, naive: &NaiveTree, tip: usize) {
        assert_chain(&self.node.database.begin_ro().unwrap(), naive, tip);
    }
}

/// Limits that cut batches anywhere.
pub(crate) fn random_settings(random: &mut Random) -> StageSettings {
    StageSettings {
        batch_blocks: random.pick(&[1, 2, 3, 5, 100]),
        batch_body_bytes: random.pick(&[1, 500, 5_000, 1 << 20]),
        overlay_bytes: random.pick(&[1, 5_000, 20_000, 1 << 20]),
        batch_gas: random.pick(&[1, 300_000, 1_000_000, 100_000_000]),
        etl_bytes: random.pick(&[1, 1 << 10, 1 << 20]),
        trie_rebuild_permille: random.pick(&[0, 100, 500, 1_000]),
        ..StageSettings::default()
    }
}

/// The chain's blocks behind the genesis block.
pub(crate) fn blocks_to(naive: &NaiveTree, tip: usize) -> Vec<BlockParts> {
    let path = naive.path_to(tip);
    path.iter().skip(1).map(|index| naive.blocks[*index].parts.clone()).collect()
}

/// A block that breaks what only executing it can tell.
pub(crate) fn spoiled(mut block: BlockParts, random: &mut Random) -> BlockParts {
    let header = &mut block.header;
    match random.below(3) {
        0 => header.state_root = B256::repeat_byte(1),
        1 => header.gas_used = header.gas_used.wrapping_add(1).min(header.gas_limit - 1),
        _ => header.logs_bloom.0[5] ^= 1,
    }
    block.hash = block.header.hash_slow();
    block
}
