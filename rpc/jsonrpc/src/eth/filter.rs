//! The argument of `eth_getLogs`.

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{Address, B256};
use portico_query::{LogBlocks, LogFilter};
use serde::Deserialize;

/// Addresses in a filter.
const ADDRESSES_MAX: usize = 1000;
/// Positions of topics: a log has no more.
const TOPICS_MAX: usize = 4;
/// Alternatives at one position.
const ALTERNATIVES_MAX: usize = 1000;

/// What logs must look like. Blocks that are left out are the latest; an address or topic may stand for a list of
/// one; an empty list, `null`, or a list with `null` in it matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawFilter")]
pub struct FilterArgument(pub LogFilter);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawFilter {
    from_block: Option<BlockNumberOrTag>,
    to_block: Option<BlockNumberOrTag>,
    #[serde(alias = "blockhash")]
    block_hash: Option<B256>,
    address: Option<Addresses>,
    topics: Option<Vec<Option<Topics>>>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected an address of 20 bytes in hex, or a list of such")]
enum Addresses {
    One(Address),
    Many(Vec<Address>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a topic of 32 bytes in hex, null, or a list of such")]
enum Topics {
    One(B256),
    Many(Vec<Option<B256>>),
}

/// Why a filter is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum FilterError {
    #[error("cannot specify both blockHash and fromBlock/toBlock, choose one or the other")]
    HashAndRange,
    #[error("exceed max addresses: {ADDRESSES_MAX}")]
    TooManyAddresses,
    #[error("exceed max topics: {TOPICS_MAX}")]
    TooManyTopics,
    #[error("exceed max topics at one position: {ALTERNATIVES_MAX}")]
    TooManyAlternatives,
}

impl TryFrom<RawFilter> for FilterArgument {
    type Error = FilterError;

    fn try_from(raw: RawFilter) -> Result<Self, FilterError> {
        let blocks = match (raw.block_hash, raw.from_block, raw.to_block) {
            (Some(hash), None, None) => LogBlocks::Hash(hash),
            (Some(_), _, _) => return Err(FilterError::HashAndRange),
            (None, from, to) => {
                LogBlocks::Range { from: from.unwrap_or_default(), to: to.unwrap_or_default() }
            }
        };
        let addresses = match raw.address {
            None => Vec::new(),
            Some(Addresses::One(address)) => vec![address],
            Some(Addresses::Many(addresses)) => addresses,
        };
        if addresses.len() > ADDRESSES_MAX {
            return Err(FilterError::TooManyAddresses);
        }
        let topics = raw.topics.unwrap_or_default();
        if topics.len() > TOPICS_MAX {
            return Err(FilterError::TooManyTopics);
        }
        let topics = topics.into_iter().map(alternatives).collect::<Result<_, _>>()?;
        Ok(Self(LogFilter { blocks, addresses, topics }))
    }
}

/// No alternatives mean that any topic will do.
fn alternatives(topics: Option<Topics>) -> Result<Vec<B256>, FilterError> {
    match topics {
        None => Ok(Vec::new()),
        Some(Topics::One(topic)) => Ok(vec![topic]),
        Some(Topics::Many(topics)) if topics.len() > ALTERNATIVES_MAX => {
            Err(FilterError::TooManyAlternatives)
        }
        Some(Topics::Many(topics)) => Ok(topics.into_iter().collect::<Option<_>>().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parse(filter: Value) -> Result<LogFilter, String> {
        serde_json::from_value(filter).map(|FilterArgument(filter)| filter).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_left_out_matches_everything_in_the_latest_block() {
        let latest = LogBlocks::Range { from: BlockNumberOrTag::Latest, to: BlockNumberOrTag::Latest };
        let expected = LogFilter { blocks: latest, addresses: vec![], topics: vec![] };
        assert_eq!(parse(json!({})), Ok(expected.clone()));
        assert_eq!(parse(json!({ "address": null, "topics": null, "blockHash": null })), Ok(expected));
    }

    #[test]
    fn one_stands_for_a_list_of_one() {
        let (address, topic) = (Address::repeat_byte(1), B256::repeat_byte(2));
        let filter = parse(json!({
            "fromBlock": "0x1", "toBlock": "safe", "address": address, "topics": [topic, null, [topic, null], [topic]],
        }));
        let blocks = LogBlocks::Range { from: BlockNumberOrTag::Number(1), to: BlockNumberOrTag::Safe };
        let topics = vec![vec![topic], vec![], vec![], vec![topic]];
        assert_eq!(filter, Ok(LogFilter { blocks, addresses: vec![address], topics }));
    }

    #[test]
    fn bad_filters_are_refused_with_a_reason() {
        let topic = B256::ZERO;
        for (filter, reason) in [
            (json!({ "blockHash": topic, "toBlock": "0x1" }), "cannot specify both"),
            (json!({ "address": vec![Address::ZERO; 1001] }), "exceed max addresses: 1000"),
            (json!({ "topics": vec![topic; 5] }), "exceed max topics: 4"),
            (json!({ "topics": [vec![topic; 1001]] }), "exceed max topics at one position: 1000"),
            (json!({ "address": "0x01" }), "expected an address of 20 bytes"),
            (json!({ "topics": ["0x01"] }), "expected a topic of 32 bytes"),
            (json!({ "fromBlock": "1" }), "hex string without 0x prefix"),
        ] {
            let error = parse(filter.clone()).unwrap_err();
            assert!(error.contains(reason), "{filter}: {error}");
        }
    }
}
