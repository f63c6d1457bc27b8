//! Why a field has no answer.

use async_graphql::{ErrorExtensionValues, Pos, ServerError};
use portico_governor::Refusal;
use portico_query::{PoolError, QueryError};

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
    /// The block has no state in this chain.
    #[error("an ommer has no state of its own")]
    Ommer,
    /// The document is not GraphQL.
    #[error("{reason}")]
    Syntax {
        /// What the parser says.
        reason: String,
        /// Where.
        position: Option<Pos>,
    },
    /// A mutation came in a request that may be repeated and prefetched.
    #[error("a mutation is to be sent by POST")]
    NotAQuery,
    /// A document that is too large to be looked at.
    #[error("query is too complex: {what} (at most {max})")]
    TooComplex {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        max: usize,
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

/// JSON-RPC 2.0: arguments that make no sense.
const INVALID_PARAMS: i32 = -32602;
/// EIP-1474: the pool refuses a transaction.
const REFUSED: i32 = -32000;
/// Besu: the nonce was used.
const NONCE_TOO_LOW: i32 = -32001;
/// EIP-1474: nothing here can do that.
const UNSUPPORTED: i32 = -32004;
/// EIP-1474: too much for one request, or for now.
const LIMIT: i32 = -32005;

impl GraphqlError {
    /// The code that JSON-RPC has for it, where Besu's GraphQL gives one.
    fn code(&self) -> Option<i32> {
        match self {
            Self::NumberAndHash | Self::FilterTooLarge { .. } => Some(INVALID_PARAMS),
            Self::Query(QueryError::RangeReversed { .. } | QueryError::Undecodable { .. }) => {
                Some(INVALID_PARAMS)
            }
            Self::Query(QueryError::Pool(PoolError::Undecodable(_) | PoolError::InvalidSender)) => {
                Some(INVALID_PARAMS)
            }
            Self::Query(QueryError::Pool(PoolError::NonceTooLow { .. })) => Some(NONCE_TOO_LOW),
            Self::Query(QueryError::Pool(error)) if !error.is_internal() => Some(REFUSED),
            Self::Query(QueryError::FeeAboveCap { .. } | QueryError::Unprotected) => Some(REFUSED),
            Self::Query(QueryError::NoPool) => Some(UNSUPPORTED),
            Self::TooManyBlocks { .. }
            | Self::Refused(Refusal::QueueFull { .. } | Refusal::WaitedTooLong { .. }) => Some(LIMIT),
            Self::Query(_)
            | Self::Refused(Refusal::Lost)
            | Self::Lost
            | Self::Ommer
            | Self::NotAQuery
            | Self::Syntax { .. }
            | Self::TooComplex { .. } => None,
        }
    }

    /// What goes beside the message: Besu's fields.
    pub(crate) fn extensions(&self) -> Option<ErrorExtensionValues> {
        let code = self.code()?;
        let mut values = ErrorExtensionValues::default();
        values.set("errorCode", code);
        values.set("errorMessage", self.to_string());
        Some(values)
    }
}

impl From<GraphqlError> for ServerError {
    fn from(error: GraphqlError) -> Self {
        let position = match &error {
            GraphqlError::Syntax { position, .. } => *position,
            _ => None,
        };
        Self::new(error.to_string(), position)
    }
}
