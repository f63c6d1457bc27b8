//! From what a client says about a block to the block.

use alloy_consensus::Header;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, Sealed, U256};
use portico_chain::{block_number_of, canonical_hash, is_canonical, read_header, read_total_difficulty};
use portico_chainspec::BlockContext;

use crate::{QueryError, Snapshot};

impl Snapshot<'_> {
    /// Number of the canonical block that `id` means; `None` when there is no such block up to the head. `pending`
    /// means the head: who wants the pending block asks [`Snapshot::in_block`].
    ///
    /// # Errors
    /// [`QueryError::NotCanonical`] for the hash of a block that lost, whether or not the client requires it to be
    /// canonical: there is no data by number for it. [`QueryError::TagUnknown`] for `safe` and `finalized` before a
    /// consensus client named them.
    pub fn resolve(&self, id: BlockId) -> Result<Option<u64>, QueryError> {
        match id {
            BlockId::Number(tag) => self.resolve_tag(tag),
            BlockId::Hash(hash) => self.resolve_hash(&hash.block_hash),
        }
    }

    /// [`Snapshot::resolve`] where a block must be there.
    ///
    /// # Errors
    /// Also [`QueryError::BlockNotFound`].
    pub fn require(&self, id: BlockId) -> Result<u64, QueryError> {
        self.resolve(id)?.ok_or(QueryError::BlockNotFound(id))
    }

    fn resolve_tag(&self, tag: BlockNumberOrTag) -> Result<Option<u64>, QueryError> {
        let forkchoice = self.query.forkchoice();
        match tag {
            BlockNumberOrTag::Number(number) => Ok((number <= self.head).then_some(number)),
            BlockNumberOrTag::Earliest => Ok(Some(0)),
            BlockNumberOrTag::Latest | BlockNumberOrTag::Pending => Ok(Some(self.head)),
            BlockNumberOrTag::Safe => self.resolve_named(forkchoice.safe, "safe"),
            BlockNumberOrTag::Finalized => self.resolve_named(forkchoice.finalized, "finalized"),
        }
    }

    fn resolve_named(&self, hash: Option<B256>, tag: &'static str) -> Result<Option<u64>, QueryError> {
        let hash = hash.ok_or(QueryError::TagUnknown { tag })?;
        self.resolve_hash(&hash)?.map(Some).ok_or(QueryError::TagUnknown { tag })
    }

    fn resolve_hash(&self, hash: &B256) -> Result<Option<u64>, QueryError> {
        let Some(number) = block_number_of(&self.txn, hash)? else { return Ok(None) };
        if !is_canonical(&self.txn, number, hash)? {
            return Err(QueryError::NotCanonical { hash: *hash });
        }
        Ok((number <= self.head).then_some(number))
    }

    /// Hash of the canonical block with this number, up to the head.
    pub fn canonical_hash(&self, block_number: u64) -> Result<Option<B256>, QueryError> {
        if block_number > self.head {
            return Ok(None);
        }
        Ok(canonical_hash(&self.txn, block_number)?)
    }

    /// Header of the canonical block with this number, up to the head.
    pub fn header(&self, block_number: u64) -> Result<Option<Sealed<Header>>, QueryError> {
        let Some(hash) = self.canonical_hash(block_number)? else { return Ok(None) };
        let header = read_header(&self.txn, block_number)?;
        Ok(header.map(|header| Sealed::new_unchecked(header, hash)))
    }

    /// [`Snapshot::header`] where the number was resolved before.
    pub(crate) fn known_header(&self, block_number: u64) -> Result<Sealed<Header>, QueryError> {
        self.header(block_number)?.ok_or(QueryError::BlockNotFound(block_number.into()))
    }

    /// The place among the forks of a canonical block.
    pub(crate) fn block_context(&self, header: &Header) -> Result<BlockContext, QueryError> {
        let parent_total_difficulty = match header.number.checked_sub(1) {
            Some(parent) => read_total_difficulty(&self.txn, parent)?.unwrap_or_default(),
            None => U256::ZERO,
        };
        Ok(self.spec().block_context(header.number, header.timestamp, parent_total_difficulty))
    }
}
