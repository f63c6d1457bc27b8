//! Block files: chains of blocks on disk, read one block at a time and written for export.
//!
//! | format | content | found by |
//! |---|---|---|
//! | [`FileFormat::Rlp`] | RLP blocks one after another, genesis possibly first, possibly in gzip | first byte is that of an RLP list, or gzip's magic |
//! | [`FileFormat::Era1`] | up to 8192 pre-merge blocks with receipts, total difficulties and an accumulator root | e2store version record, index record `66 32` |
//! | [`FileFormat::Ere`] | up to 8192 blocks of any age, grouped by component | e2store version record, index record `67 32` |
//!
//! ```text
//!  BlockFiles::discover(paths) ── orders files by first block, reports what it ignored
//!        │ blocks()
//!        ▼
//!  BlockFile::open(path) ── RlpBlocks ── Window over a (gunzipped) stream
//!        │              ├── Era1Blocks ─┐
//!        │              └── EreBlocks ──┴─ Records (e2store, framed snappy)
//!        ▼
//!  FileBlock { header, hash, transactions, ommers, withdrawals, .. }
//! ```
//!
//! What holds for every format:
//! - memory does not grow with the file: one block at a time, buffers bounded by [`ReadSettings::block_bytes_max`], and
//!   every length is checked before anything of that length is allocated;
//! - a block is decoded in one pass from the buffer it was read into, and its hash is that of the header's bytes as
//!   they stand in the file. RLP that does not encode back to the same bytes is refused;
//! - numbers rise by one within a file;
//! - era1 and ere files are checked as a whole (layout, index, parent hashes, accumulator) from their headers alone
//!   before their first block is handed out, so that no block of a damaged archive is ever used.
//!
//! Bodies are *not* checked against the roots in their headers, and nothing is checked against a chain: that is the
//! consumer's work. This crate knows chain types only, neither storage nor stages.

mod accumulator;
mod block;
mod block_file;
mod block_files;
mod block_index;
mod e2store;
mod era1;
mod ere;
mod error;
mod gzip;
mod header_peek;
mod receipts;
mod rlp;
mod source;
mod window;
mod write;

pub use accumulator::{ACCUMULATOR_BLOCKS_MAX, Accumulator};
pub use block::{FileBlock, Transaction, decode_block_rlp};
pub use block_file::{BlockFile, FileFormat, KeepReceipts, ReadSettings};
pub use block_files::{BlockFiles, Blocks, FoundFile, IgnoreReason, IgnoredPath, Progress};
pub use e2store::{RECORD_BYTES_MAX, RecordKind};
pub use error::{BlockDecodeError, BlockPart, FileError, Problem};
pub use receipts::{FileReceipts, ReceiptsEncoding};
pub use write::{Era1Writer, EreWriter, ExportBlock, RlpWriter};
