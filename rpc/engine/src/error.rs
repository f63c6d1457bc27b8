//! Why a method of the Engine API has no answer, with the codes of its specification.

use jsonrpsee::types::{ErrorObject, ErrorObjectOwned};
use portico_stages::StageError;

/// Why a method has no answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The arguments do not have the shape that this version of the method takes.
    #[error("Invalid params: {0}")]
    InvalidParams(String),
    /// There is no such payload, or not any more.
    #[error("Unknown payload")]
    UnknownPayload,
    /// The safe or the finalized block is not on the head's chain.
    #[error("Invalid forkchoice state: {0}")]
    InvalidForkchoice(&'static str),
    /// No payload can be built with these attributes.
    #[error("Invalid payload attributes: {0}")]
    InvalidAttributes(String),
    /// More was asked for than one request gives.
    #[error("Too large request: {asked} asked for, at most {max}")]
    TooLarge {
        /// How many.
        asked: u64,
        /// How many may be.
        max: u64,
    },
    /// The payload or the attributes belong to a fork that this version of the method is not for.
    #[error("Unsupported fork: {0}")]
    UnsupportedFork(String),
    /// The chain cannot be taken back that far.
    #[error("Too deep reorg: {0}")]
    TooDeepReorg(String),
    /// A transaction that must be in a block cannot be.
    #[error("{0}")]
    Refused(String),
    /// A fault of ours or of the disk.
    #[error("{0}")]
    Internal(String),
}

impl EngineError {
    /// The code of the specification.
    pub fn code(&self) -> i32 {
        match self {
            Self::InvalidParams(_) => -32602,
            Self::UnknownPayload => -38001,
            Self::InvalidForkchoice(_) => -38002,
            Self::InvalidAttributes(_) => -38003,
            Self::TooLarge { .. } => -38004,
            Self::UnsupportedFork(_) => -38005,
            Self::TooDeepReorg(_) => -38006,
            Self::Refused(_) | Self::Internal(_) => -32000,
        }
    }
}

impl From<StageError> for EngineError {
    fn from(error: StageError) -> Self {
        match error {
            StageError::UnwindTooDeep { .. } => Self::TooDeepReorg(error.to_string()),
            error => {
                tracing::error!(%error, "the engine cannot answer");
                Self::Internal(error.to_string())
            }
        }
    }
}

impl From<portico_chain::ChainError> for EngineError {
    fn from(error: portico_chain::ChainError) -> Self {
        StageError::from(error).into()
    }
}

impl From<portico_db::DbError> for EngineError {
    fn from(error: portico_db::DbError) -> Self {
        StageError::from(error).into()
    }
}

impl From<EngineError> for ErrorObjectOwned {
    fn from(error: EngineError) -> Self {
        ErrorObject::owned(error.code(), error.to_string(), None::<()>)
    }
}
