//! What the node knows about itself.

use crate::{DecodeError, Value, codec::keys::exact};

/// How far a stage, or its pruning, got: block number, 8 bytes big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct StageCheckpoint {
    /// Last block that is done.
    pub block_number: u64,
}

impl Value for StageCheckpoint {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.block_number.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { block_number: u64::from_be_bytes(exact(bytes, "checkpoint")?) })
    }
}
