//! What somebody sends who means harm, signed ahead.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip4844, TxEip4844WithSidecar};
use alloy_eips::{
    eip2718::Encodable2718,
    eip4844::{Blob, BlobTransactionSidecar, Bytes48, env_settings::EnvKzgSettings},
};
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256};
use portico_generator::accounts::User;
use portico_txpool::NetworkTransaction;
use rayon::prelude::*;
use secp256k1::{Message, SECP256K1, SecretKey};

/// Wei in a gwei.
pub(super) const GWEI: u128 = 1_000_000_000;
/// What all of them pay for gas at most: well above any base fee here.
const FEE_CAP: u128 = 200 * GWEI;
/// Gas of a transfer.
const TRANSFER_GAS: u64 = 21_000;
/// Rises by a tenth from one gwei to less than the cap.
const REPLACEMENTS: u64 = 40;
/// Nonces beyond a gap that an account may have waiting.
const GAPS: u64 = 60;
/// Different blob transactions; they are large, and sent again and again.
const BLOB_TRANSACTIONS: usize = 120;
/// Different transactions of the largest size.
const LARGE_TRANSACTIONS: usize = 400;

/// An account that sends.
#[derive(Debug, Clone, Copy)]
pub struct Attacker {
    /// Its key.
    pub key: SecretKey,
    /// Its address.
    pub address: Address,
}

impl From<&User> for Attacker {
    fn from(user: &User) -> Self {
        Self { key: *user.key(), address: user.address }
    }
}

/// A way to harm a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// The same nonces again and again, each time paying a tenth more, or not enough more.
    Replacements,
    /// Nonces that nothing can be done with, because the first is missing.
    Gaps,
    /// A transaction each of as many accounts as there are.
    Senders,
    /// Blobs with another's proof or commitment, without a commitment, and more of them than fit.
    Blobs,
    /// Too large, or as large as may be.
    Oversized,
    /// No tip, no gas, no chain, or nobody who could pay.
    Underpriced,
}

impl Attack {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Replacements, Self::Gaps, Self::Senders, Self::Blobs, Self::Oversized, Self::Underpriced];

    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Replacements => "replacements",
            Self::Gaps => "nonce gaps",
            Self::Senders => "many senders",
            Self::Blobs => "invalid blobs",
            Self::Oversized => "large ones",
            Self::Underpriced => "hopeless ones",
        }
    }

    /// How many are sent in one request.
    pub fn batch(self) -> usize {
        match self {
            Self::Replacements | Self::Gaps | Self::Senders | Self::Underpriced => 40,
            Self::Blobs => 1,
            Self::Oversized => 4,
        }
    }

    /// Up to `count` transactions as they are sent, by accounts that have sent nothing yet.
    ///
    /// # Panics
    /// Without accounts.
    pub fn transactions(self, accounts: &[Attacker], chain_id: u64, count: usize) -> Vec<Bytes> {
        assert!(!accounts.is_empty(), "somebody has to send");
        let count = match self {
            Self::Blobs => count.min(BLOB_TRANSACTIONS),
            Self::Oversized => count.min(LARGE_TRANSACTIONS),
            _ => count,
        };
        let blobs = (self == Self::Blobs).then(Sidecars::new);
        let make = |index: usize| {
            let index = index as u64;
            let account = |position: u64| &accounts[(position % accounts.len() as u64) as usize];
            match (self, &blobs) {
                (Self::Replacements, _) => replacement(account(index / REPLACEMENTS), chain_id, index),
                (Self::Gaps, _) => {
                    let tx = TxEip1559 { nonce: index % GAPS + 1, ..transfer(chain_id, GWEI) };
                    sign(account(index / GAPS), tx)
                }
                (Self::Senders, _) => sign(account(index), transfer(chain_id, 1 + u128::from(index % 977))),
                (Self::Blobs, Some(sidecars)) => blob_transaction(account(index), chain_id, sidecars, index),
                (Self::Oversized, _) => large(account(index), chain_id, index),
                (Self::Underpriced | Self::Blobs, _) => hopeless(account(index), chain_id, index),
            }
        };
        (0..count).into_par_iter().map(make).collect()
    }
}

/// A transfer of nothing that pays `tip` wei.
pub(super) fn transfer(chain_id: u64, tip: u128) -> TxEip1559 {
    TxEip1559 {
        chain_id,
        gas_limit: TRANSFER_GAS,
        to: TxKind::Call(Address::ZERO),
        max_fee_per_gas: FEE_CAP,
        max_priority_fee_per_gas: tip,
        ..TxEip1559::default()
    }
}

fn signature(account: &Attacker, tx: &impl SignableTransaction<Signature>) -> Signature {
    let hash = Message::from_digest(tx.signature_hash().0);
    let (id, bytes) = SECP256K1.sign_ecdsa_recoverable(hash, &account.key).serialize_compact();
    Signature::from_bytes_and_parity(&bytes, i32::from(id) == 1)
}

/// The transaction as it is sent.
pub(super) fn sign(account: &Attacker, tx: TxEip1559) -> Bytes {
    let signature = signature(account, &tx);
    NetworkTransaction::Eip1559(tx.into_signed(signature)).encoded_2718().into()
}

/// Every other one does not pay enough more.
fn replacement(account: &Attacker, chain_id: u64, index: u64) -> Bytes {
    let step = index % REPLACEMENTS;
    let mut fee = 10 * GWEI;
    for _ in 0..step / 2 {
        fee = fee * 111 / 100;
    }
    let fee = fee + u128::from(step % 2);
    sign(account, TxEip1559 { max_fee_per_gas: fee, max_priority_fee_per_gas: fee, ..transfer(chain_id, 0) })
}

fn large(account: &Attacker, chain_id: u64, index: u64) -> Bytes {
    // Transactions may have 128 KiB.
    let length = if index.is_multiple_of(2) { 120_000 } else { 140_000 };
    let tx = TxEip1559 { gas_limit: 4_900_000, input: vec![1; length].into(), ..transfer(chain_id, GWEI) };
    sign(account, tx)
}

fn hopeless(account: &Attacker, chain_id: u64, index: u64) -> Bytes {
    let tx = transfer(chain_id, GWEI);
    let tx = match index % 5 {
        0 => TxEip1559 { max_priority_fee_per_gas: 0, ..tx },
        1 => TxEip1559 { gas_limit: TRANSFER_GAS - 1, ..tx },
        2 => TxEip1559 { chain_id: chain_id + 1, ..tx },
        3 => TxEip1559 { value: U256::MAX >> 8, ..tx },
        _ => TxEip1559 { max_priority_fee_per_gas: FEE_CAP + 1, ..tx },
    };
    sign(account, tx)
}

/// Sidecars of blobs that are not what they are said to be.
struct Sidecars {
    good: BlobTransactionSidecar,
    other: BlobTransactionSidecar,
}

impl Sidecars {
    fn new() -> Self {
        let of = |mark: u8| {
            let mut blob = Blob::ZERO;
            blob[1] = mark;
            BlobTransactionSidecar::try_from_blobs_with_settings(vec![blob], EnvKzgSettings::Default.get())
                .expect("a blob of a small number has a proof")
        };
        Self { good: of(1), other: of(2) }
    }

    /// Hashes are those of what is sent, so that only the proofs tell.
    fn spoiled(&self, index: u64) -> BlobTransactionSidecar {
        let mut sidecar = self.good.clone();
        match index % 4 {
            0 => sidecar.proofs = self.other.proofs.clone(),
            1 => sidecar.commitments = self.other.commitments.clone(),
            2 => sidecar.commitments = vec![Bytes48::repeat_byte(0x11)],
            _ => {
                for _ in 0..6 {
                    sidecar.blobs.extend(self.good.blobs.clone());
                    sidecar.commitments.extend(self.good.commitments.clone());
                    sidecar.proofs.extend(self.good.proofs.clone());
                }
            }
        }
        sidecar
    }
}

fn blob_transaction(account: &Attacker, chain_id: u64, sidecars: &Sidecars, index: u64) -> Bytes {
    let sidecar = sidecars.spoiled(index);
    let tx = TxEip4844 {
        chain_id,
        gas_limit: TRANSFER_GAS,
        max_fee_per_gas: FEE_CAP,
        max_priority_fee_per_gas: GWEI,
        max_fee_per_blob_gas: GWEI,
        blob_versioned_hashes: sidecar.versioned_hashes().collect(),
        ..TxEip4844::default()
    };
    let signature = signature(account, &tx);
    let tx = TxEip4844WithSidecar { tx, sidecar: sidecar.into() };
    NetworkTransaction::Eip4844(tx.into_signed(signature)).encoded_2718().into()
}
