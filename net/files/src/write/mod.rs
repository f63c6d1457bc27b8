//! Writes block files, for export.
//!
//! A file comes into being under a temporary name in its folder and gets its own name when it is complete and on disk,
//! so that no half-written file is ever taken for a block file.

mod era1;
mod ere;
mod partial_file;
mod record;
mod rlp;

pub use era1::Era1Writer;
pub use ere::EreWriter;
pub use rlp::RlpWriter;

use crate::{
    accumulator::ACCUMULATOR_BLOCKS_MAX,
    block::{FileBlock, Transaction},
};
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_rlp::Encodable;

/// A block to be written.
#[derive(Clone, Copy, Debug)]
pub struct ExportBlock<'a> {
    /// The header.
    pub header: &'a Header,
    /// The transactions, in order.
    pub transactions: &'a [Transaction],
    /// The ommers' headers.
    pub ommers: &'a [Header],
    /// The withdrawals, from Shanghai on.
    pub withdrawals: Option<&'a [Withdrawal]>,
}

impl<'a> From<&'a FileBlock> for ExportBlock<'a> {
    fn from(block: &'a FileBlock) -> Self {
        Self {
            header: &block.header,
            transactions: &block.transactions,
            ommers: &block.ommers,
            withdrawals: block.withdrawals.as_deref(),
        }
    }
}

impl ExportBlock<'_> {
    /// Replaces `out` with the block's RLP.
    fn encode_block(&self, out: &mut Vec<u8>) {
        out.clear();
        let payload_length = self.header.length() + self.body_payload_length();
        alloy_rlp::Header { list: true, payload_length }.encode(out);
        self.header.encode(out);
        self.encode_body_payload(out);
    }

    /// Replaces `out` with the body's RLP, `[transactions, ommers, withdrawals?]`.
    fn encode_body(&self, out: &mut Vec<u8>) {
        out.clear();
        alloy_rlp::Header { list: true, payload_length: self.body_payload_length() }.encode(out);
        self.encode_body_payload(out);
    }

    fn body_payload_length(&self) -> usize {
        alloy_rlp::list_length(self.transactions)
            + alloy_rlp::list_length(self.ommers)
            + self.withdrawals.map_or(0, alloy_rlp::list_length)
    }

    fn encode_body_payload(&self, out: &mut Vec<u8>) {
        alloy_rlp::encode_list(self.transactions, out);
        alloy_rlp::encode_list(self.ommers, out);
        if let Some(withdrawals) = self.withdrawals {
            alloy_rlp::encode_list(withdrawals, out);
        }
    }
}

/// The archive a block belongs to: 8192 blocks each, from block 0 on.
fn epoch_of(block_number: u64) -> u64 {
    block_number / ACCUMULATOR_BLOCKS_MAX as u64
}

/// The last block of the archive a block belongs to.
fn is_last_of_epoch(block_number: u64) -> bool {
    block_number % ACCUMULATOR_BLOCKS_MAX as u64 == ACCUMULATOR_BLOCKS_MAX as u64 - 1
}
