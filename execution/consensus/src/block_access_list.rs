//! The form of a block access list (EIP-7928), before anything is executed.
//!
//! A list that keeps these rules can still be wrong: it is right when it equals the one made while executing the block,
//! which [`validate_execution`](crate::validate_execution) compares by hash. Checking the form first refuses absurd lists
//! cheaply, and lets a list be used for reading state ahead.

use alloy_eip7928::{
    AccountChanges, BlockAccessListValidationError, compute_block_access_list_hash, constants::ITEM_COST,
    total_bal_items,
};
use alloy_primitives::B256;

/// The rule that a block access list breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockAccessListFault {
    /// More addresses and slots than the block's gas pays for.
    #[error("{got} addresses and slots are more than the {max} that the gas limit allows")]
    Items {
        /// The block's gas limit divided by 2,000.
        max: u64,
        /// Addresses, and slots changed or read.
        got: u64,
    },
    /// Accounts, slots or indices out of order or twice, a slot both changed and read, an index beyond the block.
    #[error(transparent)]
    Form(#[from] BlockAccessListValidationError),
    /// It is not the list that the header commits to.
    #[error("block access list hash {got}: the header has {expected}")]
    Hash {
        /// The header's.
        expected: B256,
        /// The list's.
        got: B256,
    },
}

/// Checks size, order and uniqueness of a list, and that it is the one that the header commits to.
///
/// `transaction_count` bounds the indices: 0 is before the transactions, the count plus 1 after them.
///
/// # Errors
/// The first rule that is broken; the cheap ones come first.
pub fn validate_block_access_list(
    list: &[AccountChanges],
    transaction_count: usize,
    gas_limit: u64,
    header_hash: B256,
) -> Result<(), BlockAccessListFault> {
    let (max, got) = (gas_limit / ITEM_COST as u64, total_bal_items(list));
    if got > max {
        return Err(BlockAccessListFault::Items { max, got });
    }
    alloy_eip7928::validate_block_access_list(list, transaction_count)?;
    let (expected, got) = (header_hash, compute_block_access_list_hash(list));
    if got != expected {
        return Err(BlockAccessListFault::Hash { expected, got });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloy_eip7928::{BalanceChange, BlockAccessIndex, SlotChanges, StorageChange};
    use alloy_primitives::{Address, U256};

    use super::*;

    fn account(byte: u8) -> AccountChanges {
        let change = StorageChange::new(BlockAccessIndex::new(1), U256::from(7));
        AccountChanges {
            address: Address::with_last_byte(byte),
            storage_changes: vec![SlotChanges::new(U256::from(1), vec![change])],
            storage_reads: vec![U256::from(2)],
            balance_changes: vec![BalanceChange::new(BlockAccessIndex::new(2), U256::from(9))],
            ..AccountChanges::default()
        }
    }

    fn check(list: &[AccountChanges], gas_limit: u64) -> Result<(), BlockAccessListFault> {
        validate_block_access_list(list, 1, gas_limit, compute_block_access_list_hash(list))
    }

    #[test]
    fn items_are_addresses_and_slots() {
        let list = [account(1), account(2)];
        assert_eq!(check(&list, 12_000), Ok(()));
        assert_eq!(check(&list, 11_999), Err(BlockAccessListFault::Items { max: 5, got: 6 }));
        assert_eq!(check(&[], 0), Ok(()));
    }

    #[test]
    fn order_and_uniqueness_are_asked_of_everything() {
        assert!(matches!(check(&[account(2), account(1)], 1 << 20), Err(BlockAccessListFault::Form(_))));
        assert!(matches!(check(&[account(1), account(1)], 1 << 20), Err(BlockAccessListFault::Form(_))));
        let mut both = account(1);
        both.storage_reads = vec![U256::from(1)];
        assert!(matches!(check(&[both], 1 << 20), Err(BlockAccessListFault::Form(_))));
        let mut late = account(1);
        late.balance_changes[0].block_access_index = BlockAccessIndex::new(3);
        assert!(matches!(check(&[late], 1 << 20), Err(BlockAccessListFault::Form(_))));
        let mut unsorted = account(1);
        unsorted.storage_reads = vec![U256::from(9), U256::from(2)];
        assert!(matches!(check(&[unsorted], 1 << 20), Err(BlockAccessListFault::Form(_))));
    }

    #[test]
    fn the_hash_is_the_headers() {
        let list = [account(1)];
        let got = compute_block_access_list_hash(&list);
        let fault = validate_block_access_list(&list, 1, 1 << 20, B256::ZERO);
        assert_eq!(fault, Err(BlockAccessListFault::Hash { expected: B256::ZERO, got }));
    }
}
