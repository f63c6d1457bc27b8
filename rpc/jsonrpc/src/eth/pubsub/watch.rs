//! Looking at the head, and telling what has become of the chain since.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use alloy_primitives::B256;
use alloy_rpc_types_eth::Header;
use jsonrpsee::core::RpcResult;
use portico_query::{QueryError, Snapshot};
use tokio::sync::{
    Mutex,
    broadcast::{self, Receiver, Sender},
};

use super::super::{RpcLog, RpcReceipt, Syncing, convert};
use crate::{Workers, workers::Class};

/// News that a subscription may be behind.
pub(super) const NEWS_WAITING: usize = 64;
/// Pause between two looks at the head.
const PAUSE: Duration = Duration::from_millis(100);
/// Newest blocks that are remembered, so that their logs can be taken back. A reorganisation that goes deeper takes
/// back the logs of these only; of a head that is further ahead than this, only so many newest blocks are told.
const REMEMBERED: u64 = 64;

/// A block, as subscriptions tell it.
#[derive(Debug)]
pub(in crate::eth) struct BlockNews {
    number: u64,
    hash: B256,
    pub header: Header,
    pub logs: Vec<RpcLog>,
    pub receipts: Vec<RpcReceipt>,
}

/// What has become of the chain.
#[derive(Debug, Default)]
pub(in crate::eth) struct News {
    /// Blocks that are not canonical any more, newest first.
    pub removed: Vec<Arc<BlockNews>>,
    /// Blocks that are canonical now, oldest first.
    pub added: Vec<Arc<BlockNews>>,
    /// How far the node is, when that has changed between behind and not.
    pub syncing: Option<Syncing>,
}

impl News {
    /// All blocks in the order in which their logs are told, and whether they are taken back.
    pub fn blocks(&self) -> impl Iterator<Item = (&BlockNews, bool)> {
        let removed = self.removed.iter().map(|block| (&**block, true));
        removed.chain(self.added.iter().map(|block| (&**block, false)))
    }

    fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty() && self.syncing.is_none()
    }
}

/// What was told last.
#[derive(Debug, Default)]
struct Told {
    /// Newest blocks, oldest first; empty before the first look.
    blocks: VecDeque<Arc<BlockNews>>,
    was_syncing: bool,
}

/// Looks at the head as long as anybody wants to know. It is not woken by whoever writes blocks: that may be another
/// process.
#[derive(Debug)]
pub(in crate::eth) struct ChainWatch {
    workers: Workers,
    news: Sender<Arc<News>>,
    told: Mutex<Told>,
    is_running: std::sync::atomic::AtomicBool,
}

impl ChainWatch {
    pub fn new(workers: Workers) -> Self {
        let (news, _) = broadcast::channel(NEWS_WAITING);
        Self { workers, news, told: Mutex::default(), is_running: false.into() }
    }

    /// All news from now on.
    pub async fn subscribe(self: &Arc<Self>) -> RpcResult<Receiver<Arc<News>>> {
        let mut told = self.told.lock().await;
        if told.blocks.is_empty() {
            self.look(&mut told).await?;
        }
        let news = self.news.subscribe();
        drop(told);
        if !self.is_running.swap(true, std::sync::atomic::Ordering::AcqRel) {
            tokio::spawn(self.clone().run());
        }
        Ok(news)
    }

    async fn run(self: Arc<Self>) {
        loop {
            tokio::time::sleep(PAUSE).await;
            let mut told = self.told.lock().await;
            if self.news.receiver_count() == 0 {
                *told = Told::default();
                self.is_running.store(false, std::sync::atomic::Ordering::Release);
                return;
            }
            match self.look(&mut told).await {
                // Nobody may be there any more to hear it.
                Ok(news) if !news.is_empty() => drop(self.news.send(Arc::new(news))),
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "the head could not be read for subscriptions"),
            }
        }
    }

    /// What has changed since the last look; the first look changes nothing.
    async fn look(&self, told: &mut Told) -> RpcResult<News> {
        let known: Vec<_> = told.blocks.iter().map(|block| (block.number, block.hash)).collect();
        let was_syncing = told.was_syncing;
        let is_first = known.is_empty();
        let (kept, added, status) = self
            .workers
            .read(Class::Light, move |snapshot| {
                let (kept, added) = changes(snapshot, &known)?;
                Ok((kept, added, snapshot.sync_status()?))
            })
            .await?;
        let is_syncing = status.is_some();
        let mut news = News::default();
        while told.blocks.len() > kept {
            news.removed.extend(told.blocks.pop_back());
        }
        let added: Vec<_> = added.into_iter().map(Arc::new).collect();
        told.blocks.extend(added.iter().cloned());
        while told.blocks.len() as u64 > REMEMBERED {
            told.blocks.pop_front();
        }
        told.was_syncing = is_syncing;
        if is_first {
            return Ok(News::default());
        }
        news.added = added;
        news.syncing = (is_syncing != was_syncing).then(|| status.into());
        Ok(news)
    }
}

/// How many of the `known` blocks, counted from the oldest, are canonical still, and the blocks after them.
fn changes(snapshot: &Snapshot<'_>, known: &[(u64, B256)]) -> Result<(usize, Vec<BlockNews>), QueryError> {
    let head = snapshot.head();
    let mut kept = known.len();
    while let Some((number, hash)) = kept.checked_sub(1).map(|newest| known[newest]) {
        let canonical = snapshot.header(number)?.map(|header| header.hash());
        if number <= head && canonical == Some(hash) {
            break;
        }
        kept -= 1;
    }
    let next = kept.checked_sub(1).map_or(0, |newest| known[newest].0 + 1);
    let first = next.max((head + 1).saturating_sub(REMEMBERED));
    let blocks = (first..=head).map(|number| block_news(snapshot, number));
    Ok((kept, blocks.collect::<Result<_, _>>()?))
}

fn block_news(snapshot: &Snapshot<'_>, number: u64) -> Result<BlockNews, QueryError> {
    let header = snapshot.header(number)?.ok_or(QueryError::BlockNotFound(number.into()))?;
    let receipts = snapshot.block_receipts(number)?.into_iter().map(convert::receipt);
    let receipts: Vec<_> = receipts.collect();
    let logs = receipts.iter().flat_map(|receipt| receipt.inner.logs().iter().cloned()).collect();
    let hash = header.hash();
    Ok(BlockNews { number, hash, header: Header::from_consensus(header, None, None), logs, receipts })
}
