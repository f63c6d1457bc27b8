//! The Engine API: how a consensus client drives this node.
//!
//! ```text
//!  newPayload ──> shape (-32602), fork (-38005) ──> block, hash ──> Tip::insert ──> VALID INVALID SYNCING
//!  forkchoiceUpdated ──> Tip::prepare, Tip::set_head ──> status, and with attributes a job that builds
//!  getPayload ──> the job's best block so far, which counts as executed
//! ```
//! A method is a blocking function of [`Engine`]; `methods.rs` gives them their names and parses their arguments. An
//! invalid block is a status, never an error.

mod blobs;
mod bodies;
mod clock;
mod dev;
mod engine;
mod envelope;
mod error;
mod jobs;
mod methods;
mod payload;
mod pending;
mod testing;

pub use dev::{Dev, DevSettings, sign_with};
pub use engine::{Engine, EngineSettings, GAS_LIMIT_TARGET};
pub use error::EngineError;
pub use methods::{debug_methods, dev_account_methods, dev_methods, engine_methods, testing_methods};
