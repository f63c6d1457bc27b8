//! What can go wrong when state is read.

use alloy_primitives::{Address, B256};
use portico_db::DbError;

/// A failure of the state store.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// An account refers to code that is not there.
    #[error("code {code_hash} of account {address} is missing in the database")]
    MissingCode {
        /// Whose.
        address: Address,
        /// Keccak of the code.
        code_hash: B256,
    },
    /// The state as of this block is not kept.
    #[error("the state as of block {block_number} is pruned; it is kept from block {first_block} on")]
    Pruned {
        /// The block that was asked for.
        block_number: u64,
        /// The first block whose state can be read.
        first_block: u64,
    },
    /// The block was not executed yet.
    #[error("block {block_number} is not executed yet; the newest state is that of block {head}")]
    Ahead {
        /// The block that was asked for.
        block_number: u64,
        /// The newest executed block.
        head: u64,
    },
}
