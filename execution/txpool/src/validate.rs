//! Whether a transaction may be in the pool: by the next block's rules, and by its sender's account.

use std::collections::BTreeSet;

use alloy_consensus::Transaction as _;
use alloy_primitives::Address;
use portico_chainspec::Fork;
use portico_evm::{
    BlockRules, SignatureRules, Transaction, TransactionFault, recover_sender, validate_recovered_transaction,
};
use revm::context::result::InvalidTransaction;

use crate::{
    AccountCode, PoolAccount, PoolError,
    settings::{BLOB_TRANSACTION_BYTES_MAX, TRANSACTION_BLOBS_MAX, TRANSACTION_BYTES_MAX},
    transaction::{blob_count, cost},
};

/// What the pool asks beside the protocol's rules.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demands {
    /// Of the next block.
    pub gas_limit: u64,
    /// Least priority fee, in wei.
    pub tip_min: u128,
}

/// The protocol's least blob fee, in wei.
const BLOB_FEE_MIN: u128 = 1;

/// Judges a transaction by itself, and recovers its sender unless that is known. The cheap rules come first.
pub(crate) fn validate_alone(
    rules: BlockRules<'_>,
    demands: Demands,
    transaction: &Transaction,
    encoded_length: usize,
    sender: Option<Address>,
) -> Result<Address, PoolError> {
    check_size(transaction, encoded_length)?;
    check_type(rules, transaction)?;
    if transaction.gas_limit() > demands.gas_limit {
        return Err(PoolError::ExceedsBlockGasLimit);
    }
    let fee_cap = transaction.max_fee_per_gas();
    let tip_cap = transaction.max_priority_fee_per_gas().unwrap_or(fee_cap);
    if tip_cap > fee_cap {
        return Err(PoolError::TipAboveFeeCap);
    }
    if let Some(fee) = transaction.max_fee_per_blob_gas().filter(|fee| *fee < BLOB_FEE_MIN) {
        return Err(PoolError::BlobFeeBelowMinimum { fee, needed: BLOB_FEE_MIN });
    }
    let sender = match sender {
        Some(sender) => sender,
        None => recover(rules, transaction)?,
    };
    let judged = validate_recovered_transaction(rules, transaction, sender);
    judged.map_err(|fault| in_pool_words(fault, transaction))?;
    if tip_cap < demands.tip_min {
        return Err(PoolError::TipBelowMinimum { tip: tip_cap, needed: demands.tip_min });
    }
    Ok(sender)
}

fn check_size(transaction: &Transaction, size: usize) -> Result<(), PoolError> {
    let is_blob = transaction.is_eip4844();
    let blobs = blob_count(transaction);
    if blobs > TRANSACTION_BLOBS_MAX {
        return Err(PoolError::TooManyBlobs { have: blobs, permitted: TRANSACTION_BLOBS_MAX });
    }
    if is_blob && blobs == 0 {
        return Err(PoolError::NoBlobs);
    }
    let limit = if is_blob { BLOB_TRANSACTION_BYTES_MAX } else { TRANSACTION_BYTES_MAX };
    if size > limit { Err(PoolError::Oversized { size, limit }) } else { Ok(()) }
}

fn check_type(rules: BlockRules<'_>, transaction: &Transaction) -> Result<(), PoolError> {
    let (transaction_type, since, fork) = match transaction {
        Transaction::Legacy(_) => return Ok(()),
        Transaction::Eip2930(_) => (1, Fork::Berlin, "Berlin"),
        Transaction::Eip1559(_) => (2, Fork::London, "London"),
        Transaction::Eip4844(_) => (3, Fork::Cancun, "Cancun"),
        Transaction::Eip7702(_) => (4, Fork::Prague, "Prague"),
    };
    if rules.fork() < since {
        return Err(PoolError::TypeNotSupported { transaction_type, fork });
    }
    Ok(())
}

pub(crate) fn recover(rules: BlockRules<'_>, transaction: &Transaction) -> Result<Address, PoolError> {
    let signature_rules = SignatureRules::of(rules);
    if let (Some(have), Some(want)) = (transaction.chain_id(), signature_rules.chain_id)
        && have != want
    {
        return Err(PoolError::WrongChain { have, want });
    }
    recover_sender(transaction, signature_rules).ok_or(PoolError::InvalidSender)
}

/// The interpreter's refusal in go-ethereum's words.
fn in_pool_words(fault: TransactionFault, transaction: &Transaction) -> PoolError {
    let gas_limit = transaction.gas_limit();
    match fault {
        TransactionFault::Signature => PoolError::InvalidSender,
        TransactionFault::Rule(rule) => match rule {
            InvalidTransaction::PriorityFeeGreaterThanMaxFee => PoolError::TipAboveFeeCap,
            InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas, .. } => {
                PoolError::IntrinsicGas { gas_limit, needed: initial_gas }
            }
            InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, .. } => {
                PoolError::FloorGas { gas_limit, needed: gas_floor }
            }
            InvalidTransaction::NonceOverflowInTransaction => PoolError::NonceMax,
            InvalidTransaction::CreateInitCodeSizeLimit => {
                PoolError::InitCodeTooLong { size: transaction.input().len() }
            }
            InvalidTransaction::TxGasLimitGreaterThanCap { cap, .. } => {
                PoolError::GasLimitTooHigh { cap, gas_limit }
            }
            InvalidTransaction::EmptyBlobs => PoolError::NoBlobs,
            InvalidTransaction::TooManyBlobs { max, have } => {
                PoolError::TooManyBlobs { have, permitted: max }
            }
            InvalidTransaction::EmptyAuthorizationList => PoolError::NoAuthorizations,
            other => PoolError::Rule(other),
        },
    }
}

/// Judges a transaction by its sender's account alone.
pub(crate) fn validate_with_account(
    transaction: &Transaction,
    sender: Address,
    account: &PoolAccount,
) -> Result<(), PoolError> {
    if account.code == AccountCode::Contract {
        return Err(PoolError::SenderNotEoa { sender });
    }
    if transaction.nonce() < account.nonce {
        return Err(PoolError::NonceTooLow { next: account.nonce, nonce: transaction.nonce() });
    }
    let cost = cost(transaction);
    if cost > account.balance {
        return Err(PoolError::InsufficientFunds { balance: account.balance, cost });
    }
    Ok(())
}

/// Who signed a transaction's delegations, each once; signatures that recover to nobody are passed over, as in blocks.
pub(crate) fn recover_authorities(transaction: &Transaction) -> Vec<Address> {
    let authorizations = transaction.authorization_list().unwrap_or_default();
    let recovered: BTreeSet<Address> =
        authorizations.iter().filter_map(|authorization| authorization.recover_authority().ok()).collect();
    recovered.into_iter().collect()
}
