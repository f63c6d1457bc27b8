//! e2store: the records that era1 and ere files are made of.
//!
//! ```text
//! record = type (2 bytes) ‖ length of data (4, little-endian) ‖ reserved (2, zero) ‖ data
//! ```

use crate::{
    error::{Fault, Problem},
    source::{ReadSeek, Source},
};
use snap::read::FrameDecoder;
use std::{
    fmt,
    io::{BufReader, Cursor, Read},
};

/// Bytes of data a record may have: 50 MiB.
pub const RECORD_BYTES_MAX: u64 = 50 << 20;

/// Bytes before a record's data.
pub(crate) const RECORD_HEADER_BYTES: u64 = 8;

/// What framed snappy data starts with.
const SNAPPY_STREAM_IDENTIFIER: &[u8] = b"\xff\x06\x00\x00sNaPpY";

/// The type of an e2store record, as its two bytes stand in the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RecordKind(pub [u8; 2]);

impl RecordKind {
    /// Starts the file; empty.
    pub const VERSION: Self = Self(*b"e2");
    /// A header: RLP in framed snappy.
    pub const HEADER: Self = Self([0x03, 0]);
    /// A body: RLP in framed snappy.
    pub const BODY: Self = Self([0x04, 0]);
    /// Receipts with blooms: RLP in framed snappy (era1).
    pub const RECEIPTS: Self = Self([0x05, 0]);
    /// Total difficulty: 32 bytes, little-endian.
    pub const TOTAL_DIFFICULTY: Self = Self([0x06, 0]);
    /// Accumulator root: 32 bytes.
    pub const ACCUMULATOR: Self = Self([0x07, 0]);
    /// Receipts without blooms: RLP in framed snappy (ere).
    pub const SLIM_RECEIPTS: Self = Self([0x0a, 0]);
    /// Proof that a header is canonical (ere).
    pub const PROOF: Self = Self([0x0b, 0]);
    /// Block index of an era1 file.
    pub const BLOCK_INDEX: Self = Self(*b"f2");
    /// Block index of an ere file.
    pub const DYNAMIC_BLOCK_INDEX: Self = Self(*b"g2");
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::VERSION => "version",
            Self::HEADER => "header",
            Self::BODY => "body",
            Self::RECEIPTS => "receipts",
            Self::TOTAL_DIFFICULTY => "total difficulty",
            Self::ACCUMULATOR => "accumulator",
            Self::SLIM_RECEIPTS => "slim receipts",
            Self::PROOF => "proof",
            Self::BLOCK_INDEX => "block index",
            Self::DYNAMIC_BLOCK_INDEX => "dynamic block index",
            Self([first, second]) => return write!(f, "unknown {first:02x} {second:02x}"),
        };
        f.write_str(name)
    }
}

impl fmt::Debug for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a record is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) kind: RecordKind,
    /// Bytes of data.
    pub(crate) length: u64,
    /// Where its header starts.
    pub(crate) offset: u64,
}

impl Record {
    pub(crate) fn end(&self) -> u64 {
        self.offset + RECORD_HEADER_BYTES + self.length
    }
}

/// Reads records, from the position on or from anywhere.
///
/// [`Self::record`] reads a record's header and leaves the position at its data; one of [`Self::skip`],
/// [`Self::fixed`] or [`Self::unsnap`] then takes it to the record's end.
pub(crate) struct Records {
    input: BufReader<Box<dyn ReadSeek>>,
    length: u64,
    position: u64,
    snappy: FrameDecoder<Cursor<Vec<u8>>>,
}

impl Records {
    /// `buffer_bytes`: much for reading all, little for picking.
    pub(crate) fn open(source: &Source, buffer_bytes: usize) -> Result<Self, Fault> {
        let open = || Ok((source.length()?, BufReader::with_capacity(buffer_bytes, source.open()?)));
        let (length, input) = open().map_err(|error| Fault::io(0, error))?;
        Ok(Self { input, length, position: 0, snappy: FrameDecoder::new(Cursor::default()) })
    }

    /// Bytes of the file.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Goes to a record's start.
    pub(crate) fn seek(&mut self, offset: u64) -> Result<(), Fault> {
        let step = i128::from(offset) - i128::from(self.position);
        let step = i64::try_from(step).expect("offsets lie within a file, whose size is an i64");
        self.input.seek_relative(step).map_err(|error| Fault::io(offset, error))?;
        self.position = offset;
        Ok(())
    }

    /// Reads the header of the record at the position.
    pub(crate) fn record(&mut self) -> Result<Record, Fault> {
        let offset = self.position;
        let left = self.length.saturating_sub(offset);
        if left < RECORD_HEADER_BYTES {
            return Err(Fault::new(offset, Problem::Truncated { needed: RECORD_HEADER_BYTES, left }));
        }
        let [kind @ .., l0, l1, l2, l3, r0, r1]: [u8; RECORD_HEADER_BYTES as usize] = self.array()?;
        let length = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
        let record = Record { kind: RecordKind(kind), length, offset };
        if [r0, r1] != [0, 0] {
            return Err(Fault::new(offset, Problem::ReservedBytes([r0, r1])));
        }
        if record.length > RECORD_BYTES_MAX {
            let problem = Problem::RecordTooLarge { kind: record.kind, length: record.length };
            return Err(Fault::new(offset, problem));
        }
        if record.end() > self.length {
            let needed = RECORD_HEADER_BYTES + record.length;
            return Err(Fault::new(offset, Problem::Truncated { needed, left }));
        }
        Ok(record)
    }

    /// Reads the header of the record at the position, which must be of this kind.
    pub(crate) fn expect(&mut self, expected: RecordKind) -> Result<Record, Fault> {
        let record = self.record()?;
        match record.kind == expected {
            true => Ok(record),
            false => {
                let problem = Problem::UnexpectedRecord { expected, found: record.kind };
                Err(Fault::new(record.offset, problem))
            }
        }
    }

    /// Steps over a record's data.
    pub(crate) fn skip(&mut self, record: Record) -> Result<(), Fault> {
        self.seek(record.end())
    }

    /// Reads a record's data, which must have `N` bytes.
    pub(crate) fn fixed<const N: usize>(&mut self, record: Record) -> Result<[u8; N], Fault> {
        if record.length != N as u64 {
            let Record { kind, length: found, offset } = record;
            return Err(Fault::new(offset, Problem::RecordLength { kind, expected: N as u64, found }));
        }
        self.array()
    }

    /// Reads a record's data as it stands.
    pub(crate) fn raw(&mut self, record: Record) -> Result<Vec<u8>, Fault> {
        let mut data = Vec::new();
        self.read_raw(record, &mut data)?;
        Ok(data)
    }

    /// Reads a record's data and decompresses it into `out`, at most `limit` bytes of it.
    pub(crate) fn unsnap(&mut self, record: Record, limit: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut compressed = std::mem::take(self.snappy.get_mut()).into_inner();
        self.read_raw(record, &mut compressed)?;
        // The decompressor, being used again, no longer asks for the identifier.
        let identified = compressed.starts_with(SNAPPY_STREAM_IDENTIFIER);
        let byte = compressed.first().copied().unwrap_or_default();
        *self.snappy.get_mut() = Cursor::new(compressed);
        out.clear();
        let result = match identified {
            true => (&mut self.snappy).take(limit as u64 + 1).read_to_end(out),
            false => Err(snap::Error::StreamHeader { byte }.into()),
        };
        let problem = match result {
            Ok(_) if out.len() <= limit => return Ok(()),
            Ok(length) => Problem::BlockTooLarge { length: length as u64, limit: limit as u64 },
            Err(source) => Problem::Snappy { kind: record.kind, source },
        };
        // What is left in the decompressor must not become the start of the next record.
        self.snappy = FrameDecoder::new(Cursor::default());
        Err(Fault::new(record.offset, problem))
    }

    fn read_raw(&mut self, record: Record, out: &mut Vec<u8>) -> Result<(), Fault> {
        out.clear();
        // The record lies within the file, so this allocates no more than the file has.
        out.reserve(usize::try_from(record.length).expect("a record is at most 50 MiB"));
        let count = (&mut self.input)
            .take(record.length)
            .read_to_end(out)
            .map_err(|error| Fault::io(record.offset, error))?;
        self.position += count as u64;
        match count as u64 == record.length {
            true => Ok(()),
            false => {
                let (needed, left) = (record.length, count as u64);
                Err(Fault::new(record.offset, Problem::Truncated { needed, left }))
            }
        }
    }

    /// Reads bytes at the position, whatever they belong to.
    pub(crate) fn read_exact(&mut self, bytes: &mut [u8]) -> Result<(), Fault> {
        self.input.read_exact(bytes).map_err(|error| Fault::io(self.position, error))?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { length, position, .. } = self;
        f.debug_struct("Records").field("length", length).field("position", position).finish_non_exhaustive()
    }
}
