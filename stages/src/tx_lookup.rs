//! Transaction numbers by hash.
//!
//! Hashes are not stored: transactions are read as bytes, one chunk at a time, and decoded and hashed by the workers;
//! also to delete their rows again.

use std::ops::RangeInclusive;

use alloy_primitives::B256;
use portico_chain::{
    ChainError, LookupCollector, TxChunk, clear_lookup, decode_transaction, iter_tx_chunks, prune_checkpoint,
    prune_lookup, tx_number_limit,
};
use portico_db::RwTxn;
use rayon::prelude::*;

use crate::{BlockRange, Counters, Stage, StageContext, StageError, StageId, StageOutput};

/// Transactions that are hashed together; their bytes are held in memory.
const CHUNK_TRANSACTIONS: usize = 1 << 13;
/// Transactions that one worker takes at a time.
const TASK_TRANSACTIONS: usize = 128;

/// See the module.
#[derive(Debug, Default)]
pub struct TxLookup;

impl Stage for TxLookup {
    fn id(&self) -> StageId {
        StageId::TxLookup
    }

    fn forward(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        range: BlockRange,
    ) -> Result<StageOutput, StageError> {
        let (lookup, mut counters) = collect(context, txn, range.blocks())?;
        lookup.append(txn, || context.stop.check())?;
        counters.rows = counters.transactions;
        Ok(StageOutput { reached: range.to, counters })
    }

    fn unwind(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        range: BlockRange,
    ) -> Result<(), StageError> {
        if range.done == 0 {
            // Genesis has no transactions.
            return Ok(clear_lookup(txn)?);
        }
        let (lookup, _) = collect(context, txn, range.blocks())?;
        lookup.delete(txn, || context.stop.check())
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
        match collect(context, txn, pruned + 1..=block_number) {
            Ok((lookup, _)) => lookup.delete(txn, check),
            Err(StageError::Chain(ChainError::Missing { .. })) => {
                prune_lookup(txn, tx_number_limit(txn, block_number)?, check)
            }
            Err(error) => Err(error),
        }
    }
}

fn collect(
    context: &StageContext<'_>,
    txn: &RwTxn<'_>,
    blocks: RangeInclusive<u64>,
) -> Result<(LookupCollector, Counters), StageError> {
    let mut lookup = LookupCollector::new(&context.scratch, context.settings.etl_bytes);
    let mut counters = Counters::default();
    iter_tx_chunks(txn, blocks, CHUNK_TRANSACTIONS, |chunk| {
        context.stop.check()?;
        let hashes = hashes_of(&chunk)?;
        for (tx_number, hash) in (chunk.first_tx_number..).zip(&hashes) {
            lookup.insert(hash, tx_number)?;
        }
        counters.transactions += hashes.len() as u64;
        if let Some((block_number, _)) = chunk.blocks.last() {
            context.progress.at(*block_number, counters);
        }
        Ok::<_, StageError>(())
    })?;
    Ok((lookup, counters))
}

fn hashes_of(chunk: &TxChunk) -> Result<Vec<B256>, ChainError> {
    let rows = chunk.rows.par_iter().with_min_len(TASK_TRANSACTIONS);
    rows.map(|row| decode_transaction(row).map(|transaction| *transaction.tx_hash())).collect()
}
