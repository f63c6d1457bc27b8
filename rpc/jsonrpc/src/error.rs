//! From why a query has no answer to the code that clients expect. The only place where codes are made.

use std::time::Duration;

use alloy_primitives::B256;
use jsonrpsee::types::{ErrorObject, ErrorObjectOwned};
use portico_governor::Refusal;
use portico_query::{CallError, InvalidTransaction, PoolError, QueryError, TracerError};

/// Why a method has no answer.
#[derive(Debug, thiserror::Error)]
pub enum MethodError {
    /// The query has none.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Nobody worked on it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The query has none, for a simulation: invalid transactions have codes of their own there.
    #[error(transparent)]
    Simulation(QueryError),
    /// Nothing is asked for.
    #[error("empty request")]
    EmptyRequest,
    /// More storage slots are asked for than one call reads.
    #[error("too many slots (max {max})")]
    TooManySlots {
        /// How many may be.
        max: usize,
    },
    /// More storage slots are to be proven than one call proves.
    #[error("too many storage keys (max {max})")]
    TooManyKeys {
        /// How many may be.
        max: usize,
    },
    /// More calls are asked for than one request runs.
    #[error("too many calls (max {max})")]
    TooManyCalls {
        /// How many may be.
        max: usize,
    },
    /// The client names a filter that is not there, or not any more.
    #[error("filter not found")]
    FilterNotFound,
    /// No more filters can be installed for now.
    #[error("too many filters (max {max})")]
    TooManyFilters {
        /// How many may be.
        max: usize,
    },
    /// A subscription over HTTP.
    #[error("notifications not supported")]
    NoNotifications,
    /// This node makes no blocks.
    #[error("etherbase must be explicitly specified")]
    NoCoinbase,
    /// A transaction was taken, and is not in a block yet.
    #[error("the transaction was added to the pool and was not in a block within {} s", waited.as_secs_f64())]
    NotIncluded {
        /// Its hash.
        hash: B256,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Nobody mines any more.
    #[error("not supported, consensus engine is not ethash")]
    NoMining,
    /// The thread that worked on the call ended unexpectedly.
    #[error("internal error")]
    Lost,
    /// The request's token does not allow the method.
    #[error("Unauthorized")]
    NotAllowed,
    /// An answer that was written piece by piece is not JSON.
    #[error("internal error: {0}")]
    NotJson(String),
}

/// JSON-RPC 2.0: the arguments are not what the method takes.
pub(crate) const INVALID_PARAMS: i32 = -32602;
/// JSON-RPC 2.0: it is JSON and no request.
pub(crate) const INVALID_REQUEST: i32 = -32600;
/// No such method, or not here.
const METHOD_NOT_FOUND: i32 = -32601;
/// JSON-RPC 2.0: it is not the client's fault.
const INTERNAL: i32 = -32603;
/// EIP-1474: the arguments are understood and cannot be served.
const INVALID_INPUT: i32 = -32000;
/// EIP-1474, EIP-1898: what the client names does not exist.
const NOT_FOUND: i32 = -32001;
/// Besu: the token does not allow the method.
const UNAUTHORIZED: i32 = -40100;
/// EIP-1474: it may exist later.
const UNAVAILABLE: i32 = -32002;
/// EIP-1474: the method is known, and this node does not support what the arguments ask of it.
pub(crate) const UNSUPPORTED: i32 = -32004;
/// EIP-1474: too much work for one call.
const LIMIT: i32 = -32005;
/// Execution API: more than a client may ask for at once.
const CLIENT_LIMIT: i32 = -38026;
/// Execution API: numbers of simulated blocks do not ascend.
const BLOCK_ORDER: i32 = -38020;
/// Execution API: times of simulated blocks do not ascend.
const TIME_ORDER: i32 = -38021;
/// Execution API: a simulated block has no room for a call.
const BLOCK_GAS: i32 = -38015;
/// Execution API: a block tag that no consensus client has given a meaning.
const UNKNOWN_BLOCK: i32 = -39001;
/// Execution API: the code reverted; `data` is what it returned.
const REVERTED: i32 = 3;
/// EIP-7966: a transaction waits still; `data` is its hash.
const NOT_INCLUDED: i32 = 4;
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
        let is_clients_fault =
            matches!(error, MethodError::Simulation(QueryError::Call(CallError::Invalid(_))));
        if code == INTERNAL && !is_clients_fault {
            tracing::error!(%error, "an RPC call failed");
        }
        let message = error.to_string();
        match error {
            MethodError::Query(QueryError::Reverted { output, .. }) => {
                ErrorObject::owned(code, message, Some(output))
            }
            MethodError::NotIncluded { hash, .. } => ErrorObject::owned(code, message, Some(hash)),
            _ => ErrorObject::owned(code, message, None::<()>),
        }
    }
}

fn code(error: &MethodError) -> i32 {
    match error {
        MethodError::Query(error) => query_code(error),
        MethodError::Simulation(error) => simulation_code(error),
        MethodError::EmptyRequest | MethodError::TooManyKeys { .. } => INVALID_PARAMS,
        MethodError::TooManySlots { .. } | MethodError::TooManyCalls { .. } => CLIENT_LIMIT,
        MethodError::FilterNotFound | MethodError::NoCoinbase | MethodError::NoMining => INVALID_INPUT,
        MethodError::NoNotifications => METHOD_NOT_FOUND,
        MethodError::NotIncluded { .. } => NOT_INCLUDED,
        MethodError::TooManyFilters { .. } => LIMIT,
        MethodError::Refused(Refusal::QueueFull { .. } | Refusal::WaitedTooLong { .. }) => LIMIT,
        MethodError::NotAllowed => UNAUTHORIZED,
        MethodError::Refused(Refusal::Lost) | MethodError::Lost | MethodError::NotJson(_) => INTERNAL,
    }
}

fn simulation_code(error: &QueryError) -> i32 {
    match error {
        QueryError::Call(CallError::Invalid(invalid)) => transaction_code(invalid),
        QueryError::BlockNotFound(_) | QueryError::StateAndDiff { .. } => INVALID_INPUT,
        error => query_code(error),
    }
}

/// Execution API: why a simulated transaction is invalid.
fn transaction_code(invalid: &InvalidTransaction) -> i32 {
    match invalid {
        InvalidTransaction::NonceTooLow { .. } => -38010,
        InvalidTransaction::NonceTooHigh { .. } => -38011,
        InvalidTransaction::GasPriceLessThanBasefee => -38012,
        InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
        | InvalidTransaction::GasFloorMoreThanGasLimit { .. } => -38013,
        InvalidTransaction::LackOfFundForMaxFee { .. } | InvalidTransaction::OverflowPaymentInTransaction => {
            -38014
        }
        InvalidTransaction::RejectCallerWithCode => -38024,
        InvalidTransaction::CreateInitCodeSizeLimit => -38025,
        InvalidTransaction::PriorityFeeGreaterThanMaxFee | InvalidTransaction::InvalidChainId => {
            INVALID_PARAMS
        }
        _ => INTERNAL,
    }
}

fn query_code(error: &QueryError) -> i32 {
    match error {
        QueryError::Db(_) | QueryError::Chain(_) | QueryError::State(_) | QueryError::Execution(_) => {
            INTERNAL
        }
        QueryError::Call(CallError::Read(_)) | QueryError::Trie(_) | QueryError::StateRoot { .. } => INTERNAL,
        QueryError::ChangesGone { .. } => PRUNED,
        QueryError::BadBlockNotFound(_)
        | QueryError::BadBlockParentGone { .. }
        | QueryError::BadBlockNumber { .. }
        | QueryError::UnknownPreimage(_) => INVALID_INPUT,
        QueryError::NoSuchTable(_) => INVALID_PARAMS,
        QueryError::BlockNotFound(_) | QueryError::TransactionNotFound(_) => NOT_FOUND,
        QueryError::Undecodable { .. }
        | QueryError::ScriptsRefused
        | QueryError::Tracer(TracerError::Unusable(_)) => INVALID_PARAMS,
        QueryError::Tracer(TracerError::Failed(_)) => INVALID_INPUT,
        QueryError::Tracer(TracerError::TooLarge { .. }) => LIMIT,
        QueryError::Tracer(TracerError::Read(_)) => INTERNAL,
        QueryError::TagUnknown { .. } => UNKNOWN_BLOCK,
        QueryError::NotCanonical { .. } | QueryError::GenesisNotTraceable => INVALID_INPUT,
        QueryError::Halted { .. } | QueryError::Call(CallError::Invalid(_) | CallError::Block(_)) => {
            INVALID_INPUT
        }
        QueryError::NotPrecompile { .. } | QueryError::AlreadyOverridden { .. } => INVALID_INPUT,
        QueryError::GasRequired { .. } | QueryError::InsufficientFunds { .. } => INVALID_INPUT,
        QueryError::Percentiles { .. } => INVALID_INPUT,
        QueryError::Pool(error) if error.is_internal() => INTERNAL,
        QueryError::Pool(PoolError::Undecodable(_) | PoolError::InvalidSender) => INVALID_PARAMS,
        QueryError::Pool(_) | QueryError::FeeAboveCap { .. } | QueryError::Unprotected => INVALID_INPUT,
        QueryError::NoPool => UNSUPPORTED,
        QueryError::UnknownAccount { .. } => INVALID_INPUT,
        QueryError::BlockOrder { .. } => BLOCK_ORDER,
        QueryError::TimeOrder { .. } => TIME_ORDER,
        QueryError::TooManySimulated { .. } => CLIENT_LIMIT,
        QueryError::BlockGas { .. } => BLOCK_GAS,
        QueryError::ForkNotSimulated { .. } => UNSUPPORTED,
        QueryError::NoRecipient
        | QueryError::TransactionType { .. }
        | QueryError::TransactionIndex { .. } => INVALID_PARAMS,
        QueryError::NoAccessList { .. } => NOT_FOUND,
        QueryError::Pruned { .. } => PRUNED,
        QueryError::NotIndexed { .. } | QueryError::TimedOut { .. } | QueryError::Cancelled => UNAVAILABLE,
        QueryError::RangeReversed { .. } | QueryError::RangeBeyondHead { .. } => INVALID_PARAMS,
        QueryError::Request(_) | QueryError::StateAndDiff { .. } => INVALID_PARAMS,
        QueryError::TooManyLogs { .. }
        | QueryError::TooManyBlocks { .. }
        | QueryError::TooManyChanges { .. }
        | QueryError::AnswerTooLarge { .. } => LIMIT,
        QueryError::Unwritable(_) => INTERNAL,
        QueryError::Reverted { .. } => REVERTED,
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
