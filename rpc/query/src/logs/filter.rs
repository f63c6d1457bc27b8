//! What a log must look like.

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{Address, B256, Bloom, BloomInput, Log};

/// Where to look for logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogBlocks {
    /// One block.
    Hash(B256),
    /// Blocks of the canonical chain, both ends included.
    Range {
        /// First block.
        from: BlockNumberOrTag,
        /// Last block.
        to: BlockNumberOrTag,
    },
}

/// What a log must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter {
    /// Where to look.
    pub blocks: LogBlocks,
    /// Addresses of which one must have logged; any, if there are none.
    pub addresses: Vec<Address>,
    /// By position: topics of which one must be there; any, if there are none. A log with fewer topics than
    /// positions, even open ones, does not match.
    pub topics: Vec<Vec<B256>>,
}

impl LogFilter {
    /// Whether the indexes cannot narrow the search.
    pub fn matches_everything(&self) -> bool {
        self.addresses.is_empty() && self.topics.iter().all(Vec::is_empty)
    }

    /// Whether this log matches.
    pub fn matches(&self, log: &Log) -> bool {
        let topics = log.data.topics();
        is_one_of(&log.address, &self.addresses)
            && topics.len() >= self.topics.len()
            && self.topics.iter().zip(topics).all(|(wanted, topic)| is_one_of(topic, wanted))
    }

    /// Whether a block or receipt with this bloom may hold a matching log.
    pub fn may_match(&self, bloom: &Bloom) -> bool {
        let may_hold = |bytes: &[u8]| bloom.contains_input(BloomInput::Raw(bytes));
        let may_hold_topics =
            |topics: &Vec<B256>| topics.is_empty() || topics.iter().any(|topic| may_hold(&topic[..]));
        !bloom.is_zero()
            && (self.addresses.is_empty() || self.addresses.iter().any(|address| may_hold(&address[..])))
            && self.topics.iter().all(may_hold_topics)
    }
}

fn is_one_of<T: PartialEq>(value: &T, wanted: &[T]) -> bool {
    wanted.is_empty() || wanted.contains(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Bytes, LogData};

    fn log(address: u8, topics: &[u8]) -> Log {
        let topics = topics.iter().map(|topic| B256::repeat_byte(*topic)).collect();
        Log { address: Address::repeat_byte(address), data: LogData::new_unchecked(topics, Bytes::new()) }
    }

    fn filter(addresses: &[u8], topics: &[&[u8]]) -> LogFilter {
        let words = |topics: &&[u8]| topics.iter().map(|topic| B256::repeat_byte(*topic)).collect();
        LogFilter {
            blocks: LogBlocks::Hash(B256::ZERO),
            addresses: addresses.iter().map(|address| Address::repeat_byte(*address)).collect(),
            topics: topics.iter().map(words).collect(),
        }
    }

    #[test]
    fn filters_match_as_the_specification_says() {
        let log = log(1, &[10, 20]);
        for (addresses, topics, expected) in [
            (&[][..], &[][..], true),
            (&[1], &[], true),
            (&[2, 1], &[], true),
            (&[2], &[], false),
            (&[], &[&[10][..]], true),
            (&[], &[&[20]], false),
            (&[], &[&[], &[20]], true),
            (&[], &[&[], &[10]], false),
            (&[], &[&[11, 10], &[20]], true),
            (&[1], &[&[10], &[20], &[]], false),
            (&[], &[&[], &[]], true),
        ] {
            let filter = filter(addresses, topics);
            assert_eq!(filter.matches(&log), expected, "{addresses:?} {topics:?}");
            let mut bloom = Bloom::default();
            bloom.accrue_log(&log);
            assert!(filter.may_match(&bloom) || !expected, "the bloom never hides a match");
        }
    }

    #[test]
    fn an_empty_bloom_matches_nothing() {
        assert!(!filter(&[], &[]).may_match(&Bloom::default()));
    }
}
