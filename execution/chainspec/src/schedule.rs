//! When each fork of a chain starts.
//!
//! A fork that a genesis file leaves out, but that a later fork builds on, starts together with the next later fork
//! that is given (Besu's rule; go-ethereum refuses such files). Optional forks are never implied.

use crate::{Activation, BlockContext, ChainSpecError, Fork};

/// The forks of one chain with their activations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForkSchedule {
    /// By `Fork as usize`.
    activations: [Option<Activation>; Fork::ALL.len()],
}

impl ForkSchedule {
    /// Builds a schedule from the forks that are given, in any order; Frontier starts with block 0.
    ///
    /// # Errors
    /// [`ChainSpecError::UnorderedForks`] when a later fork is scheduled before an earlier one.
    pub fn new(given: impl IntoIterator<Item = (Fork, Activation)>) -> Result<Self, ChainSpecError> {
        let mut schedule = Self::default();
        schedule.activations[Fork::Frontier as usize] = Some(Activation::Block(0));
        for (fork, activation) in given {
            schedule.activations[fork as usize] = Some(activation);
        }
        schedule.check_order()?;
        schedule.fill_implied();
        Ok(schedule)
    }

    /// When `fork` starts; `None` when it is not scheduled.
    pub fn activation(&self, fork: Fork) -> Option<Activation> {
        self.activations[fork as usize]
    }

    /// The scheduled forks, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (Fork, Activation)> + '_ {
        Fork::ALL.into_iter().filter_map(|fork| Some((fork, self.activation(fork)?)))
    }

    /// The newest fork that is active for a block.
    ///
    /// On a chain with a terminal total difficulty, forks by timestamp wait for the merge.
    pub fn fork_at(&self, block: BlockContext) -> Fork {
        let active = |fork: &Fork| self.activation_reached(*fork, block);
        Fork::ALL.into_iter().rev().find(active).unwrap_or(Fork::Frontier)
    }

    /// Whether `fork` is active for a block: scheduled and reached or, unless it is optional, implied by a later one.
    pub fn is_active(&self, fork: Fork, block: BlockContext) -> bool {
        if fork.is_optional() { self.activation_reached(fork, block) } else { self.fork_at(block) >= fork }
    }

    fn activation_reached(&self, fork: Fork, block: BlockContext) -> bool {
        match self.activation(fork) {
            None => false,
            Some(Activation::Block(number)) => block.number >= number,
            Some(Activation::TotalDifficulty(_)) => block.merged,
            Some(Activation::Timestamp(timestamp)) => {
                block.timestamp >= timestamp && (block.merged || self.activation(Fork::Paris).is_none())
            }
        }
    }

    fn fill_implied(&mut self) {
        let mut next = None;
        for fork in Fork::ALL.into_iter().rev() {
            if fork.is_optional() || fork == Fork::Paris {
                continue;
            }
            let slot = &mut self.activations[fork as usize];
            match *slot {
                // London is never implied by a timestamp, see `genesis_json`.
                None if !fork.is_by_timestamp() && matches!(next, Some(Activation::Timestamp(_))) => {}
                None => *slot = next,
                given => next = given,
            }
        }
    }

    fn check_order(&self) -> Result<(), ChainSpecError> {
        let is_bpo = |fork: &Fork| (Fork::Bpo1..=Fork::Bpo5).contains(fork);
        let by_block = Fork::ALL.into_iter().filter(|fork| *fork < Fork::Paris);
        let by_timestamp = Fork::ALL.into_iter().filter(|fork| *fork >= Fork::Shanghai && !is_bpo(fork));
        let blob_only = std::iter::once(Fork::Osaka).chain(Fork::ALL.into_iter().filter(is_bpo));
        self.check_ascending(by_block)?;
        self.check_ascending(by_timestamp)?;
        self.check_ascending(blob_only)
    }

    fn check_ascending(&self, forks: impl Iterator<Item = Fork>) -> Result<(), ChainSpecError> {
        let mut last: Option<(Fork, Activation, u64)> = None;
        for fork in forks {
            let Some(activation) = self.activation(fork) else { continue };
            let (Activation::Block(point) | Activation::Timestamp(point)) = activation else { continue };
            if let Some((earlier, earlier_at, earlier_point)) = last
                && point < earlier_point
            {
                let (later, later_at) = (fork, activation);
                return Err(ChainSpecError::UnorderedForks { earlier, earlier_at, later, later_at });
            }
            last = Some((fork, activation, point));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;

    const fn block(number: u64, timestamp: u64, merged: bool) -> BlockContext {
        BlockContext { number, timestamp, merged }
    }

    #[test]
    fn missing_fork_starts_with_the_next_one_given() {
        let schedule = ForkSchedule::new([
            (Fork::Istanbul, Activation::Block(5)),
            (Fork::London, Activation::Block(9)),
            (Fork::Prague, Activation::Timestamp(100)),
        ])
        .unwrap();
        assert_eq!(schedule.activation(Fork::Byzantium), Some(Activation::Block(5)));
        assert_eq!(schedule.activation(Fork::MuirGlacier), None);
        assert_eq!(schedule.activation(Fork::Berlin), Some(Activation::Block(9)));
        assert_eq!(schedule.activation(Fork::Cancun), Some(Activation::Timestamp(100)));
        assert_eq!(schedule.activation(Fork::Osaka), None);
        assert_eq!(schedule.fork_at(block(4, 0, false)), Fork::Frontier);
        assert_eq!(schedule.fork_at(block(5, 0, false)), Fork::Istanbul);
        assert_eq!(schedule.fork_at(block(9, 99, false)), Fork::London);
        assert_eq!(schedule.fork_at(block(9, 100, false)), Fork::Prague);
        assert!(!schedule.is_active(Fork::MuirGlacier, block(9, 100, false)));
        assert!(schedule.is_active(Fork::Paris, block(9, 100, false)));
    }

    #[test]
    fn timestamp_forks_wait_for_the_merge() {
        let schedule = ForkSchedule::new([
            (Fork::London, Activation::Block(0)),
            (Fork::Paris, Activation::TotalDifficulty(U256::from(7))),
            (Fork::Shanghai, Activation::Timestamp(10)),
        ])
        .unwrap();
        assert_eq!(schedule.fork_at(block(1, 10, false)), Fork::London);
        assert_eq!(schedule.fork_at(block(1, 9, true)), Fork::Paris);
        assert_eq!(schedule.fork_at(block(1, 10, true)), Fork::Shanghai);
    }

    #[test]
    fn unordered_forks_are_refused() {
        let error =
            ForkSchedule::new([(Fork::Berlin, Activation::Block(5)), (Fork::London, Activation::Block(4))])
                .unwrap_err();
        assert_eq!(error.to_string(), "fork London (block 4) is scheduled before Berlin (block 5)");
        let bpo = [(Fork::Osaka, Activation::Timestamp(5)), (Fork::Bpo1, Activation::Timestamp(4))];
        assert!(ForkSchedule::new(bpo).is_err());
        let amsterdam_between_bpos = [
            (Fork::Bpo1, Activation::Timestamp(5)),
            (Fork::Amsterdam, Activation::Timestamp(6)),
            (Fork::Bpo2, Activation::Timestamp(7)),
        ];
        assert!(ForkSchedule::new(amsterdam_between_bpos).is_ok());
    }

    #[test]
    fn fork_order_is_the_declaration_order() {
        assert!(Fork::ALL.is_sorted());
        assert!(Fork::ALL.iter().enumerate().all(|(index, fork)| *fork as usize == index));
    }
}
