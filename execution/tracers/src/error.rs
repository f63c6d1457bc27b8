//! Why there is no trace.

use portico_evm::ReadError;

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TracerError {
    /// The tracer's name or configuration makes no sense.
    #[error("{0}")]
    Unusable(String),
    /// A script failed, or gave no result.
    #[error("tracer: {0}")]
    Failed(String),
    /// State could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}
