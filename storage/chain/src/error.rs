//! What can go wrong when blocks are read or written.

use alloy_primitives::B256;
use portico_db::DbError;

/// A failure of the block store.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A row that must exist beside another one does not.
    #[error("{what} of block {block_number} is missing in the database")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// Of which block.
        block_number: u64,
    },
    /// A transaction's row that must exist does not.
    #[error("{what} of transaction {tx_number} is missing in the database")]
    MissingTransaction {
        /// What is missing.
        what: &'static str,
        /// Of which transaction, by running number.
        tx_number: u64,
    },
    /// The database belongs to another chain.
    #[error(
        "the database holds chain {found_id} with genesis {found_genesis}, not chain {expected_id} with genesis {expected_genesis}: name its chain with --chain"
    )]
    OtherChain {
        /// Chain id in the database.
        found_id: u64,
        /// Genesis hash in the database.
        found_genesis: B256,
        /// Chain id that was asked for.
        expected_id: u64,
        /// Genesis hash that was asked for.
        expected_genesis: B256,
    },
    /// The database has tables but no genesis block.
    #[error("the database has no genesis block (run `portico init` first)")]
    NoGenesis,
    /// A fact about the database is not stored as this program stores it.
    #[error("the database's {0} cannot be read")]
    BadMetadata(&'static str),
}
