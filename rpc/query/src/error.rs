//! Why a call has no answer.

use std::time::Duration;

use alloy_eips::BlockId;
use alloy_evm::{overrides::StateOverrideError, rpc::EthTxEnvError};
use alloy_primitives::{B256, Bytes};
use portico_chain::ChainError;
use portico_db::DbError;
use portico_evm::{CallError, ExecutionError, ReadError};
use portico_state::StateError;
use portico_tracers::TracerError;
use portico_trie::TrieError;
use revm::context::result::{HaltReason, OutOfGasError};

/// Why a call has no answer. Protocols give each case their own code.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The block store failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The state store failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is no such block up to the head.
    #[error("block {0} not found")]
    BlockNotFound(BlockId),
    /// No consensus client has named such a block yet.
    #[error("{tag} block not found: no consensus client has named one")]
    TagUnknown {
        /// `safe` or `finalized`.
        tag: &'static str,
    },
    /// The block is known and lost against another one.
    #[error("block {hash} is not canonical")]
    NotCanonical {
        /// The block's hash.
        hash: B256,
    },
    /// The data was deleted.
    #[error("pruned: {what} of block {block_number}; kept from block {first_block} on (setting {setting})")]
    Pruned {
        /// Which data.
        what: &'static str,
        /// The block that was asked for.
        block_number: u64,
        /// First block that has it.
        first_block: u64,
        /// The setting that decides what is kept.
        setting: &'static str,
    },
    /// The data will be there when a stage has caught up.
    #[error("not available yet: {what} of block {block_number}; stage {stage} has reached block {reached}")]
    NotIndexed {
        /// Which data.
        what: &'static str,
        /// The block that was asked for.
        block_number: u64,
        /// The stage that writes it.
        stage: &'static str,
        /// How far that stage is.
        reached: u64,
    },
    /// The first block of a range comes after its last.
    #[error("invalid block range: from block {from} is after to block {to}")]
    RangeReversed {
        /// First block.
        from: u64,
        /// Last block.
        to: u64,
    },
    /// A range ends after the head.
    #[error("block range extends beyond current head block: to block {to}, head {head}")]
    RangeBeyondHead {
        /// Last block.
        to: u64,
        /// The head.
        head: u64,
    },
    /// More logs match than one call returns.
    #[error(
        "query returns more than {limit} logs; narrow the range, for example to blocks {from:#x} to {to:#x}"
    )]
    TooManyLogs {
        /// Setting `log_results_max`.
        limit: usize,
        /// First block of the range.
        from: u64,
        /// A last block that stays within the limit, unless one block alone exceeds it.
        to: u64,
    },
    /// More blocks may match than one call reads.
    #[error(
        "query has to read more than {limit} blocks; narrow the range, for example to blocks {from:#x} to {to:#x}, or name addresses or topics"
    )]
    TooManyBlocks {
        /// Setting `log_blocks_max`.
        limit: u64,
        /// First block of the range.
        from: u64,
        /// A last block that stays within the limit.
        to: u64,
    },
    /// The call worked for too long.
    #[error("the call was stopped after {} s", limit.as_secs())]
    TimedOut {
        /// Setting `call_time_max`.
        limit: Duration,
    },
    /// The called code reverted.
    #[error("execution reverted{}", reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    Reverted {
        /// What it returned.
        output: Bytes,
        /// The text in it, if it is an ABI-coded error.
        reason: Option<String>,
    },
    /// The called code ran into an exception.
    #[error("{}", halt_text(reason))]
    Halted {
        /// Which one.
        reason: HaltReason,
    },
    /// The call cannot be run, or the state under it cannot be read.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The request's fields contradict each other.
    #[error(transparent)]
    Request(#[from] EthTxEnvError),
    /// The state that the caller wants instead contradicts itself.
    #[error(transparent)]
    Override(StateOverrideError<ReadError>),
    /// An override that this version does not have.
    #[error("override {0} is not supported")]
    UnsupportedOverride(&'static str),
    /// The block's fee recipient cannot be told, or a transaction cannot be executed again.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    /// There is no such transaction up to the head.
    #[error("transaction {0} not found")]
    TransactionNotFound(B256),
    /// Genesis was not executed.
    #[error("genesis is not traceable")]
    GenesisNotTraceable,
    /// A trie table is damaged.
    #[error(transparent)]
    Trie(#[from] TrieError),
    /// What blocks changed is kept for the newest blocks only.
    #[error(
        "pruned: the changes of block {block_number}; kept from block {first_block} on (setting --unwind-horizon)"
    )]
    ChangesGone {
        /// The block that was asked for.
        block_number: u64,
        /// First block that has it.
        first_block: u64,
    },
    /// Blocks that were refused are not kept.
    #[error("bad block {0} not found")]
    BadBlockNotFound(B256),
    /// What was hashed is not kept.
    #[error("unknown preimage of {0}")]
    UnknownPreimage(B256),
    /// No table has this name.
    #[error("there is no table {0:?}")]
    NoSuchTable(String),
    /// Only blocks from Amsterdam on have access lists.
    #[error("block {block_number} has no block access list")]
    NoAccessList {
        /// The block that was asked for.
        block_number: u64,
    },
    /// A tracer gave nothing.
    #[error(transparent)]
    Tracer(#[from] TracerError),
    /// Bytes that are no block or transaction, or whose sender cannot be told.
    #[error("invalid {what}: {reason}")]
    Undecodable {
        /// Block or transaction.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

fn halt_text(reason: &HaltReason) -> String {
    match reason {
        HaltReason::OutOfGas(OutOfGasError::Basic) => "out of gas".to_owned(),
        HaltReason::OutOfGas(kind) => format!("out of gas: {kind:?}"),
        reason => format!("execution halted: {reason:?}"),
    }
}
