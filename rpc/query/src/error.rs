//! Why a call has no answer.

use std::time::Duration;

use alloy_eips::BlockId;
use alloy_evm::rpc::EthTxEnvError;
use alloy_primitives::{Address, B256, Bytes, U256};
use portico_chain::ChainError;
use portico_chainspec::{AmsterdamRules, Fork};
use portico_db::DbError;
use portico_evm::{CallError, ExecutionError, words_for_rule};
use portico_state::StateError;
use portico_tracers::TracerError;
use portico_trie::TrieError;
use portico_txpool::PoolError;
use revm::context::result::HaltReason;

/// Why a call has no answer. Protocols give each case their own code.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// A tracer is a script, and the node takes none; or no tracer has this name.
    #[error("no tracer has this name, and scripts are not taken here (--rpc.no-script-tracers)")]
    ScriptsRefused,
    /// We have no key of this account.
    #[error("unknown account {address}")]
    UnknownAccount {
        /// Which.
        address: alloy_primitives::Address,
    },
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The block store failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The state store failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The trie could not be read.
    #[error(transparent)]
    Trie(#[from] TrieError),
    /// The trie that was taken back to a block is not that of its header: the database is damaged.
    #[error("the state of block {block_number} has root {found}, not {expected} as its header says")]
    StateRoot {
        /// The block.
        block_number: u64,
        /// Its header's.
        expected: B256,
        /// What its changes gave.
        found: B256,
    },
    /// More accounts and slots changed since a block than one call takes back.
    #[error(
        "more than {limit} accounts and slots changed since block {block_number}: too many to prove its state (setting proof_leaves_max)"
    )]
    TooManyChanges {
        /// The block.
        block_number: u64,
        /// Setting `proof_leaves_max`.
        limit: usize,
    },
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
    #[error("the call was stopped after {} s", limit.as_secs_f64())]
    TimedOut {
        /// How long it was allowed to work.
        limit: Duration,
    },
    /// The answer is larger than this call's may be.
    #[error("the answer is larger than {limit} bytes")]
    AnswerTooLarge {
        /// Bytes that an answer may have.
        limit: usize,
    },
    /// The answer could not be written down.
    #[error("the answer cannot be written: {0}")]
    Unwritable(String),
    /// Nobody waits for the answer any more.
    #[error("the call was given up")]
    Cancelled,
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
    #[error("{}", call_text(.0))]
    Call(CallError),
    /// The request's fields contradict each other.
    #[error(transparent)]
    Request(#[from] EthTxEnvError),
    /// The whole storage and single slots of one account are to be replaced.
    #[error("account {address} has both 'state' and 'stateDiff'")]
    StateAndDiff {
        /// The account.
        address: Address,
    },
    /// A precompiled contract is to be moved from where there is none.
    #[error("account {address} is not a precompile")]
    NotPrecompile {
        /// The account.
        address: Address,
    },
    /// A precompiled contract is to be moved to an account that is overridden too.
    #[error("account {address} is already overridden")]
    AlreadyOverridden {
        /// The account.
        address: Address,
    },
    /// No gas limit within bounds lets the call succeed.
    #[error("gas required exceeds allowance ({allowance})")]
    GasRequired {
        /// The highest limit that may be tried: the block's, the sender's funds or a setting.
        allowance: u64,
    },
    /// The sender cannot pay the value, or the blobs.
    #[error("insufficient funds for transfer: address {address}")]
    InsufficientFunds {
        /// The sender.
        address: Address,
    },
    /// A simulated block has a number that is not above that of the one before.
    #[error("block numbers must be in order: {block_number} <= {before}")]
    BlockOrder {
        /// Its number.
        block_number: u64,
        /// The one before.
        before: u64,
    },
    /// A simulated block has a time that is not after that of the one before.
    #[error("block timestamps must be in order: {timestamp} <= {before}")]
    TimeOrder {
        /// Its time.
        timestamp: u64,
        /// The one before.
        before: u64,
    },
    /// More blocks are to be simulated than one call does, those between them included.
    #[error("too many blocks (max {limit})")]
    TooManySimulated {
        /// How many may be.
        limit: u64,
    },
    /// Blocks by the rules of a development network cannot be simulated.
    #[error(
        "block {block_number} is of {fork} by the rules of {}, whose blocks cannot be simulated",
        rules.name()
    )]
    ForkNotSimulated {
        /// The fork.
        fork: Fork,
        /// What the fork means on this chain.
        rules: AmsterdamRules,
        /// The simulated block.
        block_number: u64,
    },
    /// A call asks for more gas than its simulated block has left.
    #[error("block gas limit reached: {used} >= {limit}")]
    BlockGas {
        /// Gas used by the calls before.
        used: u64,
        /// The block's limit.
        limit: u64,
    },
    /// The block is from before Amsterdam.
    #[error("block {block_number} has no access list")]
    NoAccessList {
        /// The block.
        block_number: u64,
    },
    /// A position in a block behind its last transaction.
    #[error("transaction index {index} is behind the block's {count} transactions")]
    TransactionIndex {
        /// The position.
        index: u64,
        /// Transactions in the block.
        count: u64,
    },
    /// A transaction of this kind must have a recipient.
    #[error("a transaction with blobs or authorizations needs a recipient")]
    NoRecipient,
    /// The type that the request names does not go with its fields.
    #[error("a transaction of type {transaction_type} {reason}")]
    TransactionType {
        /// The type.
        transaction_type: u8,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Percentiles that are not numbers from 0 to 100 in ascending order, or too many.
    #[error("invalid reward percentile: {reason}")]
    Percentiles {
        /// What is wrong.
        reason: String,
    },
    /// The block's fee recipient cannot be told, or a transaction cannot be executed again.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    /// There is no such transaction up to the head.
    #[error("transaction {0} not found")]
    TransactionNotFound(B256),
    /// Genesis was not executed.
    #[error("genesis is not traceable")]
    GenesisNotTraceable,
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
    /// No block with this hash is among those that were refused last.
    #[error("bad block {0} not found")]
    BadBlockNotFound(B256),
    /// The state after a bad block's parent is neither on the chain nor in memory.
    #[error(
        "the state before bad block {hash} is not at hand: its parent {parent} is not on the chain any more"
    )]
    BadBlockParentGone {
        /// The bad block.
        hash: B256,
        /// Its parent.
        parent: B256,
    },
    /// A bad block is not where its header says: it cannot be executed.
    #[error("bad block {hash} says that it is block {number}, but its parent is block {parent}")]
    BadBlockNumber {
        /// The bad block.
        hash: B256,
        /// Its number by its header.
        number: u64,
        /// Its parent's number.
        parent: u64,
    },
    /// Nothing in the database has this hash.
    #[error("unknown preimage of {0}")]
    UnknownPreimage(B256),
    /// No table has this name.
    #[error("there is no table {0:?}")]
    NoSuchTable(String),
    /// A tracer gave nothing.
    #[error(transparent)]
    Tracer(#[from] TracerError),
    /// This node takes no transactions in.
    #[error("this node has no transaction pool")]
    NoPool,
    /// The pool refuses a transaction.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// A transaction would pay more than its sender can mean.
    #[error("tx fee ({} wei) exceeds the configured cap ({} wei)", fee, cap)]
    FeeAboveCap {
        /// For all of its gas, in wei.
        fee: U256,
        /// Setting `tx_fee_max`, in wei.
        cap: U256,
    },
    /// A transaction would be valid on every chain.
    #[error("only replay-protected (EIP-155) transactions allowed over RPC")]
    Unprotected,
    /// Bytes that are no block or transaction, or whose sender cannot be told.
    #[error("invalid {what}: {reason}")]
    Undecodable {
        /// Block or transaction.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<CallError> for QueryError {
    /// A call that was stopped failed with what stopped it.
    fn from(error: CallError) -> Self {
        let CallError::Read(read) = &error else { return Self::Call(error) };
        match read.downcast_ref() {
            Some(Self::TimedOut { limit }) => Self::TimedOut { limit: *limit },
            Some(Self::Cancelled) => Self::Cancelled,
            _ => Self::Call(error),
        }
    }
}

/// In go-ethereum's words, by which clients know what happened.
fn call_text(error: &CallError) -> String {
    match error {
        CallError::Invalid(rule) => words_for_rule(rule),
        error => error.to_string(),
    }
}

/// In go-ethereum's words, by which clients know what happened.
fn halt_text(reason: &HaltReason) -> String {
    let text = match reason {
        HaltReason::OutOfGas(_) => "out of gas",
        HaltReason::OpcodeNotFound | HaltReason::NotActivated => "invalid opcode",
        HaltReason::InvalidFEOpcode => "invalid opcode: INVALID",
        HaltReason::InvalidJump => "invalid jump destination",
        HaltReason::StackUnderflow => "stack underflow",
        HaltReason::StackOverflow => "stack limit reached 1024 (1024)",
        HaltReason::OutOfOffset => "return data out of bounds",
        HaltReason::CreateCollision => "contract address collision",
        HaltReason::PrecompileError => "precompiled contract failed",
        HaltReason::PrecompileErrorWithContext(reason) => return reason.clone(),
        HaltReason::NonceOverflow => "nonce uint64 overflow",
        HaltReason::CreateContractSizeLimit => "max code size exceeded",
        HaltReason::CreateContractStartingWithEF => "invalid code: must not begin with 0xef",
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded",
        HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => {
            "write protection"
        }
        HaltReason::OutOfFunds | HaltReason::OverflowPayment => "insufficient balance for transfer",
        HaltReason::CallTooDeep => "max call depth exceeded",
    };
    text.to_owned()
}

/// An answer could not be written to where it goes.
pub(crate) fn unwritable(error: std::io::Error) -> QueryError {
    QueryError::Unwritable(error.to_string())
}
