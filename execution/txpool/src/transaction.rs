//! Transactions as they are sent and as they are kept.

use std::sync::Arc;

use alloy_consensus::{
    EthereumTxEnvelope, InMemorySize, Signed, Transaction as _, TxEip4844WithSidecar, Typed2718,
};
use alloy_eips::{
    eip2718::{Decodable2718, Encodable2718},
    eip4844::DATA_GAS_PER_BLOB,
    eip7594::BlobTransactionSidecarVariant,
};
use alloy_primitives::{Address, B256, U256};
use portico_evm::Transaction;

use crate::{
    PoolError,
    settings::{BLOB_TRANSACTION_BYTES_MAX, SLOT_BYTES},
};

/// Blobs with commitments and proofs, in either form.
pub type Sidecar = BlobTransactionSidecarVariant;

/// A transaction as clients and peers send it: blob transactions with their sidecar.
pub type NetworkTransaction = EthereumTxEnvelope<TxEip4844WithSidecar<Sidecar>>;

/// EIP-2718's type of blob transactions.
const BLOB_TYPE: u8 = 3;

/// Memory that a transaction takes beside its fields: its places in the pool's maps, and those of its account if it is
/// alone.
const OVERHEAD_BYTES: usize = 2048;

/// Where a transaction came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From our own users: journaled, and not dropped in favour of others.
    Local,
    /// From anybody.
    External,
}

impl Origin {
    /// `local` or `external`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::External => "external",
        }
    }
}

/// Reads a transaction as it is sent (EIP-2718).
///
/// # Errors
/// [`PoolError::Oversized`], [`PoolError::MissingSidecar`] for a blob transaction as blocks hold it, or
/// [`PoolError::Undecodable`].
pub fn decode_network_transaction(bytes: &[u8]) -> Result<NetworkTransaction, PoolError> {
    if bytes.len() > BLOB_TRANSACTION_BYTES_MAX {
        return Err(PoolError::Oversized { size: bytes.len(), limit: BLOB_TRANSACTION_BYTES_MAX });
    }
    NetworkTransaction::decode_2718_exact(bytes).map_err(|error| {
        let is_bare = bytes.first() == Some(&BLOB_TYPE) && Transaction::decode_2718_exact(bytes).is_ok();
        if is_bare { PoolError::MissingSidecar } else { PoolError::Undecodable(error) }
    })
}

/// Takes a blob transaction's sidecar off.
pub(crate) fn split(transaction: NetworkTransaction) -> (Transaction, Option<Sidecar>) {
    match transaction {
        EthereumTxEnvelope::Legacy(tx) => (Transaction::Legacy(tx), None),
        EthereumTxEnvelope::Eip2930(tx) => (Transaction::Eip2930(tx), None),
        EthereumTxEnvelope::Eip1559(tx) => (Transaction::Eip1559(tx), None),
        EthereumTxEnvelope::Eip7702(tx) => (Transaction::Eip7702(tx), None),
        EthereumTxEnvelope::Eip4844(tx) => {
            let (tx, signature, hash) = tx.into_parts();
            let (tx, sidecar) = tx.into_parts();
            (Transaction::Eip4844(Signed::new_unchecked(tx, signature, hash)), Some(sidecar))
        }
    }
}

/// Puts a sidecar on a blob transaction; `None` when one is missing.
fn join(transaction: Transaction, sidecar: Option<Sidecar>) -> Option<NetworkTransaction> {
    Some(match transaction {
        EthereumTxEnvelope::Legacy(tx) => NetworkTransaction::Legacy(tx),
        EthereumTxEnvelope::Eip2930(tx) => NetworkTransaction::Eip2930(tx),
        EthereumTxEnvelope::Eip1559(tx) => NetworkTransaction::Eip1559(tx),
        EthereumTxEnvelope::Eip7702(tx) => NetworkTransaction::Eip7702(tx),
        EthereumTxEnvelope::Eip4844(tx) => {
            let (tx, signature, hash) = tx.into_parts();
            let tx = TxEip4844WithSidecar { tx, sidecar: sidecar? };
            NetworkTransaction::Eip4844(Signed::new_unchecked(tx, signature, hash))
        }
    })
}

/// A transaction in the pool. Shared, never changed.
#[derive(Debug)]
pub struct PoolTransaction {
    transaction: Transaction,
    sender: Address,
    sidecar: Option<Arc<Sidecar>>,
    origin: Origin,
    authorities: Vec<Address>,
    cost: U256,
    encoded_length: usize,
    footprint: usize,
    sequence: u64,
}

/// What a [`PoolTransaction`] is made from.
pub(crate) struct Parts {
    pub transaction: Transaction,
    pub sender: Address,
    pub sidecar: Option<Arc<Sidecar>>,
    pub origin: Origin,
    /// Who signed its delegations.
    pub authorities: Vec<Address>,
    /// Length as sent.
    pub encoded_length: usize,
    /// Grows with each transaction that comes.
    pub sequence: u64,
}

impl PoolTransaction {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { transaction, sender, sidecar, origin, authorities, encoded_length, sequence } = parts;
        let sidecar_size = sidecar.as_ref().map_or(0, |sidecar| sidecar_bytes(sidecar));
        let fields = transaction.size() + authorities.len() * size_of::<Address>();
        Self {
            cost: cost(&transaction),
            footprint: OVERHEAD_BYTES
                + fields.max(encoded_length.saturating_sub(sidecar_size))
                + sidecar_size,
            transaction,
            sender,
            sidecar,
            origin,
            authorities,
            encoded_length,
            sequence,
        }
    }

    /// Its hash.
    pub fn hash(&self) -> B256 {
        *self.transaction.tx_hash()
    }

    /// The transaction as blocks hold it.
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// Who signed it.
    pub fn sender(&self) -> Address {
        self.sender
    }

    /// Its nonce.
    pub fn nonce(&self) -> u64 {
        self.transaction.nonce()
    }

    /// Blobs, commitments and proofs of a blob transaction.
    pub fn sidecar(&self) -> Option<&Arc<Sidecar>> {
        self.sidecar.as_ref()
    }

    /// Where it came from.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Whether it is a blob transaction.
    pub fn is_blob(&self) -> bool {
        self.transaction.ty() == BLOB_TYPE
    }

    /// The most that it can take from its sender's balance: gas, blob gas and value, in wei.
    pub fn cost(&self) -> U256 {
        self.cost
    }

    /// Length in bytes as sent.
    pub fn encoded_length(&self) -> usize {
        self.encoded_length
    }

    /// Memory that it takes, about, in bytes.
    pub fn footprint(&self) -> usize {
        self.footprint
    }

    /// Slots that it takes: 32 KiB of its length each, at least one.
    pub fn slots(&self) -> usize {
        self.encoded_length.div_ceil(SLOT_BYTES).max(1)
    }

    /// Who signed its delegations (EIP-7702), as far as that can be recovered.
    pub fn authorities(&self) -> &[Address] {
        &self.authorities
    }

    /// Grows with each transaction that comes: the order among those that pay the same.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Most gas that it may take.
    pub fn gas_limit(&self) -> u64 {
        self.transaction.gas_limit()
    }

    /// Most that it pays for a unit of gas, in wei.
    pub fn fee_cap(&self) -> u128 {
        self.transaction.max_fee_per_gas()
    }

    /// Most that it pays above the base fee, in wei; for a legacy transaction its price.
    pub fn tip_cap(&self) -> u128 {
        self.transaction.max_priority_fee_per_gas().unwrap_or_else(|| self.fee_cap())
    }

    /// Most that it pays for a unit of blob gas, in wei.
    pub fn blob_fee_cap(&self) -> Option<u128> {
        self.transaction.max_fee_per_blob_gas()
    }

    /// What it pays its block's builder for a unit of gas, in wei; `None` when it does not pay the base fee.
    pub fn effective_tip(&self, base_fee: u64) -> Option<u128> {
        let above = self.fee_cap().checked_sub(u128::from(base_fee))?;
        Some(above.min(self.tip_cap()))
    }

    /// The transaction as it was sent, with a copy of its sidecar.
    pub fn to_network(&self) -> NetworkTransaction {
        let sidecar = self.sidecar.as_ref().map(|sidecar| (**sidecar).clone());
        join(self.transaction.clone(), sidecar).expect("a blob transaction is not kept without its sidecar")
    }

    /// The bytes as they were sent (EIP-2718).
    pub fn to_network_bytes(&self) -> Vec<u8> {
        self.to_network().encoded_2718()
    }
}

/// The most that a transaction can take from its sender's balance, in wei; more than there can be if it overflows.
pub(crate) fn cost(transaction: &Transaction) -> U256 {
    let gas = U256::from(transaction.max_fee_per_gas()) * U256::from(transaction.gas_limit());
    let blob_gas = blob_count(transaction) as u64 * DATA_GAS_PER_BLOB;
    let blobs = U256::from(transaction.max_fee_per_blob_gas().unwrap_or_default()) * U256::from(blob_gas);
    gas.saturating_add(blobs).saturating_add(transaction.value())
}

pub(crate) fn blob_count(transaction: &Transaction) -> usize {
    transaction.blob_versioned_hashes().map_or(0, <[B256]>::len)
}

pub(crate) fn sidecar_bytes(sidecar: &Sidecar) -> usize {
    sidecar.rlp_encoded_fields_length()
}
