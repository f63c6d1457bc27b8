//! Why a stage did not finish: the block's fault, ours, or because it was asked to stop.

use alloy_primitives::B256;
use portico_chain::ChainError;
use portico_db::DbError;
use portico_state::StateError;

/// Why a stage did not finish.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The block breaks a rule: unwind to its parent.
    #[error("block {number} ({hash}) is invalid: {reason}")]
    InvalidBlock {
        /// Block number.
        number: u64,
        /// Block hash.
        hash: B256,
        /// The rule.
        reason: Box<InvalidReason>,
    },
    /// The block that a block names as its parent is neither on the chain nor kept beside it.
    #[error("the parent {parent_hash} of block {number} ({hash}) is unknown")]
    UnknownParent {
        /// Block number.
        number: u64,
        /// Block hash.
        hash: B256,
        /// What it says its parent is.
        parent_hash: B256,
    },
    /// The source of blocks failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The block store failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The state store failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The trie failed.
    #[error(transparent)]
    Trie(#[from] portico_trie::TrieError),
    /// Blocks cannot be taken back that far.
    #[error(
        "cannot unwind to block {to}: what blocks changed is kept from block {first} on (--unwind-horizon {horizon}); \
         --unwind-horizon {needed} while blocks are imported keeps enough for that"
    )]
    UnwindTooDeep {
        /// The block that was asked for.
        to: u64,
        /// First block to which one can go back.
        first: u64,
        /// The setting that decides it.
        horizon: u64,
        /// What the setting would have to be.
        needed: u64,
    },
    /// Executing a block failed through no fault of the block.
    #[error("executing block {number}: {reason}")]
    Execution {
        /// Block number.
        number: u64,
        /// What happened.
        reason: Box<portico_evm::ExecutionError>,
    },
    /// A stage cannot be derived again from what the database has.
    #[error("stage {stage} cannot be rebuilt: {why}")]
    NotDerived {
        /// Which.
        stage: crate::StageId,
        /// What is missing.
        why: &'static str,
    },
    /// A worker thread of the stage ended unexpectedly.
    #[error("a worker thread of stage {0} ended unexpectedly")]
    Worker(crate::StageId),
    /// The stages do not stand at the same block, so no block can follow.
    #[error(
        "stage {stage} stands at block {reached}, the head is block {head}: bring all stages to the same block first \
         (`portico stage run`, or `portico import` without files)"
    )]
    Uneven {
        /// The stage that stands elsewhere.
        stage: crate::StageId,
        /// Where it stands.
        reached: u64,
        /// Where the last one stands.
        head: u64,
    },
    /// The thread that writes the newest blocks has ended.
    #[error("the newest blocks can no longer be written: {0}")]
    TipFailed(String),
    /// Someone asked to stop.
    #[error("stopped on request")]
    Stopped,
}

/// Which rule a block broke.
#[derive(Debug, thiserror::Error)]
pub enum InvalidReason {
    /// A rule of headers, bodies or results.
    #[error(transparent)]
    Consensus(#[from] portico_consensus::ConsensusError),
    /// A transaction that may not be in the block, or a system call that failed.
    #[error(transparent)]
    Execution(#[from] portico_evm::ExecutionError),
    /// A signature from which no sender can be recovered.
    #[error("transaction {tx_index}: the signature is invalid")]
    Signature {
        /// Position in the block.
        tx_index: u64,
    },
    /// The state after the block is not the one that the header promises.
    #[error("state root {got}, header says {expected}")]
    StateRoot {
        /// The header's.
        expected: B256,
        /// Ours.
        got: B256,
    },
    /// The header does not continue the chain.
    #[error("parent is {got}, block {parent_number} is {expected}")]
    Parent {
        /// Number of the parent.
        parent_number: u64,
        /// Hash of the canonical block there.
        expected: B256,
        /// What the header says.
        got: B256,
    },
}

/// A source of blocks could not go on.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What happened, with the file or peer and the block number.
    pub message: String,
}
