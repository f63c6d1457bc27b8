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
//! It knows no protocol's error codes and no server, and no JSON but that of traces too large to be kept.

mod access_lists;
mod bad_blocks;
mod blocks;
mod bundles;
mod call;
mod capabilities;
mod chain_changes;
mod chain_traces;
mod debug_data;
mod error;
mod estimate;
mod fees;
mod fill;
mod fork_config;
mod geth_traces;
mod logs;
mod mid_block;
mod otterscan;
mod overrides;
mod parallel;
mod parity_traces;
mod past_trie;
mod pending;
mod pool_head;
mod proofs;
mod pruning;
mod query;
mod receipts;
mod replay;
mod resolve;
mod revert;
mod simulate;
mod state;
mod submission;
mod sync;
mod transactions;

pub use alloy_eips::{BlockId, BlockNumberOrTag};
pub use bad_blocks::{BadBlock, BadBlockSource};
pub use blocks::FullBlock;
pub use bundles::{BundledTransaction, CallBundle, ExecutedBundle, StateWithin};
pub use call::CallRequest;
pub use capabilities::Capabilities;
pub use chain_changes::{LogChanges, SeenBlock};
pub use debug_data::{AccountPage, AccountRow, ExecutionWitness, PageOptions, StoragePage};
pub use error::QueryError;
pub use fork_config::{ForkConfig, ForkConfigs};
pub use geth_traces::TransactionTrace as GethTransactionTrace;
pub use logs::{LogAt, LogBlocks, LogFilter};
pub use otterscan::{Issuance, SearchFrom, TouchingTransactions};
pub use overrides::CallOverrides;
pub use parallel::Helpers;
pub use parity_traces::{TraceFilter, TraceKinds};
pub use pending::PendingSource;
pub use portico_chain::{BlockParts, Receipt, Transaction};
pub use portico_chainspec::{Activation, BlobParams};
pub use portico_evm::{CallError, CallOutcome};
pub use portico_state::Account;
pub use portico_tracers::{Budget, TracerError};
pub use portico_txpool::{AddOutcome, Pool, PoolError, PoolTransaction};
pub use proofs::{AccountProof, SlotProof};
pub use pruning::Kept;
pub use query::{Forkchoice, Query, QuerySettings, Snapshot};
pub use receipts::ReceiptAt;
pub use revm::context::result::InvalidTransaction;
pub use simulate::{
    BlockRequest, SIMULATED_BLOCKS_MAX, SimulatedBlock, SimulatedCall, Simulation, encode_unsigned,
};
pub use submission::{SubmitObserver, seconds_now};
pub use sync::{StageProgress, SyncSource, SyncStatus};
pub use transactions::{BlockPosition, TransactionAt};
