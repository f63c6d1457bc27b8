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
    /// The trace is larger than one call may make.
    #[error("the trace is larger than {limit} bytes: trace less at once, or without stack and memory")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// State could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}
