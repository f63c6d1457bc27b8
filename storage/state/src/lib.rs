//! The state: accounts, storage and code as of the newest executed block (plain), with hashed keys (hashed), what
//! each block changed, and as of any block that history is kept for.
//!
//! ```text
//!  value as of block N  =  value before the first change after N   (one seek in the history table)
//!                       or the plain value when nothing changed since
//! ```
//! This crate knows tables and keys, not blocks, rules or roots.

mod change_rows;
mod changes;
mod error;
mod hashed;
mod hashing;
mod history;
mod history_write;
mod plain;
mod preimage;
mod range;

pub use change_rows::SortSpace;
pub use changes::{
    BlockChanges, delete_changes_above, delete_changes_below, first_changes_block, iter_account_changes,
    iter_call_traces, iter_storage_changes, read_account_changes, read_call_traces, read_storage_changes,
    write_changes,
};
pub use error::StateError;
pub use hashed::{
    clear_hashed_accounts, clear_hashed_storage, hashed_leaf_count, read_hashed_account,
    rebuild_hashed_accounts, rebuild_hashed_storage, revert_hashed_accounts, revert_hashed_storage,
    update_hashed_accounts, update_hashed_storage, wipe_hashed_storage, write_hashed_account,
    write_hashed_slot,
};
pub use history::{HistoryBounds, StateAt, account_at, storage_at};
pub use history_write::{
    PruneKeys, append_account_history, append_storage_history, prune_account_history, prune_storage_history,
    unwind_account_history, unwind_storage_history,
};
pub use plain::{
    PlainReader, PlainWriter, iter_accounts, iter_storage, read_account, read_code, read_storage, write_code,
};
pub use portico_db::models::{Account, AccountChange, StorageChange, StorageEntry, TraceAddress};
pub use preimage::{find_address, find_slot};
pub use range::{AsOf, visit_accounts, visit_slots};
