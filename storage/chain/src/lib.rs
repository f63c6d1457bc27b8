//! Reading and writing blocks: canonical headers, bodies, transactions, senders, receipts, side forks, and the
//! node's own facts about its chain.
//!
//! Blocks are read through here by everyone else; nobody outside `storage/` names a table. The functions take the
//! transaction first and work within it; they know no stage, no state and no rules.

mod blocks;
mod error;
mod index;
mod metadata;
mod progress;
mod transactions;

pub use blocks::*;
pub use error::ChainError;
pub use index::*;
pub use metadata::*;
pub use portico_db::models::{Receipt, StoredBody, Transaction};
pub use progress::*;
pub use transactions::*;
