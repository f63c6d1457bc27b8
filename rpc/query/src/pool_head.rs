//! Telling the pool of a new head.

use std::sync::PoisonError;

use portico_txpool::HeadChange;

use crate::{Query, QueryError, SeenBlock, Snapshot, seconds_now};

/// Blocks whose transactions the pool is told one by one; of those before, it sees the nonces.
const BLOCKS_TOLD: u64 = 64;

impl Query {
    /// Brings the pool to the head, if it is not there already; may be called by anybody at any time.
    ///
    /// # Errors
    /// As [`Query::update_pool`].
    pub fn follow_head(&self) -> Result<(), QueryError> {
        let mut seen = self.inner.pool_seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some(self.update_pool(*seen)?);
        Ok(())
    }

    /// Tells the pool of the head unless that is what it has `seen`; gives the head. The pool's accounts are read as of the
    /// same snapshot.
    ///
    /// # Errors
    /// When the database cannot be read. The pool then stays at the head before.
    pub fn update_pool(&self, seen: Option<SeenBlock>) -> Result<SeenBlock, QueryError> {
        let snapshot = self.snapshot()?;
        let head = snapshot.head_block()?;
        if let Some(pool) = self.pool().filter(|_| seen != Some(head)) {
            pool.on_new_head(snapshot.head_change(seen)?, &snapshot, seconds_now())?;
        }
        Ok(head)
    }
}

impl Snapshot<'_> {
    /// The head, and what became of transactions since another one was `seen`.
    fn head_change(&self, seen: Option<SeenBlock>) -> Result<HeadChange, QueryError> {
        let head = self.head();
        let header = self.known_header(head)?.into_inner();
        let total_difficulty = self.total_difficulty(head)?.unwrap_or_default();
        let finalized = self.query.forkchoice().finalized;
        let finalized = finalized.map(|hash| self.header_by_hash(&hash)).transpose()?.flatten();
        let mut change = HeadChange {
            header,
            total_difficulty,
            finalized: finalized.map(|header| header.number),
            ..HeadChange::default()
        };
        let Some(seen) = seen else { return Ok(change) };
        let branch = match self.branch_since(seen) {
            // It was unwound and not kept: its transactions are lost, as far as their senders do not send them again.
            Err(QueryError::BlockNotFound(_)) => return Ok(change),
            branch => branch?,
        };
        for block_number in (branch.ancestor + 1).max((head + 1).saturating_sub(BLOCKS_TOLD))..=head {
            let block = self.block(block_number)?.ok_or(QueryError::BlockNotFound(block_number.into()))?;
            change.included.extend(block.parts.transactions.iter().map(|transaction| *transaction.tx_hash()));
        }
        change.reverted = branch.removed.into_iter().flat_map(|block| block.parts.transactions).collect();
        Ok(change)
    }
}
