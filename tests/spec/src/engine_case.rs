//! Engine payloads of a block test (`blockchain_tests_engine`) as blocks.

use alloy_eips::eip7685::Requests;
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_engine::{
    CancunPayloadFields, ExecutionPayload, ExecutionPayloadSidecar, PraguePayloadFields,
};
use portico_chain::{BlockParts, Transaction};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::Refusal;

/// One `engine_newPayload` call.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CasePayload<'a> {
    /// Payload, and by version: versioned hashes, parent beacon block root, execution requests.
    #[serde(borrow)]
    params: Vec<&'a RawValue>,
    /// The exception that it must cause.
    #[serde(default)]
    validation_error: Option<String>,
    /// The RPC error that it must cause: the call is refused before there is a block.
    #[serde(default)]
    error_code: Option<Value>,
}

impl CasePayload<'_> {
    /// The exception that it must cause; `None` for a payload that is valid.
    pub(crate) fn exception(&self) -> Option<String> {
        self.validation_error.clone().or_else(|| self.error_code.is_some().then(String::new))
    }

    /// Whether the call itself is at fault, not the block.
    pub(crate) fn is_refused_as_call(&self) -> bool {
        self.error_code.is_some() && self.validation_error.is_none()
    }

    /// The block, whose hash is the payload's.
    pub(crate) fn block(&self) -> Result<BlockParts, Refusal> {
        let wrong = |error: &dyn std::fmt::Display| Refusal::Payload(error.to_string());
        let param = |index: usize| self.params.get(index).map(|raw| raw.get());
        let read_error = |error: serde_json::Error| Refusal::Payload(error.to_string());
        let payload = param(0).ok_or_else(|| wrong(&"no payload"))?;
        let payload: ExecutionPayload = serde_json::from_str(payload).map_err(read_error)?;
        let expected = payload.block_hash();
        let mut sidecar = ExecutionPayloadSidecar::none();
        if let (Some(hashes), Some(root)) = (param(1), param(2)) {
            let versioned_hashes: Vec<B256> = serde_json::from_str(hashes).map_err(read_error)?;
            let parent_beacon_block_root: B256 = serde_json::from_str(root).map_err(read_error)?;
            let cancun = CancunPayloadFields { parent_beacon_block_root, versioned_hashes };
            sidecar = match param(3) {
                Some(requests) => {
                    let requests: Vec<Bytes> = serde_json::from_str(requests).map_err(read_error)?;
                    let prague = PraguePayloadFields::new(Requests::new(requests));
                    ExecutionPayloadSidecar::v4(cancun, prague)
                }
                None => ExecutionPayloadSidecar::v3(cancun),
            };
        }
        let block =
            payload.try_into_block_with_sidecar::<Transaction>(&sidecar).map_err(|error| wrong(&error))?;
        let hash = block.header.hash_slow();
        if hash != expected {
            return Err(wrong(&format!("block hash mismatch: {hash}, payload says {expected}")));
        }
        let carried = block.body.transactions.iter();
        let carried = carried.filter_map(alloy_consensus::Transaction::blob_versioned_hashes).flatten();
        if sidecar.versioned_hashes().is_some_and(|given| !given.iter().eq(carried)) {
            return Err(wrong(&"blob versioned hashes mismatch"));
        }
        Ok(BlockParts {
            hash,
            header: block.header,
            transactions: block.body.transactions,
            ommers: block.body.ommers,
            withdrawals: block.body.withdrawals.map(|withdrawals| withdrawals.into_inner()),
        })
    }
}
