//! Pending transactions: which are taken, which are kept, and in which order blocks are offered them.
//!
//! ```text
//!  bytes ── decode ── by itself (size, type, gas, signature) ── accounts in one read ── nonce, funds
//!                                                                                          │
//!            journal <── local ones ── under the lock: place, limits <── blobs' proofs, authorities
//!                                             │
//!                 by hash · by account and nonce · in the order in which they would have to go
//!                                             │
//!         best(): a snapshot, best first      └──> who listens is told what became pending
//! ```
//! Rules are those of the next block, refusals are in go-ethereum's words. An account's transactions are *pending* as long
//! as they follow one another from its nonce and its balance covers them all; the others are *queued*. What a new head
//! means is worked out by [`Pool::on_new_head`].
//!
//! Memory is bounded whatever is sent: see [`Settings`]. Accounts with local transactions, with blob transactions and all
//! others have room of their own, so that no kind pushes out another. Within a kind those go first that wait for a nonce,
//! then the last ones of accounts with more than their share, then those that pay least.
//!
//! The crate knows no table, no RPC, no network, and no clock.

mod account;
mod add;
mod advance;
mod best;
mod blobs;
mod error;
mod events;
mod head;
mod journal;
mod kept;
mod metrics;
mod pool;
mod priority;
mod reset;
mod sender;
mod settings;
mod sidecar;
mod standing;
mod state;
mod transaction;
mod validate;

pub use account::{AccountCode, AccountReader, PoolAccount};
pub use add::{AddOutcome, Incoming};
pub use advance::JournalLoad;
pub use best::{BestFor, BestTransactions};
pub use blobs::PooledBlob;
pub use error::PoolError;
pub use head::HeadChange;
pub use journal::{Journaled, read_journal};
pub use metrics::describe as describe_metrics;
pub use pool::{Contents, Pool, Status};
pub use settings::{
    BLOB_TRANSACTION_BYTES_MAX, SLOT_BYTES, Settings, TRANSACTION_BLOBS_MAX, TRANSACTION_BYTES_MAX,
};
pub use transaction::{NetworkTransaction, Origin, PoolTransaction, Sidecar, decode_network_transaction};
