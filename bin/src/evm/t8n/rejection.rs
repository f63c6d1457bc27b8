//! Why a transaction is not in the block, in the words of go-ethereum's `evm`, by which the spec-test filler knows
//! what it expects.

use alloy_evm::block::BlockValidationError;
use portico_evm::{ExecutionError, words_for_rule};

/// The reason for a transaction that the executor refused.
///
/// # Errors
/// The error itself when it is not the transaction's fault.
pub(super) fn reason(error: ExecutionError) -> Result<String, ExecutionError> {
    match &error {
        ExecutionError::Invalid {
            reason: BlockValidationError::InvalidTx { error: invalid, .. }, ..
        } => Ok(invalid.as_invalid_tx_err().map_or_else(|| invalid.to_string(), words_for_rule)),
        ExecutionError::Invalid {
            reason: BlockValidationError::TransactionGasLimitMoreThanAvailableBlockGas { .. },
            ..
        } => Ok(format!("gas limit reached: {error}")),
        _ => Err(error),
    }
}

/// The reason why a block without its transactions' fault is invalid.
pub(super) fn of_block(error: &ExecutionError) -> String {
    match error {
        ExecutionError::Invalid {
            reason:
                BlockValidationError::WithdrawalRequestsContractCall { .. }
                | BlockValidationError::ConsolidationRequestsContractCall { .. }
                | BlockValidationError::BuilderDepositRequestsContractCall { .. }
                | BlockValidationError::BuilderExitRequestsContractCall { .. },
            ..
        } => format!("system call failed to execute: {error}"),
        ExecutionError::Invalid { reason: BlockValidationError::DepositRequestDecode(_), .. } => {
            format!("failed to parse deposit logs: {error}")
        }
        other => other.to_string(),
    }
}
