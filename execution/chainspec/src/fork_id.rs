//! Fork identifiers (EIP-2124, EIP-6122).

use crate::{Activation, ChainSpec};
use alloy_hardforks::{ForkFilter, ForkFilterKey, ForkId, Head};

impl ChainSpec {
    /// The fork identifier to announce with this head.
    pub fn fork_id(&self, head_number: u64, head_timestamp: u64) -> ForkId {
        self.fork_filter(head_number, head_timestamp).current()
    }

    /// Judges the identifiers of peers from the point of view of this head.
    pub fn fork_filter(&self, head_number: u64, head_timestamp: u64) -> ForkFilter {
        let head = Head { number: head_number, timestamp: head_timestamp, ..Head::default() };
        let points = self.fork_points().iter().filter_map(|point| match *point {
            Activation::Block(number) => Some(ForkFilterKey::Block(number)),
            Activation::Timestamp(timestamp) => Some(ForkFilterKey::Time(timestamp)),
            Activation::TotalDifficulty(_) => None,
        });
        ForkFilter::new(head, self.genesis_hash(), self.genesis_header().timestamp, points)
    }
}
