//! Accounts and slots as of any block, in order of their keys.
//!
//! What was there is found by two cursors side by side: keys that are there now, and keys that changed since. A key
//! that changed has the value before its next change; any other has the one that it has now.

use std::ops::ControlFlow;

use alloy_primitives::{Address, B256, FixedBytes, U256};
use portico_db::{
    DbError, TransactionKind, Txn,
    models::{Account, AccountHistoryKey, StorageHistoryKey},
    tables,
};

use crate::{account_at, read_account, storage_at};

/// As of when something is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// The newest executed block.
    Head,
    /// The end of this block, whose history the caller has checked.
    Block(u64),
}

/// Accounts from `first` on, in order of their addresses, until `visit` breaks.
///
/// # Errors
/// What the database meets, and what `visit` gives.
pub fn visit_accounts<K: TransactionKind, E: From<DbError>>(
    txn: &Txn<'_, K>,
    as_of: AsOf,
    first: Address,
    mut visit: impl FnMut(Address, Account) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    let mut plain = txn.cursor::<tables::PlainAccounts>()?;
    let mut changed = txn.cursor::<tables::AccountHistory>()?;
    let mut next = Some(first);
    while let Some(from) = next {
        let now = plain.seek(&from)?.map(|(address, _)| address);
        let then = match as_of {
            AsOf::Head => None,
            AsOf::Block(_) => {
                let key = AccountHistoryKey { address: from, last_block: 0 };
                changed.seek(&key)?.map(|(key, _)| key.address)
            }
        };
        let Some(address) = earlier(now, then) else { break };
        let account = match as_of {
            AsOf::Head => read_account(txn, &address)?,
            AsOf::Block(number) => account_at(txn, &address, number)?,
        };
        if let Some(account) = account
            && visit(address, account)?.is_break()
        {
            break;
        }
        next = successor(*address).map(Address::from);
    }
    Ok(())
}

/// Slots of an account that are set, from `first` on, in order, until `visit` breaks.
///
/// # Errors
/// What the database meets, and what `visit` gives.
pub fn visit_slots<K: TransactionKind, E: From<DbError>>(
    txn: &Txn<'_, K>,
    as_of: AsOf,
    address: &Address,
    first: B256,
    mut visit: impl FnMut(B256, U256) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    let mut plain = txn.cursor::<tables::PlainStorage>()?;
    let mut changed = txn.cursor::<tables::StorageHistory>()?;
    let mut next = Some(first);
    while let Some(from) = next {
        let entry = plain.seek_dup(address, &from)?;
        let then = match as_of {
            AsOf::Head => None,
            AsOf::Block(_) => {
                let key = StorageHistoryKey { address: *address, slot: from, last_block: 0 };
                let found = changed.seek(&key)?.map(|(key, _)| key);
                found.filter(|key| key.address == *address).map(|key| key.slot)
            }
        };
        let Some(slot) = earlier(entry.map(|entry| entry.slot), then) else { break };
        let value = match (as_of, entry) {
            (AsOf::Head, Some(entry)) => entry.value,
            (AsOf::Head, None) => U256::ZERO,
            (AsOf::Block(number), _) => storage_at(txn, address, &slot, number)?,
        };
        if !value.is_zero() && visit(slot, value)?.is_break() {
            break;
        }
        next = successor(slot);
    }
    Ok(())
}

fn earlier<T: Ord>(left: Option<T>, right: Option<T>) -> Option<T> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (left, right) => left.or(right),
    }
}

/// The next key of this length; the last one has none.
fn successor<const N: usize>(key: impl Into<FixedBytes<N>>) -> Option<FixedBytes<N>> {
    let mut key = key.into();
    for byte in key.iter_mut().rev() {
        let (next, overflowed) = byte.overflowing_add(1);
        *byte = next;
        if !overflowed {
            return Some(key);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_each_other() {
        let key = |bytes: [u8; 3]| FixedBytes::from(bytes);
        assert_eq!(successor(key([0, 0, 1])), Some(key([0, 0, 2])));
        assert_eq!(successor(key([0, 0xff, 0xff])), Some(key([1, 0, 0])));
        assert_eq!(successor(key([0xff, 0xff, 0xff])), None);
    }
}
