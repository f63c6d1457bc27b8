//! Blobs that the pool has and the consensus client has not seen.

use alloy_eips::{
    eip4844::{BlobAndProofV1, BlobAndProofV2, BlobCellsAndProofsV1},
    eip7594::BlobCellMask,
};
use alloy_primitives::{B128, B256};
use portico_chainspec::Fork;
use portico_txpool::PooledBlob;

use crate::{Engine, EngineError, payload::fork_of};

/// Blobs that one request gives; the specification asks for 128 at least.
const BLOBS_MAX: u64 = 128;

impl Engine {
    /// `engine_getBlobsV1`: until Osaka.
    pub(crate) fn blobs_v1(&self, hashes: &[B256]) -> Result<Vec<Option<BlobAndProofV1>>, EngineError> {
        if self.head_fork()? >= Fork::Osaka {
            return Err(EngineError::UnsupportedFork("engine_getBlobsV1 ends with Osaka".to_owned()));
        }
        let found = self.pooled_blobs(hashes)?;
        let one = |found: PooledBlob| {
            Some(BlobAndProofV1 { blob: Box::new(*found.blob()), proof: *found.proof()? })
        };
        Ok(found.into_iter().map(|found| found.and_then(one)).collect())
    }

    /// `engine_getBlobsV2`: all of them, or nothing; `engine_getBlobsV3`: with gaps.
    pub(crate) fn blobs_with_cells(
        &self,
        version: u8,
        hashes: &[B256],
    ) -> Result<Option<Vec<Option<BlobAndProofV2>>>, EngineError> {
        if self.head_fork()? < Fork::Osaka {
            let what = format!("engine_getBlobsV{version} begins with Osaka");
            return Err(EngineError::UnsupportedFork(what));
        }
        let found = self.pooled_blobs(hashes)?;
        let one = |found: PooledBlob| {
            let proofs = found.cell_proofs()?.to_vec();
            Some(BlobAndProofV2 { blob: Box::new(*found.blob()), proofs })
        };
        let blobs: Vec<_> = found.into_iter().map(|found| found.and_then(one)).collect();
        let all = blobs.iter().all(Option::is_some);
        Ok((all || version >= 3).then_some(blobs))
    }

    /// `engine_getBlobsV4`: of each blob the cells that the mask names, with gaps (EIP-8070).
    pub(crate) fn blob_cells(
        &self,
        hashes: &[B256],
        cells: B128,
    ) -> Result<Vec<Option<BlobCellsAndProofsV1>>, EngineError> {
        if self.head_fork()? < Fork::Amsterdam {
            return Err(EngineError::UnsupportedFork("engine_getBlobsV4 begins with Amsterdam".to_owned()));
        }
        let mask = BlobCellMask::new(cells);
        let found = self.pooled_blobs(hashes)?;
        Ok(found.into_iter().map(|found| found.and_then(|found| found.cells(mask))).collect())
    }

    fn pooled_blobs(&self, hashes: &[B256]) -> Result<Vec<Option<PooledBlob>>, EngineError> {
        let asked = hashes.len() as u64;
        if asked > BLOBS_MAX {
            return Err(EngineError::TooLarge { asked, max: BLOBS_MAX });
        }
        Ok(self.query().pool().map_or_else(|| vec![None; hashes.len()], |pool| pool.blobs(hashes)))
    }

    fn head_fork(&self) -> Result<Fork, EngineError> {
        let tip = self.tip();
        let header = tip.header(&tip.head().1)?;
        Ok(header.map_or(Fork::Frontier, |header| fork_of(tip.spec(), header.number, header.timestamp)))
    }
}
