//! Calls one after another: `eth_callMany` as in Erigon, `eth_callBundle` as in Flashbots' and Erigon's nodes.

use alloy_eips::BlockId;
use alloy_primitives::{B256, Bytes, hex};
use alloy_rpc_types_eth::{Bundle, StateContext, TransactionIndex};
use jsonrpsee::{
    core::{RpcResult, async_trait},
    proc_macros::rpc,
};
use portico_query::{CallBundle, ExecutedBundle, QueryError, Snapshot, StateWithin};
use serde::Serialize;

use super::{Eth, StateOverrideArgument, overrides::overrides};
use crate::{error::MethodError, workers::Class};

/// Calls in one request.
const CALLS_MAX: usize = 1000;

/// Calls one after another.
#[rpc(server, namespace = "eth")]
pub trait EthBundleApi {
    /// Runs bundles of calls, each call on the state that the one before left.
    #[method(name = "callMany")]
    async fn call_many(
        &self,
        bundles: Vec<Bundle>,
        within: Option<StateContext>,
        state_overrides: Option<StateOverrideArgument>,
        timeout_ms: Option<u64>,
    ) -> RpcResult<Vec<Vec<RpcCallOutcome>>>;

    /// Executes known transactions again, after a block.
    #[method(name = "callBundle")]
    async fn call_bundle(
        &self,
        hashes: Vec<B256>,
        block: Option<BlockId>,
        timeout_ms: Option<u64>,
    ) -> RpcResult<RpcBundle>;
}

/// What a call returned, or how it failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RpcCallOutcome {
    /// In hex, without `0x`.
    Value(String),
    /// In words.
    Error(String),
}

impl From<Result<Bytes, QueryError>> for RpcCallOutcome {
    fn from(outcome: Result<Bytes, QueryError>) -> Self {
        match outcome {
            Ok(output) => Self::Value(hex::encode(output)),
            Err(error) => Self::Error(error.to_string()),
        }
    }
}

/// Transactions that were executed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RpcBundle {
    bundle_hash: B256,
    results: Vec<RpcBundleResult>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RpcBundleResult {
    tx_hash: B256,
    gas_used: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<ExecutedBundle> for RpcBundle {
    fn from(bundle: ExecutedBundle) -> Self {
        let results = bundle.transactions.into_iter().map(|transaction| {
            let (value, error) = match transaction.output {
                Ok(output) => (Some(word(&output)), None),
                // The reason of a revert is not told.
                Err(QueryError::Reverted { .. }) => (None, Some("execution reverted".to_owned())),
                Err(error) => (None, Some(error.to_string())),
            };
            RpcBundleResult { tx_hash: transaction.tx_hash, gas_used: transaction.gas_used, value, error }
        });
        Self { bundle_hash: bundle.bundle_hash, results: results.collect() }
    }
}

/// The last 32 bytes of what was returned, filled up from the left.
fn word(output: &[u8]) -> B256 {
    B256::left_padding_from(&output[output.len().saturating_sub(32)..])
}

#[async_trait]
impl EthBundleApiServer for Eth {
    async fn call_many(
        &self,
        bundles: Vec<Bundle>,
        within: Option<StateContext>,
        state_overrides: Option<StateOverrideArgument>,
        _timeout_ms: Option<u64>,
    ) -> RpcResult<Vec<Vec<RpcCallOutcome>>> {
        let calls: usize = bundles.iter().map(|bundle| bundle.transactions.len()).sum();
        if calls == 0 {
            return Err(MethodError::EmptyRequest.into());
        }
        if calls.saturating_add(bundles.len()) > CALLS_MAX {
            return Err(MethodError::TooManyCalls { max: CALLS_MAX }.into());
        }
        let bundles = bundles.into_iter();
        let bundles: Vec<_> = bundles
            .map(|bundle| CallBundle { calls: bundle.transactions, block: bundle.block_override })
            .collect();
        let StateContext { block_number: block, transaction_index } = within.unwrap_or_default();
        let answer = move |snapshot: &Snapshot<'_>| {
            let block_number = snapshot.require(block.unwrap_or_default())?;
            let at = match transaction_index {
                None | Some(TransactionIndex::All) => StateWithin::After(block_number),
                Some(TransactionIndex::Index(index)) => {
                    StateWithin::Amid { block_number, transactions: index as u64 }
                }
            };
            let results = snapshot.call_many(bundles, at, overrides(state_overrides))?.into_iter();
            Ok(results.map(|outputs| outputs.into_iter().map(Into::into).collect()).collect())
        };
        self.workers.read(Class::Call, answer).await
    }

    async fn call_bundle(
        &self,
        hashes: Vec<B256>,
        block: Option<BlockId>,
        _timeout_ms: Option<u64>,
    ) -> RpcResult<RpcBundle> {
        if hashes.is_empty() {
            return Err(MethodError::EmptyRequest.into());
        }
        if hashes.len() > CALLS_MAX {
            return Err(MethodError::TooManyCalls { max: CALLS_MAX }.into());
        }
        let answer = move |snapshot: &Snapshot<'_>| {
            let block_number = snapshot.require(block.unwrap_or_default())?;
            Ok(snapshot.call_bundle(&hashes, block_number)?.into())
        };
        self.workers.read(Class::Call, answer).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn outcomes_are_as_erigon_gives_them() {
        let value = RpcCallOutcome::from(Ok(Bytes::from_static(&[0, 1])));
        assert_eq!(serde_json::to_value(value).unwrap(), json!({ "value": "0001" }));
        let error = RpcCallOutcome::from(Err(QueryError::GenesisNotTraceable));
        assert_eq!(serde_json::to_value(error).unwrap(), json!({ "error": "genesis is not traceable" }));
    }

    #[test]
    fn returned_values_are_words() {
        assert_eq!(word(&[]), B256::ZERO);
        assert_eq!(word(&[1]), B256::with_last_byte(1));
        assert_eq!(word(&[[7; 32], [8; 32]].concat()), B256::repeat_byte(8));
    }
}
