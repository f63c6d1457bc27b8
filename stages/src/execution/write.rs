//! Writing a batch's overlay into the plain state, in key order.

use portico_db::{DbError, RwTxn};
use portico_evm::{OverlayWrites, WrittenSlot};
use portico_state::{PlainWriter, write_code};

/// Writes everything that differs.
///
/// # Errors
/// When the database fails; the transaction should then be dropped.
pub fn write_overlay(txn: &RwTxn<'_>, writes: &OverlayWrites) -> Result<(), DbError> {
    for (hash, code) in &writes.codes {
        write_code(txn, hash, code)?;
    }
    let mut plain = PlainWriter::new(txn)?;
    for written in &writes.accounts {
        if let Some(account) = &written.account {
            plain.set_account(&written.address, account.as_ref())?;
        }
        if written.wipe_storage {
            plain.wipe_storage(&written.address)?;
        }
        for WrittenSlot { slot, value, is_new } in &written.slots {
            match is_new {
                true => plain.add_slot(&written.address, slot, *value)?,
                false => plain.set_slot(&written.address, slot, *value)?,
            }
        }
    }
    Ok(())
}
