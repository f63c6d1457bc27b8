//! Which blocks hold calls from and to an address, from the trace addresses that execution noted.
//!
//! These are kept from the unwind horizon on only. Blocks before it cannot be indexed any more; unwinding and
//! pruning them reads the whole index.

use std::ops::RangeInclusive;

use portico_chain::{
    BlockCollector, CallFromIndex, CallToIndex, ChainError, clear_index, cut_index_above, prune_checkpoint,
    prune_index,
};
use portico_db::RwTxn;
use portico_state::iter_call_traces;

use crate::{BlockRange, Counters, Stage, StageContext, StageError, StageId, StageOutput};

/// See the module.
#[derive(Debug, Default)]
pub struct CallTraceIndex;

impl Stage for CallTraceIndex {
    fn id(&self) -> StageId {
        StageId::CallTraceIndex
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
        let Some(Collected { from, to }) = collect(context, txn, range.blocks())? else {
            let missing =
                ChainError::Missing { what: "list of trace addresses", block_number: range.first() };
            return Err(missing.into());
        };
        let check = || context.stop.check();
        let rows = from.append(txn, check)? + to.append(txn, check)?;
        Ok(StageOutput { reached: range.to, counters: Counters { rows, ..Default::default() } })
    }

    fn unwind(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        range: BlockRange,
    ) -> Result<(), StageError> {
        if range.done == 0 {
            // Genesis has no calls.
            clear_index::<CallFromIndex>(txn)?;
            return Ok(clear_index::<CallToIndex>(txn)?);
        }
        let check = || context.stop.check();
        match collect(context, txn, range.blocks())? {
            Some(collected) => {
                collected.from.cut_above(txn, range.done, check)?;
                collected.to.cut_above(txn, range.done, check)?;
            }
            None => {
                cut_index_above::<CallFromIndex, _>(txn, range.done, check)?;
                cut_index_above::<CallToIndex, _>(txn, range.done, check)?;
            }
        }
        Ok(())
    }

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
        let check = || context.stop.check();
        match collect(context, txn, pruned + 1..=block_number)? {
            Some(collected) => {
                collected.from.prune(txn, block_number, check)?;
                collected.to.prune(txn, block_number, check)?;
            }
            None => {
                prune_index::<CallFromIndex, _>(txn, block_number, check)?;
                prune_index::<CallToIndex, _>(txn, block_number, check)?;
            }
        }
        Ok(())
    }
}

struct Collected {
    from: BlockCollector<CallFromIndex>,
    to: BlockCollector<CallToIndex>,
}

/// The addresses in the calls of `blocks`; `None` when some were deleted behind the unwind horizon.
fn collect(
    context: &StageContext<'_>,
    txn: &RwTxn<'_>,
    blocks: RangeInclusive<u64>,
) -> Result<Option<Collected>, StageError> {
    let deleted = prune_checkpoint(txn, StageId::Execution.name())?.unwrap_or_default();
    if *blocks.start() <= deleted {
        return Ok(None);
    }
    let bytes = context.settings.etl_bytes / 2;
    let mut from = BlockCollector::new(&context.scratch, bytes);
    let mut to = BlockCollector::new(&context.scratch, bytes);
    let mut last_block = 0;
    iter_call_traces(txn, blocks, |block_number, trace| {
        if block_number != last_block {
            last_block = block_number;
            context.stop.check()?;
            context.progress.at(block_number - 1, Counters::default());
        }
        if trace.from {
            from.insert(&trace.address, block_number)?;
        }
        if trace.to {
            to.insert(&trace.address, block_number)?;
        }
        Ok::<_, StageError>(())
    })?;
    Ok(Some(Collected { from, to }))
}
