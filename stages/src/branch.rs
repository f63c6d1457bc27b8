//! A branch that leaves the chain, and changing over to it.

use alloy_primitives::U256;

use crate::{Pipeline, StageError};

/// A branch beside the database's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Last block that both have.
    pub ancestor: u64,
    /// Total difficulty up to and with each of its blocks, from the one behind the ancestor on.
    pub total_difficulties: Vec<U256>,
    /// Total difficulty of the database's chain.
    pub canonical_total_difficulty: U256,
    /// Head of the database's chain.
    pub head: u64,
}

impl Branch {
    /// Last block of the branch.
    pub fn tip(&self) -> u64 {
        self.ancestor + self.total_difficulties.len() as u64
    }

    /// Total difficulty of the branch; 0 when nothing is left of it.
    pub fn total_difficulty(&self) -> U256 {
        self.total_difficulties.last().copied().unwrap_or_default()
    }

    /// Whether the branch is to become the chain: it is heavier, or, where difficulty no longer counts, longer.
    pub fn wins(&self) -> bool {
        match self.total_difficulty().cmp(&self.canonical_total_difficulty) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => self.tip() > self.head,
            std::cmp::Ordering::Less => false,
        }
    }

    /// Cuts off what comes behind block `number`.
    pub fn cut_behind(&mut self, number: u64) {
        self.total_difficulties.truncate(number.saturating_sub(self.ancestor) as usize);
    }

    /// Makes the branch, whose blocks the pipeline's source has, the chain. When it holds a bad block, as much of it
    /// as is good becomes the chain if that still wins; otherwise nothing changes.
    ///
    /// # Errors
    /// For a bad block [`StageError::InvalidBlock`], also when the blocks before it became the chain; otherwise as
    /// [`Pipeline::reorganize`].
    pub fn change_over(mut self, pipeline: &mut Pipeline<'_>) -> Result<u64, StageError> {
        let error = match pipeline.reorganize(self.ancestor, self.tip()) {
            Ok(head) => return Ok(head),
            Err(error) => error,
        };
        if let StageError::InvalidBlock { number, .. } = &error {
            self.cut_behind(number - 1);
            if self.wins() {
                pipeline.reorganize(self.ancestor, self.tip())?;
            }
        }
        Err(error)
    }
}
