//! Blocks that may hold a matching log, from the indexes.

use alloy_primitives::{Address, B256};
use portico_chain::{ChainError, blocks_with_log_address, blocks_with_log_topic};
use portico_db::{RO, RoTxn};

use super::{BlockSpan, LogFilter};

pub(super) type BlockStream<'txn> = portico_chain::BlockStream<'txn, RO>;

/// Blocks in which one of the addresses logged and, for each position, a log has one of its topics at whatever
/// position: every match is among them.
pub(super) fn candidates<'txn>(
    txn: &'txn RoTxn<'_>,
    filter: &LogFilter,
    span: BlockSpan,
) -> Result<BlockStream<'txn>, ChainError> {
    let blocks = || span.from..=span.to;
    let mut parts = Vec::new();
    // Topics first: the later ones are often an account or an id, which is rarer than a contract.
    for alternatives in filter.topics.iter().rev().filter(|alternatives| !alternatives.is_empty()) {
        let stream = |topic: &B256| blocks_with_log_topic(txn, *topic, blocks());
        parts.push(BlockStream::union(blocks(), distinct(alternatives, stream)?));
    }
    if !filter.addresses.is_empty() {
        let stream = |address: &Address| blocks_with_log_address(txn, *address, blocks());
        parts.push(BlockStream::union(blocks(), distinct(&filter.addresses, stream)?));
    }
    Ok(BlockStream::intersection(blocks(), parts))
}

fn distinct<'txn, T: Ord>(
    subjects: &[T],
    stream: impl Fn(&T) -> Result<BlockStream<'txn>, ChainError>,
) -> Result<Vec<BlockStream<'txn>>, ChainError> {
    let mut subjects: Vec<_> = subjects.iter().collect();
    subjects.sort_unstable();
    subjects.dedup();
    subjects.into_iter().map(stream).collect()
}
