//! What the chain's forks ask for, now and next (EIP-7910).

use std::collections::BTreeMap;

use alloy_eips::eip7910::SystemContract;
use alloy_primitives::{Address, FixedBytes};
use portico_chainspec::{Activation, BlobParams, BlockContext, Fork};
use portico_evm::{BlockRules, named_precompiles, spec_id};

use crate::{QueryError, Snapshot};

/// What one fork asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ForkConfig {
    /// Seconds since 1970; 0 for forks that are active from genesis on, or by block number.
    pub activation_time: u64,
    /// From Cancun on.
    pub blob_params: Option<BlobParams>,
    /// EIP-155.
    pub chain_id: u64,
    /// EIP-6122.
    pub fork_hash: FixedBytes<4>,
    /// By the names of their EIPs.
    pub precompiles: BTreeMap<String, Address>,
    /// By the names of their EIPs.
    pub system_contracts: BTreeMap<SystemContract, Address>,
}

/// The fork of the head, and those that are scheduled.
#[derive(Debug, Clone, PartialEq)]
pub struct ForkConfigs {
    /// The head's.
    pub current: ForkConfig,
    /// The one after.
    pub next: Option<ForkConfig>,
    /// The last one that is scheduled, when there is a next one.
    pub last: Option<ForkConfig>,
}

impl Snapshot<'_> {
    /// What the forks by time ask for, as of the head. Forks that change only blob parameters count.
    pub fn fork_configs(&self) -> Result<ForkConfigs, QueryError> {
        let head = self.known_header(self.head)?;
        let context = self.block_context(&head)?;
        let mut times: Vec<u64> = self.spec().fork_schedule().iter().filter_map(fork_time).collect();
        times.sort_unstable();
        let (past, future) = times.split_at(times.partition_point(|time| *time <= head.timestamp));
        let current_time = past.last().copied().unwrap_or_default();
        let at = |timestamp| self.fork_config(BlockContext { timestamp, merged: true, ..context });
        let genesis_time = self.spec().genesis_header().timestamp;
        let activation_time = if current_time <= genesis_time { 0 } else { current_time };
        Ok(ForkConfigs {
            current: ForkConfig { activation_time, ..self.fork_config(context) },
            next: future.first().map(|time| at(*time)),
            last: future.last().map(|time| at(*time)),
        })
    }

    fn fork_config(&self, block: BlockContext) -> ForkConfig {
        let spec = self.spec();
        let precompiles = named_precompiles(spec_id(BlockRules::new(spec, block)));
        ForkConfig {
            activation_time: block.timestamp,
            blob_params: spec.blob_params_at(block.timestamp),
            chain_id: spec.chain_id(),
            fork_hash: spec.fork_id(block.number, block.timestamp).hash.0.into(),
            precompiles: precompiles.map(|(name, address)| (name.to_owned(), address)).collect(),
            system_contracts: self.system_contracts(block),
        }
    }

    fn system_contracts(&self, block: BlockContext) -> BTreeMap<SystemContract, Address> {
        let spec = self.spec();
        let mut contracts = BTreeMap::new();
        if spec.is_active(Fork::Cancun, block) {
            contracts.extend(SystemContract::cancun());
        }
        if spec.is_active(Fork::Prague, block) {
            // A chain without deposits has the contract at no address.
            contracts.extend(SystemContract::prague(Some(spec.deposit_contract().unwrap_or_default())));
        }
        if spec.is_active(Fork::Amsterdam, block) {
            contracts.extend(SystemContract::amsterdam());
        }
        contracts
    }
}

fn fork_time((_, activation): (Fork, Activation)) -> Option<u64> {
    match activation {
        Activation::Timestamp(time) => Some(time),
        Activation::Block(_) | Activation::TotalDifficulty(_) => None,
    }
}
