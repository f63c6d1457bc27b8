//! The JSON of one state test.

use std::collections::BTreeMap;

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    block_case::CaseConfig,
    template::{Indexes, TransactionTemplate},
};

/// A state test: a block, a state, a transaction, and by fork what must come out.
#[derive(Debug, Deserialize)]
pub(crate) struct StateCase<'a> {
    pub env: Env,
    #[serde(borrow)]
    pub pre: &'a RawValue,
    pub transaction: TransactionTemplate,
    #[serde(borrow)]
    pub post: BTreeMap<String, Vec<Post<'a>>>,
    #[serde(default)]
    pub config: Option<CaseConfig>,
}

/// The block that the transaction is in.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Env {
    current_coinbase: Address,
    current_gas_limit: U256,
    current_number: U64,
    current_timestamp: U64,
    #[serde(default)]
    current_difficulty: Option<U256>,
    #[serde(default)]
    current_random: Option<U256>,
    #[serde(default)]
    current_base_fee: Option<U64>,
    #[serde(default)]
    current_excess_blob_gas: Option<U64>,
    #[serde(default, alias = "slotNumber")]
    current_slot_number: Option<U64>,
}

/// What must come out.
#[derive(Debug, Deserialize)]
pub(crate) struct Post<'a> {
    /// State root.
    pub hash: B256,
    /// Keccak of the RLP of the logs.
    pub logs: B256,
    /// The signed transaction; older fixtures do not have it.
    #[serde(default)]
    pub txbytes: Option<Bytes>,
    pub indexes: Indexes,
    #[serde(default, rename = "expectException")]
    pub expect_exception: Option<String>,
    /// The accounts behind the root, in newer fixtures.
    #[serde(default, borrow)]
    pub state: Option<&'a RawValue>,
}

impl Env {
    /// The block as a header.
    pub(crate) fn header(&self) -> Header {
        let difficulty = self.current_difficulty.unwrap_or_default();
        let random = self.current_random.unwrap_or(difficulty);
        Header {
            beneficiary: self.current_coinbase,
            gas_limit: u64::try_from(self.current_gas_limit).unwrap_or(u64::MAX),
            number: self.current_number.to(),
            timestamp: self.current_timestamp.to(),
            difficulty,
            mix_hash: B256::from(random),
            base_fee_per_gas: self.current_base_fee.map(|fee| fee.to()),
            excess_blob_gas: self.current_excess_blob_gas.map(|gas| gas.to()),
            slot_number: self.current_slot_number.map(|slot| slot.to()),
            ..Header::default()
        }
    }
}
