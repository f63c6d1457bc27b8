//! Chains and valid blocks to break rules in.

#![allow(dead_code, clippy::allow_attributes, reason = "each test crate uses a part")]

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{B256, U256};
use portico_chainspec::{ChainSpec, Fork};
use portico_consensus::{
    ConsensusError, Parent, block_difficulty, next_base_fee, next_excess_blob_gas, validate_header,
};

/// Terminal total difficulty of [`chain`].
pub const TERMINAL: u64 = 1_000_000_000;

/// A chain with these entries in `config`.
pub fn chain_with(config: &str) -> ChainSpec {
    let json = format!(
        r#"{{"config":{{"chainId":5,{config}}},"gasLimit":10240000,"difficulty":1000000,"alloc":{{}}}}"#
    );
    ChainSpec::from_genesis_json(json.as_bytes()).unwrap()
}

/// London at block 100, merge at [`TERMINAL`], then a fork each thousand seconds: Shanghai at 1000, Cancun, Prague,
/// Osaka, BPO1, Amsterdam at 6000.
pub fn chain() -> ChainSpec {
    chain_with(&format!(
        r#""byzantiumBlock":0,"londonBlock":100,"terminalTotalDifficulty":{TERMINAL},"shanghaiTime":1000,
           "cancunTime":2000,"pragueTime":3000,"osakaTime":4000,"bpo1Time":5000,"amsterdamTime":6000,
           "blobSchedule":{{"bpo1":{{"target":10,"max":15,"baseFeeUpdateFraction":8346193}}}}"#
    ))
}

/// A block with its successor, valid until a test changes it.
pub struct Pair {
    pub spec: ChainSpec,
    pub parent: Header,
    pub total_difficulty: U256,
    pub header: Header,
}

impl Pair {
    /// A proof-of-work block of this number and its parent.
    pub fn ethash(spec: ChainSpec, number: u64) -> Self {
        Self::new(spec, number, 500, U256::from(1))
    }

    /// A merged block of this time and its parent of one second before.
    pub fn merged(spec: ChainSpec, timestamp: u64) -> Self {
        Self::new(spec, 1000, timestamp, U256::from(TERMINAL))
    }

    fn new(spec: ChainSpec, number: u64, timestamp: u64, total_difficulty: U256) -> Self {
        let mut parent = Header {
            number: number - 1,
            timestamp: timestamp - 1,
            gas_limit: 10_240_000,
            difficulty: U256::from(1_000_000),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            ..Header::default()
        };
        fill_fields(&spec, total_difficulty, &mut parent);
        let mut header = Header {
            parent_hash: parent.hash_slow(),
            number,
            timestamp,
            gas_limit: parent.gas_limit,
            base_fee_per_gas: next_base_fee(&spec, &parent),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            transactions_root: EMPTY_ROOT_HASH,
            receipts_root: EMPTY_ROOT_HASH,
            ..Header::default()
        };
        fill_fields(&spec, total_difficulty, &mut header);
        let block = spec.block_context(number, timestamp, total_difficulty);
        if !block.merged {
            header.difficulty = block_difficulty(&spec, block, &parent);
        }
        if let Some(params) = spec.blob_params_at(timestamp).filter(|_| block.merged) {
            header.excess_blob_gas = Some(next_excess_blob_gas(&params, &parent));
        }
        let pair = Self { spec, parent, total_difficulty, header };
        pair.check().expect("valid until changed");
        pair
    }

    pub fn check(&self) -> Result<(), ConsensusError> {
        let hash = self.parent.hash_slow();
        self.check_with_hash(hash)
    }

    pub fn check_with_hash(&self, hash: B256) -> Result<(), ConsensusError> {
        let parent = Parent { header: &self.parent, hash, total_difficulty: self.total_difficulty };
        validate_header(&self.spec, parent, &self.header)
    }

    /// The error after a change of the header.
    pub fn broken(&self, change: impl FnOnce(&mut Header)) -> ConsensusError {
        self.changed(change).unwrap_err()
    }

    /// The verdict after a change of the header.
    pub fn changed(&self, change: impl FnOnce(&mut Header)) -> Result<(), ConsensusError> {
        let mut header = self.header.clone();
        change(&mut header);
        let changed = Self {
            spec: self.spec.clone(),
            parent: self.parent.clone(),
            header,
            total_difficulty: self.total_difficulty,
        };
        changed.check()
    }
}

fn fill_fields(spec: &ChainSpec, total_difficulty: U256, header: &mut Header) {
    let fork = spec.fork_at(spec.block_context(header.number, header.timestamp, total_difficulty));
    let has = |since: Fork| fork >= since;
    header.base_fee_per_gas = header.base_fee_per_gas.or(has(Fork::London).then_some(1_000_000_000));
    header.withdrawals_root = has(Fork::Shanghai).then_some(EMPTY_ROOT_HASH);
    header.blob_gas_used = has(Fork::Cancun).then_some(0);
    header.excess_blob_gas = has(Fork::Cancun).then_some(0);
    header.parent_beacon_block_root = has(Fork::Cancun).then_some(B256::ZERO);
    header.requests_hash = has(Fork::Prague).then_some(EMPTY_REQUESTS_HASH);
    header.block_access_list_hash = has(Fork::Amsterdam).then_some(EMPTY_OMMER_ROOT_HASH);
    header.slot_number = has(Fork::Amsterdam).then_some(1);
}
