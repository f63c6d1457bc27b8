//! Block files as the source that the stages take blocks from.

use std::{collections::VecDeque, iter::Peekable, sync::Arc};

use alloy_primitives::B256;
use portico_chainspec::ChainSpec;
use portico_files::{BlockFiles, Blocks, FileBlock, FileError};
use portico_stages::{BlockSource, SourceBody, SourceError, SourceHeader, SourceLimit, StopSignal};

/// Blocks of a set of files, in order of number.
///
/// Headers and bodies are in the same place, so bodies are held from when their headers are taken. A failed batch is
/// taken again from the files.
#[derive(Debug)]
pub struct FileSource {
    files: BlockFiles,
    blocks: Peekable<FileBlocks>,
    held: VecDeque<FileBlock>,
    /// The block behind which `blocks` stands.
    last: Option<(u64, B256)>,
    spec: Arc<ChainSpec>,
    stop: StopSignal,
}

/// The blocks with the file that each came from left aside: that file is found again by number when needed.
#[derive(Debug)]
struct FileBlocks(Blocks);

impl Iterator for FileBlocks {
    type Item = Result<FileBlock, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.0.next();
        if let Some(Ok(block)) = &next {
            self.0.skip_to(block.number().saturating_add(1));
        }
        next
    }
}

impl FileSource {
    /// Blocks from `files`, whose block 0, when it is in them, must be the genesis block of `spec`.
    pub fn new(files: BlockFiles, spec: Arc<ChainSpec>) -> Self {
        let blocks = FileBlocks(files.blocks()).peekable();
        Self { files, blocks, held: VecDeque::new(), last: None, spec, stop: StopSignal::default() }
    }

    /// Lets a long read end when someone asks to stop: it gives what it has read so far.
    pub fn ending_with(self, stop: &StopSignal) -> Self {
        Self { stop: stop.clone(), ..self }
    }

    /// The file that holds a block, for naming it in an error.
    pub fn file_of(&self, block_number: u64) -> Option<&std::path::Path> {
        let files = self.files.files().iter().filter(|file| file.first_block <= block_number);
        files.max_by_key(|file| file.first_block).map(|file| file.path.as_path())
    }

    fn restart_at(&mut self, block_number: u64) {
        let mut blocks = self.files.blocks();
        blocks.skip_to(block_number);
        self.blocks = FileBlocks(blocks).peekable();
        self.held.clear();
    }

    /// Positions at the block after `parent`; `false` when the files end before it.
    fn seek(&mut self, parent: (u64, B256)) -> Result<bool, SourceError> {
        if self.last != Some(parent) || !self.held.is_empty() {
            self.restart_at(parent.0);
            self.last = Some(parent);
        }
        while let Some(block) =
            self.blocks.next_if(|block| block.as_ref().is_ok_and(|block| block.number() <= parent.0))
        {
            let block = block.map_err(|error| SourceError { message: error.to_string() })?;
            self.check_link(&block, parent)?;
        }
        Ok(self.blocks.peek().is_some())
    }

    fn check_link(&self, block: &FileBlock, parent: (u64, B256)) -> Result<(), SourceError> {
        let file = self.file_of(block.number()).map(|path| path.display().to_string()).unwrap_or_default();
        if block.number() == 0 && block.hash != self.spec.genesis_hash() {
            let (found, expected) = (block.hash, self.spec.genesis_hash());
            let message = format!(
                "{file}: block 0 is {found}, this chain's genesis is {expected}: the file is of another chain"
            );
            return Err(SourceError { message });
        }
        if block.number() == parent.0 && block.hash != parent.1 {
            let message = format!(
                "{file}: block {} is {}, the database has {} there: the file is of another chain or branch",
                parent.0, block.hash, parent.1
            );
            return Err(SourceError { message });
        }
        Ok(())
    }
}

impl BlockSource for FileSource {
    fn headers(&mut self, parent: (u64, B256), limit: SourceLimit) -> Result<Vec<SourceHeader>, SourceError> {
        let mut headers = Vec::new();
        if limit.blocks == 0 || !self.seek(parent)? {
            return Ok(headers);
        }
        let mut body_bytes = 0;
        while headers.len() < limit.blocks as usize
            && body_bytes < limit.body_bytes
            && !self.stop.is_stopped()
        {
            let block = match self.blocks.peek() {
                None => break,
                // What came before it is good; the error comes when it is asked for again.
                Some(Err(_)) if !headers.is_empty() => break,
                Some(Err(error)) => return Err(SourceError { message: error.to_string() }),
                Some(Ok(_)) => self.blocks.next().expect("peeked").expect("peeked"),
            };
            let expected = parent.0 + 1 + headers.len() as u64;
            if block.number() != expected {
                return Err(self.gap(expected, block.number()));
            }
            body_bytes += block.rlp_length as u64;
            self.last = Some((block.number(), block.hash));
            let vouched = block.accumulator.is_some_and(|root| self.spec.knows_accumulator(root));
            headers.push(SourceHeader { hash: block.hash, header: block.header.clone(), vouched });
            self.held.push_back(block);
        }
        Ok(headers)
    }

    fn bodies(&mut self, blocks: &[(u64, B256)]) -> Result<Vec<SourceBody>, SourceError> {
        let Some((first, _)) = blocks.first() else { return Ok(Vec::new()) };
        if self.held.front().map(FileBlock::number) != Some(*first) {
            self.restart_at(*first);
        }
        let mut bodies = Vec::with_capacity(blocks.len());
        for (number, hash) in blocks {
            let block = match self.held.pop_front() {
                Some(block) => Some(block),
                None => self
                    .blocks
                    .next()
                    .transpose()
                    .map_err(|error| SourceError { message: error.to_string() })?,
            };
            let block = block.filter(|block| block.number() == *number && block.hash == *hash);
            let Some(block) = block else {
                return Err(SourceError {
                    message: format!("no file has the body of block {number} ({hash})"),
                });
            };
            bodies.push(SourceBody {
                transactions: block.transactions,
                ommers: block.ommers,
                withdrawals: block.withdrawals,
            });
        }
        Ok(bodies)
    }
}

impl FileSource {
    fn gap(&self, expected: u64, found: u64) -> SourceError {
        let file = self.file_of(found).map(|path| path.display().to_string()).unwrap_or_default();
        SourceError {
            message: format!(
                "{file}: block {found} where block {expected} should be: blocks are missing or out of order"
            ),
        }
    }
}
