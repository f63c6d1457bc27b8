//! Which blocks hold logs of an address or with a topic, from their receipts.
//!
//! Receipts are read as bytes, one chunk at a time, and decoded by the workers. Forward, unwind and prune collect
//! the addresses and topics of their blocks in the same way; what they do with them differs. Where receipts are
//! gone, unwinding and pruning read the whole index instead.

use std::ops::RangeInclusive;

use alloy_primitives::Log;
use portico_chain::{
    BlockCollector, ChainError, LogAddressIndex, LogTopicIndex, Receipt, TxChunk, clear_index,
    cut_index_above, decode_receipt, iter_receipt_chunks, prune_checkpoint, prune_index,
};
use portico_db::RwTxn;
use rayon::prelude::*;

use crate::{BlockRange, Counters, Stage, StageContext, StageError, StageId, StageOutput};

/// Receipts that are decoded together; they are held in memory.
const CHUNK_RECEIPTS: usize = 1 << 13;
/// Receipts that one worker takes at a time.
const TASK_RECEIPTS: usize = 128;

/// See the module.
#[derive(Debug, Default)]
pub struct LogIndex;

impl Stage for LogIndex {
    fn id(&self) -> StageId {
        StageId::LogIndex
    }

    fn forward(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        range: BlockRange,
    ) -> Result<StageOutput, StageError> {
        let Collected { addresses, topics, mut counters } = collect(context, txn, range.blocks())?;
        let check = || context.stop.check();
        counters.rows = addresses.append(txn, check)?;
        counters.rows += topics.append(txn, check)?;
        Ok(StageOutput { reached: range.to, counters })
    }

    fn unwind(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        range: BlockRange,
    ) -> Result<(), StageError> {
        if range.done == 0 {
            // Genesis has no logs.
            clear_index::<LogAddressIndex>(txn)?;
            return Ok(clear_index::<LogTopicIndex>(txn)?);
        }
        let check = || context.stop.check();
        match present(collect(context, txn, range.blocks()))? {
            Some(collected) => {
                collected.addresses.cut_above(txn, range.done, check)?;
                collected.topics.cut_above(txn, range.done, check)?;
            }
            None => {
                cut_index_above::<LogAddressIndex, _>(txn, range.done, check)?;
                cut_index_above::<LogTopicIndex, _>(txn, range.done, check)?;
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
        match present(collect(context, txn, pruned + 1..=block_number))? {
            Some(collected) => {
                collected.addresses.prune(txn, block_number, check)?;
                collected.topics.prune(txn, block_number, check)?;
            }
            None => {
                prune_index::<LogAddressIndex, _>(txn, block_number, check)?;
                prune_index::<LogTopicIndex, _>(txn, block_number, check)?;
            }
        }
        Ok(())
    }
}

/// `None` when receipts or bodies are missing.
fn present(collected: Result<Collected, StageError>) -> Result<Option<Collected>, StageError> {
    match collected {
        Err(StageError::Chain(ChainError::Missing { .. })) => Ok(None),
        collected => collected.map(Some),
    }
}

struct Collected {
    addresses: BlockCollector<LogAddressIndex>,
    topics: BlockCollector<LogTopicIndex>,
    counters: Counters,
}

fn collect(
    context: &StageContext<'_>,
    txn: &RwTxn<'_>,
    blocks: RangeInclusive<u64>,
) -> Result<Collected, StageError> {
    let bytes = context.settings.etl_bytes;
    let mut collected = Collected {
        addresses: BlockCollector::new(&context.scratch, bytes / 4),
        topics: BlockCollector::new(&context.scratch, bytes / 4 * 3),
        counters: Counters::default(),
    };
    iter_receipt_chunks(txn, blocks, CHUNK_RECEIPTS, |chunk| {
        context.stop.check()?;
        collected.take(&chunk)?;
        if let Some((block_number, _)) = chunk.blocks.last() {
            context.progress.at(*block_number, collected.counters);
        }
        Ok::<_, StageError>(())
    })?;
    Ok(collected)
}

impl Collected {
    fn take(&mut self, chunk: &TxChunk) -> Result<(), StageError> {
        let rows = chunk.rows.par_iter().with_min_len(TASK_RECEIPTS);
        let receipts = rows.map(|row| decode_receipt(row)).collect::<Result<Vec<_>, _>>()?;
        let (addresses, topics) = rayon::join(
            || {
                each_log(chunk, &receipts, |block_number, log| {
                    self.addresses.insert(&log.address, block_number)
                })
            },
            || {
                each_log(chunk, &receipts, |block_number, log| {
                    log.data.topics().iter().try_for_each(|topic| self.topics.insert(topic, block_number))
                })
            },
        );
        addresses?;
        topics?;
        self.counters.transactions += receipts.len() as u64;
        Ok(())
    }
}

fn each_log(
    chunk: &TxChunk,
    receipts: &[Receipt],
    mut visit: impl FnMut(u64, &Log) -> Result<(), ChainError>,
) -> Result<(), ChainError> {
    for (block_number, positions) in &chunk.blocks {
        for receipt in &receipts[positions.clone()] {
            receipt.logs.iter().try_for_each(|log| visit(*block_number, log))?;
        }
    }
    Ok(())
}
