//! `eth_simulateV1`: blocks that could come next.

use alloy_eips::{BlockId, eip4895::Withdrawal};
use alloy_primitives::U64;
use alloy_rpc_types_eth::{
    BlockOverrides, TransactionRequest,
    simulate::{SimCallResult, SimulateError, SimulatedBlock as RpcSimulatedBlock},
};
use jsonrpsee::{
    core::{RpcResult, async_trait},
    proc_macros::rpc,
};
use portico_query::{BlockRequest, QueryError, SimulatedBlock, SimulatedCall, Simulation, Snapshot};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value};

use super::{
    Eth, StateOverrideArgument,
    convert::{self, TransactionDetail},
    overrides::overrides,
    server::detail,
};
use crate::{error::MethodError, workers::Class};

/// Simulated blocks.
#[rpc(server, namespace = "eth")]
pub trait EthSimulateApi {
    /// Runs calls in blocks after a block, and gives those blocks with what each call returned.
    #[method(name = "simulateV1")]
    async fn simulate_v1(
        &self,
        simulation: SimulationArgument,
        block: Option<BlockId>,
    ) -> RpcResult<Vec<Value>>;
}

/// What to simulate.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SimulationArgument {
    block_state_calls: Vec<BlockArgument>,
    trace_transfers: bool,
    validation: bool,
    return_full_transactions: bool,
}

/// A block to simulate.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct BlockArgument {
    block_overrides: Option<OverridesArgument>,
    state_overrides: Option<StateOverrideArgument>,
    calls: Option<Vec<TransactionRequest>>,
}

/// A block's fields that are not to follow from the block before.
#[derive(Debug, Clone, Default)]
struct OverridesArgument {
    fields: BlockOverrides,
    withdrawals: Option<Vec<Withdrawal>>,
    slot_number: Option<u64>,
}

impl<'de> Deserialize<'de> for OverridesArgument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Map::deserialize(deserializer)?;
        let withdrawals = fields.remove("withdrawals").unwrap_or_default();
        let slot_number = fields.remove("slotNumber").unwrap_or_default();
        let slot_number: Option<U64> = serde_json::from_value(slot_number).map_err(D::Error::custom)?;
        Ok(Self {
            slot_number: slot_number.map(|slot| slot.to()),
            withdrawals: serde_json::from_value(withdrawals).map_err(D::Error::custom)?,
            fields: serde_json::from_value(Value::Object(fields)).map_err(D::Error::custom)?,
        })
    }
}

impl From<BlockArgument> for BlockRequest {
    fn from(block: BlockArgument) -> Self {
        let OverridesArgument { fields, withdrawals, slot_number } =
            block.block_overrides.unwrap_or_default();
        Self {
            overrides: fields,
            slot_number,
            withdrawals,
            state: overrides(block.state_overrides),
            calls: block.calls.unwrap_or_default(),
        }
    }
}

fn rpc_block(simulated: SimulatedBlock, transactions: TransactionDetail) -> Value {
    let SimulatedBlock { block, calls } = simulated;
    let inner = convert::block(block, transactions);
    let block = RpcSimulatedBlock { inner, calls: calls.into_iter().map(rpc_call).collect() };
    let mut block = serde_json::to_value(block).expect("blocks are maps with texts as keys");
    for transaction in block["transactions"].as_array_mut().into_iter().flatten() {
        // Unsigned legacy transactions have no `v`, not even that of a signature of zeros.
        if transaction["type"] == "0x0" {
            transaction["v"] = "0x0".into();
        }
    }
    block
}

fn rpc_call(call: SimulatedCall) -> SimCallResult {
    SimCallResult {
        status: call.error.is_none(),
        return_data: call.output,
        logs: call.logs.into_iter().map(convert::log).collect(),
        gas_used: call.gas_used,
        max_used_gas: Some(call.gas_used_max),
        error: call.error.map(rpc_error),
    }
}

fn rpc_error(error: QueryError) -> SimulateError {
    let message = error.to_string();
    match error {
        QueryError::Reverted { output, .. } => {
            SimulateError { code: SimulateError::EXECUTION_REVERTED_CODE, message, data: Some(output) }
        }
        _ => SimulateError { code: SimulateError::VM_EXECUTION_ERROR_CODE, message, data: None },
    }
}

#[async_trait]
impl EthSimulateApiServer for Eth {
    async fn simulate_v1(
        &self,
        simulation: SimulationArgument,
        block: Option<BlockId>,
    ) -> RpcResult<Vec<Value>> {
        let SimulationArgument { block_state_calls, trace_transfers, validation, return_full_transactions } =
            simulation;
        if block_state_calls.is_empty() {
            return Err(MethodError::EmptyRequest.into());
        }
        let blocks = block_state_calls.into_iter().map(Into::into).collect();
        let simulation = Simulation { blocks, trace_transfers, validation };
        let transactions = detail(return_full_transactions);
        // The codes are this method's own.
        let answer = move |snapshot: &Snapshot<'_>| {
            let block_number = snapshot.require(block.unwrap_or_default());
            let simulated = block_number.and_then(|number| snapshot.simulate(simulation, number));
            Ok(simulated.map(|blocks| {
                blocks.into_iter().map(|block| rpc_block(block, transactions)).collect::<Vec<_>>()
            }))
        };
        let simulated = self.workers.read(Class::Call, answer).await?;
        Ok(simulated.map_err(MethodError::Simulation)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn withdrawals_stand_beside_the_other_fields_of_a_block() {
        let withdrawal = json!({ "index": "0x1", "validatorIndex": "0x2", "address": alloy_primitives::Address::ZERO, "amount": "0x3" });
        let overrides = json!({ "number": "0x5", "slotNumber": "0x10", "withdrawals": [withdrawal], "blockHash": { "7": alloy_primitives::B256::ZERO } });
        let block: BlockArgument = serde_json::from_value(json!({ "blockOverrides": overrides })).unwrap();
        let request = BlockRequest::from(block);
        assert_eq!(request.overrides.number, Some(alloy_primitives::U256::from(5)));
        assert_eq!(request.overrides.block_hash.unwrap().len(), 1);
        assert_eq!(request.slot_number, Some(16));
        assert_eq!(request.withdrawals.unwrap()[0].amount, 3);
        let empty: BlockArgument =
            serde_json::from_value(json!({ "blockOverrides": null, "calls": null })).unwrap();
        assert!(BlockRequest::from(empty).withdrawals.is_none());
    }
}
