//! Where blocks come from: files, peers, or whoever has them.

use std::{cell::RefCell, rc::Rc};

use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::B256;
use portico_chain::Transaction;

use crate::SourceError;

/// A header with its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceHeader {
    /// The block's hash.
    pub hash: B256,
    /// The header.
    pub header: Header,
    /// Whether the source knows this block to be the chain's without its proof of work: it is in an archive with an
    /// accumulator root that the chain specification knows. A sample of seals leaves it out.
    pub vouched: bool,
}

/// A body as a source hands it over, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceBody {
    /// Transactions in order.
    pub transactions: Vec<Transaction>,
    /// Ommers.
    pub ommers: Vec<Header>,
    /// Withdrawals, from Shanghai on.
    pub withdrawals: Option<Vec<Withdrawal>>,
}

/// How much to ask of a source at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceLimit {
    /// Headers, at most.
    pub blocks: u64,
    /// Bytes of the bodies that belong to them, about; a source that knows them stops there.
    pub body_bytes: u64,
}

/// Where the Headers and the Bodies stage get blocks from. Nothing that it says is trusted,
/// apart from [`SourceHeader::vouched`].
pub trait BlockSource {
    /// Headers of the blocks that follow `parent` (number and hash), in order; none when there are no more for now.
    ///
    /// # Errors
    /// When nothing can be had behind `parent` although it should: a damaged file, all peers lost.
    fn headers(&mut self, parent: (u64, B256), limit: SourceLimit) -> Result<Vec<SourceHeader>, SourceError>;

    /// Bodies of these blocks, which follow each other, in the same order; all of them.
    ///
    /// # Errors
    /// When one of them cannot be had.
    fn bodies(&mut self, blocks: &[(u64, B256)]) -> Result<Vec<SourceBody>, SourceError>;
}

/// One source, for the two stages that take from it; all of a pipeline's stages run on one thread.
pub type SharedSource = Rc<RefCell<dyn BlockSource>>;

/// No blocks: for working on what the database has.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoBlocks;

impl BlockSource for NoBlocks {
    fn headers(&mut self, _: (u64, B256), _: SourceLimit) -> Result<Vec<SourceHeader>, SourceError> {
        Ok(Vec::new())
    }

    fn bodies(&mut self, blocks: &[(u64, B256)]) -> Result<Vec<SourceBody>, SourceError> {
        let first = blocks.first().map_or(0, |(number, _)| *number);
        Err(SourceError {
            message: format!("the body of block {first} is not at hand: there is no source of blocks"),
        })
    }
}
