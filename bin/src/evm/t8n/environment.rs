//! The block's environment: what it says, and what follows from its parent.

use std::collections::BTreeMap;

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, U256};
use portico_chainspec::{BlockContext, ChainSpec, Fork};
use portico_consensus::{blob_fee, block_difficulty, next_base_fee, next_excess_blob_gas};
use serde::Deserialize;

use super::T8nError;
use crate::evm::number::{Number, narrow, narrow_option};

/// `env`, field by field.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    current_coinbase: Address,
    #[serde(deserialize_with = "narrow")]
    current_gas_limit: u64,
    #[serde(deserialize_with = "narrow")]
    current_number: u64,
    #[serde(deserialize_with = "narrow")]
    current_timestamp: u64,
    #[serde(default)]
    current_difficulty: Option<Number>,
    #[serde(default)]
    current_random: Option<Number>,
    #[serde(default, deserialize_with = "narrow_option")]
    current_base_fee: Option<u64>,
    #[serde(default, deserialize_with = "narrow_option")]
    current_excess_blob_gas: Option<u64>,
    #[serde(default)]
    parent_difficulty: Option<Number>,
    #[serde(default, deserialize_with = "narrow_option")]
    parent_timestamp: Option<u64>,
    #[serde(default)]
    parent_uncle_hash: Option<B256>,
    #[serde(default, deserialize_with = "narrow_option")]
    parent_base_fee: Option<u64>,
    #[serde(default, deserialize_with = "narrow_option")]
    parent_gas_used: Option<u64>,
    #[serde(default, deserialize_with = "narrow_option")]
    parent_gas_limit: Option<u64>,
    #[serde(default, deserialize_with = "narrow_option")]
    parent_excess_blob_gas: Option<u64>,
    #[serde(default, deserialize_with = "narrow_option")]
    parent_blob_gas_used: Option<u64>,
    #[serde(default)]
    parent_beacon_block_root: Option<B256>,
    #[serde(default, deserialize_with = "narrow_option")]
    slot_number: Option<u64>,
    #[serde(default)]
    block_hashes: Option<BTreeMap<String, B256>>,
    #[serde(default)]
    ommers: Option<Vec<Ommer>>,
    #[serde(default)]
    withdrawals: Option<Vec<WithdrawalInput>>,
}

/// An ommer, for its reward.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Ommer {
    /// How many blocks before this one.
    #[serde(deserialize_with = "narrow")]
    pub(super) delta: u64,
    /// Its beneficiary.
    pub(super) address: Address,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WithdrawalInput {
    #[serde(deserialize_with = "narrow")]
    index: u64,
    #[serde(deserialize_with = "narrow")]
    validator_index: u64,
    address: Address,
    #[serde(deserialize_with = "narrow")]
    amount: u64,
}

/// A block to execute, complete but for what execution gives.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) context: BlockContext,
    pub(super) fork: Fork,
    pub(super) header: Header,
    /// Price of a unit of blob gas in wei.
    pub(super) blob_fee: Option<u128>,
    pub(super) withdrawals: Option<Vec<Withdrawal>>,
    pub(super) ommers: Vec<Ommer>,
    pub(super) block_hashes: BTreeMap<u64, B256>,
}

impl Environment {
    /// The block, with base fee, difficulty and excess blob gas from its parent where they are not given.
    ///
    /// # Errors
    /// [`T8nError::Configuration`] for what the fork needs and nothing gives.
    pub(super) fn into_block(self, spec: &ChainSpec) -> Result<Block, T8nError> {
        let context = BlockContext {
            number: self.current_number,
            timestamp: self.current_timestamp,
            merged: self.is_merged(spec),
        };
        let fork = spec.fork_at(context);
        let block_hashes = self.block_hashes()?;
        let parent_hash = self.current_number.checked_sub(1).and_then(|parent| block_hashes.get(&parent));
        let header = Header {
            parent_hash: parent_hash.copied().unwrap_or_default(),
            beneficiary: self.current_coinbase,
            difficulty: self.difficulty(spec, context)?,
            number: self.current_number,
            gas_limit: self.current_gas_limit,
            timestamp: self.current_timestamp,
            mix_hash: self.prev_randao(context)?,
            base_fee_per_gas: self.base_fee(spec, fork)?,
            excess_blob_gas: self.excess_blob_gas(spec, fork),
            parent_beacon_block_root: self.beacon_root(fork)?,
            slot_number: (fork >= Fork::Amsterdam).then_some(self.slot_number.unwrap_or_default()),
            ..Header::default()
        };
        let withdrawals = self.withdrawals(fork)?;
        Ok(Block {
            context,
            fork,
            blob_fee: blob_fee(spec, &header),
            header,
            withdrawals,
            ommers: self.ommers.unwrap_or_default(),
            block_hashes,
        })
    }

    /// On a network that merges at some difficulty, a block with `currentRandom` is behind that point.
    fn is_merged(&self, spec: &ChainSpec) -> bool {
        match spec.terminal_total_difficulty() {
            None => false,
            Some(U256::ZERO) => true,
            Some(_) => {
                self.current_random.is_some() && self.current_difficulty.unwrap_or_default().0.is_zero()
            }
        }
    }

    fn block_hashes(&self) -> Result<BTreeMap<u64, B256>, T8nError> {
        let given = self.block_hashes.iter().flatten();
        let number = |key: &str| Number::parse(key).and_then(|number| u64::try_from(number.0).ok());
        given
            .map(|(key, hash)| Some((number(key)?, *hash)))
            .collect::<Option<_>>()
            .ok_or_else(|| T8nError::input("env.blockHashes", "a key is not a block number"))
    }

    fn difficulty(&self, spec: &ChainSpec, context: BlockContext) -> Result<U256, T8nError> {
        let given = self.current_difficulty.map(|difficulty| difficulty.0);
        if context.merged {
            return match given {
                None | Some(U256::ZERO) => Ok(U256::ZERO),
                Some(_) => Err(T8nError::configuration("currentDifficulty must be zero after the merge")),
            };
        }
        if let Some(difficulty) = given {
            return Ok(difficulty);
        }
        let missing =
            |what| T8nError::configuration(format_args!("neither currentDifficulty nor {what} is given"));
        let parent_difficulty = self.parent_difficulty.ok_or_else(|| missing("parentDifficulty"))?.0;
        let parent_timestamp = self.parent_timestamp.unwrap_or_default();
        if context.number == 0 || context.timestamp <= parent_timestamp {
            let reason = "currentDifficulty needs a parent that is older than the block";
            return Err(T8nError::configuration(reason));
        }
        // No hash at all counts as no ommers.
        let ommers_hash =
            self.parent_uncle_hash.filter(|hash| !hash.is_zero()).unwrap_or(EMPTY_OMMER_ROOT_HASH);
        let parent = Header {
            difficulty: parent_difficulty,
            timestamp: parent_timestamp,
            ommers_hash,
            ..Header::default()
        };
        Ok(block_difficulty(spec, context, &parent))
    }

    fn prev_randao(&self, context: BlockContext) -> Result<B256, T8nError> {
        match self.current_random {
            Some(random) if context.merged => Ok(random.word()),
            None if context.merged => Err(T8nError::configuration("currentRandom is not given")),
            _ => Ok(B256::ZERO),
        }
    }

    fn base_fee(&self, spec: &ChainSpec, fork: Fork) -> Result<Option<u64>, T8nError> {
        if fork < Fork::London {
            return Ok(None);
        }
        if self.current_base_fee.is_some() {
            return Ok(self.current_base_fee);
        }
        let Some(number) = self.current_number.checked_sub(1).filter(|_| self.parent_base_fee.is_some())
        else {
            return Err(T8nError::configuration("neither currentBaseFee nor parentBaseFee is given"));
        };
        let parent = Header {
            number,
            base_fee_per_gas: self.parent_base_fee,
            gas_used: self.parent_gas_used.unwrap_or_default(),
            gas_limit: self.parent_gas_limit.unwrap_or_default(),
            ..Header::default()
        };
        if parent.gas_limit < 2 {
            return Err(T8nError::configuration("the base fee needs parentGasLimit"));
        }
        Ok(next_base_fee(spec, &parent))
    }

    fn excess_blob_gas(&self, spec: &ChainSpec, fork: Fork) -> Option<u64> {
        if fork < Fork::Cancun {
            return None;
        }
        if self.current_excess_blob_gas.is_some() {
            return self.current_excess_blob_gas;
        }
        let params = spec.blob_params_at(self.current_timestamp)?;
        let parent = Header {
            excess_blob_gas: self.parent_excess_blob_gas,
            blob_gas_used: self.parent_blob_gas_used,
            base_fee_per_gas: self.parent_base_fee,
            ..Header::default()
        };
        Some(next_excess_blob_gas(&params, &parent))
    }

    fn beacon_root(&self, fork: Fork) -> Result<Option<B256>, T8nError> {
        if fork < Fork::Cancun {
            return Ok(None);
        }
        match self.parent_beacon_block_root {
            None => Err(T8nError::configuration("parentBeaconBlockRoot is not given")),
            given => Ok(given),
        }
    }

    fn withdrawals(&self, fork: Fork) -> Result<Option<Vec<Withdrawal>>, T8nError> {
        if fork < Fork::Shanghai {
            return Ok(None);
        }
        let Some(given) = &self.withdrawals else {
            return Err(T8nError::configuration("withdrawals are not given"));
        };
        let withdrawal = |given: &WithdrawalInput| Withdrawal {
            index: given.index,
            validator_index: given.validator_index,
            address: given.address,
            amount: given.amount,
        };
        Ok(Some(given.iter().map(withdrawal).collect()))
    }
}
