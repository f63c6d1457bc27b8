//! What can go wrong while computing a root.

use alloy_primitives::B256;
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

/// Why a trie of which only some nodes are at hand gives no answer, or cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartialTrieError {
    /// The way leads to a node that is not at hand.
    #[error("node {hash} at {path:?} is missing")]
    MissingNode {
        /// Where it lies.
        path: Nibbles,
        /// Keccak of its RLP.
        hash: B256,
    },
    /// A branch loses all children but one, which it must be merged with, and that one is not at hand.
    #[error(
        "node {hash} at {path:?} is missing: it must be merged with its branch, as the leaf beside it goes"
    )]
    MissingSibling {
        /// Where it lies.
        path: Nibbles,
        /// Keccak of its RLP.
        hash: B256,
    },
    /// A node is not one that can stand where it does.
    #[error("node {hash} at {path:?} is malformed: {fault}")]
    MalformedNode {
        /// Where it lies.
        path: Nibbles,
        /// Keccak of its RLP.
        hash: B256,
        /// What is wrong with it.
        fault: NodeFault,
    },
    /// A node is longer than any can be.
    #[error("a node of {got} bytes: none is longer than {max}")]
    NodeTooLong {
        /// In bytes.
        max: usize,
        /// In bytes.
        got: usize,
    },
    /// A leaf's value is not the RLP of an account, or of a slot that is not zero.
    #[error("the leaf of {key} is no {what}")]
    MalformedValue {
        /// What it should be.
        what: &'static str,
        /// Hashed address or slot.
        key: B256,
    },
}

impl PartialTrieError {
    /// Whether something is missing, rather than wrong.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::MissingNode { .. } | Self::MissingSibling { .. })
    }
}

/// What is wrong with a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum NodeFault {
    #[error(transparent)]
    Rlp(#[from] alloy_rlp::Error),
    #[error("{bytes} bytes follow its RLP")]
    TrailingBytes { bytes: usize },
    #[error("it has neither 2 nor 17 items")]
    ItemCount,
    #[error("{bytes} bytes stand in the place of a child's hash")]
    ChildHash { bytes: usize },
    #[error("an embedded node has {bytes} bytes, as many as a hash or more")]
    EmbeddedTooLong { bytes: usize },
    #[error("a node of {bytes} bytes must be embedded in its parent")]
    NotEmbedded { bytes: usize },
    #[error("its path begins with {prefix:#04x?}, which says neither leaf nor extension")]
    PathPrefix { prefix: Option<u8> },
    #[error("it ends a key after {end} nibbles")]
    LeafDepth { end: usize },
    #[error("it goes deeper than a key is long")]
    TooDeep,
    #[error("a leaf has an empty value")]
    EmptyValue,
    #[error("an extension has an empty path")]
    EmptyExtension,
    #[error("below an extension stands something else than a branch")]
    NoBranchBelowExtension,
    #[error("a branch holds a value, but all keys have the same length")]
    BranchValue,
    #[error("a branch has {count} children, fewer than 2")]
    LonelyChild { count: usize },
}
