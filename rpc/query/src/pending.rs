//! The pending block: the one that would be made now, upon the head, of what the pool has.
//!
//! Whoever makes blocks gives it as rows in memory; on top of a snapshot of its parent they make a snapshot in which that
//! block is the head. So whatever is asked of it is answered as of any other block.

use std::{fmt::Debug, sync::Arc};

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::B256;
use portico_db::Layer;

use crate::{Query, QueryError, Snapshot};

/// How often the head may move away while the block upon it is made.
const ATTEMPTS: usize = 3;

/// Who makes the block that would be the next one.
pub trait PendingSource: Debug + Send + Sync {
    /// What the stages that execute a block would write of the one that would be made now upon `head`; none when that is not
    /// the newest block any more, or when nobody makes blocks upon it.
    fn pending(&self, head: &B256) -> Option<Arc<Layer>>;
}

impl Query {
    /// Says who makes pending blocks. Only the first one counts; without any, `pending` means the head.
    pub fn set_pending_source(&self, source: Arc<dyn PendingSource>) {
        // Another one for the same chain and pool makes the same blocks.
        let _ = self.inner.pending_source.set(source);
    }
}

impl<'q> Snapshot<'q> {
    /// Whether the head of this snapshot is the pending block.
    pub fn is_pending(&self) -> bool {
        self.is_pending
    }

    /// Answers about the block that `id` means, if there is one; a pending one is the head of the snapshot that `answer`
    /// is given.
    ///
    /// # Errors
    /// As [`Snapshot::resolve`], and those of `answer`.
    pub fn in_block<T>(
        &self,
        id: BlockId,
        answer: impl FnOnce(&Snapshot<'q>, u64) -> Result<T, QueryError>,
    ) -> Result<Option<T>, QueryError> {
        if id == BlockId::Number(BlockNumberOrTag::Pending)
            && let Some(pending) = self.pending()?
        {
            return answer(pending, pending.head).map(Some);
        }
        self.resolve(id)?.map(|block_number| answer(self, block_number)).transpose()
    }

    /// [`Snapshot::in_block`] where the block must be there.
    ///
    /// # Errors
    /// Also [`QueryError::BlockNotFound`].
    pub fn in_state<T>(
        &self,
        id: BlockId,
        answer: impl FnOnce(&Snapshot<'q>, u64) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        self.in_block(id, answer)?.ok_or(QueryError::BlockNotFound(id))
    }

    /// A snapshot whose head is the pending block, the same for all that is asked of this one; none on a node that makes no
    /// blocks. If the head has moved since this snapshot was opened, it is upon the new one.
    ///
    /// # Errors
    /// As [`Query::snapshot`].
    pub fn pending(&self) -> Result<Option<&Self>, QueryError> {
        if self.is_pending {
            return Ok(Some(self));
        }
        if let Some(opened) = self.pending.get() {
            return Ok(opened.as_deref());
        }
        let opened = self.open_pending()?.map(Box::new);
        Ok(self.pending.get_or_init(|| opened).as_deref())
    }

    fn open_pending(&self) -> Result<Option<Self>, QueryError> {
        let Some(source) = self.query.inner.pending_source.get() else { return Ok(None) };
        self.query.follow_head()?;
        for _ in 0..ATTEMPTS {
            let below = self.query.snapshot_within(self.budget())?;
            let Some(parent) = below.canonical_hash(below.head)? else { return Ok(None) };
            if let Some(layer) = source.pending(&parent) {
                let (txn, head) = (below.txn.topped_by(&layer), below.head + 1);
                return Ok(Some(Self { txn, head, is_pending: true, ..below }));
            }
            self.check_deadline()?;
        }
        Ok(None)
    }
}
