//! What can go wrong while computing a root.

use alloy_trie::Nibbles;
use portico_db::DbError;

/// Why there is no root.
#[derive(Debug, thiserror::Error)]
pub enum TrieError {
    /// The database failed, or a leaf or node in it cannot be decoded; says in which table.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A stored branch node promises nodes below it that are not there: the trie tables are damaged, rebuild them.
    #[error("table {table} has no node at or below {path:?}, though the node above it says so")]
    MissingNode {
        /// Table name.
        table: &'static str,
        /// Where it was looked for.
        path: Nibbles,
    },
    /// The stop flag was raised.
    #[error("stopped")]
    Stopped,
}
