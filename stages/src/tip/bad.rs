//! The blocks that were refused last, for those who want to know what was wrong with them.

use std::{collections::VecDeque, sync::Arc};

use alloy_rlp::Encodable;
use portico_chain::BlockParts;

use super::Tip;

/// Blocks that are kept at most.
const BLOCKS_MAX: usize = 10;
/// Bytes of RLP that the kept blocks have together at most.
const BYTES_MAX: usize = 32 << 20;

/// A block that was executed, or would have been, and breaks a rule itself: not one that merely builds upon such a block.
#[derive(Debug, Clone)]
pub struct BadBlock {
    /// The block.
    pub block: Arc<BlockParts>,
    /// Which rule, in words.
    pub reason: String,
}

/// See the module: the newest is the first.
#[derive(Debug, Default)]
pub(super) struct BadBlocks {
    blocks: VecDeque<(BadBlock, usize)>,
    bytes: usize,
}

impl BadBlocks {
    /// Keeps a block of `bytes` of RLP; forgets the oldest where there are too many. One that was kept before stays
    /// where it is.
    fn keep(&mut self, block: Arc<BlockParts>, bytes: usize, reason: String) {
        if bytes > BYTES_MAX || self.blocks.iter().any(|(bad, _)| bad.block.hash == block.hash) {
            return;
        }
        self.blocks.push_front((BadBlock { block, reason }, bytes));
        self.bytes += bytes;
        while self.blocks.len() > BLOCKS_MAX || self.bytes > BYTES_MAX {
            let (_, oldest) = self.blocks.pop_back().expect("what is too much is not nothing");
            self.bytes -= oldest;
        }
    }
}

impl Tip {
    /// The blocks that were refused last, since this tip was started, the newest first.
    pub fn bad_blocks(&self) -> Vec<BadBlock> {
        self.lock().bad.blocks.iter().map(|(bad, _)| bad.clone()).collect()
    }

    /// Notes what is wrong with a block whose parent is valid.
    pub(super) fn keep_bad(&self, block: Arc<BlockParts>, reason: &str) {
        // Measured before the lock is taken, as this copies the block.
        let bytes = length(&block);
        self.lock().bad.keep(block, bytes, reason.to_owned());
    }
}

/// Bytes of a block's RLP.
fn length(block: &BlockParts) -> usize {
    block.clone().into_block().length()
}

#[cfg(test)]
mod tests {
    use alloy_consensus::Header;
    use alloy_primitives::{B256, Bytes};

    use super::*;

    fn block(number: u64, extra_bytes: usize) -> Arc<BlockParts> {
        let header = Header { number, extra_data: Bytes::from(vec![7; extra_bytes]), ..Header::default() };
        let hash = B256::from(alloy_primitives::U256::from(number));
        Arc::new(BlockParts { hash, header, transactions: Vec::new(), ommers: Vec::new(), withdrawals: None })
    }

    fn numbers(bad: &BadBlocks) -> Vec<u64> {
        bad.blocks.iter().map(|(bad, _)| bad.block.header.number).collect()
    }

    fn keep(bad: &mut BadBlocks, block: Arc<BlockParts>, reason: &str) {
        let bytes = length(&block);
        bad.keep(block, bytes, reason.to_owned());
    }

    #[test]
    fn the_newest_are_kept_as_far_as_count_and_bytes_go() {
        let mut bad = BadBlocks::default();
        for number in 1..=12 {
            keep(&mut bad, block(number, 0), "bad");
            keep(&mut bad, block(number, 0), "again");
        }
        assert_eq!(numbers(&bad), (3..=12).rev().collect::<Vec<_>>());
        assert!(bad.blocks.iter().all(|(bad, _)| bad.reason == "bad"));

        keep(&mut bad, block(13, BYTES_MAX), "larger than all may be");
        assert_eq!(numbers(&bad).first(), Some(&12));
        keep(&mut bad, block(14, BYTES_MAX / 2), "bad");
        keep(&mut bad, block(15, BYTES_MAX / 2 - 20_000), "bad");
        assert_eq!(numbers(&bad)[..2], [15, 14], "small ones fit beside large ones");
        keep(&mut bad, block(16, 40_000), "bad");
        assert_eq!(numbers(&bad), [16, 15], "14 was the oldest that had to go for bytes");
        assert_eq!(bad.bytes, bad.blocks.iter().map(|(_, bytes)| bytes).sum::<usize>());
    }
}
