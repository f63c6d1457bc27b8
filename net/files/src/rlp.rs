//! Reads RLP blocks that stand one after another, from a stream.

use crate::{
    block::{BlockDecoder, FileBlock},
    error::{BlockDecodeError, BlockPart, Fault, Problem},
    gzip::Stream,
    header_peek::{HeaderPeek, LIST_HEADER_BYTES_MAX, PEEK_BYTES, list_length},
    window::Window,
};
use std::io;

/// A stream of RLP blocks whose numbers rise by one.
#[derive(Debug)]
pub(crate) struct RlpBlocks {
    window: Window<Stream>,
    decoder: BlockDecoder,
    block_bytes_max: usize,
    /// Number of the last block read or stepped over.
    last: Option<u64>,
}

impl RlpBlocks {
    pub(crate) fn new(stream: Stream, block_bytes_max: usize) -> Self {
        let window = Window::new(stream);
        Self { window, decoder: BlockDecoder::default(), block_bytes_max, last: None }
    }

    /// Bytes of the file (compressed ones where it is compressed) read so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        match self.window.reader() {
            Stream::Plain(_) => self.window.offset(),
            gzip @ Stream::Gzip(_) => gzip.bytes_read(),
        }
    }

    /// The first bytes, not yet taken from the stream.
    pub(crate) fn first_bytes(&mut self, count: usize) -> Result<&[u8], Fault> {
        fill(&mut self.window, count)
    }

    /// Number of the last block read or stepped over.
    pub(crate) fn last_number(&self) -> Option<u64> {
        self.last
    }

    /// Reads and decodes the next block; `None` at the end of the file.
    pub(crate) fn next_block(&mut self) -> Result<Option<FileBlock>, Fault> {
        self.read_block().map_err(|fault| self.named(fault))
    }

    /// The number of the next block, which is not consumed; `None` at the end of the file.
    pub(crate) fn peek_number(&mut self) -> Result<Option<u64>, Fault> {
        self.read_number().map(|next| next.map(|(number, _)| number)).map_err(|fault| self.named(fault))
    }

    /// Steps over the blocks below `block_number`, which are not decoded.
    pub(crate) fn skip_to(&mut self, block_number: u64) -> Result<(), Fault> {
        while let Some((number, length)) = self.read_number().map_err(|fault| self.named(fault))? {
            if number >= block_number {
                break;
            }
            let offset = self.window.offset();
            self.check_order(number).map_err(|fault| self.named(fault))?;
            let left = discard(&mut self.window, length as u64)?;
            if left < length as u64 {
                let fault = Fault::new(offset, Problem::Truncated { needed: length as u64, left });
                return Err(fault.in_block(number));
            }
        }
        Ok(())
    }

    fn read_block(&mut self) -> Result<Option<FileBlock>, Fault> {
        let Some(length) = self.block_length()? else { return Ok(None) };
        let offset = self.window.offset();
        let rlp = whole(fill(&mut self.window, length)?, length, offset)?;
        let block = self.decoder.block(rlp).map_err(|error| {
            let fault = Fault::new(offset, error);
            match HeaderPeek::of_block(rlp) {
                Ok(peek) => fault.in_block(peek.number),
                Err(_) => fault,
            }
        })?;
        self.check_order(block.number())?;
        self.window.consume(length);
        Ok(Some(block))
    }

    fn read_number(&mut self) -> Result<Option<(u64, usize)>, Fault> {
        let Some(length) = self.block_length()? else { return Ok(None) };
        let offset = self.window.offset();
        let seen = length.min(PEEK_BYTES);
        let rlp = whole(fill(&mut self.window, seen)?, seen, offset)?;
        let peek = HeaderPeek::of_block(rlp).map_err(|source| {
            Fault::new(offset, BlockDecodeError::Rlp { part: BlockPart::Header, source })
        })?;
        Ok(Some((peek.number, length)))
    }

    /// The length of the next block, checked against the limit.
    fn block_length(&mut self) -> Result<Option<usize>, Fault> {
        let offset = self.window.offset();
        let rlp = fill(&mut self.window, LIST_HEADER_BYTES_MAX)?;
        if rlp.is_empty() {
            return Ok(None);
        }
        let total = match list_length(rlp) {
            Ok(length) => length.total(),
            Err(alloy_rlp::Error::InputTooShort) => {
                let left = rlp.len() as u64;
                return Err(Fault::new(offset, Problem::Truncated { needed: left + 1, left }));
            }
            Err(source) => {
                return Err(Fault::new(offset, BlockDecodeError::Rlp { part: BlockPart::Block, source }));
            }
        };
        match usize::try_from(total) {
            Ok(length) if length <= self.block_bytes_max => Ok(Some(length)),
            _ => {
                let problem = Problem::BlockTooLarge { length: total, limit: self.block_bytes_max as u64 };
                Err(Fault::new(offset, problem))
            }
        }
    }

    fn check_order(&mut self, found: u64) -> Result<(), Fault> {
        if let Some(expected) = self.expected().filter(|expected| *expected != found) {
            return Err(Fault::new(self.window.offset(), Problem::Number { expected, found }));
        }
        self.last = Some(found);
        Ok(())
    }

    /// The number the next block must have, once a first block was seen.
    fn expected(&self) -> Option<u64> {
        self.last.map(|last| last.saturating_add(1))
    }

    fn named(&self, fault: Fault) -> Fault {
        match self.expected() {
            Some(expected) => fault.in_block(expected),
            None => fault,
        }
    }
}

fn fill(window: &mut Window<Stream>, wanted: usize) -> Result<&[u8], Fault> {
    let offset = window.offset();
    let gzip = window.reader().is_gzip();
    window.fill(wanted).map_err(|error| read_fault(offset, gzip, error))
}

fn discard(window: &mut Window<Stream>, count: u64) -> Result<u64, Fault> {
    let offset = window.offset();
    let gzip = window.reader().is_gzip();
    window.discard(count).map_err(|error| read_fault(offset, gzip, error))
}

/// Tells a damaged gzip stream from a failing disk.
fn read_fault(offset: u64, gzip: bool, error: io::Error) -> Fault {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match error.kind() {
        InvalidData | InvalidInput | UnexpectedEof if gzip => Fault::new(offset, Problem::Gzip(error)),
        _ => Fault::io(offset, error),
    }
}

fn whole(bytes: &[u8], needed: usize, offset: u64) -> Result<&[u8], Fault> {
    match bytes.len() == needed {
        true => Ok(bytes),
        false => {
            let (needed, left) = (needed as u64, bytes.len() as u64);
            Err(Fault::new(offset, Problem::Truncated { needed, left }))
        }
    }
}
