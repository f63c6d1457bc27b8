//! Reads era1 archives.
//!
//! ```text
//! version | (header | body | receipts | total difficulty) per block | other records | accumulator | block index
//! ```
//! Before the first block is handed out, the file is walked once by its record headers and block headers
//! ([`Era1Blocks::verify`]): layout, index, numbers, parent hashes, accumulator. Bodies and receipts are stepped over,
//! so this costs a fraction of reading the file.

use crate::{
    accumulator::Accumulator,
    block::{BlockDecoder, FileBlock},
    block_file::{KeepReceipts, ReadSettings},
    block_index::BlockIndex,
    e2store::{Record, RecordKind, Records},
    error::{BlockDecodeError, BlockPart, Fault, Problem},
    header_peek::{HeaderPeek, is_bft_header},
    receipts::{FileReceipts, ReceiptsEncoding},
    source::Source,
};
use alloy_primitives::{B256, U256, keccak256};

/// Bytes read at a time when reading all, and when picking headers.
pub(crate) const READ_BUFFER_BYTES: usize = 256 << 10;
pub(crate) const PICK_BUFFER_BYTES: usize = 4 << 10;

/// The blocks of an era1 file.
#[derive(Debug)]
pub(crate) struct Era1Blocks {
    source: Source,
    settings: ReadSettings,
    index: BlockIndex,
    /// Opened after [`Self::verify`].
    records: Option<Records>,
    /// Found to be right by [`Self::verify`].
    accumulator: Option<B256>,
    decoder: BlockDecoder,
    header_rlp: Vec<u8>,
    body_rlp: Vec<u8>,
    /// Position of the next block in the file.
    next: u64,
}

impl Era1Blocks {
    pub(crate) fn new(source: Source, index: BlockIndex, settings: ReadSettings) -> Self {
        let (header_rlp, body_rlp) = (Vec::new(), Vec::new());
        Self {
            source,
            settings,
            index,
            records: None,
            accumulator: None,
            decoder: BlockDecoder::default(),
            header_rlp,
            body_rlp,
            next: 0,
        }
    }

    pub(crate) fn index(&self) -> &BlockIndex {
        &self.index
    }

    /// Bytes of the file behind the last block that was read.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.records.as_ref().map_or(0, Records::position)
    }

    /// Number of the next block; `None` after the last.
    pub(crate) fn next_number(&self) -> Option<u64> {
        (self.next < self.index.count).then(|| self.index.start + self.next)
    }

    /// Number of the last block read or stepped over.
    pub(crate) fn last_number(&self) -> Option<u64> {
        self.next.checked_sub(1).map(|position| self.index.start + position)
    }

    pub(crate) fn skip_to(&mut self, block_number: u64) {
        let position = block_number.saturating_sub(self.index.start).min(self.index.count);
        self.next = self.next.max(position);
    }

    /// Reads and decodes the next block; `None` after the last.
    pub(crate) fn next_block(&mut self) -> Result<Option<FileBlock>, Fault> {
        if self.next == self.index.count {
            return Ok(None);
        }
        if self.records.is_none() {
            self.accumulator = Some(self.verify()?);
            self.records = Some(Records::open(&self.source, READ_BUFFER_BYTES)?);
        }
        let number = self.index.start + self.next;
        let block = self.read_block().map_err(|fault| fault.in_block(number))?;
        self.next += 1;
        Ok(Some(block))
    }

    fn read_block(&mut self) -> Result<FileBlock, Fault> {
        let records = self.records.as_mut().expect("opened before the first block is read");
        let limit = self.settings.block_bytes_max;
        let offset = self.index.offset_of(self.next, 0, RecordKind::HEADER)?;
        records.seek(offset)?;
        let record = records.expect(RecordKind::HEADER)?;
        records.unsnap(record, limit, &mut self.header_rlp)?;
        let record = records.expect(RecordKind::BODY)?;
        records.unsnap(record, limit, &mut self.body_rlp)?;
        let record = records.expect(RecordKind::RECEIPTS)?;
        let receipts = read_receipts(records, record, ReceiptsEncoding::Consensus, &self.settings)?;
        let record = records.expect(RecordKind::TOTAL_DIFFICULTY)?;
        let total_difficulty = U256::from_le_bytes(records.fixed::<32>(record)?);
        let block = self
            .decoder
            .header_and_body(&self.header_rlp, &self.body_rlp)
            .map_err(|error| Fault::new(offset, error))?;
        let (total_difficulty, accumulator) = (Some(total_difficulty), self.accumulator);
        Ok(FileBlock { total_difficulty, accumulator, receipts, ..block })
    }

    /// Checks everything but the content of bodies and receipts; gives the accumulator root.
    fn verify(&mut self) -> Result<B256, Fault> {
        let mut records = Records::open(&self.source, PICK_BUFFER_BYTES)?;
        let version = records.expect(RecordKind::VERSION)?;
        records.fixed::<0>(version)?;
        let mut accumulator = Accumulator::default();
        let mut links = HeaderLinks::new(self.index.start);
        for position in 0..self.index.count {
            let (hash, total_difficulty) = self
                .verify_block(&mut records, position, &mut links)
                .map_err(|fault| fault.in_block(self.index.start + position))?;
            accumulator.push(hash, total_difficulty);
        }
        let root = accumulator.root();
        self.verify_accumulator(&mut records, root)?;
        Ok(root)
    }

    fn verify_block(
        &mut self,
        records: &mut Records,
        position: u64,
        links: &mut HeaderLinks,
    ) -> Result<(B256, U256), Fault> {
        let header = records.expect(RecordKind::HEADER)?;
        self.index.check(position, 0, header)?;
        records.unsnap(header, self.settings.block_bytes_max, &mut self.header_rlp)?;
        let (hash, _) = links.next(header.offset, &self.header_rlp)?;
        for kind in [RecordKind::BODY, RecordKind::RECEIPTS] {
            let record = records.expect(kind)?;
            records.skip(record)?;
        }
        let record = records.expect(RecordKind::TOTAL_DIFFICULTY)?;
        Ok((hash, U256::from_le_bytes(records.fixed::<32>(record)?)))
    }

    /// Steps over records the format leaves room for, checks the root, and that the index is what follows.
    fn verify_accumulator(&self, records: &mut Records, computed: B256) -> Result<(), Fault> {
        loop {
            let record = records.record()?;
            if record.kind == RecordKind::ACCUMULATOR {
                check_accumulator(records, record, computed)?;
                break;
            }
            if record.offset >= self.index.offset || is_block_record(record.kind) {
                let (expected, found) = (RecordKind::ACCUMULATOR, record.kind);
                return Err(Fault::new(record.offset, Problem::UnexpectedRecord { expected, found }));
            }
            records.skip(record)?;
        }
        let record = records.expect(RecordKind::BLOCK_INDEX)?;
        match record.offset == self.index.offset {
            true => Ok(()),
            false => Err(Fault::new(record.offset, Problem::IndexMissing)),
        }
    }
}

fn is_block_record(kind: RecordKind) -> bool {
    [RecordKind::HEADER, RecordKind::BODY, RecordKind::RECEIPTS, RecordKind::TOTAL_DIFFICULTY].contains(&kind)
}

/// Compares the root in a record with the one computed.
pub(crate) fn check_accumulator(records: &mut Records, record: Record, computed: B256) -> Result<(), Fault> {
    let stored = B256::new(records.fixed::<32>(record)?);
    match stored == computed {
        true => Ok(()),
        false => Err(Fault::new(record.offset, Problem::Accumulator { stored, computed })),
    }
}

/// Reads a receipts record where the settings want it, or steps over it.
pub(crate) fn read_receipts(
    records: &mut Records,
    record: Record,
    encoding: ReceiptsEncoding,
    settings: &ReadSettings,
) -> Result<Option<FileReceipts>, Fault> {
    match settings.receipts {
        KeepReceipts::No => records.skip(record).map(|()| None),
        KeepReceipts::Yes => {
            let mut rlp = Vec::new();
            records.unsnap(record, settings.block_bytes_max, &mut rlp)?;
            Ok(Some(FileReceipts { encoding, rlp: rlp.into() }))
        }
    }
}

/// Checks that headers follow one another.
#[derive(Debug)]
pub(crate) struct HeaderLinks {
    next_number: u64,
    /// `None` before the first header, and after one whose block hash cannot be told without its chain's rules.
    previous_hash: Option<B256>,
}

impl HeaderLinks {
    pub(crate) fn new(first_number: u64) -> Self {
        Self { next_number: first_number, previous_hash: None }
    }

    /// Takes the next header: its number and parent must fit. Returns its hash and what was read of it.
    pub(crate) fn next(&mut self, offset: u64, header_rlp: &[u8]) -> Result<(B256, HeaderPeek), Fault> {
        let not_rlp = |source| Fault::new(offset, BlockDecodeError::Rlp { part: BlockPart::Header, source });
        let peek = HeaderPeek::of_header(header_rlp).map_err(not_rlp)?;
        if peek.number != self.next_number {
            let (expected, found) = (self.next_number, peek.number);
            return Err(Fault::new(offset, Problem::Number { expected, found }));
        }
        if let Some(expected) = self.previous_hash.filter(|expected| *expected != peek.parent_hash) {
            return Err(Fault::new(offset, Problem::ParentHash { expected, found: peek.parent_hash }));
        }
        let hash = keccak256(header_rlp);
        self.next_number = self.next_number.saturating_add(1);
        self.previous_hash = (!is_bft_header(header_rlp).map_err(not_rlp)?).then_some(hash);
        Ok((hash, peek))
    }
}
