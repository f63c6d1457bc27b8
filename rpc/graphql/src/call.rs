//! Calls that change nothing.

use alloy_primitives::{TxKind, U256};
use async_graphql::{Context, InputObject, Result, SimpleObject};
use portico_query::{CallOutcome, CallOverrides, CallRequest, Snapshot};

use crate::{
    Reader,
    reader::StateAfter,
    scalars::{Address, BigInt, Bytes, Long},
};

/// CallData represents the data associated with a local contract call. All fields are optional.
#[derive(Debug, InputObject)]
pub struct CallData {
    /// From is the address making the call.
    from: Option<Address>,
    /// To is the address the call is sent to.
    to: Option<Address>,
    /// Gas is the amount of gas sent with the call.
    gas: Option<Long>,
    /// GasPrice is the price, in wei, offered for each unit of gas.
    gas_price: Option<BigInt>,
    /// MaxFeePerGas is the maximum fee per gas offered, in wei.
    max_fee_per_gas: Option<BigInt>,
    /// MaxPriorityFeePerGas is the maximum miner tip per gas offered, in wei.
    max_priority_fee_per_gas: Option<BigInt>,
    /// Value is the value, in wei, sent along with the call.
    value: Option<BigInt>,
    /// Data is the data sent to the callee.
    data: Option<Bytes>,
}

/// CallResult is the result of a local call operation.
#[derive(Debug, SimpleObject)]
pub struct CallResult {
    /// Data is the return data of the called contract.
    data: Bytes,
    /// GasUsed is the amount of gas used by the call, after any refunds.
    gas_used: Long,
    /// Status is the result of the call - 1 for success or 0 for failure.
    status: Long,
}

/// Runs a call on the state after a block.
pub(crate) async fn run(context: &Context<'_>, data: CallData, after: StateAfter) -> Result<CallResult> {
    let request: CallRequest = data.into();
    let run = move |snapshot: &Snapshot<'_>| {
        after.read(snapshot, |snapshot, block_number| {
            snapshot.run_call(request, block_number, CallOverrides::default())
        })
    };
    Ok(context.data::<Reader>()?.read(run).await?.into())
}

/// The least gas that a call needs on the state after a block: hive and Besu have exact answers here, where those of
/// go-ethereum's JSON-RPC may be a little higher.
pub(crate) async fn estimate(context: &Context<'_>, data: CallData, after: StateAfter) -> Result<Long> {
    let request: CallRequest = data.into();
    let estimate = move |snapshot: &Snapshot<'_>| {
        after.read(snapshot, |snapshot, block_number| {
            snapshot.least_gas(request, block_number, CallOverrides::default())
        })
    };
    Ok(Long(context.data::<Reader>()?.read(estimate).await?))
}

impl From<CallData> for CallRequest {
    fn from(data: CallData) -> Self {
        // More than 128 bits cannot be paid anyway: the balance decides.
        let fee = |value: Option<BigInt>| value.map(|value| value.0.saturating_to::<u128>());
        Self {
            from: data.from.map(|address| address.0),
            to: data.to.map(|address| TxKind::Call(address.0)),
            gas: data.gas.map(|gas| gas.0),
            gas_price: fee(data.gas_price),
            max_fee_per_gas: fee(data.max_fee_per_gas),
            max_priority_fee_per_gas: fee(data.max_priority_fee_per_gas),
            value: Some(data.value.map_or(U256::ZERO, |value| value.0)),
            input: data.data.map(|data| data.0).into(),
            ..Self::default()
        }
    }
}

impl From<CallOutcome> for CallResult {
    fn from(outcome: CallOutcome) -> Self {
        let (data, gas_used, status) = match outcome {
            CallOutcome::Success { output, gas_used, .. } => (output, gas_used, 1),
            CallOutcome::Revert { output, gas_used } => (output, gas_used, 0),
            CallOutcome::Halt { gas_used, .. } => (alloy_primitives::Bytes::new(), gas_used, 0),
        };
        Self { data: Bytes(data), gas_used: Long(gas_used), status: Long(status) }
    }
}
