//! Memory stays bounded however long the file. Alone in its process, for the measured peak is the process's.
#![cfg(target_os = "linux")]

mod support;

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Bytes, Signature, U256};
use portico_files::{BlockFile, Era1Writer, EreWriter, RlpWriter};
use std::path::{Path, PathBuf};
use support::{TestBlock, chain};
use tempfile::tempdir;

/// Bytes of each block.
const BLOCK_BYTES: usize = 200_000;

#[test]
fn memory_does_not_grow_with_the_file() {
    let folder = tempdir().unwrap();
    // The first round pays for what any file costs.
    round(&folder.path().join("small"), 20);
    let before = peak_bytes();
    round(&folder.path().join("large"), 500);
    let growth = peak_bytes() - before;
    println!("peak {before} bytes, {growth} more for files of {} bytes", 500 * BLOCK_BYTES);
    assert!(growth < 8 << 20, "{growth}");
}

/// Writes and reads a chain in every format.
fn round(folder: &Path, blocks: u64) {
    std::fs::create_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = ["a.rlp", "a.rlp.gz"].map(|name| folder.join(name)).into();
    let mut rlp = [&paths[0], &paths[1]].map(|path| RlpWriter::create(path).unwrap());
    let mut era1 = Era1Writer::new(folder, "dev");
    let mut ere = EreWriter::new(folder, "dev");
    let mut block = large_block();
    for number in 0..blocks {
        block.header.number = number;
        rlp.iter_mut().for_each(|writer| writer.write(block.export()).unwrap());
        era1.write(block.export(), &[], block.total_difficulty).unwrap();
        ere.write(block.export(), Some(&[]), Some(block.total_difficulty)).unwrap();
        block.header.parent_hash = block.header.hash_slow();
    }
    rlp.into_iter().for_each(|writer| writer.finish().unwrap());
    paths.extend(era1.finish().unwrap());
    paths.extend(ere.finish().unwrap());
    for path in paths {
        let count = BlockFile::open(&path).unwrap().filter(|block| block.is_ok()).count();
        assert_eq!(count as u64, blocks, "{}", path.display());
    }
}

/// A block with a transaction whose input does not compress to nothing.
fn large_block() -> TestBlock {
    let input: Vec<u8> =
        (0..BLOCK_BYTES as u32).map(|byte| (byte.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let tx = TxEip1559 { input: Bytes::from(input), ..Default::default() };
    let mut block = chain(0, 1, 1).remove(0);
    block.transactions = vec![tx.into_signed(Signature::new(U256::from(1), U256::from(1), false)).into()];
    block
}

/// The most memory the process has held so far.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
