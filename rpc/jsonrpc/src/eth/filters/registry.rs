//! The filters that are installed: bounded in number and size, gone when nobody polls them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use portico_query::{LogFilter, SeenBlock};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::MethodError;

/// Filters at the same time.
const FILTERS_MAX: usize = 10_000;
/// Addresses and topics in all filters together: some tens of megabytes.
const TERMS_MAX: usize = 1_000_000;
/// How long a filter stays without being polled.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// A hexadecimal number of 128 bits with its prefix.
const ID_LEN_MAX: usize = 34;

/// Names a filter: random, so that nobody can poll another's. `None` is what no filter is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FilterId(Option<u128>);

impl Serialize for FilterId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0.unwrap_or_default()))
    }
}

impl<'de> Deserialize<'de> for FilterId {
    /// Any text: one that is no number names no filter.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.strip_prefix("0x").filter(|_| text.len() <= ID_LEN_MAX);
        Ok(Self(digits.and_then(|digits| u128::from_str_radix(digits, 16).ok())))
    }
}

/// What a filter looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::eth) enum FilterKind {
    Blocks,
    PendingTransactions { full: bool },
    Logs(LogFilter),
}

impl FilterKind {
    fn terms(&self) -> usize {
        match self {
            Self::Blocks | Self::PendingTransactions { .. } => 1,
            Self::Logs(filter) => {
                1 + filter.addresses.len() + filter.topics.iter().map(Vec::len).sum::<usize>()
            }
        }
    }
}

/// A filter, and up to where its client knows the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::eth) struct PolledFilter {
    pub kind: FilterKind,
    pub seen: SeenBlock,
    /// How many transactions had become pending.
    pub announced: u64,
}

#[derive(Debug)]
struct Installed {
    filter: Arc<tokio::sync::Mutex<PolledFilter>>,
    terms: usize,
    used: Instant,
}

/// All filters.
#[derive(Debug, Default)]
pub(in crate::eth) struct Filters(Mutex<HashMap<FilterId, Installed>>);

impl Filters {
    /// Installs a filter.
    ///
    /// # Errors
    /// [`MethodError::TooManyFilters`].
    pub fn insert(&self, filter: PolledFilter) -> Result<FilterId, MethodError> {
        self.insert_at(filter, Instant::now())
    }

    /// The filter, which is in use now.
    pub fn get(&self, id: FilterId) -> Option<Arc<tokio::sync::Mutex<PolledFilter>>> {
        self.get_at(id, Instant::now())
    }

    /// Ends a filter; whether there was one.
    pub fn remove(&self, id: FilterId) -> bool {
        self.alive(Instant::now()).remove(&id).is_some()
    }

    fn insert_at(&self, filter: PolledFilter, now: Instant) -> Result<FilterId, MethodError> {
        let mut filters = self.alive(now);
        let terms = filter.kind.terms();
        let taken: usize = filters.values().map(|installed| installed.terms).sum();
        if filters.len() >= FILTERS_MAX || taken + terms > TERMS_MAX {
            return Err(MethodError::TooManyFilters { max: FILTERS_MAX });
        }
        let id = FilterId(Some(rand::random()));
        let filter = Arc::new(tokio::sync::Mutex::new(filter));
        filters.insert(id, Installed { filter, terms, used: now });
        Ok(id)
    }

    fn get_at(&self, id: FilterId, now: Instant) -> Option<Arc<tokio::sync::Mutex<PolledFilter>>> {
        let mut filters = self.alive(now);
        let installed = filters.get_mut(&id)?;
        installed.used = now;
        Some(installed.filter.clone())
    }

    /// Those that were polled lately.
    fn alive(&self, now: Instant) -> MutexGuard<'_, HashMap<FilterId, Installed>> {
        let mut filters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        filters.retain(|_, installed| now.saturating_duration_since(installed.used) < IDLE_MAX);
        filters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, B256};
    use portico_query::{BlockNumberOrTag, LogBlocks};
    use serde_json::{Value, json};

    fn blocks() -> PolledFilter {
        let seen = SeenBlock { block_number: 1, block_hash: B256::ZERO };
        PolledFilter { kind: FilterKind::Blocks, seen, announced: 0 }
    }

    fn logs(addresses: usize) -> PolledFilter {
        let tag = BlockNumberOrTag::Latest;
        let filter = LogFilter {
            blocks: LogBlocks::Range { from: tag, to: tag },
            addresses: vec![Address::ZERO; addresses],
            topics: vec![],
        };
        PolledFilter { kind: FilterKind::Logs(filter), ..blocks() }
    }

    fn id(text: Value) -> FilterId {
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn ids_are_hexadecimal_and_others_name_nothing() {
        let filters = Filters::default();
        let installed = filters.insert(blocks()).unwrap();
        let text = serde_json::to_value(installed).unwrap();
        assert_eq!(id(text), installed);
        assert!(filters.get(installed).is_some());
        for other in ["0x61", "0x8000000000000000", "", "0x", "-0x1", "foo", &format!("0x{}", "f".repeat(33))]
        {
            assert!(filters.get(id(json!(other))).is_none(), "{other}");
            assert!(!filters.remove(id(json!(other))), "{other}");
        }
        assert!(filters.remove(installed) && !filters.remove(installed));
    }

    #[test]
    fn a_filter_that_nobody_polls_goes() {
        let (filters, start) = (Filters::default(), Instant::now());
        let polled = filters.insert_at(blocks(), start).unwrap();
        let forgotten = filters.insert_at(blocks(), start).unwrap();
        let later = start + IDLE_MAX - Duration::from_secs(1);
        assert!(filters.get_at(polled, later).is_some());
        let much_later = start + IDLE_MAX;
        assert!(filters.get_at(polled, much_later).is_some());
        assert!(filters.get_at(forgotten, much_later).is_none());
        assert!(filters.get_at(polled, much_later + IDLE_MAX).is_none());
    }

    #[test]
    fn filters_are_bounded_in_number_and_size() {
        let filters = Filters::default();
        for _ in 0..TERMS_MAX / 1001 {
            filters.insert(logs(1000)).unwrap();
        }
        assert!(matches!(filters.insert(logs(1000)), Err(MethodError::TooManyFilters { .. })));
        let filters = Filters::default();
        let now = Instant::now();
        for _ in 0..FILTERS_MAX {
            let mut map = filters.0.lock().unwrap();
            let filter = Arc::new(tokio::sync::Mutex::new(blocks()));
            map.insert(FilterId(Some(rand::random())), Installed { filter, terms: 1, used: now });
        }
        assert!(matches!(filters.insert(blocks()), Err(MethodError::TooManyFilters { .. })));
    }
}
