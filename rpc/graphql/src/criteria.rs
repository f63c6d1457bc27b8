//! Filters for logs.

use async_graphql::InputObject;
use portico_query::{BlockNumberOrTag, LogBlocks, LogFilter};

use crate::{
    GraphqlError,
    scalars::{Address, Bytes32, Long},
};

const ADDRESSES_MAX: usize = 1000;
const TOPICS_MAX: usize = 4;
const ALTERNATIVES_MAX: usize = 1000;

/// FilterCriteria encapsulates log filter criteria for searching log entries.
#[derive(Debug, InputObject)]
pub struct FilterCriteria {
    /// FromBlock is the block at which to start searching, inclusive. Defaults to the latest block if not supplied.
    from_block: Option<Long>,
    /// ToBlock is the block at which to stop searching, inclusive. Defaults to the latest block if not supplied.
    to_block: Option<Long>,
    /// Addresses is a list of addresses that are of interest. If this list is empty, results will not be filtered
    /// by address.
    addresses: Option<Vec<Address>>,
    /// Topics list restricts matches to particular event topics, by position: an empty list matches any topic, a
    /// non-empty one any of its topics.
    topics: Option<Vec<Vec<Bytes32>>>,
}

impl FilterCriteria {
    pub(crate) fn into_filter(self) -> Result<LogFilter, GraphqlError> {
        let end = |block: Option<Long>| {
            block.map_or(BlockNumberOrTag::Latest, |Long(number)| BlockNumberOrTag::Number(number))
        };
        let blocks = LogBlocks::Range { from: end(self.from_block), to: end(self.to_block) };
        filter(blocks, self.addresses, self.topics)
    }
}

/// BlockFilterCriteria encapsulates log filter criteria for a filter applied to a single block.
#[derive(Debug, InputObject)]
pub struct BlockFilterCriteria {
    /// Addresses is list of addresses that are of interest. If this list is empty, results will not be filtered by
    /// address.
    addresses: Option<Vec<Address>>,
    /// Topics list restricts matches to particular event topics, by position: an empty list matches any topic, a
    /// non-empty one any of its topics.
    topics: Option<Vec<Vec<Bytes32>>>,
}

impl BlockFilterCriteria {
    pub(crate) fn into_filter(self, block_number: u64) -> Result<LogFilter, GraphqlError> {
        let block = BlockNumberOrTag::Number(block_number);
        filter(LogBlocks::Range { from: block, to: block }, self.addresses, self.topics)
    }
}

fn filter(
    blocks: LogBlocks,
    addresses: Option<Vec<Address>>,
    topics: Option<Vec<Vec<Bytes32>>>,
) -> Result<LogFilter, GraphqlError> {
    let (addresses, topics) = (addresses.unwrap_or_default(), topics.unwrap_or_default());
    let check = |count: usize, max, what| {
        if count <= max { Ok(()) } else { Err(GraphqlError::FilterTooLarge { what, max }) }
    };
    check(addresses.len(), ADDRESSES_MAX, "addresses")?;
    check(topics.len(), TOPICS_MAX, "topics")?;
    for alternatives in &topics {
        check(alternatives.len(), ALTERNATIVES_MAX, "alternatives for a topic")?;
    }
    let words = |alternatives: Vec<Bytes32>| alternatives.into_iter().map(|topic| topic.0).collect();
    Ok(LogFilter {
        blocks,
        addresses: addresses.into_iter().map(|address| address.0).collect(),
        topics: topics.into_iter().map(words).collect(),
    })
}
