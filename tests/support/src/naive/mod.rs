//! Random blocks, executed the naive way: every block on a state in maps, every root from scratch.
//!
//! ```text
//!  seed ─> Network: forks, accounts, contracts of random code
//!            └─> NaiveTree: random transactions upon any block; state, receipts, requests, changes after each
//! ```

mod code;
mod network;
mod random;
mod transactions;
mod tree;

pub use network::{Network, Signer};
pub use random::Random;
pub use tree::{NaiveBlock, NaiveTree};
