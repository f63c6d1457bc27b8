//! Why we refused a block against the exception that a fixture names.
//!
//! Fixtures name exceptions in three vocabularies: the execution spec tests' (`TransactionException.NONCE_MISMATCH_TOO_LOW`,
//! alternatives separated by `|`), and two older ones (`TR_NonceTooLow`, `InvalidGasLimit2`). Each of our errors is
//! described by the names that it may go by.

use std::fmt;

use portico_consensus::ConsensusError;
use portico_evm::ExecutionError;
use portico_files::BlockDecodeError;
use portico_stages::{InvalidReason, StageError};

/// Why a block was refused.
#[derive(Debug)]
pub enum Refusal {
    /// The fixture's text is no hex.
    Hex,
    /// Its bytes are no block.
    Rlp(BlockDecodeError),
    /// An engine payload is not the block that it says it is.
    Payload(String),
    /// The bytes of a state test's transaction are none.
    TransactionRlp(String),
    /// A transaction of a state test may not be executed.
    Transaction(String),
    /// A stage refused it.
    Stage(StageError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hex => f.write_str("not hexadecimal"),
            Self::Rlp(error) => error.fmt(f),
            Self::Payload(message) | Self::TransactionRlp(message) | Self::Transaction(message) => {
                f.write_str(message)
            }
            Self::Stage(error) => error.fmt(f),
        }
    }
}

/// Whether a refusal is what the fixture's exception means.
pub fn is_expected(expected: &str, refusal: &Refusal) -> bool {
    let names = names(refusal);
    expected.split('|').any(|name| {
        let name = name.trim();
        let name = name.rsplit_once('.').map_or(name, |(_, name)| name);
        names.contains(&name) || names.contains(&ANY)
    })
}

/// Stands for every name: the fixture's exception cannot be told from others by what we know.
const ANY: &str = "*";

type Names = &'static [&'static str];

fn names(refusal: &Refusal) -> Names {
    match refusal {
        Refusal::Hex | Refusal::Rlp(_) | Refusal::TransactionRlp(_) => RLP,
        Refusal::Payload(_) => &[
            "INVALID_BLOCK_HASH",
            "INVALID_VERSIONED_HASHES",
            "RLP_STRUCTURES_ENCODING",
            "INCORRECT_BLOCK_FORMAT",
            "TYPE_3_TX_WITH_FULL_BLOBS",
            "TYPE_4_TX_CONTRACT_CREATION",
            "TYPE_3_TX_CONTRACT_CREATION",
            "INVALID_REQUESTS",
        ],
        Refusal::Transaction(message) => transaction_names(message),
        Refusal::Stage(StageError::UnknownParent { .. }) => UNKNOWN_PARENT,
        Refusal::Stage(StageError::InvalidBlock { reason, .. }) => match &**reason {
            InvalidReason::Consensus(error) => consensus_names(error),
            InvalidReason::Execution(error) => execution_names(error),
            InvalidReason::Signature { .. } => {
                &["INVALID_SIGNATURE_VRS", "INVALID_CHAINID", "TR_InvalidSignature", "TYPE_NOT_SUPPORTED"]
            }
            InvalidReason::StateRoot { .. } => &["INVALID_STATE_ROOT", "InvalidStateRoot"],
            InvalidReason::Parent { .. } => UNKNOWN_PARENT,
        },
        Refusal::Stage(_) => &[],
    }
}

const RLP: Names = &[
    "RLP_STRUCTURES_ENCODING",
    "RLP_INVALID_ADDRESS",
    "RLP_INVALID_FIELD_OVERFLOW_64",
    "RLP_WITHDRAWALS_NOT_READ",
    "RLP_ExpectedAsList",
    "INPUT_UNMARSHAL_ERROR",
    "INPUT_UNMARSHAL_ADDRESS_ERROR",
    "INPUT_UNMARSHAL_SIZE_ERROR",
    "TYPE_3_TX_WITH_FULL_BLOBS",
    "TYPE_3_TX_CONTRACT_CREATION",
    "TYPE_4_TX_CONTRACT_CREATION",
    "TYPE_4_INVALID_AUTHORITY_SIGNATURE_S_TOO_HIGH",
    "TYPE_4_INVALID_AUTHORIZATION_FORMAT",
    "INCORRECT_BLOCK_FORMAT",
    "TR_TypeNotSupported",
    "TYPE_NOT_SUPPORTED",
    "InvalidWithdrawals",
];

const UNKNOWN_PARENT: Names = &[
    "UNKNOWN_PARENT",
    "UNKNOWN_PARENT_ZERO",
    "UnknownParent",
    "UnknownParent2",
    // Blocks of the wrong kind, by the kind of their parent.
    "IMPORT_IMPOSSIBLE_LEGACY_WRONG_PARENT",
    "IMPORT_IMPOSSIBLE_LONDON_WRONG_PARENT",
    "LegacyBlockImportImpossible2",
];

/// A header field that is missing or too early: the fixtures tell by kind of block.
const FIELDS: Names = &[
    "INCORRECT_BLOCK_FORMAT",
    "INVALID_WITHDRAWALS_ROOT",
    "INVALID_BLOCK_HASH",
    "INVALID_BASEFEE_PER_GAS",
    "IMPORT_IMPOSSIBLE_LEGACY",
    "IMPORT_IMPOSSIBLE_SHANGHAI",
    "IMPORT_IMPOSSIBLE_PARIS_OVER_SHANGHAI",
    "1559BlockImportImpossible_HeaderIsLegacy",
    "1559BlockImportImpossible_BaseFeeWrong",
    "LegacyBlockImportImpossible",
    "ParisBlockImportImpossible",
    "ShanghaiBlockImportImpossible",
    "3675PreParis1559BlockRejected",
    "INVALID_BLOCK_ACCESS_LIST",
];

fn consensus_names(error: &ConsensusError) -> Names {
    use ConsensusError as E;
    match error {
        E::BlockNumber { .. } => &["INVALID_BLOCK_NUMBER", "InvalidNumber"],
        E::ParentHash { .. } => UNKNOWN_PARENT,
        E::Timestamp { .. } => {
            &["INVALID_BLOCK_TIMESTAMP_OLDER_THAN_PARENT", "InvalidTimestampOlderParent", "InvalidTimestamp"]
        }
        E::GasLimitChange { .. } | E::GasLimitTooLow { .. } | E::GasLimitTooHigh { .. } => {
            &["INVALID_GASLIMIT", "GASLIMIT_TOO_BIG", "InvalidGasLimit", "InvalidGasLimit2"]
        }
        E::GasUsedAboveLimit { .. } => {
            &["GAS_USED_OVERFLOW", "TooMuchGasUsed", "InvalidGasUsed", "INVALID_GAS_USED"]
        }
        E::ExtraDataTooLong { .. } => &["EXTRA_DATA_TOO_BIG", "ExtraDataTooBig"],
        E::DaoExtraData { .. } => &["EXTRA_DATA_INVALID_DAO", "ExtraDataIncorrectDAO"],
        E::BaseFee { .. } => &["INVALID_BASEFEE_PER_GAS", "1559BlockImportImpossible_BaseFeeWrong"],
        E::HeaderFieldMissing { .. } | E::HeaderFieldUnexpected { .. } => FIELDS,
        E::BlobGasUsedNotMultiple { .. } | E::BlobGasUsedAboveMax { .. } | E::BlobGasUsed { .. } => &[
            "INCORRECT_BLOB_GAS_USED",
            "BLOB_GAS_USED_ABOVE_LIMIT",
            "TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED",
            "TYPE_3_TX_BLOB_COUNT_EXCEEDED",
        ],
        E::ExcessBlobGas { .. } => &["INCORRECT_EXCESS_BLOB_GAS"],
        E::Difficulty { .. } | E::EthashDifficultyZero => {
            &["INVALID_DIFFICULTY", "InvalidDifficulty", "InvalidDifficulty2"]
        }
        E::TotalDifficultyOverflow { .. } => &["INVALID_DIFFICULTY", "InvalidDifficulty"],
        E::ProofOfStakeBeforeMerge { .. } => &[
            "IMPORT_IMPOSSIBLE_PARIS_WRONG_POS",
            "3675PoSBlockRejected",
            "INVALID_DIFFICULTY",
            "InvalidDifficulty",
        ],
        E::ProofOfWorkAfterMerge { .. } => &[
            "IMPORT_IMPOSSIBLE_PARIS_WRONG_POW",
            "IMPORT_IMPOSSIBLE_DIFFICULTY_OVER_PARIS",
            "3675PoWBlockRejected",
            "3675PreParis1559BlockRejected",
            "PostParisDifficultyIsNot0",
            "INVALID_DIFFICULTY",
            "InvalidDifficulty",
        ],
        E::NonceNotZero { .. } => &["INVALID_NONCE", "3675PreParis1559BlockRejected"],
        E::OmmersHashNotEmpty { .. } => &[
            "IMPORT_IMPOSSIBLE_UNCLES_OVER_PARIS",
            "PostParisUncleHashIsNotEmpty",
            "INVALID_UNCLES_HASH",
            "InvalidUnclesHash",
        ],
        E::EthashMixHash { .. } | E::EthashBoundary { .. } | E::EthashEpoch { .. } => &["InvalidBlockNonce"],
        E::FutureBlock { .. } => &["InvalidTimestamp"],
        E::EngineNotSupported { .. }
        | E::CliqueExtraDataTooShort { .. }
        | E::CliqueSigners { .. }
        | E::CliqueNonce { .. }
        | E::CliqueCheckpointVote { .. }
        | E::CliqueMixHash { .. }
        | E::CliqueDifficulty { .. }
        | E::CliquePeriod { .. }
        | E::CliqueSeal => &[],
        E::TooManyOmmers { .. } => &["TooManyUncles", "TOO_MANY_UNCLES"],
        E::DuplicateOmmer { .. } => &["UncleIsBrother", "UncleInChain", "UNCLE_IN_CHAIN"],
        E::OmmerAlreadyIncluded { .. } => &["UncleInChain", "UNCLE_IN_CHAIN"],
        E::OmmerIsAncestor { .. } => &["UncleIsAncestor", "UncleInChain", "UNCLE_IS_ANCESTOR"],
        E::OmmerParentNotAncestor { .. } => &[
            "UncleParentIsNotAncestor",
            "InvalidUncleParentHash",
            "UncleIsBrother",
            "UncleTooOld",
            "UNCLE_PARENT_INCORRECT",
            "UNCLE_UNKNOWN_PARENT",
            "UncleInChain",
        ],
        E::InvalidOmmer { reason, .. } => consensus_names(reason),
        E::TransactionsRoot { .. } => &["INVALID_TRANSACTIONS_ROOT", "InvalidTransactionsRoot"],
        E::OmmersHash { .. } => &["INVALID_UNCLES_HASH", "InvalidUnclesHash"],
        E::WithdrawalsRoot { .. } => &["INVALID_WITHDRAWALS_ROOT", "InvalidWithdrawals"],
        E::WithdrawalsMissing | E::WithdrawalsUnexpected => {
            &["INCORRECT_BLOCK_FORMAT", "InvalidWithdrawals", "RLP_WITHDRAWALS_NOT_READ"]
        }
        E::BlockTooLarge { .. } => &["RLP_BLOCK_LIMIT_EXCEEDED"],
        E::TransactionType { .. } => &[
            "TYPE_NOT_SUPPORTED",
            "TYPE_1_TX_PRE_FORK",
            "TYPE_2_TX_PRE_FORK",
            "TYPE_3_TX_PRE_FORK",
            "TYPE_4_TX_PRE_FORK",
            "TR_TypeNotSupported",
        ],
        E::TooManyBlobsInTransaction { .. } => {
            &["TYPE_3_TX_BLOB_COUNT_EXCEEDED", "TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED"]
        }
        E::TransactionGasLimitTooHigh { .. } => &["GAS_LIMIT_EXCEEDS_MAXIMUM"],
        E::GasUsed { .. } => &["INVALID_GAS_USED", "InvalidGasUsed", "GAS_USED_OVERFLOW"],
        E::ReceiptsRoot { .. } => {
            &["INVALID_RECEIPTS_ROOT", "InvalidReceiptsStateRoot", "InvalidStateRoot", "INVALID_STATE_ROOT"]
        }
        E::LogsBloom { .. } => &["INVALID_LOG_BLOOM", "InvalidLogBloom"],
        E::RequestsHash { .. } => &["INVALID_REQUESTS"],
        E::BlockAccessListHash { .. } => &[
            "INVALID_BLOCK_ACCESS_LIST",
            "INVALID_BAL_HASH",
            "INVALID_BAL_EXTRA_ACCOUNT",
            "INVALID_BAL_MISSING_ACCOUNT",
            "BLOCK_ACCESS_LIST_GAS_LIMIT_EXCEEDED",
        ],
        E::BlockAccessListTooLong { .. } => {
            &["BLOCK_ACCESS_LIST_GAS_LIMIT_EXCEEDED", "INVALID_BLOCK_ACCESS_LIST"]
        }
        E::OutcomeMissing { .. } => &[],
    }
}

fn execution_names(error: &ExecutionError) -> Names {
    match error {
        ExecutionError::Invalid { reason, .. } => transaction_names(&reason.to_string()),
        ExecutionError::Seal(error) => consensus_names(error),
        ExecutionError::Internal { .. } => &[],
    }
}

/// What the interpreter's messages mean, longest match first: its errors carry no code.
const MESSAGES: &[(&str, Names)] = &[
    ("gas floor", &["INTRINSIC_GAS_BELOW_FLOOR_GAS_COST", "INTRINSIC_GAS_TOO_LOW"]),
    (
        "call gas cost",
        &[
            "INTRINSIC_GAS_TOO_LOW",
            "INTRINSIC_GAS_BELOW_FLOOR_GAS_COST",
            "TR_IntrinsicGas",
            "IntrinsicGas",
            "TR_NoFundsOrGas",
        ],
    ),
    (
        "lack of funds",
        &["INSUFFICIENT_ACCOUNT_FUNDS", "TR_NoFunds", "TR_NoFundsOrGas", "SenderNotEOAorNoCASH"],
    ),
    (
        "nonce",
        &[
            "NONCE_MISMATCH_TOO_LOW",
            "NONCE_MISMATCH_TOO_HIGH",
            "TR_NonceTooLow",
            "TR_NonceTooHigh",
            "NONCE_IS_MAX",
        ],
    ),
    ("reject transactions from senders with deployed code", &["SENDER_NOT_EOA", "SenderNotEOAorNoCASH"]),
    (
        "more than blocks available gas",
        &[
            "GAS_ALLOWANCE_EXCEEDED",
            "TR_GasLimitReached",
            "BlockGasLimitReached",
            "GAS_USED_OVERFLOW",
            "TooMuchGasUsed",
        ],
    ),
    ("caller gas limit exceeds", &["GAS_ALLOWANCE_EXCEEDED", "TR_GasLimitReached", "BlockGasLimitReached"]),
    ("block gas used exceeds", &["GAS_ALLOWANCE_EXCEEDED", "GAS_USED_OVERFLOW"]),
    ("transaction gas limit", &["GAS_LIMIT_EXCEEDS_MAXIMUM", "GAS_ALLOWANCE_EXCEEDED"]),
    (
        "gas price is less than basefee",
        &[
            "INSUFFICIENT_MAX_FEE_PER_GAS",
            "TR_FeeCapLessThanBlocks",
            "TR_FeeCapLessThanBlocksORNoFunds",
            "TR_FeeCapLessThanBlocksORGasLimitReached",
        ],
    ),
    (
        "priority fee is greater",
        &[
            "PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS",
            "TR_TipGtFeeCap",
            "PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS_2",
        ],
    ),
    ("max fee per blob gas", &["INSUFFICIENT_MAX_FEE_PER_BLOB_GAS"]),
    ("blob version", &["TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH"]),
    ("empty blobs", &["TYPE_3_TX_ZERO_BLOBS"]),
    ("too many blobs", &["TYPE_3_TX_BLOB_COUNT_EXCEEDED", "TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED"]),
    ("blob create transaction", &["TYPE_3_TX_CONTRACT_CREATION"]),
    ("authorization list", &["TYPE_4_EMPTY_AUTHORIZATION_LIST", "TYPE_4_TX_CONTRACT_CREATION"]),
    ("initcode", &["INITCODE_SIZE_EXCEEDED", "TR_InitCodeLimitExceeded"]),
    ("create initcode size limit", &["INITCODE_SIZE_EXCEEDED", "TR_InitCodeLimitExceeded"]),
    (
        "not supported",
        &[
            "TYPE_NOT_SUPPORTED",
            "TYPE_1_TX_PRE_FORK",
            "TYPE_2_TX_PRE_FORK",
            "TYPE_3_TX_PRE_FORK",
            "TYPE_4_TX_PRE_FORK",
            "TR_TypeNotSupported",
        ],
    ),
    ("deposit requests", &["INVALID_DEPOSIT_EVENT_LAYOUT"]),
    ("there is no contract", &["SYSTEM_CONTRACT_EMPTY"]),
    ("contract call", &["SYSTEM_CONTRACT_CALL_FAILED"]),
];

fn transaction_names(message: &str) -> Names {
    let message = message.to_ascii_lowercase();
    MESSAGES.iter().find(|(part, _)| message.contains(part)).map_or(&[], |(_, names)| names)
}
