//! Blocks at hand, as a source.

use alloy_primitives::B256;
use portico_chain::BlockParts;

use crate::{BlockSource, SourceBody, SourceError, SourceHeader, SourceLimit};

/// The blocks that the stages are to take next, by where they stand, whatever number they say they have.
#[derive(Debug, Default)]
pub(crate) struct HeldBlocks {
    /// Number that the first one must have.
    first: u64,
    blocks: Vec<BlockParts>,
}

impl HeldBlocks {
    /// Holds `blocks`, which follow block number `parent`, instead of what was held.
    pub(crate) fn hold_behind(&mut self, parent: u64, blocks: Vec<BlockParts>) {
        *self = Self { first: parent.saturating_add(1), blocks };
    }

    fn at_and_behind(&self, number: u64) -> &[BlockParts] {
        let skipped = number.checked_sub(self.first).and_then(|skipped| usize::try_from(skipped).ok());
        skipped.and_then(|skipped| self.blocks.get(skipped..)).unwrap_or_default()
    }
}

impl BlockSource for HeldBlocks {
    fn headers(&mut self, parent: (u64, B256), limit: SourceLimit) -> Result<Vec<SourceHeader>, SourceError> {
        let limit = usize::try_from(limit.blocks).unwrap_or(usize::MAX);
        let following = self.at_and_behind(parent.0.saturating_add(1)).iter().take(limit);
        Ok(following
            .map(|block| SourceHeader { hash: block.hash, header: block.header.clone(), vouched: false })
            .collect())
    }

    fn bodies(&mut self, blocks: &[(u64, B256)]) -> Result<Vec<SourceBody>, SourceError> {
        let bodies = blocks.iter().map(|(number, hash)| {
            let block = self.at_and_behind(*number).first().filter(|block| block.hash == *hash);
            let block = block.ok_or_else(|| SourceError {
                message: format!("the body of block {number} ({hash}) is not at hand"),
            })?;
            Ok(SourceBody {
                transactions: block.transactions.clone(),
                ommers: block.ommers.clone(),
                withdrawals: block.withdrawals.clone(),
            })
        });
        bodies.collect()
    }
}
