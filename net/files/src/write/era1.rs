//! Writes era1 archives.

use super::{ExportBlock, epoch_of, is_last_of_epoch, partial_file::PartialFile, record::RecordWriter};
use crate::{
    accumulator::Accumulator,
    block_index::{ArchiveKind, encode_index},
    e2store::RecordKind,
    error::{Fault, FileError, Problem},
    receipts::{ReceiptsEncoding, encode_receipts},
};
use alloy_consensus::ReceiptEnvelope;
use alloy_primitives::{U256, hex, keccak256};
use std::path::{Path, PathBuf};

/// Writes a chain as era1 files, one for each epoch of 8192 blocks:
/// `<network>-<epoch, 5 digits>-<first 8 hex digits of the accumulator root>.era1`.
///
/// A chain that starts or ends within an epoch gives files of fewer blocks. The format was made for blocks before the
/// merge. Later ones are not refused (withdrawals are then part of the body), but other programs will expect them in
/// [`super::EreWriter`]'s format.
#[derive(Debug)]
pub struct Era1Writer {
    folder: PathBuf,
    network: String,
    archive: Option<Archive>,
    last: Option<u64>,
    finished: Vec<PathBuf>,
}

impl Era1Writer {
    /// Writes to `folder`, which must exist. `network` is the first part of the file names.
    pub fn new(folder: &Path, network: &str) -> Self {
        let (folder, network) = (folder.to_owned(), network.to_owned());
        Self { folder, network, archive: None, last: None, finished: Vec::new() }
    }

    /// Writes the next block. The last block of an epoch completes its file.
    ///
    /// `total_difficulty` includes this block.
    ///
    /// # Errors
    /// [`FileError`] if the block's number does not follow that of the last one, a record would be too large, or the
    /// disk refuses.
    pub fn write(
        &mut self,
        block: ExportBlock<'_>,
        receipts: &[ReceiptEnvelope],
        total_difficulty: U256,
    ) -> Result<(), FileError> {
        let number = block.header.number;
        if let Some(expected) =
            self.last.map(|last| last.saturating_add(1)).filter(|expected| *expected != number)
        {
            let fault = Fault::new(0, Problem::Number { expected, found: number });
            return Err(fault.in_block(expected).in_file(self.folder.as_path()));
        }
        let archive = match &mut self.archive {
            Some(archive) => archive,
            empty => empty.insert(Archive::begin(&self.folder, &self.network, number)?),
        };
        archive.write(block, receipts, total_difficulty)?;
        self.last = Some(number);
        match is_last_of_epoch(number) {
            true => self.finish_archive(),
            false => Ok(()),
        }
    }

    /// Completes the last file and returns the paths of all, in order.
    ///
    /// # Errors
    /// [`FileError`] if the disk refuses; the last file is then not there.
    pub fn finish(mut self) -> Result<Vec<PathBuf>, FileError> {
        self.finish_archive()?;
        Ok(self.finished)
    }

    fn finish_archive(&mut self) -> Result<(), FileError> {
        if let Some(archive) = self.archive.take() {
            self.finished.push(archive.finish(&self.folder, &self.network)?);
        }
        Ok(())
    }
}

/// One file being written.
#[derive(Debug)]
struct Archive {
    file: PartialFile,
    records: RecordWriter,
    start: u64,
    /// Where each block's records start.
    offsets: Vec<u64>,
    accumulator: Accumulator,
    scratch: Vec<u8>,
}

impl Archive {
    fn begin(folder: &Path, network: &str, start: u64) -> Result<Self, FileError> {
        let file = PartialFile::create(folder, &format!("{network}-{:05}.era1", epoch_of(start)))?;
        let mut archive = Self {
            file,
            records: RecordWriter::default(),
            start,
            offsets: Vec::new(),
            accumulator: Accumulator::default(),
            scratch: Vec::new(),
        };
        archive.records.write(&mut archive.file, RecordKind::VERSION, &[])?;
        Ok(archive)
    }

    fn write(
        &mut self,
        block: ExportBlock<'_>,
        receipts: &[ReceiptEnvelope],
        total_difficulty: U256,
    ) -> Result<(), FileError> {
        let Self { file, records, scratch, .. } = self;
        scratch.clear();
        alloy_rlp::Encodable::encode(block.header, scratch);
        let hash = keccak256(&*scratch);
        let offset = records.write_snappy(file, RecordKind::HEADER, scratch)?;
        block.encode_body(scratch);
        records.write_snappy(file, RecordKind::BODY, scratch)?;
        scratch.clear();
        encode_receipts(receipts, ReceiptsEncoding::Consensus, scratch);
        records.write_snappy(file, RecordKind::RECEIPTS, scratch)?;
        records.write(file, RecordKind::TOTAL_DIFFICULTY, &total_difficulty.to_le_bytes::<32>())?;
        self.offsets.push(offset);
        self.accumulator.push(hash, total_difficulty);
        Ok(())
    }

    fn finish(mut self, folder: &Path, network: &str) -> Result<PathBuf, FileError> {
        let root = self.accumulator.root();
        self.records.write(&mut self.file, RecordKind::ACCUMULATOR, root.as_slice())?;
        let index_offset = self.file.written();
        let relative: Vec<i64> =
            self.offsets.iter().map(|offset| relative_offset(*offset, index_offset)).collect();
        let index = encode_index(ArchiveKind::Era1, self.start, &relative, 1);
        self.records.write(&mut self.file, RecordKind::BLOCK_INDEX, &index)?;
        let name = format!("{network}-{:05}-{}.era1", epoch_of(self.start), hex::encode(&root[..4]));
        let path = folder.join(name);
        self.file.finish(&path)?;
        Ok(path)
    }
}

/// An offset as the index has it: relative to the index record, so negative.
pub(super) fn relative_offset(offset: u64, index_offset: u64) -> i64 {
    let back = index_offset.checked_sub(offset).expect("records come before the index");
    -i64::try_from(back).expect("a file's size is an i64")
}
