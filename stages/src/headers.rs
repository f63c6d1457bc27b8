//! Headers from a source, each checked against its parent.
//!
//! Writes `CanonicalHeaders`, `HeaderNumbers`, `Headers`, `TotalDifficulties`. Proof-of-work seals are not checked.

use alloy_primitives::{B256, U256};
use portico_chain::{
    ChainError, NewHeader, append_headers, canonical_hash, delete_headers_above, read_header,
    read_total_difficulty,
};
use portico_consensus::{Parent, total_difficulty, validate_header_with};
use portico_db::RwTxn;

use crate::{
    BlockRange, Counters, InvalidReason, SharedSource, SourceHeader, SourceLimit, Stage, StageContext,
    StageError, StageId, StageOutput,
};

/// See the module.
pub struct Headers {
    source: SharedSource,
}

impl Headers {
    /// Takes headers from `source`.
    pub fn new(source: SharedSource) -> Self {
        Self { source }
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
        let mut rows = Vec::with_capacity(headers.len());
        for next in headers {
            context.stop.check()?;
            tip = tip.advance(context, &next)?;
            let SourceHeader { hash, header } = next;
            rows.push(NewHeader { hash, header, total_difficulty: tip.total_difficulty });
        }
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
