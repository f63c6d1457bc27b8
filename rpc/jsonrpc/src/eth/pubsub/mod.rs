//! `eth_subscribe`: what happens to the chain, told as it happens.
//!
//! ```text
//!  ChainWatch (one for all: looks at the head, reads each new block once) ──broadcast──> subscriptions ──> clients
//! ```
//! A subscription whose client reads slower than the chain grows is ended once it is [`watch::NEWS_WAITING`] news
//! behind: no client can make the node remember more than that.

mod pending;
mod watch;

use std::sync::Arc;

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::B256;
use jsonrpsee::{
    PendingSubscriptionSink, SubscriptionMessage, SubscriptionSink,
    core::{SubscriptionResult, async_trait},
    proc_macros::rpc,
    types::{ErrorObject, ErrorObjectOwned},
};
use portico_query::{LogBlocks, LogFilter, QueryError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{FilterArgument, Syncing, convert};
use crate::{
    Workers,
    error::{INVALID_PARAMS, MethodError},
};
use pending::PendingWatch;
pub(super) use watch::ChainWatch;
use watch::News;

/// Transactions whose receipts one subscription may wait for.
const RECEIPTS_MAX: usize = 200;

/// What happens to the chain, told as it happens.
#[rpc(server, namespace = "eth")]
pub trait EthPubSubApi {
    /// Begins to tell of `newHeads`, `logs`, `syncing`, `newPendingTransactions` or `transactionReceipts`.
    #[subscription(name = "subscribe" => "subscription", unsubscribe = "unsubscribe", item = Value)]
    async fn subscribe(&self, kind: String, options: Option<Value>) -> SubscriptionResult;
}

#[derive(Debug)]
pub(crate) struct EthPubSub {
    workers: Workers,
    watch: Arc<ChainWatch>,
    pending: Arc<PendingWatch>,
}

/// What a subscription is about.
#[derive(Debug)]
enum Topic {
    Heads,
    Logs(LogFilter),
    Syncing,
    Receipts(Vec<B256>),
    Pending { full: bool },
}

impl EthPubSub {
    pub fn new(workers: Workers, watch: Arc<ChainWatch>) -> Self {
        Self { workers, watch, pending: Arc::default() }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ReceiptOptions {
    transaction_hashes: Vec<B256>,
}

fn topic(kind: &str, options: Option<Value>) -> Result<Topic, ErrorObjectOwned> {
    let refused = |error: &dyn std::fmt::Display| {
        ErrorObject::owned(INVALID_PARAMS, format!("invalid argument: {error}"), None::<()>)
    };
    let options = options.filter(|options| !options.is_null());
    match kind {
        "newHeads" => Ok(Topic::Heads),
        "syncing" => Ok(Topic::Syncing),
        "logs" => {
            let everything = LogFilter {
                blocks: LogBlocks::Range { from: BlockNumberOrTag::Latest, to: BlockNumberOrTag::Latest },
                addresses: Vec::new(),
                topics: Vec::new(),
            };
            let filter = options.map(serde_json::from_value::<FilterArgument>).transpose();
            Ok(Topic::Logs(filter.map_err(|error| refused(&error))?.map_or(everything, |filter| filter.0)))
        }
        "transactionReceipts" => {
            let options = options.map(serde_json::from_value::<ReceiptOptions>).transpose();
            let hashes = options.map_err(|error| refused(&error))?.unwrap_or_default().transaction_hashes;
            if hashes.len() > RECEIPTS_MAX {
                return Err(refused(&format!("at most {RECEIPTS_MAX} transaction hashes")));
            }
            Ok(Topic::Receipts(hashes))
        }
        "newPendingTransactions" => {
            let full = options.map(serde_json::from_value::<bool>).transpose();
            Ok(Topic::Pending { full: full.map_err(|error| refused(&error))?.unwrap_or_default() })
        }
        other => Err(refused(&format!("there is no subscription {other:?}"))),
    }
}

#[async_trait]
impl EthPubSubApiServer for EthPubSub {
    async fn subscribe(
        &self,
        pending: PendingSubscriptionSink,
        kind: String,
        options: Option<Value>,
    ) -> SubscriptionResult {
        let topic = match topic(&kind, options) {
            Ok(topic) => topic,
            Err(error) => {
                pending.reject(error).await;
                return Ok(());
            }
        };
        if let Topic::Pending { full } = topic {
            return self.subscribe_to_pending(pending, full).await;
        }
        let news = match self.watch.subscribe().await {
            Ok(news) => news,
            Err(error) => {
                pending.reject(error).await;
                return Ok(());
            }
        };
        let sink = pending.accept().await?;
        metrics::gauge!("portico_rpc_subscriptions").increment(1.0);
        let ended = follow(&sink, &topic, news).await;
        metrics::gauge!("portico_rpc_subscriptions").decrement(1.0);
        Ok(ended?)
    }
}

impl EthPubSub {
    async fn subscribe_to_pending(&self, pending: PendingSubscriptionSink, full: bool) -> SubscriptionResult {
        let Some(pool) = self.workers.query().pool() else {
            pending.reject(MethodError::from(QueryError::NoPool)).await;
            return Ok(());
        };
        let news = self.pending.subscribe(pool);
        let sink = pending.accept().await?;
        metrics::gauge!("portico_rpc_subscriptions").increment(1.0);
        let ended = self.follow_pending(&sink, full, news).await;
        metrics::gauge!("portico_rpc_subscriptions").decrement(1.0);
        Ok(ended?)
    }

    /// Tells of transactions that become pending until the client leaves or falls behind.
    async fn follow_pending(
        &self,
        sink: &SubscriptionSink,
        full: bool,
        mut news: Receiver<B256>,
    ) -> Result<(), String> {
        loop {
            let received = tokio::select! {
                () = sink.closed() => return Ok(()),
                received = news.recv() => received,
            };
            match received {
                Ok(hash) if !full => send(sink, &hash).await?,
                Ok(hash) => {
                    // One that has left the pool meanwhile is not told.
                    let Some(pool) = self.workers.query().pool() else { return Ok(()) };
                    if let Some(transaction) = pool.get(&hash) {
                        send(sink, &convert::pooled(&transaction)).await?;
                    }
                }
                Err(RecvError::Lagged(missed)) => {
                    return Err(format!("the client is {missed} transactions behind"));
                }
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    }
}

/// Tells of the news until the client leaves or falls behind.
async fn follow(sink: &SubscriptionSink, topic: &Topic, mut news: Receiver<Arc<News>>) -> Result<(), String> {
    loop {
        let received = tokio::select! {
            () = sink.closed() => return Ok(()),
            received = news.recv() => received,
        };
        match received {
            Ok(news) => tell(sink, topic, &news).await?,
            Err(RecvError::Lagged(missed)) => return Err(format!("the client is {missed} blocks behind")),
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

async fn tell(sink: &SubscriptionSink, topic: &Topic, news: &News) -> Result<(), String> {
    match topic {
        Topic::Heads => {
            for block in &news.added {
                send(sink, &block.header).await?;
            }
        }
        Topic::Logs(filter) => {
            for (block, removed) in news.blocks() {
                for log in block.logs.iter().filter(|log| filter.matches(&log.inner)) {
                    let mut log = log.clone();
                    log.removed = removed;
                    send(sink, &log).await?;
                }
            }
        }
        // Its news do not come from the chain.
        Topic::Pending { .. } => {}
        Topic::Syncing => {
            if let Some(syncing) = &news.syncing {
                send(sink, &sync_message(syncing)).await?;
            }
        }
        Topic::Receipts(hashes) => {
            for block in &news.added {
                let receipts = block.receipts.iter();
                let wanted: Vec<_> = receipts
                    .filter(|receipt| hashes.is_empty() || hashes.contains(&receipt.transaction_hash))
                    .collect();
                if !wanted.is_empty() {
                    send(sink, &wanted).await?;
                }
            }
        }
    }
    Ok(())
}

/// As go-ethereum tells it: `false`, or an object around the status.
fn sync_message(syncing: &Syncing) -> Value {
    match syncing {
        Syncing::Done(_) => Value::Bool(false),
        Syncing::Behind { .. } => serde_json::json!({ "syncing": true, "status": syncing }),
    }
}

async fn send<T: Serialize>(sink: &SubscriptionSink, message: &T) -> Result<(), String> {
    let message = SubscriptionMessage::new(sink.method_name(), sink.subscription_id(), message);
    let message = message.map_err(|error| error.to_string())?;
    sink.send(message).await.map_err(|error| error.to_string())
}
