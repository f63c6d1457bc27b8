//! State in bulk and with proofs.

use std::collections::BTreeMap;

use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use jsonrpsee::{
    core::{RpcResult, async_trait},
    proc_macros::rpc,
};
use portico_query::{AccountProof, Snapshot};
use serde::{Serialize, Serializer};

use super::{Eth, SlotArgument};
use crate::{error::MethodError, workers::Class};

/// Slots in one request.
const SLOTS_MAX: usize = 1024;

/// State in bulk and with proofs.
#[rpc(server, namespace = "eth")]
pub trait EthStateApi {
    /// Storage slots of several accounts.
    #[method(name = "getStorageValues")]
    async fn get_storage_values(
        &self,
        slots: BTreeMap<Address, Vec<SlotArgument>>,
        block: Option<BlockId>,
    ) -> RpcResult<BTreeMap<Address, Vec<B256>>>;

    /// An account and slots of it, with proofs (EIP-1186).
    #[method(name = "getProof")]
    async fn get_proof(
        &self,
        address: Address,
        slots: Vec<SlotArgument>,
        block: Option<BlockId>,
    ) -> RpcResult<RpcProof>;

    /// An account as the state trie holds it; `null` when it does not exist.
    #[method(name = "getAccount")]
    async fn get_account(&self, address: Address, block: Option<BlockId>) -> RpcResult<Option<RpcAccount>>;
}

/// An account as the state trie holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RpcAccount {
    balance: U256,
    nonce: U64,
    code_hash: B256,
    storage_root: B256,
}

/// An account and slots of it, with proofs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RpcProof {
    address: Address,
    account_proof: Vec<Bytes>,
    balance: U256,
    code_hash: B256,
    nonce: U64,
    storage_hash: B256,
    storage_proof: Vec<RpcSlotProof>,
}

/// A slot with its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RpcSlotProof {
    key: ProofKey,
    value: U256,
    proof: Vec<Bytes>,
}

/// A slot in the form in which it was asked for: 32 bytes stay 32 bytes, what was shorter becomes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ProofKey(SlotArgument);

impl Serialize for ProofKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let SlotArgument { slot, is_whole } = self.0;
        if is_whole { slot.serialize(serializer) } else { U256::from_be_bytes(slot.0).serialize(serializer) }
    }
}

fn rpc_proof(address: Address, keys: Vec<SlotArgument>, proof: AccountProof) -> RpcProof {
    let slots = keys.into_iter().zip(proof.slots);
    let slots =
        slots.map(|(key, slot)| RpcSlotProof { key: ProofKey(key), value: slot.value, proof: slot.nodes });
    RpcProof {
        address,
        account_proof: proof.nodes,
        balance: proof.balance,
        code_hash: proof.code_hash,
        nonce: U64::from(proof.nonce),
        storage_hash: proof.storage_hash,
        storage_proof: slots.collect(),
    }
}

#[async_trait]
impl EthStateApiServer for Eth {
    async fn get_storage_values(
        &self,
        slots: BTreeMap<Address, Vec<SlotArgument>>,
        block: Option<BlockId>,
    ) -> RpcResult<BTreeMap<Address, Vec<B256>>> {
        let count: usize = slots.values().map(Vec::len).sum();
        if count == 0 {
            return Err(MethodError::EmptyRequest.into());
        }
        if count > SLOTS_MAX {
            return Err(MethodError::TooManySlots { max: SLOTS_MAX }.into());
        }
        self.in_state(block, move |snapshot, block_number| {
            let mut state = snapshot.state_at(block_number)?;
            let mut values = BTreeMap::new();
            for (address, slots) in slots {
                let of_account = slots.iter().map(|slot| Ok(state.storage(&address, &slot.slot)?.into()));
                values.insert(address, of_account.collect::<Result<_, portico_query::QueryError>>()?);
            }
            Ok(values)
        })
        .await
    }

    async fn get_proof(
        &self,
        address: Address,
        slots: Vec<SlotArgument>,
        block: Option<BlockId>,
    ) -> RpcResult<RpcProof> {
        if slots.len() > SLOTS_MAX {
            return Err(MethodError::TooManyKeys { max: SLOTS_MAX }.into());
        }
        let answer = move |snapshot: &Snapshot<'_>| {
            let block_number = snapshot.require(block.unwrap_or_default())?;
            let keys: Vec<B256> = slots.iter().map(|slot| slot.slot).collect();
            Ok(rpc_proof(address, slots, snapshot.proof(&address, &keys, block_number)?))
        };
        self.workers.read(Class::Proof, answer).await
    }

    async fn get_account(&self, address: Address, block: Option<BlockId>) -> RpcResult<Option<RpcAccount>> {
        let answer = move |snapshot: &Snapshot<'_>| {
            let block_number = snapshot.require(block.unwrap_or_default())?;
            let Some(account) = snapshot.account(&address, block_number)? else { return Ok(None) };
            let proof = snapshot.proof(&address, &[], block_number)?;
            Ok(Some(RpcAccount {
                balance: account.balance,
                nonce: U64::from(account.nonce),
                code_hash: account.code_hash,
                storage_root: proof.storage_hash,
            }))
        };
        self.workers.read(Class::Proof, answer).await
    }
}
