//! Bodies from a source, each checked against its header.
//!
//! Writes `BlockBodies` and `Transactions`. Roots are computed and transactions encoded on all cores, and so are the
//! proof-of-work seals of ommers where the settings ask for every seal.

use std::sync::Arc;

use alloy_consensus::Header;
use alloy_primitives::B256;
use portico_chain::{
    ChainError, StoredBody, append_bodies, append_transactions, canonical_hash, delete_bodies_above,
    encode_row, read_body, read_header, read_total_difficulty, tx_number_limit,
};
use portico_chainspec::BlockContext;
use portico_consensus::{
    Ancestor, BodyView, ConsensusError, OMMER_GENERATIONS_MAX,
    ethash::{LightCaches, VerifyPow, is_mined},
    validate_body, validate_ommers_with,
};
use portico_db::RwTxn;
use rayon::prelude::*;

use crate::{
    BlockRange, Counters, SharedSource, SourceBody, SourceError, Stage, StageContext, StageError, StageId,
    StageOutput, seals::first_bad_seal,
};

/// Blocks that are asked for and checked together.
const CHUNK_BLOCKS: u64 = 256;

/// See the module.
pub struct Bodies {
    source: SharedSource,
    caches: Arc<LightCaches>,
}

impl Bodies {
    /// Takes bodies from `source`, and verifies the seals of ommers with `caches`.
    pub fn new(source: SharedSource, caches: Arc<LightCaches>) -> Self {
        Self { source, caches }
    }
}

/// A header that waits for its body.
struct Waiting {
    hash: B256,
    header: Header,
    block: BlockContext,
}

impl Stage for Bodies {
    fn id(&self) -> StageId {
        StageId::Bodies
    }

    fn forward(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        range: BlockRange,
    ) -> Result<StageOutput, StageError> {
        let mut counters = Counters::default();
        let mut tx_number = tx_number_limit(txn, range.done)?;
        let mut done = range.done;
        while done < range.to {
            context.stop.check()?;
            let to = range.to.min(done + CHUNK_BLOCKS);
            let waiting = read_waiting(context, txn, BlockRange { done, to })?;
            let wanted: Vec<(u64, B256)> =
                waiting.iter().map(|waiting| (waiting.header.number, waiting.hash)).collect();
            let bodies = self.source.borrow_mut().bodies(&wanted)?;
            if bodies.len() != waiting.len() {
                let message = format!("the source gave {} bodies for {} blocks", bodies.len(), waiting.len());
                return Err(SourceError { message }.into());
            }
            let rows = check_and_encode(context, &waiting, &bodies)?;
            if context.verify_pow() == VerifyPow::All {
                check_ommer_seals(context, &self.caches, &waiting, &bodies)?;
            }
            for ((waiting, body), rows) in waiting.iter().zip(bodies).zip(rows) {
                check_ommers(context, txn, waiting, &body)?;
                append_transactions(txn, tx_number, &rows)?;
                let stored = StoredBody {
                    first_tx_number: tx_number,
                    tx_count: rows.len() as u64,
                    ommers: body.ommers,
                    withdrawals: body.withdrawals,
                };
                append_bodies(txn, waiting.header.number, &stored)?;
                tx_number += rows.len() as u64;
                counters.transactions += rows.len() as u64;
                counters.rows += rows.len() as u64 + 1;
            }
            done = to;
            context.progress.at(done, counters);
        }
        Ok(StageOutput { reached: range.to, counters })
    }

    fn unwind(&mut self, _: &StageContext<'_>, txn: &RwTxn<'_>, range: BlockRange) -> Result<(), StageError> {
        Ok(delete_bodies_above(txn, range.done)?)
    }

    /// Bodies are pruned with another setting, which does not exist yet: everything is kept.
    fn prune(&mut self, _: &StageContext<'_>, _: &RwTxn<'_>, _: u64) -> Result<(), StageError> {
        Ok(())
    }
}

fn read_waiting(
    context: &StageContext<'_>,
    txn: &RwTxn<'_>,
    range: BlockRange,
) -> Result<Vec<Waiting>, StageError> {
    let waiting = range.blocks().map(|block_number| {
        let missing = |what| ChainError::Missing { what, block_number };
        let header = read_header(txn, block_number)?.ok_or_else(|| missing("header"))?;
        let hash = canonical_hash(txn, block_number)?.ok_or_else(|| missing("hash"))?;
        let parent_difficulty =
            read_total_difficulty(txn, block_number - 1)?.ok_or_else(|| missing("total difficulty"))?;
        let block = context.spec.block_context(block_number, header.timestamp, parent_difficulty);
        Ok(Waiting { hash, header, block })
    });
    waiting.collect()
}

/// Checks the bodies and gives each block's transactions in their stored form.
fn check_and_encode(
    context: &StageContext<'_>,
    waiting: &[Waiting],
    bodies: &[SourceBody],
) -> Result<Vec<Vec<Vec<u8>>>, StageError> {
    let checked: Vec<Result<Vec<Vec<u8>>, StageError>> = waiting
        .par_iter()
        .zip(bodies)
        .map(|(waiting, body)| {
            let view = BodyView {
                transactions: &body.transactions,
                ommers: &body.ommers,
                withdrawals: body.withdrawals.as_deref(),
            };
            validate_body(context.spec, waiting.block, &waiting.header, view)
                .map_err(|error| invalid(waiting, error))?;
            Ok(body.transactions.iter().map(encode_row).collect())
        })
        .collect();
    // Collected in order first, so that the lowest bad block is the one that is named.
    checked.into_iter().collect()
}

fn invalid(waiting: &Waiting, error: ConsensusError) -> StageError {
    StageError::InvalidBlock {
        number: waiting.header.number,
        hash: waiting.hash,
        reason: Box::new(error.into()),
    }
}

fn check_ommers(
    context: &StageContext<'_>,
    txn: &RwTxn<'_>,
    waiting: &Waiting,
    body: &SourceBody,
) -> Result<(), StageError> {
    if body.ommers.is_empty() {
        return Ok(());
    }
    let mut ancestors = Vec::new();
    let oldest = waiting.header.number.saturating_sub(OMMER_GENERATIONS_MAX as u64);
    for block_number in (oldest..waiting.header.number).rev() {
        let missing = |what| ChainError::Missing { what, block_number };
        let hash = canonical_hash(txn, block_number)?.ok_or_else(|| missing("hash"))?;
        let header = read_header(txn, block_number)?.ok_or_else(|| missing("header"))?;
        let stored = read_body(txn, block_number)?.ok_or_else(|| missing("body"))?;
        let ommer_hashes: Vec<B256> = stored.ommers.iter().map(Header::hash_slow).collect();
        ancestors.push((hash, header, ommer_hashes));
    }
    let ancestors: Vec<Ancestor<'_>> = ancestors
        .iter()
        .map(|(hash, header, ommer_hashes)| Ancestor { hash: *hash, header, ommer_hashes })
        .collect();
    validate_ommers_with(context.settings.header_checks, context.spec, &body.ommers, &ancestors)
        .map_err(|error| invalid(waiting, error))
}

fn check_ommer_seals(
    context: &StageContext<'_>,
    caches: &LightCaches,
    waiting: &[Waiting],
    bodies: &[SourceBody],
) -> Result<(), StageError> {
    let mined = waiting.iter().zip(bodies).filter(|(waiting, _)| is_mined(context.spec, waiting.block));
    let (blocks, ommers): (Vec<&Waiting>, Vec<&Header>) =
        mined.flat_map(|(waiting, body)| body.ommers.iter().map(move |ommer| (waiting, ommer))).unzip();
    let Some((position, error)) = first_bad_seal(context, caches, &ommers)? else { return Ok(()) };
    let error = ConsensusError::InvalidOmmer { hash: ommers[position].hash_slow(), reason: Box::new(error) };
    Err(invalid(blocks[position], error))
}
