//! State within a block: after some of its transactions.

use portico_evm::{BlockExecution, BlockInput, BlockRules, CallError};
use revm::inspector::NoOpInspector;

use crate::{FullBlock, QueryError, Snapshot, replay::OverlayBelow};

impl<'q> Snapshot<'q> {
    /// State before the transaction at `tx_index` of a block; with the number of its transactions, after the last one.
    ///
    /// # Errors
    /// [`QueryError::TransactionIndex`] for an index behind that; [`QueryError::GenesisNotTraceable`]; those of
    /// [`Snapshot::state_at`] for the block before.
    pub(crate) fn overlay_within(
        &self,
        block: &FullBlock,
        tx_index: u64,
    ) -> Result<OverlayBelow<'_, 'q>, QueryError> {
        let parts = &block.parts;
        let count = parts.transactions.len() as u64;
        if tx_index > count {
            return Err(QueryError::TransactionIndex { index: tx_index, count });
        }
        let mut overlay = self.overlay_below(block)?.ok_or(QueryError::GenesisNotTraceable)?;
        overlay.begin_block(parts.header.number);
        let rules = BlockRules::new(self.spec(), self.block_context(&parts.header)?);
        let mut execution = BlockExecution::begin(&mut overlay, rules, block.input(), NoOpInspector)?;
        let signed = parts.transactions.iter().zip(&block.senders);
        for (transaction, sender) in signed.take(tx_index as usize) {
            self.check_deadline()?;
            execution.transaction(transaction, *sender)?;
        }
        drop(execution);
        // Nothing may have failed on the way unseen.
        overlay.check().map_err(CallError::from)?;
        Ok(overlay)
    }
}

impl FullBlock {
    /// What executing the block needs of it.
    pub(crate) fn input(&self) -> BlockInput<'_> {
        let parts = &self.parts;
        BlockInput {
            header: &parts.header,
            transactions: &parts.transactions,
            senders: &self.senders,
            ommers: &parts.ommers,
            withdrawals: parts.withdrawals.as_deref(),
        }
    }
}
