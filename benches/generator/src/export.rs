//! Chain files: blocks in RLP, one after the other, without separators and without the genesis block.

use crate::{builder::GeneratedBlock, error::GeneratorError};
use alloy_rlp::Encodable;
use std::io::Write;

/// Writes blocks as they come, and returns how many bytes that took. Give it a buffered writer.
///
/// # Errors
/// The first error of the blocks or of the writer.
pub fn write_blocks(
    blocks: impl IntoIterator<Item = Result<GeneratedBlock, GeneratorError>>,
    mut writer: impl Write,
) -> Result<u64, GeneratorError> {
    let mut buffer = Vec::new();
    let mut written = 0;
    for block in blocks {
        let block = block?.block;
        buffer.clear();
        block.encode(&mut buffer);
        let failed = |source| GeneratorError::Write { block_number: block.header.number, source };
        writer.write_all(&buffer).map_err(failed)?;
        written += buffer.len() as u64;
    }
    writer.flush().map_err(|source| GeneratorError::Flush { source })?;
    Ok(written)
}
