//! Whether a sidecar belongs to its transaction, and in the form that the next block's fork asks for.

use alloy_eips::{
    eip4844::{c_kzg::ethereum_kzg_settings, kzg_to_versioned_hash},
    eip7594::CELLS_PER_EXT_BLOB,
};
use alloy_primitives::B256;
use portico_chainspec::Fork;

use crate::{PoolError, transaction::Sidecar};

/// Whether `fork`'s blocks are offered cell proofs (EIP-7594) instead of one proof for each blob.
pub(crate) fn wants_cell_proofs(fork: Fork) -> bool {
    fork >= Fork::Osaka
}

/// Whether a sidecar has the form that `fork` asks for.
pub(crate) fn fits(sidecar: &Sidecar, fork: Fork) -> bool {
    matches!(sidecar, Sidecar::Eip7594(_)) == wants_cell_proofs(fork)
}

/// Checks form, lengths and the commitments' hashes: what costs nothing.
pub(crate) fn check_form(sidecar: &Sidecar, hashes: &[B256], fork: Fork) -> Result<(), PoolError> {
    if !fits(sidecar, fork) {
        let want = u8::from(wants_cell_proofs(fork));
        return Err(PoolError::SidecarVersion { want, got: 1 - want });
    }
    let (commitments, proofs, proofs_expected) = match sidecar {
        Sidecar::Eip4844(sidecar) => (&sidecar.commitments, sidecar.proofs.len(), hashes.len()),
        Sidecar::Eip7594(sidecar) => {
            (&sidecar.commitments, sidecar.cell_proofs.len(), hashes.len() * CELLS_PER_EXT_BLOB)
        }
    };
    let lengths = [
        ("blobs", sidecar.blobs().len(), hashes.len()),
        ("blob commitments", commitments.len(), hashes.len()),
        ("blob proofs", proofs, proofs_expected),
    ];
    for (what, have, expected) in lengths {
        if have != expected {
            return Err(PoolError::SidecarLength { what, have, expected });
        }
    }
    for (index, (commitment, expected)) in commitments.iter().zip(hashes).enumerate() {
        let computed = kzg_to_versioned_hash(commitment.as_slice());
        if computed != *expected {
            return Err(PoolError::WrongVersionedHash { index, computed, expected: *expected });
        }
    }
    Ok(())
}

/// Checks the proofs: milliseconds a blob.
pub(crate) fn check_proofs(sidecar: &Sidecar, hashes: &[B256]) -> Result<(), PoolError> {
    // Tables of the trusted setup serve only who makes proofs.
    const NO_TABLES: u64 = 0;
    sidecar.validate(hashes, ethereum_kzg_settings(NO_TABLES)).map_err(PoolError::Kzg)
}
