//! Why a block could not be executed.

use alloy_evm::block::{BlockExecutionError, BlockValidationError};

/// Why a block could not be executed.
#[derive(Debug, thiserror::Error)]
pub enum ExecutionError {
    /// The block's fault: a transaction that may not be in it, or a system call that failed.
    #[error("{}{reason}", position(*tx_index))]
    Invalid {
        /// Position of the transaction, unless it is about the whole block.
        tx_index: Option<usize>,
        /// The rule.
        reason: BlockValidationError,
    },
    /// A Clique block's fee recipient could not be recovered from its seal.
    #[error(transparent)]
    Seal(#[from] portico_consensus::ConsensusError),
    /// Our fault, or the disk's.
    #[error("executing {}: {reason}", position(*tx_index))]
    Internal {
        /// Position of the transaction, unless it is about the whole block.
        tx_index: Option<usize>,
        /// What happened.
        reason: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ExecutionError {
    pub(crate) fn new(error: BlockExecutionError, tx_index: Option<usize>) -> Self {
        match error {
            BlockExecutionError::Validation(reason) => Self::Invalid { tx_index, reason },
            BlockExecutionError::Internal(reason) => Self::Internal { tx_index, reason: Box::new(reason) },
        }
    }

    /// State could not be read, at no transaction in particular.
    pub(crate) fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Internal { tx_index: None, reason: Box::new(error) }
    }

    /// Whether the block is to blame.
    pub fn is_invalid_block(&self) -> bool {
        !matches!(self, Self::Internal { .. })
    }
}

fn position(tx_index: Option<usize>) -> String {
    tx_index.map(|index| format!("transaction {index}: ")).unwrap_or_default()
}
