//! Generates realistic, valid chains from a seed, of any length: for the sample chain, for property tests,
//! and for benchmarks of the whole node.
//!
//! ```text
//! GeneratorConfig ──> genesis() ────────────> genesis JSON, genesis header
//!        │                                         │
//!        └──> Workload ──> PlannedBlock ──> sign() ──> ChainState::execute() ──> sealed Block ──> write_blocks()
//!                 ^                                                                 │
//!                 └────────────── base fee, blob base fee, time of the next block ──┘
//! ```
//!
//! A [`Workload`] plans transactions without reading the state: it keeps its own model of nonces, balances,
//! token holdings and contracts. [`Generator`] has a [`ChainState`] execute them and seals the headers:
//! [`DatabaseState`], which is Portico's own executor, tables and trie, unless another one is plugged in.
//!
//! Equal configurations give equal chains, byte for byte, on every platform and with any number of threads.

pub mod abi;
pub mod accounts;
pub mod asm;
mod builder;
mod config;
pub mod contracts;
mod error;
mod export;
mod genesis;
mod layout;
mod mix;
mod plan;
mod random;
mod sign;
mod state;
mod workload;

pub use builder::{ChainState, ExecutedBlock, GeneratedBlock, Generator, HeaderTemplate};
pub use config::{Fork, ForkSchedule, GeneratorConfig};
pub use error::{ConfigFault, GeneratorError, Mismatch};
pub use export::write_blocks;
pub use genesis::{EXTRA_DATA, genesis, genesis_header, write_genesis};
pub use mix::{Kind, Mix};
pub use plan::{BlockContext, Outcome, PlannedBlock, PlannedTransaction, Transaction, UnsignedTransaction};
pub use random::Random;
pub use sign::sign;
pub use state::{DatabaseState, open_state_database};
pub use workload::Workload;
