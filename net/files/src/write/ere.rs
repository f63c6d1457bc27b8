//! Writes ere archives, in the profiles that a node can produce by itself.

use super::{
    ExportBlock, epoch_of, era1::relative_offset, is_last_of_epoch, partial_file::PartialFile,
    record::RecordWriter,
};
use crate::{
    accumulator::Accumulator,
    block_index::{ArchiveKind, encode_index},
    e2store::RecordKind,
    error::{Fault, FileError, Problem},
    receipts::{ReceiptsEncoding, encode_receipts},
};
use alloy_consensus::{Header, ReceiptEnvelope};
use alloy_primitives::{B256, U256, hex, keccak256};
use std::path::{Path, PathBuf};

/// Writes a chain as ere files, one for each epoch of 8192 blocks:
/// `<network>-<epoch, 5 digits>-<first 8 hex digits of the last block's hash>-noproofs[-noreceipts].ere`.
///
/// Header proofs lead to beacon chain roots, which a node does not have, hence the profile. Bodies and receipts wait in
/// temporary files of their own until the epoch is complete, because each component stands together in the file.
#[derive(Debug)]
pub struct EreWriter {
    folder: PathBuf,
    network: String,
    archive: Option<Archive>,
    last: Option<u64>,
    finished: Vec<PathBuf>,
}

impl EreWriter {
    /// Writes to `folder`, which must exist. `network` is the first part of the file names.
    pub fn new(folder: &Path, network: &str) -> Self {
        let (folder, network) = (folder.to_owned(), network.to_owned());
        Self { folder, network, archive: None, last: None, finished: Vec::new() }
    }

    /// Writes the next block. The last block of an epoch completes its file.
    ///
    /// `receipts` must be given for all blocks of a file or for none. `total_difficulty` (including this block, after
    /// the merge the final one) goes into files whose first block has a difficulty, and is needed for those only.
    ///
    /// # Errors
    /// [`FileError`] if the block's number does not follow that of the last one, a component is given for some blocks
    /// only, a record would be too large, or the disk refuses.
    pub fn write(
        &mut self,
        block: ExportBlock<'_>,
        receipts: Option<&[ReceiptEnvelope]>,
        total_difficulty: Option<U256>,
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
            empty => {
                empty.insert(Archive::begin(&self.folder, &self.network, block.header, receipts.is_some())?)
            }
        };
        let missing = match (receipts.is_some() == archive.receipts.is_some(), total_difficulty) {
            (false, _) => Some(RecordKind::SLIM_RECEIPTS),
            (true, None) if archive.pre_merge => Some(RecordKind::TOTAL_DIFFICULTY),
            (true, _) => None,
        };
        if let Some(kind) = missing {
            let fault = Fault::new(archive.headers.written(), Problem::Uneven { kind });
            return Err(fault.in_block(number).in_file(self.folder.as_path()));
        }
        archive.write(block, receipts.unwrap_or_default(), total_difficulty.unwrap_or_default())?;
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

/// One file being written. Offsets are relative to the component's first record until the file is put together.
#[derive(Debug)]
struct Archive {
    /// Becomes the archive: version and headers first.
    headers: PartialFile,
    header_offsets: Vec<u64>,
    bodies: PartialFile,
    body_offsets: Vec<u64>,
    receipts: Option<PartialFile>,
    receipts_offsets: Vec<u64>,
    /// Whether the first block has a difficulty, so that the file has total difficulties and an accumulator.
    pre_merge: bool,
    total_difficulties: Vec<U256>,
    accumulator: Accumulator,
    records: RecordWriter,
    start: u64,
    last_hash: B256,
    scratch: Vec<u8>,
}

impl Archive {
    fn begin(folder: &Path, network: &str, first: &Header, with_receipts: bool) -> Result<Self, FileError> {
        let create = |component: &str| {
            PartialFile::create(folder, &format!("{network}-{:05}{component}.ere", epoch_of(first.number)))
        };
        let mut archive = Self {
            headers: create("")?,
            header_offsets: Vec::new(),
            bodies: create("-bodies")?,
            body_offsets: Vec::new(),
            receipts: with_receipts.then(|| create("-receipts")).transpose()?,
            receipts_offsets: Vec::new(),
            pre_merge: !first.difficulty.is_zero(),
            total_difficulties: Vec::new(),
            accumulator: Accumulator::default(),
            records: RecordWriter::default(),
            start: first.number,
            last_hash: B256::ZERO,
            scratch: Vec::new(),
        };
        archive.records.write(&mut archive.headers, RecordKind::VERSION, &[])?;
        Ok(archive)
    }

    fn write(
        &mut self,
        block: ExportBlock<'_>,
        receipts: &[ReceiptEnvelope],
        total_difficulty: U256,
    ) -> Result<(), FileError> {
        let Self { records, scratch, .. } = self;
        scratch.clear();
        alloy_rlp::Encodable::encode(block.header, scratch);
        self.last_hash = keccak256(&*scratch);
        let offset = records.write_snappy(&mut self.headers, RecordKind::HEADER, scratch)?;
        self.header_offsets.push(offset);
        block.encode_body(scratch);
        let offset = records.write_snappy(&mut self.bodies, RecordKind::BODY, scratch)?;
        self.body_offsets.push(offset);
        if let Some(file) = &mut self.receipts {
            scratch.clear();
            encode_receipts(receipts, ReceiptsEncoding::Slim, scratch);
            let offset = records.write_snappy(file, RecordKind::SLIM_RECEIPTS, scratch)?;
            self.receipts_offsets.push(offset);
        }
        if self.pre_merge {
            self.total_difficulties.push(total_difficulty);
            if !block.header.difficulty.is_zero() {
                self.accumulator.push(self.last_hash, total_difficulty);
            }
        }
        Ok(())
    }

    fn finish(mut self, folder: &Path, network: &str) -> Result<PathBuf, FileError> {
        let mut columns = vec![self.header_offsets];
        columns.push(append_component(&mut self.headers, &mut self.bodies, &self.body_offsets)?);
        if let Some(receipts) = &mut self.receipts {
            columns.push(append_component(&mut self.headers, receipts, &self.receipts_offsets)?);
        }
        if self.pre_merge {
            let mut offsets = Vec::with_capacity(self.total_difficulties.len());
            for total_difficulty in &self.total_difficulties {
                let data = total_difficulty.to_le_bytes::<32>();
                offsets.push(self.records.write(&mut self.headers, RecordKind::TOTAL_DIFFICULTY, &data)?);
            }
            columns.push(offsets);
            let root = self.accumulator.root();
            self.records.write(&mut self.headers, RecordKind::ACCUMULATOR, root.as_slice())?;
        }
        let index = index_data(self.start, &columns, self.headers.written());
        self.records.write(&mut self.headers, RecordKind::DYNAMIC_BLOCK_INDEX, &index)?;
        let profile = match self.receipts {
            Some(_) => "noproofs",
            None => "noproofs-noreceipts",
        };
        let (epoch, hash) = (epoch_of(self.start), hex::encode(&self.last_hash[..4]));
        let path = folder.join(format!("{network}-{epoch:05}-{hash}-{profile}.ere"));
        self.headers.finish(&path)?;
        Ok(path)
    }
}

/// Appends a component's records to the archive and returns where they now are.
fn append_component(
    archive: &mut PartialFile,
    component: &mut PartialFile,
    offsets: &[u64],
) -> Result<Vec<u64>, FileError> {
    let base = archive.written();
    archive.append(component)?;
    Ok(offsets.iter().map(|offset| base + offset).collect())
}

/// The index, block by block, from the offsets of each component.
fn index_data(start: u64, columns: &[Vec<u64>], index_offset: u64) -> Vec<u8> {
    let mut relative = Vec::with_capacity(columns.len() * columns[0].len());
    for position in 0..columns[0].len() {
        relative.extend(columns.iter().map(|column| relative_offset(column[position], index_offset)));
    }
    encode_index(ArchiveKind::Ere, start, &relative, columns.len() as u64)
}
