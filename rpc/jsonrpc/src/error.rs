//! From why a query has no answer to the code that clients expect. The only place where codes are made.

use std::time::Duration;

use jsonrpsee::types::{ErrorObject, ErrorObjectOwned};
use portico_query::{CallError, QueryError, TracerError};

/// Why a method has no answer.
#[derive(Debug, thiserror::Error)]
pub enum MethodError {
    /// The query has none.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Every thread for such calls was taken for too long.
    #[error("the node is busy: the call waited {} s for its turn", waited.as_secs())]
    Busy {
        /// How long the call waited.
        waited: Duration,
    },
    /// The thread that worked on the call ended unexpectedly.
    #[error("internal error")]
    Lost,
}

/// JSON-RPC 2.0: the arguments are not what the method takes.
pub(crate) const INVALID_PARAMS: i32 = -32602;
/// JSON-RPC 2.0: it is not the client's fault.
const INTERNAL: i32 = -32603;
/// EIP-1474: the arguments are understood and cannot be served.
const INVALID_INPUT: i32 = -32000;
/// EIP-1474, EIP-1898: what the client names does not exist.
const NOT_FOUND: i32 = -32001;
/// EIP-1474: it may exist later.
const UNAVAILABLE: i32 = -32002;
/// EIP-1474: the method is known, and this node does not support what the arguments ask of it.
const UNSUPPORTED: i32 = -32004;
/// EIP-1474: too much work for one call.
const LIMIT: i32 = -32005;
/// Execution API: a block tag that no consensus client has given a meaning.
const UNKNOWN_BLOCK: i32 = -39001;
/// Execution API: the code reverted; `data` is what it returned.
const REVERTED: i32 = 3;
/// EIP-4444: history that is not kept.
const PRUNED: i32 = 4444;

/// go-ethereum's debug methods have the general code for what does not exist.
pub(crate) fn with_general_code(error: ErrorObjectOwned) -> ErrorObjectOwned {
    match error.code() {
        NOT_FOUND => ErrorObject::owned(INVALID_INPUT, error.message().to_owned(), None::<()>),
        _ => error,
    }
}

/// An argument that is not what the method takes.
pub(crate) fn invalid_params(reason: String) -> ErrorObjectOwned {
    ErrorObject::owned(INVALID_PARAMS, format!("invalid argument: {reason}"), None::<()>)
}

/// Arguments that are understood and cannot be served.
pub(crate) fn invalid_input(reason: String) -> ErrorObjectOwned {
    ErrorObject::owned(INVALID_INPUT, reason, None::<()>)
}

/// What this node does not do.
pub(crate) fn unsupported(reason: String) -> ErrorObjectOwned {
    ErrorObject::owned(UNSUPPORTED, reason, None::<()>)
}

/// A replay names its block as an argument: one that is not there is a bad argument.
pub(crate) fn with_invalid_params(error: ErrorObjectOwned) -> ErrorObjectOwned {
    match error.code() {
        NOT_FOUND => ErrorObject::owned(INVALID_PARAMS, error.message().to_owned(), None::<()>),
        _ => error,
    }
}

impl From<MethodError> for ErrorObjectOwned {
    fn from(error: MethodError) -> Self {
        let code = code(&error);
        if code == INTERNAL {
            tracing::error!(%error, "an RPC call failed");
        }
        let message = error.to_string();
        match error {
            MethodError::Query(QueryError::Reverted { output, .. }) => {
                ErrorObject::owned(code, message, Some(output))
            }
            _ => ErrorObject::owned(code, message, None::<()>),
        }
    }
}

fn code(error: &MethodError) -> i32 {
    match error {
        MethodError::Query(error) => query_code(error),
        MethodError::Busy { .. } => UNAVAILABLE,
        MethodError::Lost => INTERNAL,
    }
}

fn query_code(error: &QueryError) -> i32 {
    match error {
        QueryError::Db(_) | QueryError::Chain(_) | QueryError::State(_) | QueryError::Execution(_) => {
            INTERNAL
        }
        QueryError::Call(CallError::Read(_)) | QueryError::Trie(_) => INTERNAL,
        QueryError::ChangesGone { .. } => PRUNED,
        QueryError::BadBlockNotFound(_) | QueryError::UnknownPreimage(_) => INVALID_INPUT,
        QueryError::NoSuchTable(_) => INVALID_PARAMS,
        QueryError::NoAccessList { .. } => NOT_FOUND,
        QueryError::BlockNotFound(_) | QueryError::TransactionNotFound(_) => NOT_FOUND,
        QueryError::Undecodable { .. } | QueryError::Tracer(TracerError::Unusable(_)) => INVALID_PARAMS,
        QueryError::Tracer(TracerError::Failed(_)) => INVALID_INPUT,
        QueryError::Tracer(TracerError::TooLarge { .. }) => LIMIT,
        QueryError::Tracer(TracerError::Read(_)) => INTERNAL,
        QueryError::TagUnknown { .. } => UNKNOWN_BLOCK,
        QueryError::NotCanonical { .. } | QueryError::GenesisNotTraceable => INVALID_INPUT,
        QueryError::Halted { .. } | QueryError::Call(CallError::Invalid(_)) => INVALID_INPUT,
        QueryError::Pruned { .. } => PRUNED,
        QueryError::NotIndexed { .. } | QueryError::TimedOut { .. } => UNAVAILABLE,
        QueryError::RangeReversed { .. } | QueryError::RangeBeyondHead { .. } => INVALID_PARAMS,
        QueryError::Request(_) | QueryError::Override(_) => INVALID_PARAMS,
        QueryError::TooManyLogs { .. } | QueryError::TooManyBlocks { .. } => LIMIT,
        QueryError::Reverted { .. } => REVERTED,
        QueryError::UnsupportedOverride(_) => UNSUPPORTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::bytes;

    #[test]
    fn reverted_calls_carry_what_they_returned() {
        let error = QueryError::Reverted { output: bytes!("0102"), reason: Some("no".to_owned()) };
        let object = ErrorObjectOwned::from(MethodError::from(error));
        assert_eq!(
            serde_json::to_value(object).unwrap(),
            serde_json::json!({ "code": 3, "message": "execution reverted: no", "data": "0x0102" })
        );
    }

    #[test]
    fn pruned_data_is_named() {
        let error = QueryError::Pruned {
            what: "the receipts",
            block_number: 5,
            first_block: 9,
            setting: "--prune.mode",
        };
        let object = ErrorObjectOwned::from(MethodError::from(error));
        assert_eq!(object.code(), 4444);
        assert_eq!(
            object.message(),
            "pruned: the receipts of block 5; kept from block 9 on (setting --prune.mode)"
        );
    }
}
