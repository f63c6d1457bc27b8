//! One block file of any format.

use crate::{
    block::FileBlock,
    block_index::{ArchiveKind, BlockIndex},
    e2store::{RecordKind, Records},
    era1::{Era1Blocks, PICK_BUFFER_BYTES},
    ere::EreBlocks,
    error::{Fault, FileError, Problem},
    gzip::{GZIP_MAGIC, Stream},
    rlp::RlpBlocks,
    source::Source,
};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The first byte of an RLP list, and so of an RLP block, or a greater one.
const RLP_LIST_FIRST_BYTE: u8 = 0xc0;

/// The formats that are read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// RLP blocks one after another (`.rlp`, `.blocks`, `.bin`, each also with `.gz`).
    Rlp,
    /// Pre-merge archive (`.era1`).
    Era1,
    /// Archive of any age (`.ere`).
    Ere,
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rlp => "RLP blocks",
            Self::Era1 => "era1",
            Self::Ere => "ere",
        })
    }
}

/// Whether blocks come with their receipts, which costs reading and decompressing them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepReceipts {
    /// [`FileBlock::receipts`] stays `None`; receipts in the file are stepped over. Right for importing.
    #[default]
    No,
    /// [`FileBlock::receipts`] holds what the file has.
    Yes,
}

/// How files are read.
#[derive(Clone, Debug)]
pub struct ReadSettings {
    /// The longest block (or part of one, once decompressed) that is accepted, in bytes.
    ///
    /// EIP-7934 allows 8 MiB; before it, mainnet's gas limit did not allow much more. The default of 32 MiB leaves room
    /// for private chains with large blocks and bounds the memory a forged length or a decompression bomb can take.
    pub block_bytes_max: usize,
    /// Whether blocks come with their receipts.
    pub receipts: KeepReceipts,
}

impl Default for ReadSettings {
    fn default() -> Self {
        Self { block_bytes_max: 32 << 20, receipts: KeepReceipts::default() }
    }
}

/// A block file being read: an iterator over its blocks in rising order, which ends after the first error.
///
/// ```no_run
/// # fn main() -> Result<(), portico_files::FileError> {
/// for block in portico_files::BlockFile::open("chain.rlp".as_ref())? {
///     let block = block?;
///     println!("{} {}", block.number(), block.hash);
/// }
/// # Ok(())
/// # }
/// ```
pub struct BlockFile {
    path: PathBuf,
    byte_length: u64,
    blocks: FormatBlocks,
    finished: bool,
}

#[derive(Debug)]
enum FormatBlocks {
    Rlp(Box<RlpBlocks>),
    Era1(Box<Era1Blocks>),
    Ere(Box<EreBlocks>),
}

impl BlockFile {
    /// Opens a file with default settings; see [`Self::open_with`].
    ///
    /// # Errors
    /// As [`Self::open_with`].
    pub fn open(path: &Path) -> Result<Self, FileError> {
        Self::open_with(path, &ReadSettings::default())
    }

    /// Opens a file. Its format is told from its content, whatever its name; of an archive, the index is read.
    ///
    /// # Errors
    /// [`FileError`] if the file cannot be read, is empty, is no block file or one of a kind that is not supported, or
    /// if it is an archive without a sound index.
    pub fn open_with(path: &Path, settings: &ReadSettings) -> Result<Self, FileError> {
        Self::from_source(path, Source::Disk(path.to_owned()), settings)
    }

    /// Reads a file's bytes from memory; `name` is the path that errors will give.
    ///
    /// # Errors
    /// As [`Self::open_with`].
    pub fn from_bytes(name: &Path, bytes: &[u8], settings: &ReadSettings) -> Result<Self, FileError> {
        Self::from_source(name, Source::Memory(Arc::from(bytes)), settings)
    }

    fn from_source(path: &Path, source: Source, settings: &ReadSettings) -> Result<Self, FileError> {
        let io = |error| Fault::io(0, error).in_file(path);
        let byte_length = source.length().map_err(io)?;
        let blocks = open_blocks(source, settings).map_err(|fault| fault.in_file(path))?;
        Ok(Self { path: path.to_owned(), byte_length, blocks, finished: false })
    }

    /// The file's path, as given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's format.
    pub fn format(&self) -> FileFormat {
        match &self.blocks {
            FormatBlocks::Rlp(_) => FileFormat::Rlp,
            FormatBlocks::Era1(_) => FileFormat::Era1,
            FormatBlocks::Ere(_) => FileFormat::Ere,
        }
    }

    /// Size of the file in bytes, compressed where it is compressed.
    pub fn byte_length(&self) -> u64 {
        self.byte_length
    }

    /// Bytes of the file read so far (for an ere file in proportion to its blocks), at most [`Self::byte_length`].
    pub fn bytes_read(&self) -> u64 {
        let bytes = match &self.blocks {
            _ if self.finished => self.byte_length,
            FormatBlocks::Rlp(blocks) => blocks.bytes_read(),
            FormatBlocks::Era1(blocks) => blocks.bytes_read(),
            FormatBlocks::Ere(blocks) => blocks.bytes_read(),
        };
        bytes.min(self.byte_length)
    }

    /// Number of the first block not yet read, without reading it; `None` if there is none left.
    ///
    /// # Errors
    /// [`FileError`] if there are bytes that are not the beginning of a block.
    pub fn peek_number(&mut self) -> Result<Option<u64>, FileError> {
        match &mut self.blocks {
            _ if self.finished => Ok(None),
            FormatBlocks::Rlp(blocks) => {
                blocks.peek_number().map_err(|fault| fault.in_file(self.path.as_path()))
            }
            FormatBlocks::Era1(blocks) => Ok(blocks.next_number()),
            FormatBlocks::Ere(blocks) => Ok(blocks.next_number()),
        }
    }

    /// Number of the file's last block where the file says it without being read (archives); `None` for RLP.
    pub fn last_block_hint(&self) -> Option<u64> {
        match &self.blocks {
            FormatBlocks::Rlp(_) => None,
            FormatBlocks::Era1(blocks) => Some(blocks.index().last()),
            FormatBlocks::Ere(blocks) => Some(blocks.index().last()),
        }
    }

    /// Number of the last block that was read or stepped over.
    pub fn last_number(&self) -> Option<u64> {
        match &self.blocks {
            FormatBlocks::Rlp(blocks) => blocks.last_number(),
            FormatBlocks::Era1(blocks) => blocks.last_number(),
            FormatBlocks::Ere(blocks) => blocks.last_number(),
        }
    }

    /// Steps over the blocks below `block_number` without decoding them: at once in an archive, by reading through an
    /// RLP file. Never goes back.
    ///
    /// # Errors
    /// [`FileError`] if the blocks stepped over are not in order or are cut off.
    pub fn skip_to(&mut self, block_number: u64) -> Result<(), FileError> {
        match &mut self.blocks {
            _ if self.finished => {}
            FormatBlocks::Rlp(blocks) => blocks.skip_to(block_number).map_err(|fault| {
                self.finished = true;
                fault.in_file(self.path.as_path())
            })?,
            FormatBlocks::Era1(blocks) => blocks.skip_to(block_number),
            FormatBlocks::Ere(blocks) => blocks.skip_to(block_number),
        }
        Ok(())
    }
}

/// Without the buffers.
impl fmt::Debug for BlockFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockFile")
            .field("path", &self.path)
            .field("format", &self.format())
            .field("bytes_read", &self.bytes_read())
            .field("byte_length", &self.byte_length)
            .field("last_number", &self.last_number())
            .finish_non_exhaustive()
    }
}

impl Iterator for BlockFile {
    type Item = Result<FileBlock, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let next = match &mut self.blocks {
            FormatBlocks::Rlp(blocks) => blocks.next_block(),
            FormatBlocks::Era1(blocks) => blocks.next_block(),
            FormatBlocks::Ere(blocks) => blocks.next_block(),
        };
        self.finished = !matches!(next, Ok(Some(_)));
        next.map_err(|fault| fault.in_file(self.path.as_path())).transpose()
    }
}

/// Tells the format from the first bytes and, of an archive, from the index at the end.
fn open_blocks(source: Source, settings: &ReadSettings) -> Result<FormatBlocks, Fault> {
    let io = |error| Fault::io(0, error);
    let first_bytes = source.first_bytes::<2>().map_err(io)?;
    let rlp = |stream| RlpBlocks::new(stream, settings.block_bytes_max);
    match *first_bytes {
        [] => Err(Fault::new(0, Problem::Empty)),
        _ if first_bytes == GZIP_MAGIC => {
            let mut blocks = rlp(Stream::gzip(source.open().map_err(io)?));
            check_gunzipped(blocks.first_bytes(2)?)?;
            Ok(FormatBlocks::Rlp(Box::new(blocks)))
        }
        _ if first_bytes == RecordKind::VERSION.0 => open_archive(source, settings),
        [RLP_LIST_FIRST_BYTE..=0xff, ..] => {
            Ok(FormatBlocks::Rlp(Box::new(rlp(Stream::plain(source.open().map_err(io)?)))))
        }
        [first_byte, ..] => Err(Fault::new(0, Problem::UnknownFormat { first_byte })),
    }
}

/// What is in a gzip file must be RLP.
fn check_gunzipped(first_bytes: &[u8]) -> Result<(), Fault> {
    let problem = match *first_bytes {
        [] => Problem::Empty,
        [RLP_LIST_FIRST_BYTE..=0xff, ..] => return Ok(()),
        _ if first_bytes == RecordKind::VERSION.0 => Problem::Unsupported {
            found: "an archive inside a gzip file",
            hint: "archives are compressed already and are read in place, so gunzip it first",
        },
        [first_byte, ..] => Problem::UnknownFormat { first_byte },
    };
    Err(Fault::new(0, problem))
}

fn open_archive(source: Source, settings: &ReadSettings) -> Result<FormatBlocks, Fault> {
    refuse_other_archives(&source)?;
    let index = BlockIndex::read(&source)?;
    Ok(match index.kind {
        ArchiveKind::Era1 => FormatBlocks::Era1(Box::new(Era1Blocks::new(source, index, settings.clone()))),
        ArchiveKind::Ere => FormatBlocks::Ere(Box::new(EreBlocks::new(source, index, settings.clone()))),
    })
}

/// Names the e2store formats that are not read, from their first record after the version.
fn refuse_other_archives(source: &Source) -> Result<(), Fault> {
    let mut records = Records::open(source, PICK_BUFFER_BYTES)?;
    let version = records.expect(RecordKind::VERSION)?;
    records.skip(version)?;
    let Ok(record) = records.record() else { return Ok(()) };
    let found = match record.kind.0 {
        [0x01, 0] | [0x02, 0] => "an era archive of the consensus layer",
        [0x01, 0x03] => "an e2hs archive",
        _ => return Ok(()),
    };
    Err(Fault::new(record.offset, Problem::Unsupported { found, hint: "use .era1, .ere or .rlp files" }))
}
