//! History: the changes by block, sorted by account and slot, as chunks that are read as of any block.
//!
//! Forward appends the changes of the range; unwind cuts them off again and needs the changes for that. Prune deletes
//! what comes before the oldest block whose state can be asked for: for the accounts and slots that the changes name,
//! as long as changes are kept until history was pruned behind them, and otherwise on a walk over both tables.

use portico_chain::prune_checkpoint;
use portico_db::RwTxn;
use portico_state::{
    PruneKeys, append_account_history, append_storage_history, prune_account_history, prune_storage_history,
    unwind_account_history, unwind_storage_history,
};

use crate::{
    BlockRange, Counters, Stage, StageContext, StageError, StageId, StageOutput,
    sorted_work::{at_block, changes_deleted, check_changes, sort_space},
};

/// See the module.
#[derive(Debug, Default)]
pub struct History;

impl Stage for History {
    fn id(&self) -> StageId {
        StageId::History
    }

    fn forward(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        range: BlockRange,
    ) -> Result<StageOutput, StageError> {
        if range.is_empty() {
            return Ok(StageOutput::all(range));
        }
        check_changes(txn, range)?;
        let space = sort_space(context);
        let mut rows = append_account_history(txn, range.blocks(), space, at_block(context))?;
        rows += append_storage_history(txn, range.blocks(), space, at_block(context))?;
        Ok(StageOutput { reached: range.to, counters: Counters { rows, ..Counters::default() } })
    }

    fn unwind(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        range: BlockRange,
    ) -> Result<(), StageError> {
        if range.is_empty() {
            return Ok(());
        }
        let space = sort_space(context);
        unwind_storage_history(txn, range.blocks(), space, at_block(context))?;
        unwind_account_history(txn, range.blocks(), space, at_block(context))
    }

    /// State as of `block_number` stays readable, which is where block `block_number + 1` starts.
    fn prune(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        block_number: u64,
    ) -> Result<(), StageError> {
        let pruned = prune_checkpoint(txn, self.id().name())?.unwrap_or_default();
        if block_number <= pruned {
            return Ok(());
        }
        let keys = if changes_deleted(txn)? <= pruned {
            PruneKeys::ChangedIn(pruned + 1..=block_number)
        } else {
            PruneKeys::All
        };
        let space = sort_space(context);
        prune_account_history(txn, block_number, keys.clone(), space, at_block(context))?;
        prune_storage_history(txn, block_number, keys, space, at_block(context))
    }
}
