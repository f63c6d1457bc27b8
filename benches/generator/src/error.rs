//! What can go wrong while generating.

use std::error::Error;

/// Why a chain could not be generated.
#[derive(Debug, thiserror::Error)]
pub enum GeneratorError {
    /// The executor failed for a reason other than a bad transaction.
    #[error("executing generated block {block_number} failed")]
    Execution {
        /// The block that was being executed.
        block_number: u64,
        /// What the executor said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The executor gave an answer that does not fit the block it was given.
    #[error("the executor's answer for block {block_number} is inconsistent: {reason}")]
    Inconsistent {
        /// The block that was being executed.
        block_number: u64,
        /// What does not fit.
        reason: Mismatch,
    },
    /// The configuration cannot work.
    #[error("cannot generate with this configuration: {0}")]
    Config(ConfigFault),
    /// Writing the genesis file failed.
    #[error("writing the genesis file failed")]
    Genesis(#[from] serde_json::Error),
    /// Writing blocks failed.
    #[error("writing block {block_number} failed")]
    Write {
        /// The block that was being written.
        block_number: u64,
        /// What the writer said.
        #[source]
        source: std::io::Error,
    },
    /// Writing out what was buffered failed.
    #[error("flushing the chain file failed")]
    Flush {
        /// What the writer said.
        #[source]
        source: std::io::Error,
    },
}

/// How an executor's answer fails to fit the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Positions of refused transactions are not ascending positions of the block.
    #[error("refused positions are not ascending positions of the block")]
    RefusedPositions,
    /// There is not one receipt for each included transaction.
    #[error("{receipts} receipts for {included} transactions")]
    ReceiptCount {
        /// Receipts returned.
        receipts: usize,
        /// Transactions included.
        included: usize,
    },
    /// The last receipt's cumulative gas is not the block's gas.
    #[error("receipts add up to {receipts} gas, the block to {block}")]
    GasUsed {
        /// Cumulative gas of the last receipt.
        receipts: u64,
        /// Gas of the block.
        block: u64,
    },
    /// Requests are there before Prague, or missing from it on.
    #[error("requests do not fit the fork")]
    Requests,
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigFault {
    /// At least 10 users have to be there from the start.
    #[error("at least 10 genesis users are needed")]
    TooFewUsers,
    /// Every token has to be in a pair with the first one.
    #[error("between 2 and 10,000 tokens are needed")]
    TokenCount,
    /// Forks must come in their order.
    #[error("fork times are not in the order of the forks")]
    ForkOrder,
    /// A block must have room for the largest plain transactions, and be valid: at least 5,000 gas.
    #[error("a gas limit from 1,000,000 to 2^63 - 1 is needed")]
    GasLimit,
    /// All weights are zero.
    #[error("every weight of the transaction mix is zero")]
    EmptyMix,
    /// Blocks need a time step, transactions and something to receive.
    #[error("seconds per block, transactions per block and cold accounts must not be zero")]
    Zero,
    /// Only cold accounts that there are can have ether.
    #[error("more cold accounts are to have ether than there are")]
    FundedColdAccounts,
}
