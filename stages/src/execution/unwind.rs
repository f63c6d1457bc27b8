//! Taking execution back: the earliest value before the unwound blocks is the value again.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use portico_chain::{delete_access_lists_above, delete_receipts_from, tx_number_limit};
use portico_db::{RwTxn, models::Account};
use portico_state::{PlainWriter, delete_changes_above, iter_account_changes, iter_storage_changes};

use crate::{BlockRange, StageError};

/// The pipeline has made sure that the changes of `range` are kept.
pub(super) fn unwind(txn: &RwTxn<'_>, range: BlockRange) -> Result<(), StageError> {
    let mut accounts: BTreeMap<Address, Option<Account>> = BTreeMap::new();
    iter_account_changes(txn, range.blocks(), |_, change| {
        accounts.entry(change.address).or_insert(change.before);
        Ok::<(), StageError>(())
    })?;
    let mut slots: BTreeMap<(Address, B256), U256> = BTreeMap::new();
    iter_storage_changes(txn, range.blocks(), |_, change| {
        slots.entry((change.address, change.slot)).or_insert(change.before);
        Ok::<(), StageError>(())
    })?;
    let mut plain = PlainWriter::new(txn)?;
    for (address, account) in &accounts {
        plain.set_account(address, account.as_ref())?;
    }
    for ((address, slot), value) in &slots {
        plain.set_slot(address, slot, *value)?;
    }
    delete_changes_above(txn, range.done)?;
    delete_access_lists_above(txn, range.done)?;
    Ok(delete_receipts_from(txn, tx_number_limit(txn, range.done)?)?)
}
