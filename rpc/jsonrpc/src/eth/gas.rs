//! Gas and fees: how much a call needs, and what it would pay.

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{U64, U256};
use alloy_rpc_types_eth::{AccessListResult, BlockOverrides, FeeHistory, TransactionRequest};
use jsonrpsee::{
    core::{RpcResult, async_trait},
    proc_macros::rpc,
};
use portico_query::{CallOverrides, Snapshot};

use super::{Eth, StateOverrideArgument, overrides::overrides};
use crate::workers::Class;

/// Gas and fees. Prices are in wei.
#[rpc(server, namespace = "eth")]
pub trait EthGasApi {
    /// A gas limit with which a call succeeds.
    #[method(name = "estimateGas")]
    async fn estimate_gas(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverrideArgument>,
        block_overrides: Option<Box<BlockOverrides>>,
    ) -> RpcResult<U64>;

    /// The access list that a call would do best with (EIP-2930).
    #[method(name = "createAccessList")]
    async fn create_access_list(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverrideArgument>,
    ) -> RpcResult<AccessListResult>;

    /// A price for legacy transactions.
    #[method(name = "gasPrice")]
    async fn gas_price(&self) -> RpcResult<U256>;

    /// A tip for transactions with one.
    #[method(name = "maxPriorityFeePerGas")]
    async fn max_priority_fee_per_gas(&self) -> RpcResult<U256>;

    /// Base fee of the next block; `null` before London.
    #[method(name = "baseFee")]
    async fn base_fee(&self) -> RpcResult<Option<U256>>;

    /// Price of blob gas in the next block; `null` before Cancun.
    #[method(name = "blobBaseFee")]
    async fn blob_base_fee(&self) -> RpcResult<Option<U256>>;

    /// Fees of some blocks up to one, and of the one after it.
    #[method(name = "feeHistory")]
    async fn fee_history(
        &self,
        count: U64,
        newest: BlockNumberOrTag,
        percentiles: Option<Vec<f64>>,
    ) -> RpcResult<FeeHistory>;
}

#[async_trait]
impl EthGasApiServer for Eth {
    async fn estimate_gas(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverrideArgument>,
        block_overrides: Option<Box<BlockOverrides>>,
    ) -> RpcResult<U64> {
        let wanted = CallOverrides { state: overrides(state_overrides), block: block_overrides };
        let answer = move |snapshot: &Snapshot<'_>| {
            snapshot.in_state(block.unwrap_or_default(), |snapshot, block_number| {
                Ok(U64::from(snapshot.estimate_gas(request, block_number, wanted)?))
            })
        };
        self.workers.read(Class::Call, answer).await
    }

    async fn create_access_list(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverrideArgument>,
    ) -> RpcResult<AccessListResult> {
        let wanted = CallOverrides { state: overrides(state_overrides), block: None };
        let answer = move |snapshot: &Snapshot<'_>| {
            snapshot.in_state(block.unwrap_or_default(), |snapshot, block_number| {
                snapshot.access_list(request, block_number, wanted)
            })
        };
        self.workers.read(Class::Call, answer).await
    }

    async fn gas_price(&self) -> RpcResult<U256> {
        self.read(|snapshot| Ok(U256::from(snapshot.gas_price()?))).await
    }

    async fn max_priority_fee_per_gas(&self) -> RpcResult<U256> {
        self.read(|snapshot| Ok(U256::from(snapshot.priority_fee()?))).await
    }

    async fn base_fee(&self) -> RpcResult<Option<U256>> {
        self.read(|snapshot| Ok(snapshot.next_base_fee()?.map(U256::from))).await
    }

    async fn blob_base_fee(&self) -> RpcResult<Option<U256>> {
        self.read(|snapshot| Ok(snapshot.next_blob_base_fee()?.map(U256::from))).await
    }

    async fn fee_history(
        &self,
        count: U64,
        newest: BlockNumberOrTag,
        percentiles: Option<Vec<f64>>,
    ) -> RpcResult<FeeHistory> {
        let answer = move |snapshot: &Snapshot<'_>| {
            snapshot.fee_history(count.to(), newest, &percentiles.unwrap_or_default())
        };
        self.workers.read(Class::Range, answer).await
    }
}
