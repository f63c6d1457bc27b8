//! A header against its parent.

use crate::{
    ConsensusError, Engine, clique,
    difficulty::block_difficulty,
    fee::{is_london_block, next_base_fee, next_excess_blob_gas},
};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_eips::eip4844::DATA_GAS_PER_BLOB;
use alloy_primitives::{B64, B256, U256};
use portico_chainspec::{BlockContext, ChainSpec, Fork};

/// Longest extra data in bytes, except under Clique.
pub const EXTRA_DATA_SIZE_MAX: usize = 32;
/// Lowest gas limit of a block.
pub const GAS_LIMIT_MIN: u64 = 5000;
/// Highest gas limit of a block (EIP-1985).
pub const GAS_LIMIT_MAX: u64 = i64::MAX as u64;
/// How far a proof-of-work block may be ahead of the clock, in seconds.
pub const FUTURE_SECONDS_MAX: u64 = 15;

const GAS_LIMIT_BOUND_DIVISOR: u64 = 1024;
const LONDON_ELASTICITY: u64 = 2;
const DAO_EXTRA_DATA: &[u8] = b"dao-hard-fork";
const DAO_EXTRA_DATA_BLOCKS: u64 = 10;

/// What a header is held against.
#[derive(Clone, Copy, Debug)]
pub struct Parent<'a> {
    /// The parent's header.
    pub header: &'a Header,
    /// Its hash, which is not recomputed here.
    pub hash: B256,
    /// Total difficulty up to and including the parent. Above the terminal one only "at least terminal" matters.
    pub total_difficulty: U256,
}

/// Rules that test chains may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderChecks {
    /// Whether the difficulty of a proof-of-work block must be the one that the formula gives.
    pub difficulty: bool,
    /// Whether an Amsterdam header must have a slot number (EIP-7843). Chains made while the fork was being designed
    /// may lack it.
    pub slot_number: bool,
}

impl Default for HeaderChecks {
    fn default() -> Self {
        Self { difficulty: true, slot_number: true }
    }
}

/// Checks every rule that a header alone can break. Proof-of-work seals ([`crate::ethash`]) and
/// Clique's signer list are not checked.
///
/// # Errors
/// The first rule that is broken.
pub fn validate_header(spec: &ChainSpec, parent: Parent<'_>, header: &Header) -> Result<(), ConsensusError> {
    validate_header_with(HeaderChecks::default(), spec, parent, header)
}

/// As [`validate_header`], with some rules left out.
///
/// # Errors
/// The first rule that is broken.
pub fn validate_header_with(
    checks: HeaderChecks,
    spec: &ChainSpec,
    parent: Parent<'_>,
    header: &Header,
) -> Result<(), ConsensusError> {
    let block = spec.block_context(header.number, header.timestamp, parent.total_difficulty);
    let engine = Engine::of(spec, block)?;
    validate_link(parent, header)?;
    validate_merge(spec, block, parent.total_difficulty, header)?;
    match engine {
        Engine::Ethash => validate_ethash(checks, spec, block, parent.header, header)?,
        Engine::Beacon => validate_beacon(header)?,
        Engine::Clique { period, epoch } => clique::validate_header(period, epoch, parent.header, header)?,
    }
    validate_dao_extra_data(spec, header)?;
    validate_gas(spec, parent.header, header)?;
    let fork = spec.fork_at(block);
    validate_fields(checks, fork, header)?;
    validate_blob_gas(spec, fork, parent.header, header)
}

/// Refuses a proof-of-work or Clique block that is more than [`FUTURE_SECONDS_MAX`] ahead of `now` (seconds). For
/// merged blocks the consensus client judges the time.
///
/// # Errors
/// [`ConsensusError::FutureBlock`].
pub fn validate_not_future(header: &Header, now: u64) -> Result<(), ConsensusError> {
    if header.timestamp > now.saturating_add(FUTURE_SECONDS_MAX) {
        return Err(ConsensusError::FutureBlock { now, got: header.timestamp });
    }
    Ok(())
}

fn validate_link(parent: Parent<'_>, header: &Header) -> Result<(), ConsensusError> {
    let expected = parent.header.number.saturating_add(1);
    if header.number != expected || header.number == parent.header.number {
        return Err(ConsensusError::BlockNumber { expected, got: header.number });
    }
    if header.parent_hash != parent.hash {
        return Err(ConsensusError::ParentHash { expected: parent.hash, got: header.parent_hash });
    }
    if header.timestamp <= parent.header.timestamp {
        return Err(ConsensusError::Timestamp { parent: parent.header.timestamp, got: header.timestamp });
    }
    Ok(())
}

/// A block without difficulty is proof of stake, one with difficulty is not (EIP-3675).
fn validate_merge(
    spec: &ChainSpec,
    block: BlockContext,
    parent_total_difficulty: U256,
    header: &Header,
) -> Result<(), ConsensusError> {
    let is_proof_of_stake = header.difficulty.is_zero();
    match spec.terminal_total_difficulty() {
        _ if block.merged && !is_proof_of_stake => {
            Err(ConsensusError::ProofOfWorkAfterMerge { difficulty: header.difficulty })
        }
        Some(terminal) if !block.merged && is_proof_of_stake => {
            Err(ConsensusError::ProofOfStakeBeforeMerge { parent_total_difficulty, terminal })
        }
        _ => Ok(()),
    }
}

fn validate_ethash(
    checks: HeaderChecks,
    spec: &ChainSpec,
    block: BlockContext,
    parent: &Header,
    header: &Header,
) -> Result<(), ConsensusError> {
    validate_extra_data_size(header)?;
    let expected = block_difficulty(spec, block, parent);
    if checks.difficulty && header.difficulty != expected {
        return Err(ConsensusError::Difficulty { expected, got: header.difficulty });
    }
    Ok(())
}

fn validate_beacon(header: &Header) -> Result<(), ConsensusError> {
    validate_extra_data_size(header)?;
    if header.nonce != B64::ZERO {
        return Err(ConsensusError::NonceNotZero { got: header.nonce });
    }
    if header.ommers_hash != EMPTY_OMMER_ROOT_HASH {
        return Err(ConsensusError::OmmersHashNotEmpty { got: header.ommers_hash });
    }
    Ok(())
}

fn validate_extra_data_size(header: &Header) -> Result<(), ConsensusError> {
    let got = header.extra_data.len();
    if got > EXTRA_DATA_SIZE_MAX {
        return Err(ConsensusError::ExtraDataTooLong { max: EXTRA_DATA_SIZE_MAX, got });
    }
    Ok(())
}

/// The fork block and the nine after it say in their extra data which side they are on.
fn validate_dao_extra_data(spec: &ChainSpec, header: &Header) -> Result<(), ConsensusError> {
    let Some(dao) = spec.dao_fork() else { return Ok(()) };
    let in_range = header.number.checked_sub(dao.block).is_some_and(|passed| passed < DAO_EXTRA_DATA_BLOCKS);
    if in_range && (header.extra_data[..] == *DAO_EXTRA_DATA) != dao.supported {
        let got = header.extra_data.clone();
        return Err(ConsensusError::DaoExtraData { supported: dao.supported, got });
    }
    Ok(())
}

fn validate_gas(spec: &ChainSpec, parent: &Header, header: &Header) -> Result<(), ConsensusError> {
    if header.gas_used > header.gas_limit {
        let (gas_limit, gas_used) = (header.gas_limit, header.gas_used);
        return Err(ConsensusError::GasUsedAboveLimit { gas_limit, gas_used });
    }
    validate_gas_limit(spec, parent, header)?;
    match (next_base_fee(spec, parent), header.base_fee_per_gas) {
        (Some(expected), Some(got)) if expected != got => Err(ConsensusError::BaseFee { expected, got }),
        (expected, got) => validate_presence("base fee", Fork::London, expected.is_some(), got.is_some()),
    }
}

fn validate_gas_limit(spec: &ChainSpec, parent: &Header, header: &Header) -> Result<(), ConsensusError> {
    let got = header.gas_limit;
    if got > GAS_LIMIT_MAX {
        return Err(ConsensusError::GasLimitTooHigh { max: GAS_LIMIT_MAX, got });
    }
    let is_first_london = is_london_block(spec, header.number) && !is_london_block(spec, parent.number);
    let elasticity = if is_first_london { LONDON_ELASTICITY } else { 1 };
    let parent_limit = parent.gas_limit.saturating_mul(elasticity);
    let bound = parent_limit / GAS_LIMIT_BOUND_DIVISOR;
    if got.abs_diff(parent_limit) >= bound {
        return Err(ConsensusError::GasLimitChange { parent: parent_limit, bound, got });
    }
    if got < GAS_LIMIT_MIN {
        return Err(ConsensusError::GasLimitTooLow { min: GAS_LIMIT_MIN, got });
    }
    Ok(())
}

/// The trailing fields are there exactly from their fork on.
fn validate_fields(checks: HeaderChecks, fork: Fork, header: &Header) -> Result<(), ConsensusError> {
    let fields = [
        ("withdrawals root", Fork::Shanghai, header.withdrawals_root.is_some()),
        ("blob gas used", Fork::Cancun, header.blob_gas_used.is_some()),
        ("excess blob gas", Fork::Cancun, header.excess_blob_gas.is_some()),
        ("parent beacon block root", Fork::Cancun, header.parent_beacon_block_root.is_some()),
        ("requests hash", Fork::Prague, header.requests_hash.is_some()),
        ("block access list hash", Fork::Amsterdam, header.block_access_list_hash.is_some()),
        (
            "slot number",
            Fork::Amsterdam,
            header.slot_number.is_some() || (!checks.slot_number && fork >= Fork::Amsterdam),
        ),
    ];
    fields.into_iter().try_for_each(|(field, since, got)| validate_presence(field, since, fork >= since, got))
}

fn validate_presence(
    field: &'static str,
    fork: Fork,
    expected: bool,
    got: bool,
) -> Result<(), ConsensusError> {
    match (expected, got) {
        (true, false) => Err(ConsensusError::HeaderFieldMissing { field, fork }),
        (false, true) => Err(ConsensusError::HeaderFieldUnexpected { field, fork }),
        (true, true) | (false, false) => Ok(()),
    }
}

fn validate_blob_gas(
    spec: &ChainSpec,
    fork: Fork,
    parent: &Header,
    header: &Header,
) -> Result<(), ConsensusError> {
    let (Some(used), Some(got)) = (header.blob_gas_used, header.excess_blob_gas) else { return Ok(()) };
    let Some(params) = spec.blob_params_at(header.timestamp) else {
        return Err(ConsensusError::HeaderFieldUnexpected { field: "blob gas used", fork });
    };
    if !used.is_multiple_of(DATA_GAS_PER_BLOB) {
        return Err(ConsensusError::BlobGasUsedNotMultiple { got: used });
    }
    let max = params.max_blob_gas_per_block();
    if used > max {
        return Err(ConsensusError::BlobGasUsedAboveMax { max, got: used });
    }
    let expected = next_excess_blob_gas(&params, parent);
    if got != expected {
        return Err(ConsensusError::ExcessBlobGas { expected, got });
    }
    Ok(())
}
