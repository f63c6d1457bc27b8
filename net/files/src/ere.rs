//! Reads ere archives (once called erae).
//!
//! ```text
//! version | headers | bodies | slim receipts? | proofs? | total difficulties? | other records
//!         | accumulator? | dynamic block index
//! ```
//! Unlike in era1, all headers stand together, then all bodies, and so on; so each component is read through a reader
//! of its own. Total difficulties and accumulator are there only if the first block is older than the merge; the blocks
//! after the merge in such a file repeat the final total difficulty and are not in the accumulator. Proofs are
//! not read: they lead to beacon chain roots, which only a consensus client knows.
//!
//! As in era1, the file is checked from its headers before the first block is handed out ([`EreBlocks::verify`]).

use crate::{
    accumulator::Accumulator,
    block::{BlockDecoder, FileBlock},
    block_file::{KeepReceipts, ReadSettings},
    block_index::BlockIndex,
    e2store::{RecordKind, Records},
    era1::{HeaderLinks, PICK_BUFFER_BYTES, READ_BUFFER_BYTES, check_accumulator, read_receipts},
    error::{Fault, Problem},
    receipts::ReceiptsEncoding,
    source::Source,
};
use alloy_primitives::{B256, U256};

/// The blocks of an ere file.
#[derive(Debug)]
pub(crate) struct EreBlocks {
    source: Source,
    settings: ReadSettings,
    index: BlockIndex,
    /// Made by [`Self::verify`].
    opened: Option<Opened>,
    decoder: BlockDecoder,
    header_rlp: Vec<u8>,
    body_rlp: Vec<u8>,
    /// Position of the next block in the file.
    next: u64,
}

/// A file that was found to be sound.
#[derive(Debug)]
struct Opened {
    headers: Records,
    bodies: Records,
    receipts: Option<Column>,
    total_difficulties: Vec<U256>,
    /// Root over the blocks before the merge, found to be right.
    accumulator: Option<B256>,
}

/// A component that not every file has.
#[derive(Debug)]
struct Column {
    component: u64,
    records: Records,
}

impl EreBlocks {
    pub(crate) fn new(source: Source, index: BlockIndex, settings: ReadSettings) -> Self {
        let (header_rlp, body_rlp) = (Vec::new(), Vec::new());
        Self {
            source,
            settings,
            index,
            opened: None,
            decoder: BlockDecoder::default(),
            header_rlp,
            body_rlp,
            next: 0,
        }
    }

    pub(crate) fn index(&self) -> &BlockIndex {
        &self.index
    }

    /// The file's bytes in proportion to the blocks that were read: its components are read side by side.
    pub(crate) fn bytes_read(&self) -> u64 {
        let bytes = u128::from(self.index.offset) * u128::from(self.next) / u128::from(self.index.count);
        u64::try_from(bytes).expect("no more than the whole file")
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
        if self.opened.is_none() {
            self.opened = Some(self.verify()?);
        }
        let number = self.index.start + self.next;
        let block = self.read_block().map_err(|fault| fault.in_block(number))?;
        self.next += 1;
        Ok(Some(block))
    }

    fn read_block(&mut self) -> Result<FileBlock, Fault> {
        let Opened { headers, bodies, receipts, total_difficulties, accumulator } =
            self.opened.as_mut().expect("made before the first block is read");
        let limit = self.settings.block_bytes_max;
        let offset = self.index.offset_of(self.next, HEADER_COMPONENT, RecordKind::HEADER)?;
        headers.seek(offset)?;
        let record = headers.expect(RecordKind::HEADER)?;
        headers.unsnap(record, limit, &mut self.header_rlp)?;
        bodies.seek(self.index.offset_of(self.next, BODY_COMPONENT, RecordKind::BODY)?)?;
        let record = bodies.expect(RecordKind::BODY)?;
        bodies.unsnap(record, limit, &mut self.body_rlp)?;
        let receipts = match receipts {
            None => None,
            Some(Column { component, records }) => {
                records.seek(self.index.offset_of(self.next, *component, RecordKind::SLIM_RECEIPTS)?)?;
                let record = records.expect(RecordKind::SLIM_RECEIPTS)?;
                read_receipts(records, record, ReceiptsEncoding::Slim, &self.settings)?
            }
        };
        let block = self
            .decoder
            .header_and_body(&self.header_rlp, &self.body_rlp)
            .map_err(|error| Fault::new(offset, error))?;
        Ok(FileBlock {
            total_difficulty: total_difficulties.get(self.next as usize).copied(),
            accumulator: accumulator.filter(|_| !block.header.difficulty.is_zero()),
            receipts,
            ..block
        })
    }

    /// Checks everything but the content of bodies, receipts and proofs.
    fn verify(&mut self) -> Result<Opened, Fault> {
        let mut records = Records::open(&self.source, PICK_BUFFER_BYTES)?;
        let version = records.expect(RecordKind::VERSION)?;
        records.fixed::<0>(version)?;
        let columns = self.columns()?;
        let walked = self.walk(&mut records, &columns)?;
        let mut accumulator = None;
        if let Some(record) = walked.accumulator {
            records.seek(record)?;
            let record = records.record()?;
            let root = walked.accumulator_root();
            check_accumulator(&mut records, record, root)?;
            accumulator = Some(root);
        }
        let component = columns.iter().position(|kind| *kind == RecordKind::SLIM_RECEIPTS);
        let receipts = match (component, self.settings.receipts) {
            (Some(component), KeepReceipts::Yes) => Some(Column {
                component: component as u64,
                records: Records::open(&self.source, READ_BUFFER_BYTES)?,
            }),
            (None, _) | (_, KeepReceipts::No) => None,
        };
        Ok(Opened {
            headers: Records::open(&self.source, READ_BUFFER_BYTES)?,
            bodies: Records::open(&self.source, READ_BUFFER_BYTES)?,
            receipts,
            total_difficulties: walked.total_difficulties,
            accumulator,
        })
    }

    /// The kind of each of the index's columns: header and body, then what the first block has, in a fixed order.
    fn columns(&self) -> Result<Vec<RecordKind>, Fault> {
        let mut records = Records::open(&self.source, PICK_BUFFER_BYTES)?;
        let mut optional = OPTIONAL_COLUMNS.iter();
        let mut columns = Vec::new();
        for component in 0..self.index.components {
            let expected = match component {
                HEADER_COMPONENT => RecordKind::HEADER,
                BODY_COMPONENT => RecordKind::BODY,
                _ => *optional.clone().next().unwrap_or(&RecordKind::PROOF),
            };
            records.seek(self.index.offset_of(0, component, expected)?)?;
            let record = records.record()?;
            let fits = match component {
                HEADER_COMPONENT | BODY_COMPONENT => record.kind == expected,
                _ => optional.any(|kind| *kind == record.kind),
            };
            if !fits {
                let problem = Problem::UnexpectedRecord { expected, found: record.kind };
                return Err(Fault::new(record.offset, problem).in_block(self.index.start));
            }
            columns.push(record.kind);
        }
        Ok(columns)
    }

    /// Walks all records up to the index and checks that each is where the index says.
    fn walk(&mut self, records: &mut Records, columns: &[RecordKind]) -> Result<Walked, Fault> {
        let mut walked = Walked::new(columns.len());
        let mut links = HeaderLinks::new(self.index.start);
        while records.position() < self.index.offset {
            let record = records.record()?;
            if let Some(component) = columns.iter().position(|kind| *kind == record.kind) {
                let position = walked.found[component];
                if position == self.index.count {
                    let (kind, indexed) = (record.kind, self.index.count);
                    let problem = Problem::IndexCount { kind, indexed, found: position + 1 };
                    return Err(Fault::new(record.offset, problem));
                }
                self.index.check(position, component as u64, record)?;
                walked.found[component] += 1;
                let number = self.index.start + position;
                self.visit(records, record, &mut walked, &mut links)
                    .map_err(|fault| fault.in_block(number))?;
            } else if record.kind == RecordKind::ACCUMULATOR {
                walked.accumulator = Some(record.offset);
            }
            records.seek(record.end())?;
        }
        for (kind, found) in columns.iter().zip(&walked.found) {
            if *found != self.index.count {
                let problem = Problem::IndexCount { kind: *kind, indexed: self.index.count, found: *found };
                return Err(Fault::new(self.index.offset, problem));
            }
        }
        match records.position() == self.index.offset {
            true => Ok(walked),
            false => Err(Fault::new(self.index.offset, Problem::IndexMissing)),
        }
    }

    /// Takes from a record what the accumulator and the links need.
    fn visit(
        &mut self,
        records: &mut Records,
        record: crate::e2store::Record,
        walked: &mut Walked,
        links: &mut HeaderLinks,
    ) -> Result<(), Fault> {
        if record.kind == RecordKind::HEADER {
            records.unsnap(record, self.settings.block_bytes_max, &mut self.header_rlp)?;
            let (hash, peek) = links.next(record.offset, &self.header_rlp)?;
            if !peek.difficulty.is_zero() {
                walked.pre_merge_hashes.push(hash);
            }
        } else if record.kind == RecordKind::TOTAL_DIFFICULTY {
            walked.total_difficulties.push(U256::from_le_bytes(records.fixed::<32>(record)?));
        }
        Ok(())
    }
}

/// Places of the components every block has in the index.
const HEADER_COMPONENT: u64 = 0;
const BODY_COMPONENT: u64 = 1;

/// The components a file may have, in the order in which the index has them.
const OPTIONAL_COLUMNS: [RecordKind; 3] =
    [RecordKind::SLIM_RECEIPTS, RecordKind::TOTAL_DIFFICULTY, RecordKind::PROOF];

/// What walking the file brings to light; a few hundred KiB at most.
#[derive(Debug)]
struct Walked {
    /// Records seen of each column.
    found: Vec<u64>,
    /// Hashes of the blocks with a difficulty.
    pre_merge_hashes: Vec<B256>,
    total_difficulties: Vec<U256>,
    /// Where the accumulator record is.
    accumulator: Option<u64>,
}

impl Walked {
    fn new(columns: usize) -> Self {
        Self {
            found: vec![0; columns],
            pre_merge_hashes: Vec::new(),
            total_difficulties: Vec::new(),
            accumulator: None,
        }
    }

    /// The root of the blocks before the merge.
    fn accumulator_root(&self) -> B256 {
        let mut accumulator = Accumulator::default();
        for (hash, total_difficulty) in self.pre_merge_hashes.iter().zip(&self.total_difficulties) {
            accumulator.push(*hash, *total_difficulty);
        }
        accumulator.root()
    }
}
