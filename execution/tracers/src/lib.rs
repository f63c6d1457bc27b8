//! What tracers say of a transaction: geth's (`debug_*`) and OpenEthereum's (`trace_*`).
//!
//! ```text
//!  BlockExecution::trace ──> Executed { result, state before it } ──> GethTracer::finish     ──> GethTrace
//!                                                                 └─> ParityTracer::localized, ::results
//! ```
//! The inspectors are `revm-inspectors`'; here are their bounds, and the forms in which clients differ. This crate
//! knows no database and no chain.

mod bounded;
mod cost;
mod error;
mod executed;
mod geth;
mod notes;
mod parity;
mod text;
mod warmth;
mod words;

pub use alloy_rpc_types_trace as types;
pub use bounded::{Bounded, Budget};
pub use error::TracerError;
pub use executed::{Executed, StateBefore};
pub use geth::{
    Eip3155Tracer, FlatCalls, GethInspector, GethTracer, Grams, Lacking, LegacyCalls, Preimages, StepWriter,
    TraceFields, failure_text,
};
pub use notes::Notes;
pub use parity::{ParityInspector, ParityTracer, VmNotes, write_results};
pub use revm_inspectors::{
    access_list::AccessListInspector, otterscan::InternalOperationsInspector, tracing::TransactionContext,
};
