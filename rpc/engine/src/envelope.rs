//! Built blocks as the consensus client takes them.

use std::sync::Arc;

use alloy_eips::{eip7594::BlobTransactionSidecarEip7594, eip7685::Requests};
use alloy_rpc_types_engine::{
    BlobsBundleV1, BlobsBundleV2, ExecutionPayloadEnvelopeV2, ExecutionPayloadEnvelopeV3,
    ExecutionPayloadEnvelopeV4, ExecutionPayloadEnvelopeV5, ExecutionPayloadEnvelopeV6,
    ExecutionPayloadFieldV2, ExecutionPayloadV1, ExecutionPayloadV3, ExecutionPayloadV4,
};
use portico_stages::BuiltBlock;
use portico_txpool::Sidecar;
use serde::Serialize;
use serde_json::Value;

use crate::{EngineError, jobs::Best};

/// The answer of a version of `engine_getPayload`, whose fork the block has.
///
/// # Errors
/// When it cannot be written as JSON, or a sidecar has the form of another fork.
pub(crate) fn envelope(version: u8, best: &Best) -> Result<Value, EngineError> {
    let Best { built, sidecars } = best;
    let (hash, block) = (built.block.hash, built.block.clone().into_block());
    let block_value = built.fees;
    match version {
        1 => json(&ExecutionPayloadV1::from_block_unchecked(hash, &block)),
        2 => {
            let execution_payload = ExecutionPayloadFieldV2::from_block_unchecked(hash, &block);
            json(&ExecutionPayloadEnvelopeV2 { execution_payload, block_value })
        }
        3 | 4 => {
            let envelope_inner = ExecutionPayloadEnvelopeV3 {
                execution_payload: ExecutionPayloadV3::from_block_unchecked(hash, &block),
                block_value,
                blobs_bundle: bundle_of_proofs(sidecars)?,
                should_override_builder: false,
            };
            if version == 3 {
                return json(&envelope_inner);
            }
            json(&ExecutionPayloadEnvelopeV4 { envelope_inner, execution_requests: requests(built) })
        }
        5 => json(&ExecutionPayloadEnvelopeV5 {
            execution_payload: ExecutionPayloadV3::from_block_unchecked(hash, &block),
            block_value,
            blobs_bundle: bundle_of_cell_proofs(sidecars)?,
            should_override_builder: false,
            execution_requests: requests(built),
        }),
        _ => json(&ExecutionPayloadEnvelopeV6 {
            execution_payload: ExecutionPayloadV4::from_block_unchecked_with_bal(
                hash,
                &block,
                built.access_list.clone().unwrap_or_default(),
            ),
            block_value,
            blobs_bundle: bundle_of_cell_proofs(sidecars)?,
            should_override_builder: false,
            execution_requests: requests(built),
        }),
    }
}

fn json(answer: &impl Serialize) -> Result<Value, EngineError> {
    serde_json::to_value(answer).map_err(|error| EngineError::Internal(error.to_string()))
}

fn requests(built: &BuiltBlock) -> Requests {
    built.requests.clone().unwrap_or_default()
}

fn wrong_form() -> EngineError {
    EngineError::Internal("a blob transaction's sidecar has the form of another fork".to_owned())
}

fn bundle_of_proofs(sidecars: &[Arc<Sidecar>]) -> Result<BlobsBundleV1, EngineError> {
    let sidecars = sidecars.iter().map(|sidecar| match &**sidecar {
        Sidecar::Eip4844(sidecar) => Ok(sidecar.clone()),
        Sidecar::Eip7594(_) => Err(wrong_form()),
    });
    Ok(BlobsBundleV1::new(sidecars.collect::<Result<Vec<_>, _>>()?))
}

fn bundle_of_cell_proofs(sidecars: &[Arc<Sidecar>]) -> Result<BlobsBundleV2, EngineError> {
    let sidecars = sidecars.iter().map(|sidecar| match &**sidecar {
        Sidecar::Eip7594(sidecar) => Ok::<BlobTransactionSidecarEip7594, _>(sidecar.clone()),
        Sidecar::Eip4844(_) => Err(wrong_form()),
    });
    Ok(BlobsBundleV2::new(sidecars.collect::<Result<Vec<_>, _>>()?))
}
