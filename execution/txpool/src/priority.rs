//! Which of two transactions the pool would rather keep.

use crate::PoolTransaction;

/// What the next block asks, in wei.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fees {
    /// For a unit of gas; 0 before London.
    pub base_fee: u64,
    /// For a unit of blob gas; `None` before Cancun.
    pub blob_fee: Option<u128>,
}

/// The greater, the rather kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Priority {
    /// It does not pay what the next block asks, but this part of it, in 2^-20.
    Waiting(u128),
    /// It pays the builder this much for a unit of gas, in wei.
    Executable(u128),
}

/// Judges a transaction alone, whatever is in front of it.
pub(crate) fn priority(transaction: &PoolTransaction, fees: Fees) -> Priority {
    let short_of_blob_fee = match (transaction.blob_fee_cap(), fees.blob_fee) {
        (Some(cap), Some(fee)) => cap < fee,
        (Some(_), None) => true,
        (None, _) => false,
    };
    match transaction.effective_tip(fees.base_fee) {
        Some(tip) if !short_of_blob_fee => Priority::Executable(tip),
        _ => {
            let gas = part_of(transaction.fee_cap(), u128::from(fees.base_fee));
            let blobs =
                transaction.blob_fee_cap().map_or(u128::MAX, |cap| part_of(cap, fees.blob_fee.unwrap_or(0)));
            Priority::Waiting(gas.min(blobs))
        }
    }
}

/// `paid / asked`, in 2^-20.
fn part_of(paid: u128, asked: u128) -> u128 {
    paid.saturating_mul(1 << 20) / asked.max(1)
}
