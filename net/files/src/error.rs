//! What can be wrong with a block file, and where.

use crate::e2store::RecordKind;
use alloy_primitives::B256;
use std::{fmt, io, path::PathBuf};

/// A problem with one block file: which file, which block, which byte, and what.
#[derive(Debug, thiserror::Error)]
#[error("{}: {place}{problem}", path.display(), place = Place { block_number: *block_number, offset: *offset })]
pub struct FileError {
    /// The file, as it was named when it was opened.
    pub path: PathBuf,
    /// The block that was being read: its number, or the number that was expected there. `None` where no block is
    /// involved or where the number is not yet known.
    pub block_number: Option<u64>,
    /// Where the record or block starts: bytes from the beginning of the file, or of the uncompressed stream in a
    /// gzip file.
    pub offset: u64,
    /// What was wrong.
    #[source]
    pub problem: Problem,
}

/// What was wrong with a block file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The operating system refused.
    #[error("{0}")]
    Io(#[source] io::Error),
    /// Given paths hold no block file at all.
    #[error("no block file found here")]
    NoBlockFiles,
    /// The file has no bytes.
    #[error("the file is empty")]
    Empty,
    /// Neither RLP, nor gzip, nor e2store.
    #[error(
        "not a block file: it starts with byte {first_byte:#04x}, which neither RLP blocks, gzip, era1 nor ere do"
    )]
    UnknownFormat {
        /// The file's first byte.
        first_byte: u8,
    },
    /// A format that is known but not read here.
    #[error("this is {found}, which is not supported: {hint}")]
    Unsupported {
        /// What the file is.
        found: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
    /// The file ends inside a block or record.
    #[error("truncated: {needed} bytes needed, the file has {left} more")]
    Truncated {
        /// Bytes from [`FileError::offset`] to the end of the block or record.
        needed: u64,
        /// Bytes from [`FileError::offset`] to the end of the file.
        left: u64,
    },
    /// The gzip stream is damaged or cut off.
    #[error("corrupt gzip data: {0}")]
    Gzip(#[source] io::Error),
    /// A record's framed snappy data is damaged.
    #[error("corrupt snappy data in the {kind} record: {source}")]
    Snappy {
        /// The record.
        kind: RecordKind,
        /// What the decompressor said.
        source: io::Error,
    },
    /// A block, or a part of it once decompressed, is longer than the settings allow.
    #[error("a block of {length} bytes or more; at most {limit} are accepted")]
    BlockTooLarge {
        /// Its length, as declared or as far as it was decompressed.
        length: u64,
        /// [`crate::ReadSettings::block_bytes_max`].
        limit: u64,
    },
    /// An e2store record declares more than [`crate::RECORD_BYTES_MAX`] bytes, or would when written.
    #[error("a {kind} record of {length} bytes; at most {limit} are accepted", limit = crate::RECORD_BYTES_MAX)]
    RecordTooLarge {
        /// The record.
        kind: RecordKind,
        /// Its length.
        length: u64,
    },
    /// The reserved bytes of an e2store record header are not zero.
    #[error("the reserved bytes of a record header are {0:02x?} instead of zero")]
    ReservedBytes([u8; 2]),
    /// Another record type than the layout asks for.
    #[error("bad record type: {found} instead of {expected}")]
    UnexpectedRecord {
        /// The record that belongs here.
        expected: RecordKind,
        /// The record that is here.
        found: RecordKind,
    },
    /// A record of fixed length has another length.
    #[error("a {kind} record of {found} bytes instead of {expected}")]
    RecordLength {
        /// The record.
        kind: RecordKind,
        /// The length it must have.
        expected: u64,
        /// The length it has.
        found: u64,
    },
    /// The file does not end in a block index: most likely it was cut off.
    #[error("bad index: the e2store file does not end in a block index (cut off?)")]
    IndexMissing,
    /// The index's first number cannot be.
    #[error("bad index: {blocks} blocks from block {start} on")]
    IndexStart {
        /// The first block's number.
        start: u64,
        /// The number of blocks.
        blocks: u64,
    },
    /// The index points somewhere else than the record is.
    #[error("bad index: it points to byte {indexed} for the {kind} record that is at byte {found}")]
    IndexOffset {
        /// The record.
        kind: RecordKind,
        /// Where the index says it is.
        indexed: i64,
        /// Where it is.
        found: u64,
    },
    /// Fewer or more records of a kind than the index counts.
    #[error("bad index: {indexed} {kind} records are indexed, the file holds {found}")]
    IndexCount {
        /// The records.
        kind: RecordKind,
        /// As many as the index has.
        indexed: u64,
        /// As many as the file has, as far as they were counted.
        found: u64,
    },
    /// The accumulator root in the file is not the root of its headers and total difficulties.
    #[error("accumulator mismatch: the file says {stored}, its blocks give {computed}")]
    Accumulator {
        /// The root the file holds.
        stored: B256,
        /// The root of the blocks it holds.
        computed: B256,
    },
    /// A block with another number than the one that follows: a gap, a repetition or the wrong order.
    #[error("block number {found} where {expected} should follow")]
    Number {
        /// The number that should follow.
        expected: u64,
        /// The number that does.
        found: u64,
    },
    /// An archive's header does not name the header before it as parent.
    #[error("parent hash {found} is not the hash of the block before, {expected}")]
    ParentHash {
        /// The hash of the block before.
        expected: B256,
        /// The parent hash in the header.
        found: B256,
    },
    /// The blocks between two files are missing.
    #[error(
        "blocks are missing: {} ends with block {previous_block}, this file starts with block {first_block}",
        previous.display()
    )]
    Gap {
        /// The file that holds the last block before the gap.
        previous: PathBuf,
        /// The last block before the gap.
        previous_block: u64,
        /// The first block after the gap.
        first_block: u64,
    },
    /// The block's RLP is wrong.
    #[error("{0}")]
    Block(#[from] BlockDecodeError),
    /// An archive needs receipts and the total difficulty of each block, or of none.
    #[error("the archive's blocks so far have {kind} records and this one has none, or the other way round")]
    Uneven {
        /// The component that only some blocks have.
        kind: RecordKind,
    },
}

/// Why bytes are not a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockDecodeError {
    /// Not RLP, or not of this shape.
    #[error("{part}: {source}")]
    Rlp {
        /// Where in the block.
        part: BlockPart,
        /// What was wrong.
        source: alloy_rlp::Error,
    },
    /// Bytes follow where the block or one of its parts should end.
    #[error("{part}: {bytes} bytes too many")]
    TrailingBytes {
        /// What should have ended.
        part: BlockPart,
        /// How many follow.
        bytes: usize,
    },
    /// The bytes can be read but are not what an encoder would write, so that their hash would not survive.
    #[error("{part}: not in canonical form (it does not encode back to the same bytes)")]
    NotCanonical {
        /// Where in the block.
        part: BlockPart,
    },
}

/// A part of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockPart {
    /// The list that holds everything.
    Block,
    /// The header.
    Header,
    /// The list that holds transactions, ommers and withdrawals in an archive.
    Body,
    /// The list of transactions.
    Transactions,
    /// The transaction at this index.
    Transaction(usize),
    /// The list of ommers.
    Ommers,
    /// The ommer at this index.
    Ommer(usize),
    /// The list of withdrawals.
    Withdrawals,
    /// The withdrawal at this index.
    Withdrawal(usize),
    /// The list of receipts.
    Receipts,
    /// The receipt at this index.
    Receipt(usize),
}

impl fmt::Display for BlockPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block => f.write_str("block"),
            Self::Header => f.write_str("header"),
            Self::Body => f.write_str("body"),
            Self::Transactions => f.write_str("transactions"),
            Self::Transaction(index) => write!(f, "transaction {index}"),
            Self::Ommers => f.write_str("ommers"),
            Self::Ommer(index) => write!(f, "ommer {index}"),
            Self::Withdrawals => f.write_str("withdrawals"),
            Self::Withdrawal(index) => write!(f, "withdrawal {index}"),
            Self::Receipts => f.write_str("receipts"),
            Self::Receipt(index) => write!(f, "receipt {index}"),
        }
    }
}

/// The `block 17 at byte 9000: ` of a message.
struct Place {
    block_number: Option<u64>,
    offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.block_number {
            Some(number) => write!(f, "block {number} at byte {}: ", self.offset),
            // About the file as a whole.
            None if self.offset == 0 => Ok(()),
            None => write!(f, "at byte {}: ", self.offset),
        }
    }
}

/// A [`FileError`] that does not know its file yet.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) block_number: Option<u64>,
    pub(crate) offset: u64,
    pub(crate) problem: Problem,
}

impl Fault {
    pub(crate) fn new(offset: u64, problem: impl Into<Problem>) -> Self {
        Self { block_number: None, offset, problem: problem.into() }
    }

    pub(crate) fn io(offset: u64, error: io::Error) -> Self {
        Self::new(offset, Problem::Io(error))
    }

    /// Names the block, unless it has been named closer to the cause.
    pub(crate) fn in_block(mut self, block_number: u64) -> Self {
        self.block_number.get_or_insert(block_number);
        self
    }

    pub(crate) fn in_file(self, path: impl Into<PathBuf>) -> FileError {
        let Self { block_number, offset, problem } = self;
        FileError { path: path.into(), block_number, offset, problem }
    }
}
