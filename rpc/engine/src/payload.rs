//! Payloads as they come: their shape by version, and the block in them.

use alloy_consensus::{Block, Transaction as _};
use alloy_eips::{eip2718::Decodable2718, eip4895::Withdrawal, eip7685::Requests};
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_engine::{
    CancunPayloadFields, ExecutionPayload, ExecutionPayloadSidecar, ExecutionPayloadV1, ExecutionPayloadV2,
    ExecutionPayloadV3, ExecutionPayloadV4, PayloadAttributes, PraguePayloadFields,
};
use portico_chain::{BlockParts, Transaction};
use portico_chainspec::{ChainSpec, Fork};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::EngineError;

/// Fields of the first payload; later ones add to them.
const FIELDS_V1: [&str; 14] = [
    "parentHash",
    "feeRecipient",
    "stateRoot",
    "receiptsRoot",
    "logsBloom",
    "prevRandao",
    "blockNumber",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "extraData",
    "baseFeePerGas",
    "blockHash",
    "transactions",
];

/// What `engine_newPayload` is given.
#[derive(Debug, Clone, Default)]
pub struct NewPayload {
    /// The payload.
    pub payload: Value,
    /// Hashes of the blobs of all transactions, from Cancun on.
    pub versioned_hashes: Option<Vec<B256>>,
    /// Root of the parent beacon block, from Cancun on.
    pub parent_beacon_block_root: Option<B256>,
    /// Requests, from Prague on.
    pub requests: Option<Vec<Bytes>>,
}

/// A payload of the right shape and fork.
#[derive(Debug)]
pub struct Parsed {
    payload: ExecutionPayload,
    sidecar: ExecutionPayloadSidecar,
}

fn invalid(what: impl Into<String>) -> EngineError {
    EngineError::InvalidParams(what.into())
}

/// The fork of a block after the merge.
pub fn fork_of(spec: &ChainSpec, number: u64, timestamp: u64) -> Fork {
    spec.fork_at(spec.block_context(number, timestamp, alloy_primitives::U256::MAX))
}

/// Reads a payload by the rules of a version of `engine_newPayload`.
///
/// # Errors
/// [`EngineError::InvalidParams`] for another shape, then [`EngineError::UnsupportedFork`] for another fork.
pub fn parse(spec: &ChainSpec, version: u8, new: NewPayload) -> Result<Parsed, EngineError> {
    let fields = new.payload.as_object().ok_or_else(|| invalid("the payload is no object"))?;
    // A field that is null counts as one that is missing.
    let has = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    if let Some(missing) = FIELDS_V1.iter().find(|name| !has(name)) {
        return Err(invalid(format!("missing field {missing}")));
    }
    let withdrawals = has("withdrawals");
    let blobs = (has("blobGasUsed"), has("excessBlobGas"));
    let amsterdam = (has("blockAccessList"), has("slotNumber"));
    let cancun = version >= 3;
    if version < 2 && withdrawals {
        return Err(invalid("withdrawals are not known to version 1"));
    }
    if cancun && !withdrawals {
        return Err(invalid("missing field withdrawals"));
    }
    for (name, present) in [("blobGasUsed", blobs.0), ("excessBlobGas", blobs.1)] {
        if present != cancun {
            return Err(invalid(if cancun {
                format!("missing field {name}")
            } else {
                format!("unknown field {name}")
            }));
        }
    }
    for (name, present) in [("blockAccessList", amsterdam.0), ("slotNumber", amsterdam.1)] {
        if present != (version >= 5) {
            let what = if present { "unknown" } else { "missing" };
            return Err(invalid(format!("{what} field {name}")));
        }
    }
    let number: HeaderPart = deserialize(&new.payload)?;
    let fork = fork_of(spec, number.block_number, number.timestamp);
    let cancun_fields = match (cancun, new.versioned_hashes, new.parent_beacon_block_root) {
        (false, None, None) => None,
        (true, Some(versioned_hashes), Some(parent_beacon_block_root)) => {
            Some(CancunPayloadFields { parent_beacon_block_root, versioned_hashes })
        }
        (true, None, _) => return Err(invalid("missing expectedBlobVersionedHashes")),
        (true, _, None) => return Err(invalid("missing parentBeaconBlockRoot")),
        (false, ..) => return Err(invalid("too many arguments")),
    };
    let requests = match (version >= 4, new.requests) {
        (false, None) => None,
        (true, Some(requests)) => Some(check_requests(requests)?),
        (true, None) => return Err(invalid("missing executionRequests")),
        (false, Some(_)) => return Err(invalid("too many arguments")),
    };
    check_fork(version, fork, withdrawals)?;
    let payload = match version {
        5 => ExecutionPayload::V4(deserialize::<ExecutionPayloadV4>(&new.payload)?),
        3 | 4 => ExecutionPayload::V3(deserialize::<ExecutionPayloadV3>(&new.payload)?),
        _ if withdrawals => ExecutionPayload::V2(deserialize::<ExecutionPayloadV2>(&new.payload)?),
        _ => ExecutionPayload::V1(deserialize::<ExecutionPayloadV1>(&new.payload)?),
    };
    let sidecar = match (cancun_fields, requests) {
        (None, _) => ExecutionPayloadSidecar::none(),
        (Some(cancun), None) => ExecutionPayloadSidecar::v3(cancun),
        (Some(cancun), Some(requests)) => {
            ExecutionPayloadSidecar::v4(cancun, PraguePayloadFields::new(requests))
        }
    };
    Ok(Parsed { payload, sidecar })
}

/// The two fields that tell a payload's fork.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeaderPart {
    #[serde(deserialize_with = "quantity")]
    block_number: u64,
    #[serde(deserialize_with = "quantity")]
    timestamp: u64,
}

fn quantity<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value: alloy_primitives::U64 = serde::Deserialize::deserialize(deserializer)?;
    Ok(value.to())
}

fn deserialize<T: DeserializeOwned>(value: &Value) -> Result<T, EngineError> {
    T::deserialize(value).map_err(|error| invalid(error.to_string()))
}

/// Whether a payload of this fork may come by this version.
fn check_fork(version: u8, fork: Fork, withdrawals: bool) -> Result<(), EngineError> {
    let unsupported = || {
        EngineError::UnsupportedFork(format!("engine_newPayloadV{version} does not take payloads of {fork}"))
    };
    let (first, end) = match version {
        1 | 2 => (None, Some(Fork::Cancun)),
        3 => (Some(Fork::Cancun), Some(Fork::Prague)),
        4 => (Some(Fork::Prague), Some(Fork::Amsterdam)),
        _ => (Some(Fork::Amsterdam), None),
    };
    if first.is_some_and(|first| fork < first) || end.is_some_and(|end| fork >= end) {
        return Err(unsupported());
    }
    if version <= 2 && withdrawals != (fork >= Fork::Shanghai) {
        let what = if withdrawals { "withdrawals before Shanghai" } else { "missing field withdrawals" };
        return Err(invalid(what));
    }
    Ok(())
}

/// Types ascend, and none is empty (EIP-7685).
fn check_requests(requests: Vec<Bytes>) -> Result<Requests, EngineError> {
    if requests.iter().any(|request| request.len() < 2) {
        return Err(invalid("empty execution request"));
    }
    if requests.windows(2).any(|pair| pair[0][0] >= pair[1][0]) {
        return Err(invalid("execution requests are not in the order of their types"));
    }
    Ok(Requests::new(requests))
}

/// Why a payload holds no block that could be executed, in words.
pub type PayloadFault = String;

impl Parsed {
    /// Hash that the payload claims.
    pub fn claimed_hash(&self) -> B256 {
        self.payload.as_v1().block_hash
    }

    /// The block in the payload, if it is what it claims to be.
    ///
    /// # Errors
    /// In words, for another hash, blob hashes that are not those of the transactions, or bytes that are no transaction.
    pub fn into_block(self) -> Result<BlockParts, PayloadFault> {
        let claimed = self.claimed_hash();
        let expected = self.sidecar.versioned_hashes().cloned();
        let raw =
            self.payload.into_block_with_sidecar_raw(&self.sidecar).map_err(|error| error.to_string())?;
        let hash = raw.header.hash_slow();
        if hash != claimed {
            return Err(format!("block hash mismatch: claimed {claimed}, computed {hash}"));
        }
        let mut index = 0;
        let block: Block<Transaction> = raw.try_map_transactions(|bytes| {
            let transaction = Transaction::decode_2718_exact(bytes.as_ref());
            index += 1;
            transaction.map_err(|error| format!("transaction {} cannot be decoded: {error}", index - 1))
        })?;
        if let Some(expected) = expected {
            let found =
                block.body.transactions.iter().filter_map(|transaction| transaction.blob_versioned_hashes());
            if !found.flatten().eq(expected.iter()) {
                return Err("the versioned hashes are not those of the transactions' blobs".to_owned());
            }
        }
        Ok(BlockParts::from_block(hash, block))
    }
}

/// Checks attributes against the version of `engine_forkchoiceUpdated` and the fork of the block that they ask for.
///
/// # Errors
/// [`EngineError::InvalidAttributes`] for another shape, then [`EngineError::UnsupportedFork`].
pub fn check_attributes(version: u8, fork: Fork, attributes: &PayloadAttributes) -> Result<(), EngineError> {
    let wrong = |what: &str| Err(EngineError::InvalidAttributes(what.to_owned()));
    let withdrawals = attributes.withdrawals.is_some();
    if version == 1 && withdrawals || version >= 3 && !withdrawals {
        return wrong(if withdrawals {
            "withdrawals are not known to version 1"
        } else {
            "missing withdrawals"
        });
    }
    if attributes.parent_beacon_block_root.is_some() != (version >= 3) {
        return wrong(if version >= 3 {
            "missing parentBeaconBlockRoot"
        } else {
            "unknown parentBeaconBlockRoot"
        });
    }
    if attributes.slot_number.is_some() != (version >= 4) {
        return wrong(if version >= 4 { "missing slotNumber" } else { "unknown slotNumber" });
    }
    let (first, end) = match version {
        1 | 2 => (None, Some(Fork::Cancun)),
        3 => (Some(Fork::Cancun), Some(Fork::Amsterdam)),
        _ => (Some(Fork::Amsterdam), None),
    };
    if first.is_some_and(|first| fork < first) || end.is_some_and(|end| fork >= end) {
        let what = format!("engine_forkchoiceUpdatedV{version} does not build blocks of {fork}");
        return Err(EngineError::UnsupportedFork(what));
    }
    if version <= 2 && withdrawals != (fork >= Fork::Shanghai) {
        return wrong(if withdrawals { "withdrawals before Shanghai" } else { "missing withdrawals" });
    }
    Ok(())
}

/// A list that was left out is an empty one where the fork has withdrawals.
pub fn withdrawals_of(fork: Fork, given: Option<Vec<Withdrawal>>) -> Option<Vec<Withdrawal>> {
    if fork >= Fork::Shanghai { Some(given.unwrap_or_default()) } else { None }
}
