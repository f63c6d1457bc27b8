//! Finding and reading test data.

#![allow(dead_code, clippy::allow_attributes, reason = "each test crate uses a part")]

use alloy_consensus::{Block, EthereumTxEnvelope, TxEip4844};
use alloy_rlp::Decodable;
use portico_chainspec::ChainSpec;
use std::path::{Path, PathBuf};

pub type TestBlock = Block<EthereumTxEnvelope<TxEip4844>>;

/// The folder of test data, or `None` with a message.
pub fn fixtures() -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
    let folder = std::env::var_os("PORTICO_FIXTURES").map_or_else(default, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no fixtures at {}", folder.display());
    None
}

pub fn spec(path: &Path) -> ChainSpec {
    let json = std::fs::read(path).unwrap();
    ChainSpec::from_genesis_json(&json).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Blocks of a file that holds them one after another.
pub fn blocks(path: &Path) -> Vec<TestBlock> {
    let bytes = std::fs::read(path).unwrap();
    let mut rest = bytes.as_slice();
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        blocks.push(TestBlock::decode(&mut rest).unwrap());
    }
    blocks
}

/// Files of a tar archive in zstd, by path.
pub fn untar(path: &Path) -> Vec<(String, Vec<u8>)> {
    const RECORD: usize = 512;
    let tar = zstd::stream::decode_all(std::fs::File::open(path).unwrap()).unwrap();
    let text = |field: &[u8]| {
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        String::from_utf8(field[..end].to_vec()).unwrap()
    };
    let mut files = Vec::new();
    let mut at = 0;
    while at + RECORD <= tar.len() && tar[at] != 0 {
        let header = &tar[at..at + RECORD];
        let size = usize::from_str_radix(text(&header[124..136]).trim(), 8).unwrap();
        let (name, prefix) = (text(&header[..100]), text(&header[345..500]));
        at += RECORD;
        if header[156] == b'0' {
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            files.push((path, tar[at..at + size].to_vec()));
        }
        at += size.div_ceil(RECORD) * RECORD;
    }
    files
}
