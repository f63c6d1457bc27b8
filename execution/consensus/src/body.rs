//! A body against its header.

use crate::ConsensusError;
use alloy_consensus::{
    BlockBody, EthereumTxEnvelope, Header, Transaction as _, TxEip4844, TxType, Typed2718, proofs,
};
use alloy_eips::{eip4844::DATA_GAS_PER_BLOB, eip4895::Withdrawal, eip7825::MAX_TX_GAS_LIMIT_OSAKA};
use alloy_rlp::{Encodable, list_length};
use portico_chainspec::{BlockContext, ChainSpec, Fork};

/// Largest block from Osaka on, in bytes of RLP (EIP-7934).
pub const RLP_BLOCK_SIZE_MAX: usize = 8_388_608;

/// A transaction as blocks hold it, blobs without their sidecar.
type Transaction = EthereumTxEnvelope<TxEip4844>;

/// The parts of a body.
#[derive(Clone, Copy, Debug)]
pub struct BodyView<'a> {
    /// Transactions in order.
    pub transactions: &'a [Transaction],
    /// Ommers in order.
    pub ommers: &'a [Header],
    /// Withdrawals in order, from Shanghai on.
    pub withdrawals: Option<&'a [Withdrawal]>,
}

impl<'a> From<&'a BlockBody<Transaction>> for BodyView<'a> {
    fn from(body: &'a BlockBody<Transaction>) -> Self {
        Self {
            transactions: &body.transactions,
            ommers: &body.ommers,
            withdrawals: body.withdrawals.as_ref().map(|withdrawals| withdrawals.as_slice()),
        }
    }
}

/// Checks that a body belongs to its header and keeps the limits of its fork.
///
/// # Errors
/// The first rule that is broken.
pub fn validate_body(
    spec: &ChainSpec,
    block: BlockContext,
    header: &Header,
    body: BodyView<'_>,
) -> Result<(), ConsensusError> {
    let fork = spec.fork_at(block);
    validate_block_size(fork, header, body)?;
    validate_transactions(spec, fork, header, body.transactions)?;
    let (expected, got) = (header.ommers_hash, proofs::calculate_ommers_root(body.ommers));
    if got != expected {
        return Err(ConsensusError::OmmersHash { expected, got });
    }
    validate_withdrawals(fork, header, body.withdrawals)?;
    let (expected, got) = (header.transactions_root, proofs::calculate_transaction_root(body.transactions));
    if got != expected {
        return Err(ConsensusError::TransactionsRoot { expected, got });
    }
    Ok(())
}

fn validate_block_size(fork: Fork, header: &Header, body: BodyView<'_>) -> Result<(), ConsensusError> {
    if fork < Fork::Osaka {
        return Ok(());
    }
    let withdrawals = body.withdrawals.map_or(0, list_length::<_, Withdrawal>);
    let payload_length = header.length()
        + list_length::<_, Transaction>(body.transactions)
        + list_length::<_, Header>(body.ommers)
        + withdrawals;
    let got = alloy_rlp::length_of_length(payload_length) + payload_length;
    if got > RLP_BLOCK_SIZE_MAX {
        return Err(ConsensusError::BlockTooLarge { max: RLP_BLOCK_SIZE_MAX, got });
    }
    Ok(())
}

fn validate_transactions(
    spec: &ChainSpec,
    fork: Fork,
    header: &Header,
    transactions: &[Transaction],
) -> Result<(), ConsensusError> {
    let blobs_max = spec.blob_params_at(header.timestamp).map_or(0, |params| params.max_blobs_per_tx);
    let mut blob_gas_used = 0_u64;
    for (tx_index, tx) in transactions.iter().enumerate() {
        let since = first_fork_of(tx.tx_type());
        if fork < since {
            return Err(ConsensusError::TransactionType { tx_index, tx_type: tx.ty(), fork: since });
        }
        let blobs = tx.blob_versioned_hashes().map_or(0, |hashes| hashes.len() as u64);
        if fork >= Fork::Osaka && blobs > blobs_max {
            return Err(ConsensusError::TooManyBlobsInTransaction { tx_index, max: blobs_max, got: blobs });
        }
        // From Amsterdam on the cap binds only the execution dimension of gas (EIP-8037).
        let (max, got) = (MAX_TX_GAS_LIMIT_OSAKA, tx.gas_limit());
        if (Fork::Osaka..Fork::Amsterdam).contains(&fork) && got > max {
            return Err(ConsensusError::TransactionGasLimitTooHigh { tx_index, max, got });
        }
        blob_gas_used = blob_gas_used.saturating_add(blobs.saturating_mul(DATA_GAS_PER_BLOB));
    }
    let expected = header.blob_gas_used.unwrap_or_default();
    if blob_gas_used != expected {
        return Err(ConsensusError::BlobGasUsed { expected, got: blob_gas_used });
    }
    Ok(())
}

/// The fork that brought a type of transactions.
pub const fn first_fork_of(tx_type: TxType) -> Fork {
    match tx_type {
        TxType::Legacy => Fork::Frontier,
        TxType::Eip2930 => Fork::Berlin,
        TxType::Eip1559 => Fork::London,
        TxType::Eip4844 => Fork::Cancun,
        TxType::Eip7702 => Fork::Prague,
    }
}

fn validate_withdrawals(
    fork: Fork,
    header: &Header,
    withdrawals: Option<&[Withdrawal]>,
) -> Result<(), ConsensusError> {
    let Some(withdrawals) = withdrawals else {
        return if fork >= Fork::Shanghai { Err(ConsensusError::WithdrawalsMissing) } else { Ok(()) };
    };
    let Some(expected) = header.withdrawals_root.filter(|_| fork >= Fork::Shanghai) else {
        return Err(ConsensusError::WithdrawalsUnexpected);
    };
    let got = proofs::calculate_withdrawals_root(withdrawals);
    if got != expected {
        return Err(ConsensusError::WithdrawalsRoot { expected, got });
    }
    Ok(())
}
