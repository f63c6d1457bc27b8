//! Senders from signatures.

use alloy_consensus::transaction::SignerRecoverable;
use alloy_primitives::Address;
use portico_chainspec::Fork;
use rayon::prelude::*;

use crate::{BlockRules, Transaction};

/// No sender can be recovered from a signature, or it is not allowed at this point of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("transaction {tx_index}: the signature is invalid")]
pub struct SenderError {
    /// Position in the block.
    pub tx_index: usize,
}

/// How signatures are judged at a point of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureRules {
    /// `s` must be in the lower half (EIP-2, from Homestead on).
    pub low_s: bool,
    /// Chain ids in signatures are allowed (EIP-155, from Spurious Dragon on), and must be this one.
    pub chain_id: Option<u64>,
}

impl SignatureRules {
    /// Those of a block.
    pub fn of(rules: BlockRules<'_>) -> Self {
        let fork = rules.fork();
        Self {
            low_s: fork >= Fork::Homestead,
            chain_id: (fork >= Fork::SpuriousDragon).then(|| rules.spec().chain_id()),
        }
    }
}

/// Recovers one sender.
///
/// `None` when the signature is invalid.
pub fn recover_sender(transaction: &Transaction, rules: SignatureRules) -> Option<Address> {
    let chain_id = alloy_consensus::Transaction::chain_id(transaction);
    if chain_id.is_some() && chain_id != rules.chain_id {
        return None;
    }
    if rules.low_s { transaction.recover_signer().ok() } else { transaction.recover_signer_unchecked().ok() }
}

/// Recovers the senders of a block's transactions, in parallel.
///
/// # Errors
/// The lowest transaction with an invalid signature.
pub fn recover_senders(
    transactions: &[Transaction],
    rules: SignatureRules,
) -> Result<Vec<Address>, SenderError> {
    let recovered: Vec<Option<Address>> = transactions
        .par_iter()
        .with_min_len(16)
        .map(|transaction| recover_sender(transaction, rules))
        .collect();
    let senders = recovered.into_iter().enumerate();
    senders.map(|(tx_index, sender)| sender.ok_or(SenderError { tx_index })).collect()
}
