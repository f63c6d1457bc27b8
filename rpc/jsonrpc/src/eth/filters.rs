//! Filters: what a client polls instead of subscribing.

mod registry;

use alloy_primitives::B256;
use jsonrpsee::{
    core::{RpcResult, async_trait},
    proc_macros::rpc,
};
use portico_query::{LogChanges, QueryError, Snapshot};
use serde::Serialize;

use super::{Eth, FilterArgument, RpcLog, RpcTransaction, convert};
use crate::{error::MethodError, workers::Class};
pub use registry::FilterId;
pub(super) use registry::{FilterKind, Filters, PolledFilter};

/// Filters. One that nobody polls for five minutes is gone.
#[rpc(server, namespace = "eth")]
pub trait EthFilterApi {
    /// A filter of logs.
    #[method(name = "newFilter")]
    async fn new_filter(&self, filter: FilterArgument) -> RpcResult<FilterId>;

    /// A filter of new blocks.
    #[method(name = "newBlockFilter")]
    async fn new_block_filter(&self) -> RpcResult<FilterId>;

    /// A filter of transactions that become pending: their hashes, or themselves.
    #[method(name = "newPendingTransactionFilter")]
    async fn new_pending_transaction_filter(&self, full: Option<bool>) -> RpcResult<FilterId>;

    /// What there is since the last poll: logs, hashes, or transactions.
    #[method(name = "getFilterChanges")]
    async fn get_filter_changes(&self, id: FilterId) -> RpcResult<FilterChanges>;

    /// All logs that match a filter of logs.
    #[method(name = "getFilterLogs")]
    async fn get_filter_logs(&self, id: FilterId) -> RpcResult<Vec<RpcLog>>;

    /// Ends a filter; whether there was one.
    #[method(name = "uninstallFilter")]
    fn uninstall_filter(&self, id: FilterId) -> RpcResult<bool>;
}

/// What there is since the last poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum FilterChanges {
    /// Of blocks or transactions.
    Hashes(Vec<B256>),
    /// Pending transactions.
    Transactions(Vec<RpcTransaction>),
    /// Logs; those of blocks that lost come first.
    Logs(Vec<RpcLog>),
}

impl From<LogChanges> for FilterChanges {
    fn from(changes: LogChanges) -> Self {
        let removed = changes.removed.into_iter().map(|log| RpcLog { removed: true, ..convert::log(log) });
        Self::Logs(removed.chain(changes.added.into_iter().map(convert::log)).collect())
    }
}

impl Eth {
    /// Watches from the head on.
    async fn install(&self, kind: FilterKind) -> RpcResult<FilterId> {
        let announced = self.workers.query().pool().map_or(0, |pool| pool.announced());
        let seen = self.read(|snapshot| snapshot.head_block()).await?;
        Ok(self.filters.insert(PolledFilter { kind, seen, announced })?)
    }
}

/// What a client that has seen `filter.seen` does not know.
fn changes(snapshot: &Snapshot<'_>, filter: &mut PolledFilter) -> Result<FilterChanges, QueryError> {
    Ok(match &filter.kind {
        FilterKind::Blocks => FilterChanges::Hashes(snapshot.blocks_since(filter.seen)?),
        FilterKind::PendingTransactions { full } => {
            let Some(pool) = snapshot.pool() else { return Ok(FilterChanges::Hashes(Vec::new())) };
            let (hashes, announced) = pool.announced_since(filter.announced);
            filter.announced = announced;
            if !full {
                return Ok(FilterChanges::Hashes(hashes));
            }
            let waiting = hashes.iter().filter_map(|hash| pool.get(hash));
            FilterChanges::Transactions(waiting.map(|transaction| convert::pooled(&transaction)).collect())
        }
        FilterKind::Logs(filtered) => snapshot.logs_since(filtered, filter.seen)?.into(),
    })
}

#[async_trait]
impl EthFilterApiServer for Eth {
    async fn new_filter(&self, filter: FilterArgument) -> RpcResult<FilterId> {
        self.install(FilterKind::Logs(filter.0)).await
    }

    async fn new_block_filter(&self) -> RpcResult<FilterId> {
        self.install(FilterKind::Blocks).await
    }

    async fn new_pending_transaction_filter(&self, full: Option<bool>) -> RpcResult<FilterId> {
        self.install(FilterKind::PendingTransactions { full: full.unwrap_or_default() }).await
    }

    async fn get_filter_changes(&self, id: FilterId) -> RpcResult<FilterChanges> {
        let filter = self.filters.get(id).ok_or(MethodError::FilterNotFound)?;
        // One poll at a time: nothing is given twice.
        let mut filter = filter.lock_owned().await;
        let mut polled = filter.clone();
        let answer = move |snapshot: &Snapshot<'_>| {
            let head = snapshot.head_block()?;
            let changes = match changes(snapshot, &mut polled) {
                // The blocks that the client saw were taken back for good: it is told, and the filter begins anew.
                Err(error @ QueryError::BlockNotFound(_)) => Err(error),
                changes => Ok(changes?),
            };
            Ok((changes, PolledFilter { seen: head, ..polled }))
        };
        let (changes, polled) = self.workers.read(Class::Range, answer).await?;
        *filter = polled;
        Ok(changes.map_err(MethodError::from)?)
    }

    async fn get_filter_logs(&self, id: FilterId) -> RpcResult<Vec<RpcLog>> {
        let filter = self.filters.get(id).ok_or(MethodError::FilterNotFound)?;
        let kind = filter.lock_owned().await.kind.clone();
        let FilterKind::Logs(filter) = kind else { return Err(MethodError::FilterNotFound.into()) };
        let answer = move |snapshot: &Snapshot<'_>| {
            Ok(snapshot.logs(&filter)?.into_iter().map(convert::log).collect())
        };
        self.workers.read(Class::Range, answer).await
    }

    fn uninstall_filter(&self, id: FilterId) -> RpcResult<bool> {
        Ok(self.filters.remove(id))
    }
}
