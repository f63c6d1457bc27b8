//! The last stage: its checkpoint is the head that readers see.

use portico_db::RwTxn;

use crate::{BlockRange, Stage, StageContext, StageError, StageId, StageOutput};

/// See the module.
#[derive(Debug, Default)]
pub struct Finish;

impl Stage for Finish {
    fn id(&self) -> StageId {
        StageId::Finish
    }

    fn forward(
        &mut self,
        _: &StageContext<'_>,
        _: &RwTxn<'_>,
        range: BlockRange,
    ) -> Result<StageOutput, StageError> {
        Ok(StageOutput::all(range))
    }

    fn unwind(&mut self, _: &StageContext<'_>, _: &RwTxn<'_>, _: BlockRange) -> Result<(), StageError> {
        Ok(())
    }

    fn prune(&mut self, _: &StageContext<'_>, _: &RwTxn<'_>, _: u64) -> Result<(), StageError> {
        Ok(())
    }
}
