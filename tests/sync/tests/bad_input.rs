//! Damaged files, foreign files and invalid blocks: one clear error, and a database at the last good block that
//! goes on from there with a good file.

use std::{fs, path::PathBuf};

use portico_stages::StageId;
use portico_test_support::{TestNode, assert_same_tables, fixture};
use tempfile::TempDir;

struct Case {
    genesis: PathBuf,
    blocks: PathBuf,
    bytes: Vec<u8>,
    /// Where each block of the file begins.
    starts: Vec<usize>,
    folder: TempDir,
}

const HEAD: u64 = 600;

impl Case {
    fn new() -> Option<Self> {
        let folder = fixture("devp2p/ethtest-chain")?;
        let blocks = folder.join("chain.rlp");
        let bytes = fs::read(&blocks).unwrap();
        let mut starts = Vec::new();
        let mut position = 0;
        while position < bytes.len() {
            starts.push(position);
            let (head, len) = match bytes[position] {
                short @ 0xc0..=0xf7 => (1, usize::from(short - 0xc0)),
                long => {
                    let size = usize::from(long - 0xf7);
                    let len = bytes[position + 1..position + 1 + size]
                        .iter()
                        .fold(0, |len, byte| len << 8 | usize::from(*byte));
                    (1 + size, len)
                }
            };
            position += head + len;
        }
        let folder_of_files = tempfile::tempdir().unwrap();
        Some(Self { genesis: folder.join("genesis.json"), blocks, bytes, starts, folder: folder_of_files })
    }

    fn node(&self) -> TestNode {
        TestNode::new(&self.genesis.to_string_lossy()).unwrap()
    }

    /// Position of a block in the file: the first one in it is block 1.
    fn block(&self, number: u64) -> std::ops::Range<usize> {
        let index = number as usize - 1;
        self.starts[index]..self.starts.get(index + 1).copied().unwrap_or(self.bytes.len())
    }

    /// Imports a damaged file: the error names it and contains `expected`; the database is then at `good` and goes
    /// on with the good file to the same tables as ever.
    fn fails(&self, name: &str, bytes: &[u8], good: u64, expected: &[&str]) {
        let file = self.folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        let node = self.node();
        let error = node.import(std::slice::from_ref(&file), None).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(name), "{error} does not name {name}");
        for part in expected {
            assert!(error.contains(part), "{error:?} does not say {part:?}");
        }
        let txn = node.database.begin_ro().unwrap();
        for stage in portico_stages::FORWARD {
            assert_eq!(portico_chain::read_checkpoint(&txn, stage.name()).unwrap(), good, "{name}: {stage}");
        }
        drop(txn);
        let at_good = self.node();
        if good > 0 {
            at_good.import(std::slice::from_ref(&self.blocks), Some(good)).unwrap();
            assert_same_tables(name, &node.digests().unwrap(), &at_good.digests().unwrap(), &[]);
        }
        assert_eq!(node.import(std::slice::from_ref(&self.blocks), None).unwrap().0, HEAD);
    }
}

#[test]
fn a_truncated_file() {
    let Some(case) = Case::new() else { return };
    let end = case.block(301).start + 10;
    case.fails("truncated.rlp", &case.bytes[..end], 300, &["301", "truncated"]);
}

#[test]
fn a_file_with_a_gap() {
    let Some(case) = Case::new() else { return };
    let mut bytes = case.bytes.clone();
    bytes.drain(case.block(200));
    case.fails("gap.rlp", &bytes, 199, &["200", "201"]);
}

#[test]
fn blocks_out_of_order() {
    let Some(case) = Case::new() else { return };
    let bytes =
        [&case.bytes[..case.block(100).start], &case.bytes[case.block(101)], &case.bytes[case.block(100)]]
            .concat();
    case.fails("order.rlp", &bytes, 99, &["100", "101"]);
}

#[test]
fn a_file_of_another_chain() {
    let Some(case) = Case::new() else { return };
    let Some(other) = fixture("devp2p/hive-sync-chain/chain.rlp") else { return };
    case.fails("other.rlp", &fs::read(other).unwrap(), 0, &["block 1 ", "invalid"]);
    let Some(graphql) = fixture("graphql/chain/testBlockchain.blocks") else { return };
    case.fails("graphql.rlp", &fs::read(graphql).unwrap(), 0, &["another chain"]);
}

#[test]
fn a_changed_byte_anywhere_is_found() {
    let Some(case) = Case::new() else { return };
    for (number, offset) in [(150, 40), (350, 80), (450, 120), (599, 500)] {
        let mut bytes = case.bytes.clone();
        let position = case.block(number).start + offset;
        if position >= case.block(number).end {
            continue;
        }
        bytes[position] ^= 1;
        let file = case.folder.path().join(format!("flipped-{number}.rlp"));
        fs::write(&file, &bytes).unwrap();
        let node = case.node();
        let error = format!("{:#}", node.import(std::slice::from_ref(&file), None).unwrap_err());
        assert!(error.contains(&number.to_string()) || error.contains(&(number + 1).to_string()), "{error}");
        let txn = node.database.begin_ro().unwrap();
        let head = portico_chain::read_checkpoint(&txn, StageId::Finish.name()).unwrap();
        assert!((number - 1..=number).contains(&head), "block {number} changed, the head is {head}");
        drop(txn);
        assert_eq!(node.import(std::slice::from_ref(&case.blocks), None).unwrap().0, HEAD);
    }
}

/// The state root of a block in the middle of a batch is changed, and every later header relinked: only the state
/// root tells, and only at the end of the batch.
#[test]
fn a_wrong_state_root_is_found_by_halves() {
    use portico_files::{BlockFiles, ExportBlock, RlpWriter};
    let Some(case) = Case::new() else { return };
    const BAD: u64 = 233;
    let file = case.folder.path().join("root.rlp");
    let mut writer = RlpWriter::create(&file).unwrap();
    let mut parent = None;
    for block in BlockFiles::discover(std::slice::from_ref(&case.blocks)).unwrap().blocks() {
        let mut block = block.unwrap();
        if block.number() == BAD {
            block.header.state_root.0[7] ^= 1;
        }
        if let Some(parent) = parent.filter(|_| block.number() > BAD) {
            block.header.parent_hash = parent;
        }
        parent = Some(block.header.hash_slow());
        writer.write(ExportBlock::from(&block)).unwrap();
        if block.number() == BAD + 50 {
            break;
        }
    }
    writer.finish().unwrap();
    // Later blocks hash their parent into the state (EIP-2935 is not active before block 12 of this chain's time),
    // so the first bad root is that of the changed block whatever comes after.
    case.fails("root.rlp", &fs::read(&file).unwrap(), BAD - 1, &["block 233 ", "state root"]);
}
