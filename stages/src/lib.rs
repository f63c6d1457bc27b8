//! Syncing a chain in stages.
//!
//! ```text
//!  Headers > Bodies > Senders > Execution > AccountHashing > StorageHashing > Trie >
//!  History > LogIndex > CallTraceIndex > TxLookup > Prune > Finish
//! ```
//! A [`Stage`] is a blocking function from tables to tables between two block numbers. It does not commit, log
//! progress or know its neighbours: the [`Pipeline`] does that. What a stage wrote and its checkpoint are committed
//! in one database transaction.

mod account_hashing;
mod bodies;
mod branch;
mod call_trace_index;
mod error;
mod execution;
mod finish;
mod genesis;
mod headers;
mod held_blocks;
mod history;
mod log_index;
mod metrics;
mod order;
mod pipeline;
mod prune;
mod seals;
mod senders;
mod sorted_work;
mod source;
mod stage;
mod storage_hashing;
mod tip;
mod tree;
mod trie;
mod tx_lookup;

pub use account_hashing::AccountHashing;
pub use bodies::Bodies;
pub use branch::Branch;
pub use call_trace_index::CallTraceIndex;
pub use error::{InvalidReason, SourceError, StageError};
pub use execution::{Execution, write_overlay};
pub use finish::Finish;
pub use genesis::{identity, initialize};
pub use headers::Headers;
pub use history::History;
pub use log_index::LogIndex;
pub use metrics::describe as describe_metrics;
pub use order::{FORWARD, UNWIND, validating_and_indexing};
pub use pipeline::{Pipeline, PipelineConfig, PipelineObserver};
pub use prune::Prune;
pub use senders::{KnownSenders, Senders};
pub use source::{BlockSource, NoBlocks, SharedSource, SourceBody, SourceHeader, SourceLimit};
pub use stage::{
    BlockRange, Counters, Progress, Stage, StageContext, StageId, StageOutput, StageSettings, StopSignal,
};
pub use storage_hashing::StorageHashing;
pub use tip::{
    BLOCK_COST, BadBlock, BuildAttributes, BuiltBlock, Candidate, CandidateSource, Refusal, Room, Tip,
    TipBlock, TipConfig, TipSettings, TipWorker, Verdict,
};
pub use tree::{BlockTree, Inserted};
pub use trie::Trie;
pub use tx_lookup::TxLookup;
