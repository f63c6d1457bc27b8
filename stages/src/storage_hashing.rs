//! Hashed storage: the slots that blocks changed, as they are now, under the keccaks of address and slot.
//!
//! Forward reads which slots changed and their plain values, which are those of `range.to`; zero has no row. Unwind takes
//! the values from before the range out of the changes.

use portico_db::RwTxn;
use portico_state::{rebuild_hashed_storage, revert_hashed_storage, update_hashed_storage};

use crate::{
    BlockRange, Counters, Stage, StageContext, StageError, StageId, StageOutput,
    sorted_work::{at_block, check_changes, sort_space},
    stage::REBUILD_BLOCKS_MIN,
};

/// See the module.
#[derive(Debug, Default)]
pub struct StorageHashing;

impl StorageHashing {
    /// Makes the table anew from plain state: for genesis, the first batch, and `portico stage rebuild`.
    pub fn rebuild(context: &StageContext<'_>, txn: &RwTxn<'_>) -> Result<Counters, StageError> {
        let rows = rebuild_hashed_storage(txn, sort_space(context), || context.stop.check())?;
        Ok(Counters { rows, ..Counters::default() })
    }
}

impl Stage for StorageHashing {
    fn id(&self) -> StageId {
        StageId::StorageHashing
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
        // Most of the state may be new then: the table is filled from front to back.
        if range.done == 0 && range.len() >= REBUILD_BLOCKS_MIN {
            return Ok(StageOutput { reached: range.to, counters: Self::rebuild(context, txn)? });
        }
        check_changes(txn, range)?;
        let rows = update_hashed_storage(txn, range.blocks(), sort_space(context), at_block(context))?;
        Ok(StageOutput { reached: range.to, counters: Counters { rows, ..Counters::default() } })
    }

    fn unwind(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        range: BlockRange,
    ) -> Result<(), StageError> {
        if !range.is_empty() {
            revert_hashed_storage(txn, range.blocks(), sort_space(context), at_block(context))?;
        }
        Ok(())
    }

    /// There is only the newest state.
    fn prune(&mut self, _: &StageContext<'_>, _: &RwTxn<'_>, _: u64) -> Result<(), StageError> {
        Ok(())
    }
}
