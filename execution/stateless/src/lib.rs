//! A block held against its execution witness: no database, nothing trusted but the parent's hash.
//!
//! ```text
//!  witness ── headers ──> parent, BLOCKHASH ──> header and body rules, senders
//!         ├── nodes ────> partial trie under the parent's state root ──┐
//!         └── codes ────> by hash ─────────────────────────────────────┤ StateReader
//!                                                                      v
//!                    execute_block on an Overlay ──> receipts, gas, requests = the header's?
//!                                                └─> writes ──> partial trie ──> state root = the header's?
//! ```
//! Everything in a witness is found by its hash, so a witness can be short of something or hold too much, but never
//! say something false. What is missing is named ([`WitnessError`]), and kept apart from a block that is wrong
//! ([`StatelessError::InvalidBlock`]).
//!
//! What a valid answer says: the block is a valid child of the parent that it names. It does not say that the parent is
//! canonical, nor that a proof-of-work or Clique seal is one: see [`validate`].

mod ancestors;
mod block;
mod error;
mod state;
mod validate;
mod witness;

pub use block::{Block, decode_block_json};
pub use error::{InvalidReason, StatelessError, WitnessError, WitnessPart};
pub use validate::{Report, UnprovenAccounts, validate, validate_with};
pub use witness::{WITNESS_BYTES_MAX, WITNESS_HEADERS_MAX, Witness};
