//! Logs by address and topics: candidate blocks from the indexes, then the receipts of those blocks only.

mod candidates;
mod filter;

use std::ops::ControlFlow;

use alloy_primitives::{B256, Log};
use portico_chain::{Receipt, read_block_receipts, read_transaction};

use crate::{BlockPosition, Kept, QueryError, Snapshot, blocks::missing};
use candidates::{BlockStream, candidates};

pub use filter::{LogBlocks, LogFilter};

/// A log in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogAt {
    /// Address, topics, data.
    pub log: Log,
    /// The block.
    pub block: BlockPosition,
    /// Transaction that logged.
    pub transaction_hash: B256,
    /// Position of the transaction in the block.
    pub tx_index: u64,
    /// Position of the log in the block.
    pub log_index: u64,
}

/// Blocks that a search for the newest logs looks at first; each time that they were not enough, four times as many.
const NEWEST_BLOCKS: u64 = 1_024;

/// First and last block of a search, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockSpan {
    pub from: u64,
    pub to: u64,
}

impl Snapshot<'_> {
    /// The logs that match `filter`, in chain order.
    ///
    /// # Errors
    /// [`QueryError::RangeReversed`] and [`QueryError::RangeBeyondHead`] for a bad range;
    /// [`QueryError::TooManyLogs`], [`QueryError::TooManyBlocks`] and [`QueryError::TimedOut`] for one that is too
    /// much work; [`QueryError::Pruned`] when receipts or index are not kept that far back.
    pub fn logs(&self, filter: &LogFilter) -> Result<Vec<LogAt>, QueryError> {
        let span = self.span(filter.blocks)?;
        self.check_kept(Kept::Receipts, span.from)?;
        let mut found = Vec::new();
        for (blocks_before, block_number) in (0..).zip(self.candidates(filter, span)?) {
            let (block_number, logs_before) = (block_number?, found.len());
            self.check_deadline()?;
            self.check_block_count(blocks_before, span, block_number)?;
            self.logs_of_block(filter, block_number, &mut found)?;
            self.check_log_count(found.len(), logs_before, span, block_number)?;
        }
        Ok(found)
    }

    /// The logs that match `filter`, block by block, the newest block first, each block's in its order. `visit` breaks, or
    /// says how many it keeps so far.
    ///
    /// # Errors
    /// As [`Snapshot::logs`], for what `visit` keeps and for blocks that had to be looked at.
    pub fn visit_newest_logs(
        &self,
        filter: &LogFilter,
        mut visit: impl FnMut(Vec<LogAt>) -> ControlFlow<(), usize>,
    ) -> Result<(), QueryError> {
        let span = self.span(filter.blocks)?;
        self.check_kept(Kept::Receipts, span.from)?;
        let (mut blocks_before, mut kept_before) = (0, 0);
        let (mut end, mut width) = (span.to, NEWEST_BLOCKS);
        loop {
            let part = BlockSpan { from: end.saturating_sub(width - 1).max(span.from), to: end };
            let blocks = self.candidates(filter, part)?.collect::<Result<Vec<_>, _>>()?;
            for block_number in blocks.into_iter().rev() {
                self.check_deadline()?;
                self.check_block_count(blocks_before, span, block_number)?;
                let mut found = Vec::new();
                self.logs_of_block(filter, block_number, &mut found)?;
                match visit(found) {
                    ControlFlow::Break(()) => return Ok(()),
                    ControlFlow::Continue(kept) => {
                        self.check_log_count(kept, kept_before, span, block_number)?;
                        kept_before = kept;
                    }
                }
                blocks_before += 1;
            }
            if part.from == span.from {
                return Ok(());
            }
            (end, width) = (part.from - 1, width.saturating_mul(4));
        }
    }

    /// Block numbers of the search. A block by hash must exist; a range must lie between genesis and head.
    fn span(&self, blocks: LogBlocks) -> Result<BlockSpan, QueryError> {
        match blocks {
            LogBlocks::Hash(hash) => {
                let block_number = self.require(hash.into())?;
                Ok(BlockSpan { from: block_number, to: block_number })
            }
            LogBlocks::Range { from, to } => {
                let from = self.range_end(from)?;
                let to = self.range_end(to)?;
                if from > to {
                    return Err(QueryError::RangeReversed { from, to });
                }
                if to > self.head {
                    return Err(QueryError::RangeBeyondHead { to, head: self.head });
                }
                Ok(BlockSpan { from, to })
            }
        }
    }

    /// Tags are resolved; numbers may lie beyond the head here.
    fn range_end(&self, end: crate::BlockNumberOrTag) -> Result<u64, QueryError> {
        match end {
            crate::BlockNumberOrTag::Number(number) => Ok(number),
            tag => self.require(tag.into()),
        }
    }

    fn candidates(&self, filter: &LogFilter, span: BlockSpan) -> Result<BlockStream<'_>, QueryError> {
        if span.from == span.to || filter.matches_everything() {
            return Ok(BlockStream::all(span.from..=span.to));
        }
        self.check_log_index(span)?;
        Ok(candidates(&self.txn, filter, span)?)
    }

    /// Appends the matching logs of one block. The header's bloom spares most blocks without a match their receipts.
    fn logs_of_block(
        &self,
        filter: &LogFilter,
        block_number: u64,
        found: &mut Vec<LogAt>,
    ) -> Result<(), QueryError> {
        let header = self.known_header(block_number)?;
        if !filter.may_match(&header.logs_bloom) {
            return Ok(());
        }
        let body = self.body(block_number)?;
        let receipts = read_block_receipts(&self.txn, &body, block_number)?;
        let tx_hash = |tx_index: u64| {
            let transaction = read_transaction(&self.txn, body.first_tx_number + tx_index)?;
            Ok(*transaction.ok_or(missing("transaction", block_number))?.tx_hash())
        };
        append_matching(filter, BlockPosition::from(&header), receipts, tx_hash, found)
    }

    fn check_block_count(&self, before: u64, span: BlockSpan, block_number: u64) -> Result<(), QueryError> {
        let limit = self.settings().log_blocks_max;
        if before < limit {
            return Ok(());
        }
        Err(QueryError::TooManyBlocks { limit, from: span.from, to: block_number.saturating_sub(1) })
    }

    fn check_log_count(
        &self,
        count: usize,
        before: usize,
        span: BlockSpan,
        block_number: u64,
    ) -> Result<(), QueryError> {
        let limit = self.settings().log_results_max;
        if count <= limit {
            return Ok(());
        }
        let to = if before == 0 { block_number } else { block_number - 1 };
        Err(QueryError::TooManyLogs { limit, from: span.from, to })
    }
}

/// Appends the logs that match among a block's receipts.
pub(crate) fn append_matching(
    filter: &LogFilter,
    block: BlockPosition,
    receipts: Vec<Receipt>,
    tx_hash: impl Fn(u64) -> Result<B256, QueryError>,
    found: &mut Vec<LogAt>,
) -> Result<(), QueryError> {
    let mut next_log_index = 0;
    for (tx_index, receipt) in (0..).zip(receipts) {
        let mut transaction_hash = None;
        for log in receipt.logs {
            let log_index = next_log_index;
            next_log_index += 1;
            if !filter.matches(&log) {
                continue;
            }
            let transaction_hash = match transaction_hash {
                Some(hash) => hash,
                None => *transaction_hash.insert(tx_hash(tx_index)?),
            };
            found.push(LogAt { log, block, transaction_hash, tx_index, log_index });
        }
    }
    Ok(())
}
