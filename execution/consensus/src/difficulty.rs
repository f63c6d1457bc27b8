//! The difficulty of proof-of-work blocks, and its sum over the chain.

use crate::ConsensusError;
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_primitives::U256;
use portico_chainspec::{BlockContext, ChainSpec, EngineConfig, Fork};

/// The lowest difficulty, before the bomb is added and after.
const DIFFICULTY_MIN: U256 = U256::from_limbs([131_072, 0, 0, 0]);
/// The bomb doubles each time this many blocks pass.
const BOMB_PERIOD: u64 = 100_000;

/// Which formula a block's difficulty follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifficultyRule {
    /// Up or down by one step at 13 seconds.
    Frontier,
    /// EIP-2: down to 99 steps by the time passed.
    Homestead,
    /// EIP-100 counts the parent's ommers; EIP-649 and later set the bomb back.
    Byzantium {
        /// Blocks by which the bomb is set back.
        bomb_delay: u64,
    },
}

impl DifficultyRule {
    /// The formula for a block.
    pub fn of(spec: &ChainSpec, block: BlockContext) -> Self {
        let fork = spec.fork_at(block);
        if fork >= Fork::Byzantium {
            Self::Byzantium { bomb_delay: spec.difficulty_bomb_delay(block) }
        } else if fork >= Fork::Homestead {
            Self::Homestead
        } else {
            Self::Frontier
        }
    }
}

/// What a difficulty is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DifficultyInput {
    /// Number of the block whose difficulty is wanted.
    pub number: u64,
    /// Its timestamp in seconds.
    pub timestamp: u64,
    /// Difficulty of the parent.
    pub parent_difficulty: U256,
    /// Timestamp of the parent in seconds.
    pub parent_timestamp: u64,
    /// Whether the parent has ommers.
    pub parent_has_ommers: bool,
}

/// Difficulty that a proof-of-work block must have: the chain's fixed one, or by formula.
pub fn block_difficulty(spec: &ChainSpec, block: BlockContext, parent: &Header) -> U256 {
    if let EngineConfig::Ethash { fixed_difficulty: Some(difficulty) } = spec.engine_at(block.number) {
        return *difficulty;
    }
    let input = DifficultyInput {
        number: block.number,
        timestamp: block.timestamp,
        parent_difficulty: parent.difficulty,
        parent_timestamp: parent.timestamp,
        parent_has_ommers: parent.ommers_hash != EMPTY_OMMER_ROOT_HASH,
    };
    next_difficulty(DifficultyRule::of(spec, block), input)
}

/// Difficulty by formula. Saturates at 256 bits.
pub fn next_difficulty(rule: DifficultyRule, input: DifficultyInput) -> U256 {
    let elapsed = input.timestamp.saturating_sub(input.parent_timestamp);
    let step = input.parent_difficulty >> 11;
    let (up, down, bomb_number) = match rule {
        DifficultyRule::Frontier => (u64::from(elapsed < 13), u64::from(elapsed >= 13), input.number),
        DifficultyRule::Homestead => {
            let (up, down) = steps(1, elapsed / 10);
            (up, down, input.number)
        }
        DifficultyRule::Byzantium { bomb_delay } => {
            let (up, down) = steps(if input.parent_has_ommers { 2 } else { 1 }, elapsed / 9);
            (up, down, input.number.saturating_sub(bomb_delay))
        }
    };
    let raised = input.parent_difficulty.saturating_add(step * U256::from(up));
    let adjusted = raised.saturating_sub(step * U256::from(down)).max(DIFFICULTY_MIN);
    adjusted.saturating_add(bomb(bomb_number))
}

/// Steps up or down: `base - passed`, not below -99. One of the two is 0.
fn steps(base: u64, passed: u64) -> (u64, u64) {
    if passed <= base { (base - passed, 0) } else { (0, (passed - base).min(99)) }
}

/// `2^(periods - 2)` from the third period on.
fn bomb(number: u64) -> U256 {
    match number / BOMB_PERIOD {
        0 | 1 => U256::ZERO,
        periods @ 2..258 => U256::ONE << (periods - 2),
        _ => U256::MAX,
    }
}

/// Total difficulty of a block from its parent's.
///
/// # Errors
/// [`ConsensusError::TotalDifficultyOverflow`] beyond 256 bits.
pub fn total_difficulty(parent: U256, difficulty: U256) -> Result<U256, ConsensusError> {
    parent.checked_add(difficulty).ok_or(ConsensusError::TotalDifficultyOverflow { parent, difficulty })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(number: u64, elapsed: u64, parent_difficulty: u64) -> DifficultyInput {
        DifficultyInput {
            number,
            timestamp: 1000 + elapsed,
            parent_difficulty: U256::from(parent_difficulty),
            parent_timestamp: 1000,
            parent_has_ommers: false,
        }
    }

    fn of(rule: DifficultyRule, input: DifficultyInput) -> u64 {
        next_difficulty(rule, input).to()
    }

    #[test]
    fn frontier_turns_at_thirteen_seconds() {
        assert_eq!(of(DifficultyRule::Frontier, input(1, 12, 2_048_000)), 2_049_000);
        assert_eq!(of(DifficultyRule::Frontier, input(1, 13, 2_048_000)), 2_047_000);
        assert_eq!(of(DifficultyRule::Frontier, input(1, 13, 131_072)), 131_072);
    }

    #[test]
    fn homestead_falls_at_most_ninety_nine_steps() {
        assert_eq!(of(DifficultyRule::Homestead, input(1, 9, 2_048_000)), 2_049_000);
        assert_eq!(of(DifficultyRule::Homestead, input(1, 10, 2_048_000)), 2_048_000);
        assert_eq!(of(DifficultyRule::Homestead, input(1, 20, 2_048_000)), 2_047_000);
        assert_eq!(of(DifficultyRule::Homestead, input(1, 1_000_000, 2_048_000)), 1_949_000);
    }

    #[test]
    fn byzantium_counts_ommers() {
        let rule = DifficultyRule::Byzantium { bomb_delay: 3_000_000 };
        let with_ommers = DifficultyInput { parent_has_ommers: true, ..input(1, 8, 2_048_000) };
        assert_eq!(of(rule, with_ommers), 2_050_000);
        assert_eq!(of(rule, input(1, 8, 2_048_000)), 2_049_000);
    }

    #[test]
    fn bomb_starts_with_the_third_period_and_is_set_back() {
        assert_eq!(bomb(199_999), U256::ZERO);
        assert_eq!(bomb(200_000), U256::from(1));
        assert_eq!(bomb(400_000), U256::from(4));
        assert_eq!(bomb(25_799_999), U256::ONE << 255);
        assert_eq!(bomb(25_800_000), U256::MAX);
        let rule = DifficultyRule::Byzantium { bomb_delay: 3_000_000 };
        assert_eq!(of(rule, input(3_200_000, 9, 2_048_000)), 2_048_001);
    }

    #[test]
    fn extreme_numbers_saturate() {
        let extreme = DifficultyInput {
            number: u64::MAX,
            timestamp: 0,
            parent_difficulty: U256::MAX,
            parent_timestamp: u64::MAX,
            parent_has_ommers: true,
        };
        let late = DifficultyInput { timestamp: u64::MAX, parent_timestamp: 0, ..extreme };
        for rule in [
            DifficultyRule::Frontier,
            DifficultyRule::Homestead,
            DifficultyRule::Byzantium { bomb_delay: u64::MAX },
        ] {
            assert_eq!(next_difficulty(rule, extreme), U256::MAX);
            next_difficulty(rule, late);
        }
        assert!(total_difficulty(U256::MAX, U256::ONE).is_err());
        assert_eq!(total_difficulty(U256::MAX, U256::ZERO), Ok(U256::MAX));
    }
}
