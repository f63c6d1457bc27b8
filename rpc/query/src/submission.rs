//! Transactions that clients want to be sent: what can be said of their bytes alone.

use alloy_consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256};

use crate::{QueryError, Snapshot};

/// A signed transaction that is not in the chain yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submission {
    /// Its hash.
    pub hash: B256,
    /// Who signed it.
    pub sender: Address,
    /// Its nonce.
    pub nonce: u64,
}

impl Snapshot<'_> {
    /// Reads a transaction as clients send it: EIP-2718, blobs with their sidecar.
    ///
    /// # Errors
    /// [`QueryError::Undecodable`] for bytes that are no transaction, an invalid signature or another chain's id.
    pub fn submission(&self, bytes: &[u8]) -> Result<Submission, QueryError> {
        let undecodable = |reason: String| QueryError::Undecodable { what: "transaction", reason };
        let transaction = TxEnvelope::decode_2718_exact(bytes);
        let transaction = transaction.map_err(|error| undecodable(error.to_string()))?;
        let chain_id = self.spec().chain_id();
        if let Some(other) = transaction.chain_id().filter(|id| *id != chain_id) {
            return Err(undecodable(format!("it is for chain {other}, this is chain {chain_id}")));
        }
        let sender = transaction.recover_signer().map_err(|error| undecodable(error.to_string()))?;
        Ok(Submission { hash: *transaction.tx_hash(), sender, nonce: transaction.nonce() })
    }
}
