//! Which engine seals a chain's blocks before (or without) a merge.

use alloy_primitives::U256;
use serde_json::{Map, Value};

/// The engine of a genesis file's `config`. A merged chain is [`EngineConfig::Ethash`] (or Clique) with a terminal
/// total difficulty.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineConfig {
    /// Proof of work.
    Ethash {
        /// Every block has this difficulty (Besu's `fixeddifficulty`, for test chains).
        fixed_difficulty: Option<U256>,
    },
    /// Proof of authority by EIP-225.
    Clique {
        /// Seconds between blocks, `period` or `blockperiodseconds`.
        period: u64,
        /// Blocks between checkpoints, `epoch` or `epochlength`; never 0.
        epoch: u64,
    },
    /// The first Istanbul BFT, known only as what a chain migrates from. Keys are in lower case.
    Ibft(Map<String, Value>),
    /// Besu's IBFT 2.0. Keys are in lower case.
    Ibft2(Map<String, Value>),
    /// QBFT. Keys are in lower case.
    Qbft(Map<String, Value>),
}

impl EngineConfig {
    /// The key under which genesis files configure the engine.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ethash { .. } => "ethash",
            Self::Clique { .. } => "clique",
            Self::Ibft(_) => "ibft",
            Self::Ibft2(_) => "ibft2",
            Self::Qbft(_) => "qbft",
        }
    }
}
