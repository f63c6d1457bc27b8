//! What the node is and can do: forks, data that is kept, and methods of the time of mining.

use std::collections::BTreeMap;

use alloy_eips::eip7910::SystemContract;
use alloy_primitives::{Address, B256, FixedBytes, U64};
use jsonrpsee::{
    core::{RpcResult, async_trait},
    proc_macros::rpc,
};
use portico_query::{BlobParams, Capabilities, ForkConfig, ForkConfigs};
use serde::Serialize;

use super::Eth;
use crate::error::MethodError;

/// Newest version of the `eth` protocol that is spoken.
const PROTOCOL_VERSION: u64 = 71;

/// What the node is and can do.
#[rpc(server, namespace = "eth")]
pub trait EthFactsApi {
    /// What the chain's forks ask for, as of the head (EIP-7910).
    #[method(name = "config")]
    async fn config(&self) -> RpcResult<RpcForkConfigs>;

    /// The head, and from which block on the node has what.
    #[method(name = "capabilities")]
    async fn capabilities(&self) -> RpcResult<RpcCapabilities>;

    /// Version of the `eth` protocol.
    #[method(name = "protocolVersion")]
    fn protocol_version(&self) -> RpcResult<U64>;

    /// Who gets the fees of blocks that this node makes: it makes none.
    #[method(name = "coinbase")]
    fn coinbase(&self) -> RpcResult<Address>;

    /// Whether this node mines: an error, as nobody does any more.
    #[method(name = "mining")]
    fn mining(&self) -> RpcResult<bool>;

    /// Hashes per second: an error, as nobody mines any more.
    #[method(name = "hashrate")]
    fn hashrate(&self) -> RpcResult<U64>;

    /// What to mine: an error, as nobody mines any more.
    #[method(name = "getWork")]
    fn get_work(&self) -> RpcResult<Vec<B256>>;

    /// Takes a seal: an error, as nobody mines any more.
    #[method(name = "submitWork")]
    fn submit_work(&self, nonce: FixedBytes<8>, seal_hash: B256, mix_hash: B256) -> RpcResult<bool>;

    /// Takes note of a miner's speed: an error, as nobody mines any more.
    #[method(name = "submitHashrate")]
    fn submit_hashrate(&self, rate: U64, id: B256) -> RpcResult<bool>;
}

/// [`ForkConfigs`] on the wire.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RpcForkConfigs {
    current: RpcForkConfig,
    next: Option<RpcForkConfig>,
    last: Option<RpcForkConfig>,
}

/// [`ForkConfig`] on the wire.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RpcForkConfig {
    activation_time: u64,
    blob_schedule: Option<BlobParams>,
    chain_id: U64,
    fork_id: FixedBytes<4>,
    precompiles: BTreeMap<String, Address>,
    system_contracts: BTreeMap<SystemContract, Address>,
}

impl From<ForkConfig> for RpcForkConfig {
    fn from(config: ForkConfig) -> Self {
        Self {
            activation_time: config.activation_time,
            blob_schedule: config.blob_params,
            chain_id: U64::from(config.chain_id),
            fork_id: config.fork_hash,
            precompiles: config.precompiles,
            system_contracts: config.system_contracts,
        }
    }
}

impl From<ForkConfigs> for RpcForkConfigs {
    fn from(configs: ForkConfigs) -> Self {
        Self {
            current: configs.current.into(),
            next: configs.next.map(Into::into),
            last: configs.last.map(Into::into),
        }
    }
}

/// [`Capabilities`] on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RpcCapabilities {
    head: RpcHead,
    state: Availability,
    tx: Availability,
    logs: Availability,
    receipts: Availability,
    blocks: Availability,
    stateproofs: Availability,
}

/// The head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RpcHead {
    number: U64,
    hash: B256,
}

/// From which block on something is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Availability {
    disabled: bool,
    oldest_block: U64,
    #[serde(skip_serializing_if = "Option::is_none")]
    delete_strategy: Option<DeleteStrategy>,
}

/// How what is older goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum DeleteStrategy {
    /// So many blocks up to the head are kept.
    Window {
        /// How many.
        retention_blocks: U64,
    },
}

impl Availability {
    fn since(block_number: u64) -> Self {
        Self { disabled: false, oldest_block: U64::from(block_number), delete_strategy: None }
    }

    fn within(mut self, blocks: u64) -> Self {
        self.delete_strategy = Some(DeleteStrategy::Window { retention_blocks: U64::from(blocks) });
        self
    }
}

impl RpcCapabilities {
    fn new(known: Capabilities, proof_blocks_max: u64) -> Self {
        Self {
            head: RpcHead { number: U64::from(known.head), hash: known.head_hash },
            state: Availability::since(known.state),
            tx: Availability::since(known.transactions),
            logs: Availability::since(known.logs),
            receipts: Availability::since(known.receipts),
            blocks: Availability::since(known.blocks),
            stateproofs: Availability::since(known.proofs).within(proof_blocks_max),
        }
    }
}

#[async_trait]
impl EthFactsApiServer for Eth {
    async fn config(&self) -> RpcResult<RpcForkConfigs> {
        self.read(|snapshot| Ok(snapshot.fork_configs()?.into())).await
    }

    async fn capabilities(&self) -> RpcResult<RpcCapabilities> {
        self.read(|snapshot| {
            Ok(RpcCapabilities::new(snapshot.capabilities()?, snapshot.settings().proof_blocks_max))
        })
        .await
    }

    fn protocol_version(&self) -> RpcResult<U64> {
        Ok(U64::from(PROTOCOL_VERSION))
    }

    fn coinbase(&self) -> RpcResult<Address> {
        Err(MethodError::NoCoinbase.into())
    }

    fn mining(&self) -> RpcResult<bool> {
        Err(MethodError::NoMining.into())
    }

    fn hashrate(&self) -> RpcResult<U64> {
        Err(MethodError::NoMining.into())
    }

    fn get_work(&self) -> RpcResult<Vec<B256>> {
        Err(MethodError::NoMining.into())
    }

    fn submit_work(&self, _: FixedBytes<8>, _: B256, _: B256) -> RpcResult<bool> {
        Err(MethodError::NoMining.into())
    }

    fn submit_hashrate(&self, _: U64, _: B256) -> RpcResult<bool> {
        Err(MethodError::NoMining.into())
    }
}
