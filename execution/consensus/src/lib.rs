//! The rules that make a block valid, as pure functions: no storage, no network, no clock.
//!
//! A block is judged in the order in which a node learns of its parts:
//!
//! | step | function | needs |
//! |---|---|---|
//! | header | [`validate_header`] | the parent's header, hash and total difficulty |
//! | seal | [`ethash::verify_seal`], [`clique::recover_block_signer`] | the header; of ethash, the cache of its epoch |
//! | ommers | [`validate_ommers`] | the last seven ancestors |
//! | body | [`validate_body`] | the header |
//! | access list | [`validate_block_access_list`] | the header's hash and gas limit |
//! | execution | [`validate_execution`] | what executing the block gave |
//!
//! Every rule is gated by the block's [`Fork`](portico_chainspec::Fork), from Frontier to Amsterdam. The fork follows
//! from [`ChainSpec::block_context`](portico_chainspec::ChainSpec::block_context), which needs the parent's total
//! difficulty to tell whether the chain has merged. Each broken rule has its own [`ConsensusError`].
//!
//! What is *not* here: the validity of a transaction against the state (that is execution's), and the choice of the
//! proof-of-work seals that are verified (the Headers stage's).

mod block_access_list;
mod body;
pub mod clique;
mod difficulty;
mod engine;
mod error;
pub mod ethash;
mod execution;
mod fee;
mod header;
mod ommers;
mod reward;

pub use block_access_list::{BlockAccessListFault, validate_block_access_list};
pub use body::{BodyView, RLP_BLOCK_SIZE_MAX, first_fork_of, validate_body};
pub use difficulty::{DifficultyInput, DifficultyRule, block_difficulty, next_difficulty, total_difficulty};
pub use engine::Engine;
pub use error::ConsensusError;
pub use execution::{
    ExecutionResult, receipts_root_and_bloom, receipts_root_with_states, validate_block_access_list_length,
    validate_execution,
};
pub use fee::{blob_fee, next_base_fee, next_blob_fee, next_excess_blob_gas};
pub use header::{
    EXTRA_DATA_SIZE_MAX, FUTURE_SECONDS_MAX, GAS_LIMIT_MAX, GAS_LIMIT_MIN, HeaderChecks, Parent,
    validate_header, validate_header_with, validate_not_future,
};
pub use ommers::{Ancestor, OMMER_GENERATIONS_MAX, OMMERS_MAX, validate_ommers, validate_ommers_with};
pub use reward::{block_reward, block_rewards};
