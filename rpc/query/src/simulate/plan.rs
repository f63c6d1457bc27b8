//! Which blocks are simulated: numbers and times ascend, gaps are filled with empty blocks.

use crate::{BlockRequest, QueryError};

/// Blocks that one call simulates, those that fill gaps included.
pub const SIMULATED_BLOCKS_MAX: u64 = 256;
/// Seconds between blocks for which no time is given.
const SECONDS_BETWEEN: u64 = 12;

/// A block with its place.
#[derive(Debug, Clone, Default)]
pub(super) struct Planned {
    pub number: u64,
    pub timestamp: u64,
    pub request: BlockRequest,
}

/// Gives every block its number and time, and fills gaps.
pub(super) fn plan(
    blocks: Vec<BlockRequest>,
    base_number: u64,
    base_timestamp: u64,
) -> Result<Vec<Planned>, QueryError> {
    if blocks.len() as u64 > SIMULATED_BLOCKS_MAX {
        return Err(QueryError::TooManySimulated { limit: SIMULATED_BLOCKS_MAX });
    }
    let mut planned = Vec::with_capacity(blocks.len());
    let (mut number, mut timestamp) = (base_number, base_timestamp);
    for request in blocks {
        let wanted =
            request.overrides.number.map_or(number.saturating_add(1), |number| number.saturating_to());
        if wanted <= number {
            return Err(QueryError::BlockOrder { block_number: wanted, before: number });
        }
        if wanted - base_number > SIMULATED_BLOCKS_MAX {
            return Err(QueryError::TooManySimulated { limit: SIMULATED_BLOCKS_MAX });
        }
        for number in number + 1..wanted {
            timestamp = timestamp.saturating_add(SECONDS_BETWEEN);
            planned.push(Planned { number, timestamp, request: BlockRequest::default() });
        }
        let wanted_time = request.overrides.time.unwrap_or(timestamp.saturating_add(SECONDS_BETWEEN));
        if wanted_time <= timestamp {
            return Err(QueryError::TimeOrder { timestamp: wanted_time, before: timestamp });
        }
        (number, timestamp) = (wanted, wanted_time);
        planned.push(Planned { number, timestamp, request });
    }
    Ok(planned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;
    use alloy_rpc_types_eth::BlockOverrides;

    fn request(number: Option<u64>, time: Option<u64>) -> BlockRequest {
        let overrides = BlockOverrides { number: number.map(U256::from), time, ..BlockOverrides::default() };
        BlockRequest { overrides, ..BlockRequest::default() }
    }

    fn places(requests: &[(Option<u64>, Option<u64>)]) -> Result<Vec<(u64, u64)>, String> {
        let requests = requests.iter().map(|(number, time)| request(*number, *time)).collect();
        let planned = plan(requests, 10, 100).map_err(|error| error.to_string())?;
        Ok(planned.iter().map(|planned| (planned.number, planned.timestamp)).collect())
    }

    #[test]
    fn gaps_are_filled() {
        assert_eq!(places(&[]), Ok(vec![]));
        assert_eq!(places(&[(None, None), (None, Some(113))]), Ok(vec![(11, 112), (12, 113)]));
        let filled = places(&[(Some(13), Some(1000)), (None, None)]);
        assert_eq!(filled, Ok(vec![(11, 112), (12, 124), (13, 1000), (14, 1012)]));
    }

    #[test]
    fn numbers_and_times_must_ascend() {
        let error = places(&[(Some(10), None)]).unwrap_err();
        assert_eq!(error, "block numbers must be in order: 10 <= 10");
        let error = places(&[(None, Some(100))]).unwrap_err();
        assert_eq!(error, "block timestamps must be in order: 100 <= 100");
        assert!(places(&[(Some(13), Some(124))]).is_err(), "the blocks between take their time");
        assert!(places(&[(None, Some(u64::MAX)), (None, None)]).is_err());
    }

    #[test]
    fn blocks_are_bounded_with_those_between() {
        assert_eq!(places(&[(Some(266), None)]).unwrap().len(), 256);
        assert!(places(&[(Some(267), None)]).is_err());
        assert!(places(&[(Some(u64::MAX), None)]).is_err());
        assert!(places(&[(None, None); 257]).is_err());
    }
}
