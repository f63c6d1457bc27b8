//! Everything that is fixed about a chain: its genesis block and state, when each fork starts, which engine seals
//! its blocks, its blob schedule and deposit contract.
//!
//! A [`ChainSpec`] is built in (`mainnet`, `sepolia`, `hoodi`, `dev`) or read from a genesis JSON file in
//! go-ethereum's or Besu's dialect. It is immutable and shared as `Arc<ChainSpec>`.
//!
//! ```text
//!  genesis.json ──┐                        ┌── fork_at(block) ──> Fork
//!                 ├── ForkSchedule ────────┼── fork_id(head)  ──> ForkId (EIP-2124)
//!  built-in ──────┤   BlobSchedule ────────┴── blob_params_at(timestamp)
//!  data/*.zst ────┘   genesis header, hash, allocation
//! ```
//!
//! The rules that *use* these facts live in `portico-consensus`; this crate knows nothing about validating blocks,
//! storage or execution.

mod accumulators;
mod amsterdam;
mod blob;
mod builtin;
mod engine;
mod error;
mod fork;
mod fork_id;
mod genesis;
mod genesis_json;
mod json;
mod packed;
mod schedule;
mod spec;
mod test_network;

pub use alloy_consensus::Header;
pub use alloy_eips::eip7840::BlobParams;
pub use alloy_hardforks::{ForkFilter, ForkHash, ForkId, ValidationError as ForkIdError};
pub use amsterdam::AmsterdamRules;
pub use blob::{BlobSchedule, BlobScheduleEntry};
pub use builtin::{DEV_ACCOUNTS, DEV_KEYS, DEV_PHRASE};
pub use engine::EngineConfig;
pub use error::ChainSpecError;
pub use fork::{Activation, BlockContext, Fork};
pub use genesis::GenesisAccount;
pub use schedule::ForkSchedule;
pub use spec::{ChainSpec, DaoFork, GENESIS_FILE_SIZE_MAX};
pub use test_network::TestBlobParams;
