//! What was hashed to a key of the hashed state: found by the plain state, which has the same rows by their real keys.
//!
//! The hashed tables say beforehand whether there is anything to find, and in which account's storage, so that most rows
//! need not be hashed.

use alloy_primitives::{Address, B256, keccak256};
use portico_db::{DbError, TransactionKind, Txn, tables};

use crate::read_hashed_account;

/// Rows between two calls of `go_on`.
const ROWS_BETWEEN: u32 = 256;

/// The account of the newest state whose address has this hash. `go_on` is asked again and again, the first time before
/// the search begins.
///
/// # Errors
/// What the database meets, and what `go_on` gives.
pub fn find_address<K: TransactionKind, E: From<DbError>>(
    txn: &Txn<'_, K>,
    hash: &B256,
    mut go_on: impl FnMut() -> Result<(), E>,
) -> Result<Option<Address>, E> {
    if read_hashed_account(txn, hash)?.is_none() {
        return Ok(None);
    }
    let mut accounts = txn.cursor::<tables::PlainAccounts>()?;
    for (row, account) in accounts.walk_all().enumerate() {
        if (row as u32).is_multiple_of(ROWS_BETWEEN) {
            go_on()?;
        }
        let (address, _) = account?;
        if keccak256(address) == *hash {
            return Ok(Some(address));
        }
    }
    Ok(None)
}

/// A storage slot that is set in some account of the newest state and has this hash; as [`find_address`] otherwise.
///
/// # Errors
/// As [`find_address`].
pub fn find_slot<K: TransactionKind, E: From<DbError>>(
    txn: &Txn<'_, K>,
    hash: &B256,
    mut go_on: impl FnMut() -> Result<(), E>,
) -> Result<Option<B256>, E> {
    let mut contracts = txn.cursor::<tables::PlainStorage>()?;
    let mut hashed = txn.cursor::<tables::HashedStorage>()?;
    let mut rows = 0_u32;
    let mut next_row = |go_on: &mut dyn FnMut() -> Result<(), E>| {
        let is_time = rows.is_multiple_of(ROWS_BETWEEN);
        rows = rows.wrapping_add(1);
        if is_time { go_on() } else { Ok(()) }
    };
    let mut contract = contracts.first()?;
    while let Some((address, _)) = contract {
        next_row(&mut go_on)?;
        if hashed.seek_dup_exact(&keccak256(address), hash)?.is_some() {
            let mut entry = contracts.seek_exact(&address)?;
            while let Some(slot) = entry {
                next_row(&mut go_on)?;
                if keccak256(slot.slot) == *hash {
                    return Ok(Some(slot.slot));
                }
                entry = contracts.next_dup()?;
            }
        }
        contract = contracts.next_key()?;
    }
    Ok(None)
}
