//! Which engine seals a block.

use crate::ConsensusError;
use portico_chainspec::{BlockContext, ChainSpec, EngineConfig};

/// The engine of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// Proof of work.
    Ethash,
    /// A consensus client: proof of stake, after the merge.
    Beacon,
    /// Proof of authority by EIP-225.
    Clique {
        /// Seconds between blocks, at least.
        period: u64,
        /// Blocks from one checkpoint to the next; not 0.
        epoch: u64,
    },
}

impl Engine {
    /// The engine of a block.
    ///
    /// # Errors
    /// [`ConsensusError::EngineNotSupported`] for the BFT engines.
    pub fn of(spec: &ChainSpec, block: BlockContext) -> Result<Self, ConsensusError> {
        if block.merged {
            return Ok(Self::Beacon);
        }
        match spec.engine_at(block.number) {
            EngineConfig::Ethash { .. } => Ok(Self::Ethash),
            EngineConfig::Clique { period, epoch } => Ok(Self::Clique { period: *period, epoch: *epoch }),
            bft @ (EngineConfig::Ibft(_) | EngineConfig::Ibft2(_) | EngineConfig::Qbft(_)) => {
                Err(ConsensusError::EngineNotSupported { engine: bft.name() })
            }
        }
    }
}
