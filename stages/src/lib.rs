//! Syncing a chain in stages.
//!
//! ```text
//!  Headers > Bodies > Senders > Execution > AccountHashing > StorageHashing > Trie >
//!  History > LogIndex > CallTraceIndex > TxLookup > Prune > Finish
//! ```
//! A [`Stage`] is a blocking function from tables to tables between two block numbers. It does not commit, log
//! progress or know its neighbours: the [`Pipeline`] does that. What a stage wrote and its checkpoint are committed
//! in one database transaction.

mod error;
mod order;
mod stage;

pub use error::{InvalidReason, SourceError, StageError};
pub use order::{FORWARD, UNWIND};
pub use stage::{BlockRange, Counters, Progress, Stage, StageContext, StageId, StageOutput, StageSettings, StopSignal};
