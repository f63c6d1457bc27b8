//! Deleting what the settings do not keep: changes behind the unwind horizon.
//!
//! An archive keeps everything else. Rows that unwinding leaves in place: none come back that were pruned before.

use portico_chain::{prune_checkpoint, write_prune_checkpoint};
use portico_db::RwTxn;
use portico_state::delete_changes_below;

use crate::{BlockRange, Stage, StageContext, StageError, StageId, StageOutput};

/// See the module.
#[derive(Debug, Default)]
pub struct Prune;

impl Stage for Prune {
    fn id(&self) -> StageId {
        StageId::Prune
    }

    fn forward(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        range: BlockRange,
    ) -> Result<StageOutput, StageError> {
        let last = range.to.saturating_sub(context.settings.unwind_horizon);
        let pruned = prune_checkpoint(txn, StageId::Execution.name())?.unwrap_or_default();
        if last > pruned {
            delete_changes_below(txn, last + 1)?;
            write_prune_checkpoint(txn, StageId::Execution.name(), last)?;
        }
        Ok(StageOutput::all(range))
    }

    fn unwind(&mut self, _: &StageContext<'_>, _: &RwTxn<'_>, _: BlockRange) -> Result<(), StageError> {
        Ok(())
    }

    fn prune(&mut self, _: &StageContext<'_>, _: &RwTxn<'_>, _: u64) -> Result<(), StageError> {
        Ok(())
    }
}
