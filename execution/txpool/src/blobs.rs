//! Blobs by their versioned hashes, over all sidecars that are at hand.

use std::sync::Arc;

use alloy_eips::{
    eip4844::{Blob, BlobCellsAndProofsV1, Bytes48},
    eip7594::{BlobCellMask, CELLS_PER_EXT_BLOB},
};
use alloy_primitives::{B256, map::HashMap};

use crate::transaction::Sidecar;

/// A blob in a sidecar that the pool has.
#[derive(Debug, Clone)]
pub struct PooledBlob {
    sidecar: Arc<Sidecar>,
    index: usize,
}

impl PooledBlob {
    /// The blob.
    pub fn blob(&self) -> &Blob {
        &self.sidecar.blobs()[self.index]
    }

    /// Its commitment.
    pub fn commitment(&self) -> &Bytes48 {
        &self.sidecar.commitments()[self.index]
    }

    /// Its proof, if the sidecar has one for each blob (until Prague).
    pub fn proof(&self) -> Option<&Bytes48> {
        match &*self.sidecar {
            Sidecar::Eip4844(sidecar) => sidecar.proofs.get(self.index),
            Sidecar::Eip7594(_) => None,
        }
    }

    /// The proofs of its 128 cells, if the sidecar has those (from Osaka on, EIP-7594).
    pub fn cell_proofs(&self) -> Option<&[Bytes48]> {
        match &*self.sidecar {
            Sidecar::Eip4844(_) => None,
            Sidecar::Eip7594(sidecar) => {
                let first = self.index * CELLS_PER_EXT_BLOB;
                sidecar.cell_proofs.get(first..first + CELLS_PER_EXT_BLOB)
            }
        }
    }

    /// Its cells that `mask` names, each with its proof; none without cell proofs. They are computed: milliseconds a blob.
    pub fn cells(&self, mask: BlobCellMask) -> Option<BlobCellsAndProofsV1> {
        match &*self.sidecar {
            Sidecar::Eip4844(_) => None,
            // Only what is no blob fails, and this one's proofs were checked.
            Sidecar::Eip7594(sidecar) => sidecar.blob_cells_and_proofs(self.index, mask).ok().flatten(),
        }
    }
}

/// All sidecars' blobs. A blob may be in several.
#[derive(Debug, Default)]
pub(crate) struct BlobIndex {
    blobs: HashMap<B256, Vec<PooledBlob>>,
}

impl BlobIndex {
    /// Adds a sidecar's blobs; `hashes` are the transaction's, which were compared with the commitments.
    pub fn insert(&mut self, sidecar: &Arc<Sidecar>, hashes: &[B256]) {
        for (index, hash) in hashes.iter().enumerate() {
            self.blobs.entry(*hash).or_default().push(PooledBlob { sidecar: sidecar.clone(), index });
        }
    }

    /// Takes a sidecar's blobs out.
    pub fn remove(&mut self, sidecar: &Arc<Sidecar>, hashes: &[B256]) {
        for hash in hashes {
            let Some(places) = self.blobs.get_mut(hash) else { continue };
            places.retain(|place| !Arc::ptr_eq(&place.sidecar, sidecar));
            if places.is_empty() {
                self.blobs.remove(hash);
            }
        }
    }

    pub fn get(&self, hash: &B256) -> Option<&PooledBlob> {
        self.blobs.get(hash)?.last()
    }
}
