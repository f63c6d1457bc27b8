//! Traces of many blocks in one answer.

use std::{
    io::{self, Write},
    ops::RangeInclusive,
};

use alloy_rpc_types_trace::geth::GethDebugTracingOptions;

use crate::{QueryError, Snapshot, error::unwritable};

/// Blocks that one call covers at most.
const BLOCKS_MAX: u64 = 256;

/// Bytes of a block's traces that are kept until it is their turn. Larger ones are made when it is.
const KEPT_BYTES_MAX: usize = 32 << 20;

impl Snapshot<'_> {
    /// Writes the traces of the blocks after `start`, up to `end`, as one array of JSON. Blocks are executed by as many
    /// threads as help; the numbers were resolved before.
    ///
    /// # Errors
    /// [`QueryError::RangeReversed`], [`QueryError::TooManyBlocks`]; those of [`Snapshot::write_block_traces`].
    pub fn write_chain_traces(
        &self,
        start: u64,
        end: u64,
        options: GethDebugTracingOptions,
        out: &mut dyn Write,
    ) -> Result<(), QueryError> {
        let blocks = blocks_after(start, end)?;
        let (mut next, own_options) = (*blocks.start(), options.clone());
        let traces = move |snapshot: &Snapshot<'_>, block_number: u64| {
            let mut text = Kept::default();
            let result = snapshot.write_entry(block_number, options.clone(), &mut text);
            if text.is_full { Ok(None) } else { result.map(|()| Some(text.bytes)) }
        };
        out.write_all(b"[").map_err(unwritable)?;
        self.each_block(blocks.map(Ok), traces, |text| {
            if next > start + 1 {
                out.write_all(b",").map_err(unwritable)?;
            }
            match text {
                Some(text) => out.write_all(&text).map_err(unwritable)?,
                None => self.write_entry(next, own_options.clone(), out)?,
            }
            next += 1;
            Ok(true)
        })?;
        out.write_all(b"]").map_err(unwritable)
    }

    fn write_entry(
        &self,
        block_number: u64,
        options: GethDebugTracingOptions,
        out: &mut dyn Write,
    ) -> Result<(), QueryError> {
        let block = self.block(block_number)?.ok_or(QueryError::BlockNotFound(block_number.into()))?;
        let hash = block.parts.hash;
        write!(out, "{{\"block\":\"{block_number:#x}\",\"hash\":\"{hash}\",\"traces\":")
            .map_err(unwritable)?;
        self.write_block_traces(&block, options, out)?;
        out.write_all(b"}").map_err(unwritable)
    }
}

fn blocks_after(start: u64, end: u64) -> Result<RangeInclusive<u64>, QueryError> {
    if start >= end {
        return Err(QueryError::RangeReversed { from: start, to: end });
    }
    let last = end.min(start.saturating_add(BLOCKS_MAX));
    if last < end {
        return Err(QueryError::TooManyBlocks { limit: BLOCKS_MAX, from: start, to: last });
    }
    Ok(start + 1..=end)
}

/// A text of bounded length.
#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    is_full: bool,
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > KEPT_BYTES_MAX {
            self.is_full = true;
            self.bytes = Vec::new();
            return Err(io::Error::other("the text is too long to be kept"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
