//! The block that the next one is built on, and how it came to be the head.

use alloy_consensus::Header;
use alloy_primitives::{B256, U256};
use portico_chainspec::{BlockContext, ChainSpec};
use portico_consensus::{next_base_fee, next_blob_fee};
use portico_evm::Transaction;

use crate::priority::Fees;

/// A new head, and what lies between it and the one before.
#[derive(Debug, Clone, Default)]
pub struct HeadChange {
    /// The new head.
    pub header: Header,
    /// Its total difficulty, itself included; after the merge that of the last mined block.
    pub total_difficulty: U256,
    /// Hashes of all transactions of blocks that are canonical now and were not.
    pub included: Vec<B256>,
    /// All transactions of blocks that are not canonical any more, in chain order.
    pub reverted: Vec<Transaction>,
    /// Number of the last final block, if there is one: what it and those before included cannot come back.
    pub finalized: Option<u64>,
}

/// What the pool knows of the head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub block_number: u64,
    pub timestamp: u64,
    pub total_difficulty: U256,
    /// Of the head; the next block's is about the same.
    pub gas_limit: u64,
    /// Of the next block.
    pub fees: Fees,
}

impl Head {
    pub fn new(spec: &ChainSpec, header: &Header, total_difficulty: U256, now: u64) -> Self {
        let next_timestamp = now.max(header.timestamp.saturating_add(1));
        Self {
            block_number: header.number,
            timestamp: header.timestamp,
            total_difficulty,
            gas_limit: header.gas_limit,
            fees: Fees {
                base_fee: next_base_fee(spec, header).unwrap_or(0),
                blob_fee: next_blob_fee(spec, header, next_timestamp),
            },
        }
    }

    /// Where the next block stands if it is built at `now` (seconds).
    pub fn next_block(&self, spec: &ChainSpec, now: u64) -> BlockContext {
        let timestamp = now.max(self.timestamp.saturating_add(1));
        spec.block_context(self.block_number.saturating_add(1), timestamp, self.total_difficulty)
    }
}
