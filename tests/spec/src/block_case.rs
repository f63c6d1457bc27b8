//! The JSON of one block test.

use alloy_eips::eip8282::BUILDER_DEPOSIT_CONTRACT_ADDRESS;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use portico_chain::BlockParts;
use portico_chainspec::{AmsterdamRules, ChainSpec, ChainSpecError};
use portico_files::decode_block_rlp;
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};
use std::collections::BTreeMap;

use crate::{
    Difference, Refusal,
    engine_case::CasePayload,
    json_form::{block_difference, header_difference},
    network_config,
};

/// A block test: genesis, blocks in the order in which they arrive, and the head and state that they lead to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BlockCase<'a> {
    pub network: String,
    #[serde(borrow)]
    pub genesis_block_header: BTreeMap<&'a str, &'a RawValue>,
    #[serde(default, rename = "genesisRLP")]
    pub genesis_rlp: Option<Bytes>,
    #[serde(borrow)]
    pub pre: &'a RawValue,
    #[serde(default)]
    pub blocks: Option<Vec<CaseBlock>>,
    #[serde(default, rename = "engineNewPayloads", borrow)]
    pub payloads: Option<Vec<CasePayload<'a>>>,
    #[serde(rename = "lastblockhash")]
    pub last_block_hash: B256,
    #[serde(default)]
    pub post_state: Option<BTreeMap<Address, CaseAccount>>,
    #[serde(default)]
    pub post_state_hash: Option<B256>,
    #[serde(default)]
    pub seal_engine: Option<SealEngine>,
    #[serde(default)]
    pub config: Option<CaseConfig>,
}

/// Whether the blocks carry real seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum SealEngine {
    /// They do not.
    NoProof,
    /// Of proof of work.
    Ethash,
}

/// What newer fixtures say about their network.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CaseConfig {
    #[serde(default, rename = "chainid", alias = "chainId")]
    pub chain_id: Option<U64>,
    #[serde(default)]
    pub blob_schedule: Option<Value>,
}

/// A block as it arrives.
#[derive(Debug, Deserialize)]
pub(crate) struct CaseBlock {
    /// Missing or odd hex in some tests of what must be refused.
    #[serde(default)]
    pub rlp: Option<String>,
    /// Exceptions: `expectException`, or by network `expectExceptionByzantium`, `expectExceptionALL`.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl CaseBlock {
    /// The exception that the block must cause on this network; `None` for a block that is valid.
    fn exception(&self, network: &str) -> Option<String> {
        let named = |key: &str| self.rest.get(key).and_then(Value::as_str).map(str::to_owned);
        let here = named("expectException")
            .or_else(|| named("expectExceptionALL"))
            .or_else(|| named(&format!("expectException{network}")));
        // A block without a decoded form is one that must not be accepted, whatever the reason is called.
        here.or_else(|| (!self.rest.contains_key("blockHeader")).then(String::new))
    }

    /// Where the JSON form beside the RLP is not the block's. Blocks that must be refused have theirs elsewhere.
    fn contradiction(&self, what: &str, block: &BlockParts, is_refused: bool) -> Option<Difference> {
        let decoded = self.rest.get("rlp_decoded").and_then(Value::as_object);
        block_difference(what, decoded.unwrap_or(&self.rest), block, is_refused)
    }

    /// The block.
    fn block(&self) -> Result<BlockParts, Refusal> {
        let bytes: Bytes = self.rlp.as_deref().and_then(|rlp| rlp.parse().ok()).ok_or(Refusal::Hex)?;
        let block = decode_block_rlp(&bytes).map_err(Refusal::Rlp)?;
        Ok(BlockParts {
            hash: block.hash,
            header: block.header,
            transactions: block.transactions,
            ommers: block.ommers,
            withdrawals: block.withdrawals,
        })
    }
}

/// A block as it arrives, or what keeps it from being one.
pub(crate) struct Arrival {
    /// For people: which of the case's blocks.
    pub what: String,
    /// The exception that it must cause; `None` for one that is valid.
    pub exception: Option<String>,
    pub block: Result<BlockParts, Refusal>,
    /// Where the fixture's own JSON form of the block is not the block.
    pub contradiction: Option<Difference>,
}

/// An account that must be there at the end.
#[derive(Debug, Deserialize)]
pub(crate) struct CaseAccount {
    pub balance: U256,
    pub nonce: U64,
    pub code: Bytes,
    pub storage: BTreeMap<U256, U256>,
}

impl BlockCase<'_> {
    /// The chain that the case describes; `None` for an unknown network.
    pub(crate) fn chain_spec(&self) -> Option<Result<ChainSpec, ChainSpecError>> {
        chain_spec(&self.network, self.config.as_ref(), self.pre, &self.genesis_block_header)
    }

    /// The blocks in the order in which they arrive, decoded one at a time.
    pub(crate) fn arrivals(&self) -> impl Iterator<Item = Arrival> {
        let blocks = self.blocks.iter().flatten().enumerate();
        let blocks = blocks.map(|(index, json)| {
            let what = format!("block {index} of the list");
            let block = json.block();
            let exception = json.exception(&self.network);
            let contradiction =
                block.as_ref().ok().and_then(|block| json.contradiction(&what, block, exception.is_some()));
            Arrival { what, exception, block, contradiction }
        });
        let payloads = self.payloads.iter().flatten().enumerate();
        let payloads = payloads.filter(|(_, payload)| !payload.is_refused_as_call());
        let payloads = payloads.map(|(index, payload)| Arrival {
            what: format!("payload {index} of the list"),
            exception: payload.exception(),
            block: payload.block(),
            contradiction: None,
        });
        blocks.chain(payloads)
    }

    /// Where the genesis block that the case's state and header make is not what the case says that it is.
    pub(crate) fn genesis_difference(&self, spec: &ChainSpec) -> Option<Difference> {
        let (header, hash) = (spec.genesis_header(), spec.genesis_hash());
        let parsed = self.genesis_block_header.iter().map(|(key, raw)| {
            let value = serde_json::from_str(raw.get()).unwrap_or_default();
            ((*key).to_owned(), value)
        });
        header_difference("genesis", &parsed.collect(), header, hash)
            .or_else(|| self.genesis_rlp_difference(hash))
    }

    fn genesis_rlp_difference(&self, hash: B256) -> Option<Difference> {
        let rlp = self.genesis_rlp.as_ref()?;
        match decode_block_rlp(rlp) {
            Ok(block) if block.hash == hash => None,
            Ok(block) => Some(Difference::new("genesis: hash of genesisRLP", hash, block.hash)),
            Err(error) => Some(Difference::new("genesis: genesisRLP", "a block", error)),
        }
    }
}

/// A network with its genesis state and the fields of its genesis header, by way of a genesis file.
pub(crate) fn chain_spec(
    network: &str,
    config: Option<&CaseConfig>,
    pre: &RawValue,
    header: &BTreeMap<&str, &RawValue>,
) -> Option<Result<ChainSpec, ChainSpecError>> {
    let chain_id = config.and_then(|config| config.chain_id).map_or(1, |id| id.to::<u64>());
    let blob_schedule = config.and_then(|config| config.blob_schedule.as_ref());
    let config = network_config(network, chain_id, blob_schedule)?;
    let mut json = String::with_capacity(pre.get().len() + 4096);
    json.push_str("{\"config\":");
    json.push_str(&config.to_string());
    json.push_str(",\"alloc\":");
    json.push_str(pre.get());
    for (key, value) in header {
        json.push_str(",\"");
        json.push_str(key);
        json.push_str("\":");
        json.push_str(value.get());
    }
    json.push('}');
    Some(ChainSpec::from_genesis_json(json.as_bytes()).map(with_rules_of_its_day))
}

/// Amsterdam fixtures from before EIP-8282 have no contracts of its requests at genesis, which chains of the final
/// fork need: they are run under the rules that they were filled with.
fn with_rules_of_its_day(spec: ChainSpec) -> ChainSpec {
    let alloc = spec.genesis_alloc();
    let is_final = alloc.iter().any(|(address, _)| *address == BUILDER_DEPOSIT_CONTRACT_ADDRESS);
    drop(alloc);
    if is_final { spec } else { spec.with_amsterdam_rules(AmsterdamRules::BalDevnet4) }
}
