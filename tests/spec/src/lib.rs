//! The public consensus tests, run through the real storage and stages.
//!
//! ```text
//!  files, folders, .tar.zst ──> reader thread ──> cases ──> a worker for each processor
//!                                                              │ block tests: a database on tmpfs, BlockTree, all stages
//!                                                              │ state tests: one transaction on a state in memory
//!                                                              └─> Report: counts by fork, first differences, skips
//! ```
//! Used by `portico evm blocktest` and `portico evm statetest`, and by this crate's own tests, which run a bounded
//! selection of what lies in the fixtures folder.

mod block_case;
mod block_test;
mod engine_case;
mod engine_client;
mod engine_test;
mod error;
mod exceptions;
mod input;
mod json_form;
mod network;
mod report;
mod runner;
mod state_case;
mod state_test;
mod template;
mod trace;

pub use block_test::{BlockTestRunner, BlockTestSettings, run_block_tests};
pub use engine_client::{BesidePayload, EngineClient, HttpReply, new_payload_call};
pub use engine_test::run_engine_tests;
pub use error::SpecError;
pub use exceptions::{Refusal, is_expected};
pub use input::{FILE_BYTES_MAX, FixtureFile, for_each_file};
pub use network::network_config;
pub use report::{
    BrokenFile, CaseId, CaseResult, Counts, Difference, Failure, MismatchCount, Outcome, ReasonMismatch,
    Report,
};
pub use runner::{CaseRunner, Notes, Part, RunOptions, run_cases};
pub use state_test::{StateTestRunner, StateTestSettings, run_state_tests};
