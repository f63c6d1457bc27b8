//! Why a transaction is not in the block, in the words of go-ethereum's `evm`, by which the spec-test filler knows
//! what it expects.

use alloy_evm::block::BlockValidationError;
use portico_evm::ExecutionError;
use revm::context::result::InvalidTransaction;

/// The reason for a transaction that the executor refused.
///
/// # Errors
/// The error itself when it is not the transaction's fault.
pub(super) fn reason(error: ExecutionError) -> Result<String, ExecutionError> {
    match &error {
        ExecutionError::Invalid {
            reason: BlockValidationError::InvalidTx { error: invalid, .. }, ..
        } => Ok(invalid.as_invalid_tx_err().map_or_else(|| invalid.to_string(), of_transaction)),
        ExecutionError::Invalid {
            reason: BlockValidationError::TransactionGasLimitMoreThanAvailableBlockGas { .. },
            ..
        } => Ok(format!("gas limit reached: {error}")),
        _ => Err(error),
    }
}

fn of_transaction(invalid: &InvalidTransaction) -> String {
    let phrase = match invalid {
        InvalidTransaction::RejectCallerWithCode => "sender not an eoa",
        InvalidTransaction::CallerGasLimitMoreThanBlock => "gas limit reached",
        InvalidTransaction::LackOfFundForMaxFee { .. } | InvalidTransaction::OverflowPaymentInTransaction => {
            "insufficient funds for gas * price + value"
        }
        InvalidTransaction::CallGasCostMoreThanGasLimit { .. } => "intrinsic gas too low",
        InvalidTransaction::GasFloorMoreThanGasLimit { .. } => "insufficient gas for floor data gas cost",
        InvalidTransaction::NonceOverflowInTransaction => "nonce has max value",
        InvalidTransaction::NonceTooLow { .. } => "nonce too low",
        InvalidTransaction::NonceTooHigh { .. } => "nonce too high",
        InvalidTransaction::GasPriceLessThanBasefee => "max fee per gas less than block base fee",
        InvalidTransaction::PriorityFeeGreaterThanMaxFee => {
            "max priority fee per gas higher than max fee per gas"
        }
        InvalidTransaction::BlobGasPriceGreaterThanMax { .. } => {
            "max fee per blob gas less than block blob gas fee"
        }
        InvalidTransaction::EmptyBlobs => "blob transaction missing blob hashes",
        InvalidTransaction::TooManyBlobs { .. } => "blob transaction has too many blobs",
        InvalidTransaction::BlobVersionNotSupported => "blob has invalid hash version",
        InvalidTransaction::BlobCreateTransaction => "blob transaction of type create",
        InvalidTransaction::EmptyAuthorizationList => "EIP-7702 transaction with empty auth list",
        InvalidTransaction::CreateInitCodeSizeLimit => "max initcode size exceeded",
        InvalidTransaction::TxGasLimitGreaterThanCap { .. } => "transaction gas limit too high",
        InvalidTransaction::InvalidChainId | InvalidTransaction::MissingChainId => {
            "invalid chain id for signer"
        }
        InvalidTransaction::AccessListNotSupported
        | InvalidTransaction::MaxFeePerBlobGasNotSupported
        | InvalidTransaction::BlobVersionedHashesNotSupported
        | InvalidTransaction::AuthorizationListNotSupported
        | InvalidTransaction::Eip2930NotSupported
        | InvalidTransaction::Eip1559NotSupported
        | InvalidTransaction::Eip4844NotSupported
        | InvalidTransaction::Eip7702NotSupported => "transaction type not supported",
        other => return other.to_string(),
    };
    format!("{phrase}: {invalid}")
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
