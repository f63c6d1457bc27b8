//! Hashed accounts: the accounts that blocks changed, as they are now, under the keccak of their addresses.
//!
//! Forward reads which accounts changed and their plain values, which are those of `range.to`. Unwind takes the values
//! from before the range out of the changes.

use portico_db::RwTxn;
use portico_state::{rebuild_hashed_accounts, revert_hashed_accounts, update_hashed_accounts};

use crate::{
    BlockRange, Counters, Stage, StageContext, StageError, StageId, StageOutput,
    sorted_work::{at_block, check_changes, sort_space},
    stage::REBUILD_BLOCKS_MIN,
};

/// See the module.
#[derive(Debug, Default)]
pub struct AccountHashing;

impl AccountHashing {
    /// Makes the table anew from plain state: for genesis, the first batch, and `portico stage rebuild`.
    pub fn rebuild(context: &StageContext<'_>, txn: &RwTxn<'_>) -> Result<Counters, StageError> {
        let rows = rebuild_hashed_accounts(txn, sort_space(context), || context.stop.check())?;
        Ok(Counters { rows, ..Counters::default() })
    }
}

impl Stage for AccountHashing {
    fn id(&self) -> StageId {
        StageId::AccountHashing
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
        let rows = update_hashed_accounts(txn, range.blocks(), sort_space(context), at_block(context))?;
        Ok(StageOutput { reached: range.to, counters: Counters { rows, ..Counters::default() } })
    }

    fn unwind(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        range: BlockRange,
    ) -> Result<(), StageError> {
        if !range.is_empty() {
            revert_hashed_accounts(txn, range.blocks(), sort_space(context), at_block(context))?;
        }
        Ok(())
    }

    /// There is only the newest state.
    fn prune(&mut self, _: &StageContext<'_>, _: &RwTxn<'_>, _: u64) -> Result<(), StageError> {
        Ok(())
    }
}
