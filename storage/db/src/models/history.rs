//! History chunks: for one account or slot, the values that it had before each block that changed it.
//!
//! ```text
//!  count varint ‖ first block varint ‖ distance to the next block varint … ‖ length of each value, 1 byte … ‖ values …
//! ```
//! Columns rather than rows: the blocks can be searched without touching values, and the lengths of a slot's
//! values are mostly equal. The key of the row ends in the last block of the chunk; of the open chunk, which
//! grows, in `u64::MAX`.
//!
//! Chunks are filled greedily: one is closed when the next entry would make it longer than
//! [`MAX_CHUNK_BYTES`]. So the chunks of the first blocks do not depend on later ones, and unwinding only has to
//! cut at the end.

use crate::{
    DecodeError, Value,
    codec::{
        Reader,
        bytes::{put_varint, varint_len},
    },
};

/// A chunk is closed before it grows beyond this many bytes (a single larger entry cannot occur: values have at
/// most 75 bytes).
pub const MAX_CHUNK_BYTES: usize = 640;

/// A stored chunk, as a view of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryChunk<'a> {
    bytes: &'a [u8],
}

impl<'a> HistoryChunk<'a> {
    /// Looks at a row's value.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The value before the first block after `block_number` that changed it; `None` when no later one did.
    pub fn value_after(&self, block_number: u64) -> Result<Option<&'a [u8]>, DecodeError> {
        let mut reader = Reader::new(self.bytes);
        let count = reader.count(2, "chunk count")?;
        let mut block = 0u64;
        let mut found = None;
        for position in 0..count {
            block = block.wrapping_add(reader.varint("chunk block")?);
            if block > block_number && found.is_none() {
                found = Some(position);
            }
        }
        let Some(position) = found else { return Ok(None) };
        let lengths = reader.take(count, "chunk lengths")?;
        let start = lengths[..position].iter().map(|len| usize::from(*len)).sum();
        reader.take(start, "chunk values")?;
        reader.take(usize::from(lengths[position]), "chunk values").map(Some)
    }

    /// All entries: block and value before it, in block order.
    pub fn entries(&self) -> Result<Vec<(u64, &'a [u8])>, DecodeError> {
        let mut reader = Reader::new(self.bytes);
        let count = reader.count(2, "chunk count")?;
        let mut block = 0u64;
        let mut entries = Vec::with_capacity(count);
        for position in 0..count {
            let step = reader.varint("chunk block")?;
            let next = block.checked_add(step).filter(|next| position == 0 || *next > block);
            block = next.ok_or(DecodeError::Malformed { what: "order of blocks in a chunk" })?;
            entries.push((block, &[][..]));
        }
        let lengths = reader.take(count, "chunk lengths")?;
        for (entry, len) in entries.iter_mut().zip(lengths) {
            entry.1 = reader.take(usize::from(*len), "chunk values")?;
        }
        reader.finish("chunk")?;
        Ok(entries)
    }
}

/// Builds one chunk, entry by entry.
#[derive(Debug, Clone, Default)]
pub struct HistoryChunkBuilder {
    last_block: u64,
    count: u64,
    blocks: Vec<u8>,
    lengths: Vec<u8>,
    values: Vec<u8>,
}

impl HistoryChunkBuilder {
    /// Continues a stored chunk.
    pub fn reopen(chunk: HistoryChunk<'_>) -> Result<Self, DecodeError> {
        let mut builder = Self::default();
        for (block, value) in chunk.entries()? {
            builder.push(block, value);
        }
        Ok(builder)
    }

    /// Adds an entry, unless the chunk is full: then it stays as it is and the answer is `false`.
    pub fn try_push(&mut self, block_number: u64, value: &[u8]) -> bool {
        let grown = self.blocks.len()
            + varint_len(block_number.wrapping_sub(self.last_block))
            + self.lengths.len()
            + 1
            + self.values.len()
            + value.len()
            + varint_len(self.count + 1);
        if self.count > 0 && grown > MAX_CHUNK_BYTES {
            return false;
        }
        self.push(block_number, value);
        true
    }

    fn push(&mut self, block_number: u64, value: &[u8]) {
        debug_assert!(self.count == 0 || block_number > self.last_block, "entries come in block order");
        debug_assert!(value.len() < 256, "values are accounts and words");
        put_varint(&mut self.blocks, block_number.wrapping_sub(self.last_block));
        self.lengths.push(value.len() as u8);
        self.values.extend_from_slice(value);
        self.last_block = block_number;
        self.count += 1;
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The last block that was pushed.
    pub fn last_block(&self) -> u64 {
        self.last_block
    }

    /// The stored form; the builder is empty afterwards.
    pub fn take(&mut self) -> Vec<u8> {
        let mut out = Vec::with_capacity(3 + self.blocks.len() + self.lengths.len() + self.values.len());
        put_varint(&mut out, self.count);
        out.extend_from_slice(&self.blocks);
        out.extend_from_slice(&self.lengths);
        out.extend_from_slice(&self.values);
        self.last_block = 0;
        self.count = 0;
        self.blocks.clear();
        self.lengths.clear();
        self.values.clear();
        out
    }
}

/// A chunk as the row value of a table: its bytes, looked at through [`HistoryChunk`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChunk(pub Vec<u8>);

impl StoredChunk {
    /// The view.
    pub fn chunk(&self) -> HistoryChunk<'_> {
        HistoryChunk::new(&self.0)
    }
}

impl Value for StoredChunk {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self(bytes.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_chunk_has_its_golden_bytes() {
        let mut builder = HistoryChunkBuilder::default();
        assert!(builder.try_push(300, &[1, 2]));
        assert!(builder.try_push(301, &[]));
        assert_eq!(builder.take(), [2, 0xac, 0x02, 1, 2, 0, 1, 2]);
        assert!(builder.is_empty());
    }

    #[test]
    fn the_value_as_of_a_block_is_that_before_the_next_change() {
        let mut builder = HistoryChunkBuilder::default();
        for (block, value) in [(5, b"a"), (9, b"b")] {
            assert!(builder.try_push(block, value));
        }
        let bytes = builder.take();
        let chunk = HistoryChunk::new(&bytes);
        assert_eq!(chunk.value_after(4).unwrap(), Some(&b"a"[..]));
        assert_eq!(chunk.value_after(5).unwrap(), Some(&b"b"[..]));
        assert_eq!(chunk.value_after(8).unwrap(), Some(&b"b"[..]));
        assert_eq!(chunk.value_after(9).unwrap(), None);
    }

    #[test]
    fn a_chunk_whose_blocks_do_not_rise_is_malformed() {
        let twice = [2, 5, 0, 1, 1, b'a', b'b'];
        let mut beyond = vec![2, 5];
        put_varint(&mut beyond, u64::MAX);
        beyond.extend([1, 1, b'a', b'b']);
        for bytes in [&twice[..], &beyond] {
            let chunk = HistoryChunk::new(bytes);
            let expected = DecodeError::Malformed { what: "order of blocks in a chunk" };
            assert_eq!(chunk.entries(), Err(expected.clone()));
            assert_eq!(HistoryChunkBuilder::reopen(chunk).unwrap_err(), expected);
        }
    }

    proptest! {
        #[test]
        fn chunks_round_trip_and_stay_small(entries in proptest::collection::btree_map(any::<u64>(), proptest::collection::vec(any::<u8>(), 0..76), 1..200)) {
            let mut builder = HistoryChunkBuilder::default();
            let mut read = Vec::new();
            let mut close = |builder: &mut HistoryChunkBuilder| {
                let bytes = builder.take();
                assert!(bytes.len() <= MAX_CHUNK_BYTES);
                let chunk = HistoryChunk::new(&bytes);
                read.extend(chunk.entries().unwrap().into_iter().map(|(block, value)| (block, value.to_vec())));
                let mut reopened = HistoryChunkBuilder::reopen(chunk).unwrap();
                assert_eq!(reopened.take(), bytes);
            };
            for (block, value) in &entries {
                if !builder.try_push(*block, value) {
                    close(&mut builder);
                    prop_assert!(builder.try_push(*block, value));
                }
            }
            close(&mut builder);
            prop_assert_eq!(read, entries.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn looking_never_panics(bytes: Vec<u8>, block: u64) {
            let _ = HistoryChunk::new(&bytes).value_after(block);
            let _ = HistoryChunk::new(&bytes).entries();
        }
    }
}
