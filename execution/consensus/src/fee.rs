//! Fees that the protocol sets: base fee (EIP-1559) and blob fee (EIP-4844, EIP-7918).

use alloy_consensus::Header;
use alloy_eips::eip1559::{BaseFeeParams, INITIAL_BASE_FEE, calc_next_block_base_fee};
use portico_chainspec::{Activation, BlobParams, ChainSpec, Fork};

/// Base fee above which one block could overflow 64 bits: it grows by at most an eighth, and by at least 1.
const BASE_FEE_SAFE_MAX: u64 = u64::MAX / 9 * 8 - 1;

/// Base fee in wei of the block after `parent`; `None` while London is not active there.
///
/// The first London block starts with 1 gwei. On a chain with Besu's `zeroBaseFee` it is always 0.
pub fn next_base_fee(spec: &ChainSpec, parent: &Header) -> Option<u64> {
    let is_london = |number: u64| is_london_block(spec, number);
    if !is_london(parent.number.saturating_add(1)) {
        return None;
    }
    if spec.zero_base_fee() {
        return Some(0);
    }
    let Some(base_fee) = parent.base_fee_per_gas.filter(|_| is_london(parent.number)) else {
        return Some(INITIAL_BASE_FEE);
    };
    if base_fee > BASE_FEE_SAFE_MAX && parent.gas_used > parent.gas_limit / 2 {
        return Some(u64::MAX);
    }
    let gas_used = parent.gas_used.min(parent.gas_limit);
    Some(calc_next_block_base_fee(gas_used, parent.gas_limit, base_fee, BaseFeeParams::ethereum()))
}

/// Whether London's fee market holds for a block; London always starts by number.
pub(crate) fn is_london_block(spec: &ChainSpec, number: u64) -> bool {
    matches!(spec.activation(Fork::London), Some(Activation::Block(start)) if number >= start)
}

/// Excess blob gas of the block after `parent`, by the parameters of that block.
///
/// A parent from before Cancun counts as having used none.
pub fn next_excess_blob_gas(params: &BlobParams, parent: &Header) -> u64 {
    let excess = parent.excess_blob_gas.unwrap_or_default();
    let used = parent.blob_gas_used.unwrap_or_default().min(MAX_BLOB_GAS);
    if params.max_blob_count == 0 || excess.checked_add(used).is_none() {
        return excess;
    }
    params.next_block_excess_blob_gas_osaka(excess, used, parent.base_fee_per_gas.unwrap_or_default())
}

/// More blob gas than any schedule allows; above it a parent is not a valid block.
const MAX_BLOB_GAS: u64 = 1 << 40;

/// Price of one unit of blob gas in a block, in wei; `None` before Cancun.
pub fn blob_fee(spec: &ChainSpec, header: &Header) -> Option<u128> {
    let params = spec.blob_params_at(header.timestamp)?;
    Some(params.calc_blob_fee(header.excess_blob_gas?))
}

/// Price of one unit of blob gas in the block after `parent` at `timestamp`, in wei; `None` before Cancun.
pub fn next_blob_fee(spec: &ChainSpec, parent: &Header, timestamp: u64) -> Option<u128> {
    let params = spec.blob_params_at(timestamp)?;
    Some(params.calc_blob_fee(next_excess_blob_gas(&params, parent)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_eips::eip4844::DATA_GAS_PER_BLOB;

    fn blob_parent(excess: u64, blobs: u64, base_fee: u64) -> Header {
        Header {
            excess_blob_gas: Some(excess),
            blob_gas_used: Some(blobs * DATA_GAS_PER_BLOB),
            base_fee_per_gas: Some(base_fee),
            ..Header::default()
        }
    }

    #[test]
    fn excess_falls_by_the_target_and_stops_at_zero() {
        let params = BlobParams::cancun();
        assert_eq!(next_excess_blob_gas(&params, &Header::default()), 0);
        assert_eq!(next_excess_blob_gas(&params, &blob_parent(0, 2, 7)), 0);
        assert_eq!(next_excess_blob_gas(&params, &blob_parent(0, 6, 7)), 3 * DATA_GAS_PER_BLOB);
    }

    #[test]
    fn from_osaka_dear_gas_keeps_the_target_in() {
        // At excess 0 a blob costs 131072 wei; 8192 gas cost more than that from a base fee of 17 wei on.
        let params = BlobParams::osaka();
        let used = 6 * DATA_GAS_PER_BLOB;
        assert_eq!(next_excess_blob_gas(&params, &blob_parent(0, 6, 16)), 0);
        assert_eq!(next_excess_blob_gas(&params, &blob_parent(0, 6, 17)), used * (9 - 6) / 9);
    }

    #[test]
    fn absurd_parents_do_not_overflow() {
        let none = BlobParams { target_blob_count: 0, max_blob_count: 0, ..BlobParams::osaka() };
        assert_eq!(next_excess_blob_gas(&none, &blob_parent(5, 0, u64::MAX)), 5);
        for params in [BlobParams::cancun(), BlobParams::osaka(), none] {
            for used in [0, 1, u64::MAX] {
                let parent = Header {
                    excess_blob_gas: Some(u64::MAX),
                    blob_gas_used: Some(used),
                    base_fee_per_gas: Some(u64::MAX),
                    ..Header::default()
                };
                next_excess_blob_gas(&params, &parent);
            }
        }
        let spec = ChainSpec::dev();
        for (gas_limit, gas_used) in [(0, 0), (1, 1), (u64::MAX, u64::MAX), (5000, u64::MAX)] {
            let parent =
                Header { base_fee_per_gas: Some(u64::MAX), gas_limit, gas_used, ..Header::default() };
            assert!(next_base_fee(&spec, &parent).is_some());
        }
    }

    #[test]
    fn base_fee_starts_with_london_and_follows_demand() {
        let spec = ChainSpec::mainnet();
        let parent = |number, gas_used, base_fee_per_gas| Header {
            number,
            gas_limit: 30_000_000,
            gas_used,
            base_fee_per_gas,
            ..Header::default()
        };
        assert_eq!(next_base_fee(&spec, &parent(12_964_998, 0, None)), None);
        assert_eq!(next_base_fee(&spec, &parent(12_964_999, 0, None)), Some(1_000_000_000));
        assert_eq!(next_base_fee(&spec, &parent(12_965_000, 0, Some(800))), Some(700));
        assert_eq!(next_base_fee(&spec, &parent(12_965_000, 15_000_000, Some(800))), Some(800));
        assert_eq!(next_base_fee(&spec, &parent(12_965_000, 30_000_000, Some(800))), Some(900));
        assert_eq!(next_base_fee(&spec, &parent(12_965_000, 15_000_001, Some(1))), Some(2));
    }
}
