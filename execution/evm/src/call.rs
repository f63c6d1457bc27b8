//! Calls that change nothing: `eth_call`.

use alloy_evm::{
    Database, Evm, EvmEnv, EvmFactory,
    eth::{EthEvmContext, EthEvmFactory},
};
use alloy_primitives::{Bytes, Log};
use revm::{
    Inspector,
    context::{
        TxEnv,
        result::{EVMError, ExecutionResult, HaltReason, ResultAndState},
    },
};

use crate::ReadError;

/// What a call gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutcome {
    /// It returned.
    Success {
        /// Returned bytes.
        output: Bytes,
        /// Gas used, after refunds.
        gas_used: u64,
        /// Logs.
        logs: Vec<Log>,
    },
    /// It reverted.
    Revert {
        /// Reason, ABI-encoded by convention.
        output: Bytes,
        /// Gas used.
        gas_used: u64,
    },
    /// It ran into an exception.
    Halt {
        /// Which one.
        reason: HaltReason,
        /// Gas used.
        gas_used: u64,
    },
}

impl CallOutcome {
    /// Logs; none unless it returned.
    pub fn logs(&self) -> &[Log] {
        match self {
            Self::Success { logs, .. } => logs,
            Self::Revert { .. } | Self::Halt { .. } => &[],
        }
    }
}

impl From<ExecutionResult> for CallOutcome {
    fn from(result: ExecutionResult) -> Self {
        let gas_used = result.tx_gas_used();
        match result {
            ExecutionResult::Success { output, logs, .. } => {
                Self::Success { output: output.into_data(), gas_used, logs }
            }
            ExecutionResult::Revert { output, .. } => Self::Revert { output, gas_used },
            ExecutionResult::Halt { reason, .. } => Self::Halt { reason, gas_used },
        }
    }
}

/// A call could not be run.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The request breaks a rule, such as a balance that does not cover its value.
    #[error("{0}")]
    Invalid(String),
    /// State could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Runs a call on `database`. The caller has set the environment's checks (balance, nonce, base fee) as it likes.
///
/// # Errors
/// [`CallError::Invalid`] for a request that no block could hold.
pub fn call<D: Database<Error = ReadError>>(
    database: D,
    environment: EvmEnv,
    request: TxEnv,
) -> Result<CallOutcome, CallError> {
    let mut evm = EthEvmFactory::default().create_evm(database, environment);
    let result = match evm.transact(request) {
        Ok(result) => result.result,
        Err(EVMError::Database(error)) => return Err(CallError::Read(error)),
        Err(error) => return Err(CallError::Invalid(error.to_string())),
    };
    Ok(result.into())
}

/// Runs a call under an inspector; the state does not change.
///
/// # Errors
/// As [`call`].
pub fn inspect_call<'d, D, I>(
    database: &'d mut D,
    environment: EvmEnv,
    request: TxEnv,
    inspector: &'d mut I,
) -> Result<ResultAndState<HaltReason>, CallError>
where
    D: Database<Error = ReadError>,
    &'d mut I: Inspector<EthEvmContext<&'d mut D>>,
{
    let mut evm = EthEvmFactory::default().create_evm_with_inspector(database, environment, inspector);
    match evm.transact(request) {
        Ok(result) => Ok(result),
        Err(EVMError::Database(error)) => Err(CallError::Read(error)),
        Err(error) => Err(CallError::Invalid(error.to_string())),
    }
}
