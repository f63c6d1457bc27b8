//! Why a field has no answer.

use portico_governor::Refusal;
use portico_query::QueryError;

/// Why a field has no answer.
#[derive(Debug, thiserror::Error)]
pub enum GraphqlError {
    /// The query has none.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Nobody worked on it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The thread that holds the request's snapshot ended unexpectedly.
    #[error("internal error")]
    Lost,
    /// A block was named by number and by hash.
    #[error("a block has either a number or a hash, not both")]
    NumberAndHash,
    /// More blocks than one request may ask for.
    #[error("{count} blocks are too many: at most {max}")]
    TooManyBlocks {
        /// How many.
        count: u64,
        /// How many there may be.
        max: u64,
    },
    /// More values of a kind than a filter may have.
    #[error("a filter has at most {max} {what}")]
    FilterTooLarge {
        /// Of what.
        what: &'static str,
        /// How many.
        max: usize,
    },
}
