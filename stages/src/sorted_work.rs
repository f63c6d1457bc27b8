//! What the stages that sort changes have in common.

use portico_chain::prune_checkpoint;
use portico_db::RwTxn;
use portico_state::{SortSpace, StateError};

use crate::{BlockRange, Counters, StageContext, StageError, StageId};

/// Memory and scratch folder of a sort, as the settings have it.
pub(crate) fn sort_space<'a>(context: &'a StageContext<'_>) -> SortSpace<'a> {
    SortSpace { folder: &context.scratch, bytes: context.settings.etl_bytes }
}

/// To be called with the block of each change: ends the work when asked to stop, and shows progress.
pub(crate) fn at_block<'a>(context: &'a StageContext<'_>) -> impl FnMut(u64) -> Result<(), StageError> + 'a {
    let mut shown = None;
    move |block_number| {
        if shown.replace(block_number) != Some(block_number) {
            context.progress.at(block_number, Counters::default());
        }
        context.stop.check()
    }
}

/// Refuses to go forward over blocks whose changes are deleted already.
///
/// # Errors
/// [`StateError::Pruned`].
pub(crate) fn check_changes(txn: &RwTxn<'_>, range: BlockRange) -> Result<(), StageError> {
    let deleted = changes_deleted(txn)?;
    if range.is_empty() || range.done >= deleted {
        return Ok(());
    }
    Err(StateError::Pruned { block_number: range.done, first_block: deleted }.into())
}

/// The last block whose changes are deleted; 0 when all are there, since genesis has none.
pub(crate) fn changes_deleted(txn: &RwTxn<'_>) -> Result<u64, StageError> {
    Ok(prune_checkpoint(txn, StageId::Execution.name())?.unwrap_or_default())
}

#[cfg(test)]
mod tests;
