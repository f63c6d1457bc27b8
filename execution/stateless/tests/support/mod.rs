//! Finding and reading test data.

#![allow(dead_code, clippy::allow_attributes, reason = "each test crate uses a part")]

use std::path::{Path, PathBuf};

use alloy_rlp::Decodable;
use portico_stateless::Block;

/// A file or folder of the test data, or `None` with a message.
pub fn fixture(name: &str) -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
    let folder = std::env::var_os("PORTICO_FIXTURES").map_or_else(default, PathBuf::from);
    if !folder.is_dir() {
        eprintln!("SKIPPED: the fixtures are not at ../shared/fixtures nor at $PORTICO_FIXTURES ({name})");
        return None;
    }
    let path = folder.join(name);
    assert!(path.exists(), "the fixtures have no {name}");
    Some(path)
}

/// Blocks of a file that holds them one after another.
pub fn blocks(path: &Path) -> Vec<Block> {
    let bytes = std::fs::read(path).unwrap();
    let mut rest = bytes.as_slice();
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        blocks.push(Block::decode(&mut rest).unwrap());
    }
    blocks
}
