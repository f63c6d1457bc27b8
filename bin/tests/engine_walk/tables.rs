//! What the node left in its folder when it ended, against a straight import of the same chain.

use std::path::Path;

use alloy_primitives::B256;
use portico_chain::{canonical_hash, read_checkpoint, read_forkchoice, write_forkchoice};
use portico_db::{Database, DatabaseSettings, TableDigest};
use portico_test_support::{TestNode, assert_same_tables, naive::NaiveTree};

/// What other branches leave: the blocks that lost and their numbers, and code that is kept on purpose.
const OF_THE_LOSER: &[&str] = &["SideBlocks", "HeaderNumbers", "Bytecodes"];

fn open(datadir: &Path) -> Database {
    let settings = DatabaseSettings { read_only: true, ..DatabaseSettings::default() };
    Database::open(&datadir.join("db"), &settings).expect("the database opens")
}

/// The head of the database.
pub(crate) fn head_of(datadir: &Path) -> B256 {
    let database = open(datadir);
    let txn = database.begin_ro().unwrap();
    let number = read_checkpoint(&txn, "Finish").unwrap();
    canonical_hash(&txn, number).unwrap().expect("the head has a hash")
}

/// A database that only ever takes the canonical chain.
pub(crate) struct Straight {
    node: TestNode,
    head: usize,
}

impl Straight {
    pub(crate) fn new(genesis: &Path) -> Self {
        let node = TestNode::in_memory(&genesis.to_string_lossy()).unwrap();
        node.initialize().unwrap();
        Self { node, head: 0 }
    }

    /// Compares all tables, at the head that the node's folder has.
    pub(crate) fn compare(&mut self, naive: &NaiveTree, head: usize, datadir: &Path) {
        let (old, new) = (naive.path_to(self.head), naive.path_to(head));
        let common = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
        let blocks: Vec<_> = new[common..].iter().map(|index| naive.blocks[*index].parts.clone()).collect();
        let extend = |tree: &mut portico_stages::BlockTree<'_>| {
            if common < old.len() {
                tree.unwind(common as u64 - 1)?;
            }
            if !blocks.is_empty() {
                tree.extend(blocks)?;
            }
            Ok::<_, portico_stages::StageError>(())
        };
        self.node.with_tree(extend).unwrap().unwrap();
        self.head = head;
        let database = open(datadir);
        let txn = database.begin_ro().unwrap();
        let named = read_forkchoice(&txn).unwrap();
        if named != read_forkchoice(&self.node.database.begin_ro().unwrap()).unwrap() {
            let ours = self.node.database.begin_rw().unwrap();
            write_forkchoice(&ours, named).unwrap();
            ours.commit().unwrap();
        }
        let (found, expected) = (TableDigest::of_all(&txn).unwrap(), self.node.digests().unwrap());
        // Who wrote the database is noted there too.
        let mut except = OF_THE_LOSER.to_vec();
        except.push("Metadata");
        assert_same_tables("the node's folder", &found, &expected, &except);
    }
}
