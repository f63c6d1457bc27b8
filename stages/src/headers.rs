//! Headers from a source, each checked against its parent, and proof-of-work seals as the settings ask.
//!
//! Writes `CanonicalHeaders`, `HeaderNumbers`, `Headers`, `TotalDifficulties`.

use std::sync::Arc;

use alloy_primitives::{B256, U256};
use portico_chain::{
    ChainError, NewHeader, append_headers, canonical_hash, delete_headers_above, read_header,
    read_total_difficulty,
};
use portico_consensus::{
    Parent,
    ethash::{LightCaches, VerifyPow, is_mined},
    total_difficulty, validate_header_with,
};
use portico_db::RwTxn;

use crate::{
    BlockRange, Counters, InvalidReason, SharedSource, SourceHeader, SourceLimit, Stage, StageContext,
    StageError, StageId, StageOutput, seals::Seals,
};

/// See the module.
pub struct Headers {
    source: SharedSource,
    seals: Seals,
}

impl Headers {
    /// Takes headers from `source`, and verifies seals with `caches`.
    pub fn new(source: SharedSource, caches: Arc<LightCaches>) -> Self {
        Self { source, seals: Seals::new(caches) }
    }
}

/// The last header that was accepted.
struct Tip {
    header: alloy_consensus::Header,
    hash: B256,
    total_difficulty: U256,
}

impl Tip {
    fn read(txn: &RwTxn<'_>, block_number: u64) -> Result<Self, StageError> {
        let missing = |what| ChainError::Missing { what, block_number };
        Ok(Self {
            header: read_header(txn, block_number)?.ok_or_else(|| missing("header"))?,
            hash: canonical_hash(txn, block_number)?.ok_or_else(|| missing("hash"))?,
            total_difficulty: read_total_difficulty(txn, block_number)?
                .ok_or_else(|| missing("total difficulty"))?,
        })
    }

    /// The tip after `next`, when `next` may follow.
    fn advance(self, context: &StageContext<'_>, next: &SourceHeader) -> Result<Self, StageError> {
        // Where it stands in the chain, not what it says: the number may be what is wrong.
        let invalid = |reason: InvalidReason| StageError::InvalidBlock {
            number: self.header.number.saturating_add(1),
            hash: next.hash,
            reason: Box::new(reason),
        };
        let parent =
            Parent { header: &self.header, hash: self.hash, total_difficulty: self.total_difficulty };
        validate_header_with(context.settings.header_checks, context.spec, parent, &next.header)
            .and_then(|()| total_difficulty(self.total_difficulty, next.header.difficulty))
            .map(|total_difficulty| Self { header: next.header.clone(), hash: next.hash, total_difficulty })
            .map_err(|error| invalid(error.into()))
    }
}

/// Whether the header after `parent` has a seal that may be verified.
fn in_question(
    context: &StageContext<'_>,
    verify_pow: VerifyPow,
    parent: &Tip,
    SourceHeader { header, vouched, .. }: &SourceHeader,
) -> bool {
    let wanted = match verify_pow {
        VerifyPow::All => true,
        VerifyPow::Sample => !vouched,
        VerifyPow::None => false,
    };
    let block = context.spec.block_context(header.number, header.timestamp, parent.total_difficulty);
    wanted && is_mined(context.spec, block)
}

impl Stage for Headers {
    fn id(&self) -> StageId {
        StageId::Headers
    }

    fn forward(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        range: BlockRange,
    ) -> Result<StageOutput, StageError> {
        let limit = SourceLimit { blocks: range.len(), body_bytes: context.settings.batch_body_bytes };
        let mut tip = Tip::read(txn, range.done)?;
        let headers = self.source.borrow_mut().headers((range.done, tip.hash), limit)?;
        // A source that was asked to stop gives less, or nothing: that is not its end.
        context.stop.check()?;
        let mut rows = Vec::with_capacity(headers.len());
        // Positions of the rows whose seals are in question.
        let mut mined = Vec::new();
        let verify_pow = context.verify_pow();
        for next in headers {
            context.stop.check()?;
            if in_question(context, verify_pow, &tip, &next) {
                mined.push(rows.len());
            }
            tip = tip.advance(context, &next)?;
            let SourceHeader { hash, header, vouched: _ } = next;
            rows.push(NewHeader { hash, header, total_difficulty: tip.total_difficulty });
        }
        let mined: Vec<&NewHeader> = mined.into_iter().map(|position| &rows[position]).collect();
        self.seals.verify(context, verify_pow, &mined)?;
        append_headers(txn, &rows)?;
        let counters = Counters { rows: 4 * rows.len() as u64, ..Counters::default() };
        Ok(StageOutput { reached: tip.header.number, counters })
    }

    fn unwind(&mut self, _: &StageContext<'_>, txn: &RwTxn<'_>, range: BlockRange) -> Result<(), StageError> {
        Ok(delete_headers_above(txn, range.done)?)
    }

    /// Headers are never pruned.
    fn prune(&mut self, _: &StageContext<'_>, _: &RwTxn<'_>, _: u64) -> Result<(), StageError> {
        Ok(())
    }
}
