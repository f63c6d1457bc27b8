//! The state root, computed from what changed.
//!
//! ```text
//!  hashed tables (leaves) ─┐                         ┌─> root
//!  changed keys ───────────┼─> walker ──> builder ───┤
//!  trie tables (branches) ─┘   skips      hashes     └─> changed rows of the trie tables
//! ```
//!
//! - [`incremental_root`]: after some blocks; work in proportion to what changed.
//! - [`overlay_root`]: the same for state and trie in memory above the database.
//! - [`rebuild`]: everything, once.
//! - [`prove`]: the nodes on the way to an account and its slots; [`nodes_to_accounts`], [`nodes_to_slots`]: to many.
//! - [`PartialState`]: a state of which only some nodes are at hand, without a database.
//!
//! What the trie tables hold is a function of the leaves: after any sequence of updates they are, row by row, what a
//! rebuild makes. Going forward and unwinding are therefore the same call, with the keys that differ.
//!
//! This crate does not know blocks, stages or plain state.

mod builder;
mod changed;
mod error;
mod naive;
mod overlay;
mod partial;
mod path;
mod proof;
mod rebuild;
mod row;
mod source;
mod state;
mod storage;
#[cfg(test)]
mod tests;
mod updates;
mod walker;

pub use changed::ChangedKeys;
pub use error::{NodeFault, PartialTrieError, TrieError};
pub use naive::{state_root_of, storage_root_of};
pub use overlay::HashedOverlay;
pub use partial::{NODE_BYTES_MAX, PartialState, PartialTrie, TrieNodes};
pub use proof::{NodesTo, StateProof, nodes_to_accounts, nodes_to_slots, prove};
pub use rebuild::{RebuildProgress, rebuild};
pub use state::{incremental_root, overlay_root, prefers_rebuild};
pub use updates::TrieUpdates;
