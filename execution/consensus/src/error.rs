//! One variant per rule, with what the rule asks for and what the block has.

use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256};
use portico_chainspec::Fork;

/// The rule that a block breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum ConsensusError {
    // Header against its parent.
    #[error("block number {got} does not follow the parent's: expected {expected}")]
    BlockNumber { expected: u64, got: u64 },
    #[error("parent hash {got}: expected {expected}")]
    ParentHash { expected: B256, got: B256 },
    #[error("timestamp {got} is not after the parent's {parent}")]
    Timestamp { parent: u64, got: u64 },
    #[error("timestamp {got} is too far ahead of the present, {now}")]
    FutureBlock { now: u64, got: u64 },
    #[error("gas limit {got} is too far from the parent's {parent}: the difference must be below {bound}")]
    GasLimitChange { parent: u64, bound: u64, got: u64 },
    #[error("gas limit {got} is below {min}")]
    GasLimitTooLow { min: u64, got: u64 },
    #[error("gas limit {got} is above {max}")]
    GasLimitTooHigh { max: u64, got: u64 },
    #[error("gas used {gas_used} is above the gas limit {gas_limit}")]
    GasUsedAboveLimit { gas_limit: u64, gas_used: u64 },
    #[error("extra data of {got} bytes is longer than {max}")]
    ExtraDataTooLong { max: usize, got: usize },
    #[error("extra data {got} of a block around the DAO fork: this chain {}", if *.supported { "requires `dao-hard-fork`" } else { "does not allow `dao-hard-fork`" })]
    DaoExtraData { supported: bool, got: Bytes },
    #[error("base fee {got}: expected {expected}")]
    BaseFee { expected: u64, got: u64 },
    #[error("header lacks {field}, which {fork} requires")]
    HeaderFieldMissing { field: &'static str, fork: Fork },
    #[error("header has {field}, which starts with {fork}")]
    HeaderFieldUnexpected { field: &'static str, fork: Fork },
    #[error("blob gas used {got} is not a multiple of the gas of one blob")]
    BlobGasUsedNotMultiple { got: u64 },
    #[error("blob gas used {got} is above the block's maximum {max}")]
    BlobGasUsedAboveMax { max: u64, got: u64 },
    #[error("excess blob gas {got}: expected {expected}")]
    ExcessBlobGas { expected: u64, got: u64 },

    // Engines.
    #[error("blocks sealed by {engine} are not supported")]
    EngineNotSupported { engine: &'static str },
    #[error("difficulty {got}: expected {expected}")]
    Difficulty { expected: U256, got: U256 },
    #[error("total difficulty {parent} of the parent and difficulty {difficulty} exceed 256 bits")]
    TotalDifficultyOverflow { parent: U256, difficulty: U256 },
    #[error(
        "proof-of-stake block on a parent of total difficulty {parent_total_difficulty}, below the terminal {terminal}"
    )]
    ProofOfStakeBeforeMerge { parent_total_difficulty: U256, terminal: U256 },
    #[error("block of difficulty {difficulty} after the merge, where it must be 0")]
    ProofOfWorkAfterMerge { difficulty: U256 },
    #[error("nonce {got} of a proof-of-stake block is not 0")]
    NonceNotZero { got: B64 },
    #[error("ommers hash {got} is not that of the empty list")]
    OmmersHashNotEmpty { got: B256 },
    #[error("extra data of {got} bytes is shorter than the {min} of vanity and seal")]
    CliqueExtraDataTooShort { min: usize, got: usize },
    #[error("{got} bytes between vanity and seal: {}", if *.checkpoint { "a checkpoint lists signers of 20 bytes each" } else { "only checkpoints list signers" })]
    CliqueSigners { checkpoint: bool, got: usize },
    #[error("nonce {got} is neither an authorising nor a dropping vote")]
    CliqueNonce { got: B64 },
    #[error("checkpoint casts a vote (beneficiary {beneficiary}, nonce {nonce})")]
    CliqueCheckpointVote { beneficiary: Address, nonce: B64 },
    #[error("mix hash {got} is not zero")]
    CliqueMixHash { got: B256 },
    #[error("difficulty {got} is neither 2 (in turn) nor 1 (out of turn)")]
    CliqueDifficulty { got: U256 },
    #[error("timestamp {got} is less than the period of {period} s after the parent's {parent}")]
    CliquePeriod { parent: u64, period: u64, got: u64 },
    #[error("seal is no signature by any key")]
    CliqueSeal,
    #[error("difficulty 0 of a proof-of-work block")]
    EthashDifficultyZero,
    #[error("mix hash {got}: the proof of work gives {expected}")]
    EthashMixHash { expected: B256, got: B256 },
    #[error("proof of work {result} is above 2^256 / difficulty, which is {difficulty}")]
    EthashBoundary { difficulty: U256, result: B256 },
    #[error("proof-of-work epoch {epoch} is beyond {max}")]
    EthashEpoch { epoch: u64, max: u64 },

    // Ommers.
    #[error("{got} ommers, more than {max}")]
    TooManyOmmers { max: usize, got: usize },
    #[error("ommer {hash} is listed twice")]
    DuplicateOmmer { hash: B256 },
    #[error("ommer {hash} is already an ommer of an ancestor")]
    OmmerAlreadyIncluded { hash: B256 },
    #[error("ommer {hash} is an ancestor of the block")]
    OmmerIsAncestor { hash: B256 },
    #[error("ommer {hash}: its parent {parent_hash} is no ancestor from 2 to 7 generations back")]
    OmmerParentNotAncestor { hash: B256, parent_hash: B256 },
    #[error("ommer {hash} is itself invalid: {reason}")]
    InvalidOmmer { hash: B256, reason: Box<ConsensusError> },

    // Body against header.
    #[error("transactions root {got}: header has {expected}")]
    TransactionsRoot { expected: B256, got: B256 },
    #[error("ommers hash {got}: header has {expected}")]
    OmmersHash { expected: B256, got: B256 },
    #[error("withdrawals root {got}: header has {expected}")]
    WithdrawalsRoot { expected: B256, got: B256 },
    #[error("body lacks the withdrawals that Shanghai requires")]
    WithdrawalsMissing,
    #[error("body has withdrawals before Shanghai")]
    WithdrawalsUnexpected,
    #[error("blob gas used by the transactions is {got}: header has {expected}")]
    BlobGasUsed { expected: u64, got: u64 },
    #[error("block of {got} bytes of RLP is larger than {max}")]
    BlockTooLarge { max: usize, got: usize },
    #[error("transaction {tx_index} is of type {tx_type}, which starts with {fork}")]
    TransactionType { tx_index: usize, tx_type: u8, fork: Fork },
    #[error("transaction {tx_index} has {got} blobs, more than {max}")]
    TooManyBlobsInTransaction { tx_index: usize, max: u64, got: u64 },
    #[error("transaction {tx_index} has a gas limit of {got}, above the cap of {max}")]
    TransactionGasLimitTooHigh { tx_index: usize, max: u64, got: u64 },

    // Outcome of execution against header.
    #[error("gas used {got}: header has {expected}")]
    GasUsed { expected: u64, got: u64 },
    #[error("receipts root {got}: header has {expected}")]
    ReceiptsRoot { expected: B256, got: B256 },
    #[error("logs bloom differs from the header's")]
    LogsBloom { expected: Box<Bloom>, got: Box<Bloom> },
    #[error("requests hash {got}: header has {expected}")]
    RequestsHash { expected: B256, got: B256 },
    #[error("block access list hash {got}: header has {expected}")]
    BlockAccessListHash { expected: B256, got: B256 },
    #[error("block access list has {got} items, more than {max}")]
    BlockAccessListTooLong { max: u64, got: u64 },
    #[error("execution gave no {outcome}, which {fork} requires")]
    OutcomeMissing { outcome: &'static str, fork: Fork },
}
