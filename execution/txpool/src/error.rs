//! Why a transaction is refused, in go-ethereum's words: tools look for them.

use alloy_eips::{eip2718::Eip2718Error, eip4844::BlobTransactionValidationError};
use alloy_primitives::{Address, B256, U256};
use portico_evm::ReadError;
use revm::context::result::InvalidTransaction;

/// Why a transaction is refused.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The bytes are no transaction.
    #[error("{0}")]
    Undecodable(Eip2718Error),
    /// It is in the pool already.
    #[error("already known")]
    AlreadyKnown,
    /// The next block's fork does not have its type.
    #[error("transaction type not supported: type {transaction_type} rejected, pool not yet in {fork}")]
    TypeNotSupported {
        /// Of EIP-2718.
        transaction_type: u8,
        /// The fork that brings the type.
        fork: &'static str,
    },
    /// It is longer than the pool takes.
    #[error("oversized data: transaction size {size}, limit {limit}")]
    Oversized {
        /// Bytes as sent.
        size: usize,
        /// Bytes that are taken.
        limit: usize,
    },
    /// Its init code is too long (EIP-3860).
    #[error("max initcode size exceeded: code size {size}")]
    InitCodeTooLong {
        /// Bytes.
        size: usize,
    },
    /// Its gas limit is above what one transaction may have (EIP-7825).
    #[error("transaction gas limit too high (cap: {cap}, tx: {gas_limit})")]
    GasLimitTooHigh {
        /// Most that is allowed.
        cap: u64,
        /// What it has.
        gas_limit: u64,
    },
    /// Its gas limit is above the block's.
    #[error("exceeds block gas limit")]
    ExceedsBlockGasLimit,
    /// Its priority fee is above its fee.
    #[error("max priority fee per gas higher than max fee per gas")]
    TipAboveFeeCap,
    /// Its signature recovers to nobody.
    #[error("invalid sender")]
    InvalidSender,
    /// It is for another chain.
    #[error("invalid sender: invalid chain id for signer: have {have} want {want}")]
    WrongChain {
        /// Its chain id.
        have: u64,
        /// Ours.
        want: u64,
    },
    /// Its nonce can never be followed by another (EIP-2681).
    #[error("nonce has max value")]
    NonceMax,
    /// It pays for less gas than it takes before anything is executed.
    #[error("intrinsic gas too low: gas {gas_limit}, minimum needed {needed}")]
    IntrinsicGas {
        /// Its gas limit.
        gas_limit: u64,
        /// What it takes.
        needed: u64,
    },
    /// It pays for less gas than its data cost at least (EIP-7623).
    #[error("insufficient gas for floor data gas cost: gas {gas_limit}, minimum needed {needed}")]
    FloorGas {
        /// Its gas limit.
        gas_limit: u64,
        /// What it takes.
        needed: u64,
    },
    /// Its priority fee is below the pool's minimum.
    #[error("transaction gas price below minimum: gas tip cap {tip}, minimum needed {needed}")]
    TipBelowMinimum {
        /// What it pays, in wei.
        tip: u128,
        /// What the pool asks, in wei.
        needed: u128,
    },
    /// Its blob fee is below the protocol's minimum.
    #[error("transaction gas price below minimum: blob fee cap {fee}, minimum needed {needed}")]
    BlobFeeBelowMinimum {
        /// What it pays, in wei.
        fee: u128,
        /// What the protocol asks, in wei.
        needed: u128,
    },
    /// A blob transaction came without its blobs.
    #[error("missing sidecar in blob transaction")]
    MissingSidecar,
    /// A blob transaction has no blobs.
    #[error("blobless blob transaction")]
    NoBlobs,
    /// It has more blobs than one transaction may have.
    #[error("too many blobs in transaction: have {have}, permitted {permitted}")]
    TooManyBlobs {
        /// Its blobs.
        have: usize,
        /// Most that are allowed.
        permitted: usize,
    },
    /// The next block's fork asks for the other form of proofs (EIP-7594).
    #[error("unexpected sidecar version, want: {want}, got: {got}")]
    SidecarVersion {
        /// 0 for a proof for each blob, 1 for cell proofs.
        want: u8,
        /// What came.
        got: u8,
    },
    /// Blobs, commitments or proofs are not as many as they must be.
    #[error("invalid number of {have} {what} expected {expected}")]
    SidecarLength {
        /// What is counted.
        what: &'static str,
        /// How many came.
        have: usize,
        /// How many there must be.
        expected: usize,
    },
    /// A commitment is not the one that the transaction names.
    #[error("blob {index}: computed hash {computed} mismatches transaction one {expected}")]
    WrongVersionedHash {
        /// Which blob.
        index: usize,
        /// Of the commitment.
        computed: B256,
        /// What the transaction says.
        expected: B256,
    },
    /// Proofs do not hold.
    #[error("KZG verification error: {0}")]
    Kzg(BlobTransactionValidationError),
    /// A delegating transaction has no authorizations (EIP-7702).
    #[error("set code tx must have at least one authorization tuple")]
    NoAuthorizations,
    /// Any other rule of the interpreter.
    #[error(transparent)]
    Rule(InvalidTransaction),
    /// Its sender is a contract (EIP-3607).
    #[error("sender not an eoa: address {sender}")]
    SenderNotEoa {
        /// Who signed it.
        sender: Address,
    },
    /// Its nonce was used.
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow {
        /// The account's.
        next: u64,
        /// The transaction's.
        nonce: u64,
    },
    /// A nonce before it is missing, which blob transactions do not wait for.
    #[error("nonce too high: tx nonce {nonce}, gapped nonce {gapped}")]
    NonceTooHigh {
        /// The transaction's.
        nonce: u64,
        /// The one that is missing.
        gapped: u64,
    },
    /// The sender cannot pay for it.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, tx cost {cost}, overshot {}",
        cost.saturating_sub(*balance)
    )]
    InsufficientFunds {
        /// In wei.
        balance: U256,
        /// Gas, blob gas and value, at most, in wei.
        cost: U256,
    },
    /// The sender cannot pay for it beside those in front of it.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx cost {cost}, overshot {}",
        queued.saturating_add(*cost).saturating_sub(*balance)
    )]
    InsufficientFundsBesideOthers {
        /// In wei.
        balance: U256,
        /// Of the others, in wei.
        queued: U256,
        /// Of this one, in wei.
        cost: U256,
    },
    /// The account has as many transactions as one may have.
    #[error("account limit exceeded: pooled {pooled} txs")]
    AccountLimit {
        /// How many it has.
        pooled: usize,
    },
    /// An account has blob transactions or others at a time, not both.
    #[error("address already reserved")]
    Reserved,
    /// The sender has another transaction with this nonce, which pays about as much.
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    /// The pool is full of transactions that pay more.
    #[error("transaction underpriced")]
    Underpriced,
    /// The pool has no room for it, whatever it pays.
    #[error("txpool is full")]
    Full,
    /// A delegated account has a transaction in the pool.
    #[error("in-flight transaction limit reached for delegated accounts")]
    InFlightLimit,
    /// A delegated account's only transaction must be its next.
    #[error("gapped-nonce tx from delegated accounts")]
    GappedFromDelegated,
    /// An account that is to be delegated has several transactions in the pool.
    #[error("authority already reserved")]
    AuthorityReserved,
    /// The state could not be read: our fault.
    #[error("reading accounts: {0}")]
    Accounts(ReadError),
}

impl PoolError {
    /// The reason in a word, for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Undecodable(_) => "undecodable",
            Self::AlreadyKnown => "already_known",
            Self::TypeNotSupported { .. } => "type",
            Self::Oversized { .. } | Self::InitCodeTooLong { .. } => "oversized",
            Self::GasLimitTooHigh { .. } | Self::ExceedsBlockGasLimit => "gas_limit",
            Self::TipAboveFeeCap | Self::NonceMax | Self::NoAuthorizations | Self::Rule(_) => "invalid",
            Self::InvalidSender | Self::WrongChain { .. } => "signature",
            Self::IntrinsicGas { .. } | Self::FloorGas { .. } => "intrinsic_gas",
            Self::TipBelowMinimum { .. } | Self::BlobFeeBelowMinimum { .. } => "below_minimum",
            Self::MissingSidecar
            | Self::NoBlobs
            | Self::TooManyBlobs { .. }
            | Self::SidecarVersion { .. }
            | Self::SidecarLength { .. }
            | Self::WrongVersionedHash { .. }
            | Self::Kzg(_) => "blobs",
            Self::SenderNotEoa { .. } => "sender_code",
            Self::NonceTooLow { .. } => "nonce_too_low",
            Self::NonceTooHigh { .. } => "nonce_too_high",
            Self::InsufficientFunds { .. } | Self::InsufficientFundsBesideOthers { .. } => "funds",
            Self::AccountLimit { .. } => "account_limit",
            Self::Reserved => "reserved",
            Self::ReplacementUnderpriced => "replacement_underpriced",
            Self::Underpriced => "underpriced",
            Self::Full => "full",
            Self::InFlightLimit | Self::GappedFromDelegated | Self::AuthorityReserved => "delegation",
            Self::Accounts(_) => "internal",
        }
    }

    /// Whether it is our fault, not the transaction's.
    pub fn is_internal(&self) -> bool {
        matches!(self, Self::Accounts(_))
    }
}
