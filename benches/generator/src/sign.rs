//! Signing: deterministic ECDSA (RFC 6979) with libsecp256k1, a block's transactions in parallel.

use crate::{
    accounts::Accounts,
    plan::{PlannedTransaction, Transaction},
};
use alloy_consensus::{SignableTransaction, transaction::Recovered};
use alloy_primitives::{B256, Signature, U256};
use rayon::prelude::*;
use secp256k1::{Message, SECP256K1, SecretKey};

/// Signs planned transactions, in their order. Each comes with its sender.
pub fn sign(accounts: &Accounts, planned: &[PlannedTransaction]) -> Vec<Recovered<Transaction>> {
    planned
        .par_iter()
        .map(|planned| {
            let sender = accounts.user(planned.sender);
            let transaction = planned.transaction.clone();
            let signature = sign_hash(&sender.key, transaction.signature_hash());
            Recovered::new_unchecked(transaction.into_envelope(signature), sender.address)
        })
        .collect()
}

/// Signs a hash.
pub(crate) fn sign_hash(key: &SecretKey, hash: B256) -> Signature {
    let signature = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), key);
    let (recovery_id, bytes) = signature.serialize_compact();
    let r = U256::from_be_slice(&bytes[..32]);
    let s = U256::from_be_slice(&bytes[32..]);
    Signature::new(r, s, i32::from(recovery_id) & 1 == 1)
}
