//! Why a block is not proven valid: the block's fault, or the witness's.

use alloy_primitives::{Address, B256};
use portico_consensus::ConsensusError;
use portico_evm::{ExecutionError, SenderError};
use portico_trie::PartialTrieError;

/// Why a block is not proven valid.
#[derive(Debug, thiserror::Error)]
pub enum StatelessError {
    /// The block is wrong, whatever the state.
    #[error("block {number} ({hash}) is invalid: {reason}")]
    InvalidBlock {
        /// Block number.
        number: u64,
        /// Block hash.
        hash: B256,
        /// The rule that it breaks.
        reason: Box<InvalidReason>,
    },
    /// The witness lacks something, or cannot be read: nothing is said about the block.
    #[error("the witness {0}")]
    Witness(#[from] WitnessError),
    /// With accounts taken for absent the block breaks a rule: the block's fault, or the witness's.
    #[error(
        "the witness has no proof of account {}{}; if it does not exist: {invalid}",
        unproven.first().map(Address::to_string).unwrap_or_default(),
        if unproven.len() > 1 { format!(" and {} more", unproven.len() - 1) } else { String::new() }
    )]
    Undecided {
        /// Accounts that were taken for absent.
        unproven: Vec<Address>,
        /// What the block would break.
        invalid: Box<StatelessError>,
    },
    /// JSON-RPC has only the hashes of ommers.
    #[error("the block has {count} ommers, of which JSON holds only hashes: take the block's RLP")]
    OmmersInJson {
        /// How many.
        count: usize,
    },
    /// A block is not in JSON-RPC's form.
    #[error("the block is not JSON of a block with whole transactions: {0}")]
    BlockJson(#[source] serde_json::Error),
    /// A block's JSON contradicts itself.
    #[error("the block's fields hash to {got}, not to the {expected} that it says")]
    BlockHash {
        /// What the JSON says.
        expected: B256,
        /// What its fields give.
        got: B256,
    },
    /// Neither the block's fault nor the witness's.
    #[error(transparent)]
    Internal(ExecutionError),
}

/// The rule that a block breaks.
#[derive(Debug, thiserror::Error)]
pub enum InvalidReason {
    /// Of header, body or outcome.
    #[error(transparent)]
    Consensus(#[from] ConsensusError),
    /// A transaction without a sender.
    #[error(transparent)]
    Sender(#[from] SenderError),
    /// A transaction that may not be there, or a system call that failed.
    #[error(transparent)]
    Execution(ExecutionError),
    /// The state after the block is another than the header says.
    #[error("state root {got}: header has {expected}")]
    StateRoot {
        /// The header's.
        expected: B256,
        /// What executing it on the witness gave.
        got: B256,
    },
}

/// A list of the witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WitnessPart {
    /// The whole.
    Witness,
    /// Headers of ancestors.
    Headers,
    /// Contract code.
    Codes,
    /// Nodes of account and storage tries.
    State,
    /// Addresses and slots that were read; nothing is done with them.
    Keys,
}

impl std::fmt::Display for WitnessPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Witness => "list",
            Self::Headers => "headers",
            Self::Codes => "codes",
            Self::State => "state nodes",
            Self::Keys => "keys",
        })
    }
}

/// What a witness lacks, or why it cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// More bytes than are read.
    #[error("has {got} bytes, more than {max}")]
    TooLarge {
        /// In bytes.
        max: usize,
        /// In bytes.
        got: usize,
    },
    /// Not RLP of `[headers, codes, state, keys]`.
    #[error("is malformed: {part}: {source}")]
    Rlp {
        /// Where.
        part: WitnessPart,
        /// How.
        source: alloy_rlp::Error,
    },
    /// Not JSON of `{headers, codes, state, keys}`.
    #[error("is not JSON of an execution witness: {reason}")]
    Json {
        /// Where and how.
        reason: String,
    },
    /// A header whose bytes are not those that encoding it gives, so that its hash would be ambiguous.
    #[error("holds a header, number {number}, that is not canonical RLP")]
    NotCanonicalHeader {
        /// Block number.
        number: u64,
    },
    /// More headers than `BLOCKHASH` reaches.
    #[error("has {got} headers, more than {max}")]
    TooManyHeaders {
        /// How many.
        max: usize,
        /// How many.
        got: usize,
    },
    /// A node that is too long.
    #[error("holds {0}")]
    Node(PartialTrieError),
    /// The parent's header is not there.
    #[error("lacks the parent's header, {hash}")]
    MissingParent {
        /// The parent's hash.
        hash: B256,
    },
    /// A header that no chain of headers connects with the block.
    #[error("holds header {number} ({hash}), which is no ancestor of the block")]
    ForeignHeader {
        /// Block number.
        number: u64,
        /// Block hash.
        hash: B256,
    },
    /// `BLOCKHASH` asked for it.
    #[error("lacks the header that gives the hash of block {number}")]
    MissingHeader {
        /// Block number.
        number: u64,
    },
    /// An account was read or written.
    #[error("does not suffice for account {address}: {source}")]
    Account {
        /// Its address.
        address: Address,
        /// What is missing or malformed.
        source: Box<PartialTrieError>,
    },
    /// A slot was read or written.
    #[error("does not suffice for slot {slot} of account {address}: {source}")]
    Slot {
        /// Its account's address.
        address: Address,
        /// The slot.
        slot: B256,
        /// What is missing or malformed.
        source: Box<PartialTrieError>,
    },
    /// Code was run or looked at.
    #[error("lacks the code with hash {code_hash}")]
    MissingCode {
        /// Keccak of the code.
        code_hash: B256,
    },
}

impl WitnessError {
    pub(crate) fn account(address: &Address, source: PartialTrieError) -> Self {
        Self::Account { address: *address, source: Box::new(source) }
    }

    pub(crate) fn slot(address: &Address, slot: &B256, source: PartialTrieError) -> Self {
        Self::Slot { address: *address, slot: *slot, source: Box::new(source) }
    }
}
