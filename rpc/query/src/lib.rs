//! Reads that answer clients, whatever the protocol: blocks, transactions, receipts, logs, state and calls.
//!
//! ```text
//!  JSON-RPC, GraphQL, traces
//!        │ one call
//!        ▼
//!   Query::snapshot() ──> Snapshot (one read transaction: one head, however long the call takes)
//!                            ├─ blocks, transactions, receipts   from `portico-chain`
//!                            ├─ logs                             candidates from the indexes, then their receipts
//!                            └─ state as of a block, calls       from `portico-state`, `portico-evm`
//! ```
//! A call that cannot be answered says why ([`QueryError`]): the block is unknown, the data was pruned, or it is
//! not indexed yet. An empty answer always means that there is nothing.
//!
//! This crate blocks: it runs on threads that may wait for the disk, and a [`Snapshot`] never leaves its thread.
//! It knows no JSON, no protocol's error codes and no server.

mod access_lists;
mod blocks;
mod call;
mod capabilities;
mod error;
mod estimate;
mod fees;
mod fork_config;
mod geth_traces;
mod logs;
mod overrides;
mod parity_traces;
mod past_trie;
mod proofs;
mod pruning;
mod query;
mod receipts;
mod replay;
mod resolve;
mod revert;
mod state;
mod submission;
mod sync;
mod transactions;

pub use alloy_eips::{BlockId, BlockNumberOrTag};
pub use blocks::FullBlock;
pub use call::CallRequest;
pub use capabilities::Capabilities;
pub use error::QueryError;
pub use fork_config::{ForkConfig, ForkConfigs};
pub use geth_traces::TransactionTrace as GethTransactionTrace;
pub use logs::{LogAt, LogBlocks, LogFilter};
pub use overrides::CallOverrides;
pub use parity_traces::{TraceFilter, TraceKinds};
pub use portico_chain::{BlockParts, Receipt, Transaction};
pub use portico_chainspec::BlobParams;
pub use portico_evm::{CallError, CallOutcome};
pub use portico_state::Account;
pub use portico_tracers::{Budget, TracerError};
pub use proofs::{AccountProof, SlotProof};
pub use pruning::Kept;
pub use query::{Forkchoice, Query, QuerySettings, Snapshot};
pub use receipts::ReceiptAt;
pub use submission::Submission;
pub use sync::{StageProgress, SyncStatus};
pub use transactions::{BlockPosition, TransactionAt};
