//! What happened to the chain since a client looked last: new blocks, and those that lost in between.
//!
//! ```text
//!             ┌─ removed ── removed (seen)        walked back by parent hashes, among the side blocks
//!  ancestor ──┴─ added ── added ── added (head)   read by number
//! ```
//! Receipts of blocks that lost are not kept: their logs are found by executing them once more on the ancestor's state.

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::B256;
use portico_evm::{BlockExecution, BlockInput, BlockRules};
use revm::inspector::NoOpInspector;

use crate::{FullBlock, LogAt, LogBlocks, LogFilter, QueryError, Snapshot, logs::append_matching};

/// Blocks that lost, at most; a longer branch than any that can be unwound.
const REMOVED_MAX: usize = 10_000;

/// The newest block that a client knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenBlock {
    /// Its number.
    pub block_number: u64,
    /// Its hash.
    pub block_hash: B256,
}

/// Logs that went and came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogChanges {
    /// Of blocks that lost, the newest block first.
    pub removed: Vec<LogAt>,
    /// Of blocks that came, in chain order.
    pub added: Vec<LogAt>,
}

impl Snapshot<'_> {
    /// The head.
    pub fn head_block(&self) -> Result<SeenBlock, QueryError> {
        let header = self.known_header(self.head())?;
        Ok(SeenBlock { block_number: header.number, block_hash: header.hash() })
    }

    /// Hashes of the canonical blocks that came since, in chain order.
    ///
    /// # Errors
    /// [`QueryError::TooManyBlocks`].
    pub fn blocks_since(&self, seen: SeenBlock) -> Result<Vec<B256>, QueryError> {
        let first = self.branch_since(seen)?.ancestor + 1;
        let limit = self.settings().log_blocks_max;
        if self.head().saturating_sub(first) >= limit {
            return Err(QueryError::TooManyBlocks {
                limit,
                from: first,
                to: first.saturating_add(limit) - 1,
            });
        }
        (first..=self.head()).map(|block_number| Ok(self.known_header(block_number)?.hash())).collect()
    }

    /// Matching logs that went and came since, as far as the filter's blocks are concerned.
    ///
    /// # Errors
    /// Those of [`Snapshot::logs`], and of [`Snapshot::state_at`] for the blocks that lost.
    pub fn logs_since(&self, filter: &LogFilter, seen: SeenBlock) -> Result<LogChanges, QueryError> {
        let LogBlocks::Range { from, to } = filter.blocks else { return Ok(LogChanges::default()) };
        let (from, to) = (bound(from, 0), bound(to, u64::MAX));
        let branch = self.branch_since(seen)?;
        let mut removed = self.logs_of_branch(filter, &branch.removed)?;
        removed.retain(|log| (from..=to).contains(&log.block.block_number));
        removed.reverse();
        let (first, last) = (from.max(branch.ancestor + 1), to.min(self.head()));
        if first > last {
            return Ok(LogChanges { removed, added: Vec::new() });
        }
        let range = LogBlocks::Range { from: first.into(), to: last.into() };
        let added = self.logs(&LogFilter { blocks: range, ..filter.clone() })?;
        Ok(LogChanges { removed, added })
    }

    /// Walks back from what was seen to the canonical chain.
    ///
    /// # Errors
    /// [`QueryError::BlockNotFound`] when it was unwound and not kept.
    pub(crate) fn branch_since(&self, seen: SeenBlock) -> Result<Branch, QueryError> {
        let mut removed = Vec::new();
        let SeenBlock { mut block_number, mut block_hash } = seen;
        while self.canonical_hash(block_number)? != Some(block_hash) {
            self.check_deadline()?;
            let block = self.block_by_hash(&block_hash)?.filter(|_| removed.len() < REMOVED_MAX);
            let below = block_number.checked_sub(1);
            let Some((block, below)) = block.zip(below) else {
                return Err(QueryError::BlockNotFound(block_hash.into()));
            };
            (block_number, block_hash) = (below, block.parts.header.parent_hash);
            removed.push(block);
        }
        removed.reverse();
        Ok(Branch { ancestor: block_number, removed })
    }

    /// Matching logs of blocks that follow each other, the first on a canonical one.
    fn logs_of_branch(&self, filter: &LogFilter, blocks: &[FullBlock]) -> Result<Vec<LogAt>, QueryError> {
        let mut found = Vec::new();
        let may_match = |block: &FullBlock| filter.may_match(&block.parts.header.logs_bloom);
        let Some(last) = blocks.iter().rposition(may_match) else { return Ok(found) };
        let Some(mut overlay) = self.overlay_below(&blocks[0])? else { return Ok(found) };
        for block in &blocks[..=last] {
            let parts = &block.parts;
            overlay.set_block_hash(parts.header.number.saturating_sub(1), parts.header.parent_hash);
            overlay.begin_block(parts.header.number);
            let input = BlockInput {
                header: &parts.header,
                transactions: &parts.transactions,
                senders: &block.senders,
                ommers: &parts.ommers,
                withdrawals: parts.withdrawals.as_deref(),
            };
            let rules = BlockRules::new(self.spec(), self.block_context(&parts.header)?);
            let mut execution = BlockExecution::begin(&mut overlay, rules, input, NoOpInspector)?;
            for (transaction, sender) in parts.transactions.iter().zip(&block.senders) {
                self.check_deadline()?;
                execution.transaction(transaction, *sender)?;
            }
            let receipts = execution.finish()?.receipts;
            let tx_hash = |tx_index: u64| Ok(*parts.transactions[tx_index as usize].tx_hash());
            append_matching(filter, block.position(), receipts, tx_hash, &mut found)?;
        }
        Ok(found)
    }
}

/// Blocks that lost since something was seen, the oldest first, and the block below them.
#[derive(Debug)]
pub(crate) struct Branch {
    pub ancestor: u64,
    pub removed: Vec<FullBlock>,
}

/// Tags follow the chain: they bound nothing.
fn bound(end: BlockNumberOrTag, open: u64) -> u64 {
    match end {
        BlockNumberOrTag::Number(number) => number,
        BlockNumberOrTag::Earliest => 0,
        BlockNumberOrTag::Latest
        | BlockNumberOrTag::Pending
        | BlockNumberOrTag::Safe
        | BlockNumberOrTag::Finalized => open,
    }
}
