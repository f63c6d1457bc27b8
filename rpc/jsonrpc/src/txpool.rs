//! `txpool_*`: transactions that wait for a block.

use std::{collections::BTreeMap, sync::Arc};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U64};
use jsonrpsee::{
    core::{RpcResult, async_trait},
    proc_macros::rpc,
};
use portico_query::{PoolTransaction, Snapshot};
use serde::Serialize;

use crate::{
    Workers,
    eth::{RpcTransaction, convert},
    workers::Class,
};

/// Transactions that wait for a block. Pending ones could be in the next one, queued ones wait for others.
#[rpc(server, namespace = "txpool")]
pub trait TxpoolApi {
    /// How many there are.
    #[method(name = "status")]
    async fn status(&self) -> RpcResult<PoolStatus>;

    /// All of them but blob transactions, by sender and nonce.
    #[method(name = "content")]
    async fn content(&self) -> RpcResult<PoolContent<PooledTransaction>>;

    /// Those of a sender but blob transactions, by nonce.
    #[method(name = "contentFrom")]
    async fn content_from(&self, sender: Address) -> RpcResult<SenderContent<PooledTransaction>>;

    /// All of them but blob transactions, in a line each, by sender and nonce.
    #[method(name = "inspect")]
    async fn inspect(&self) -> RpcResult<PoolContent<String>>;
}

/// How many transactions wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolStatus {
    pending: U64,
    queued: U64,
}

/// A transaction that waits, which has no block and so no time of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PooledTransaction {
    #[serde(flatten)]
    transaction: RpcTransaction,
    block_timestamp: Option<U64>,
}

fn pooled(transaction: &PoolTransaction) -> PooledTransaction {
    PooledTransaction { transaction: convert::pooled(transaction), block_timestamp: None }
}

/// Transactions by nonce, in decimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByNonce<T>(Vec<(u64, T)>);

impl<T: Serialize> Serialize for ByNonce<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(nonce, transaction)| (nonce.to_string(), transaction)))
    }
}

/// Transactions by sender, whose address has its checksum (EIP-55), and nonce.
pub type BySender<T> = BTreeMap<String, ByNonce<T>>;

/// Transactions by sender and nonce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolContent<T> {
    pending: BySender<T>,
    queued: BySender<T>,
}

/// Transactions of one sender by nonce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SenderContent<T> {
    pending: ByNonce<T>,
    queued: ByNonce<T>,
}

#[derive(Debug)]
pub(crate) struct Txpool {
    workers: Workers,
}

impl Txpool {
    pub fn new(workers: Workers) -> Self {
        Self { workers }
    }

    /// Everything, each transaction shown by `show`.
    async fn all<T: Send + 'static>(&self, show: fn(&PoolTransaction) -> T) -> RpcResult<PoolContent<T>> {
        let answer = move |snapshot: &Snapshot<'_>| {
            let contents = snapshot.pool().map(|pool| pool.contents()).unwrap_or_default();
            let shown = |by_sender: BTreeMap<Address, Vec<Arc<PoolTransaction>>>| {
                let shown = by_sender
                    .into_iter()
                    .map(|(sender, transactions)| (sender.to_checksum(None), by_nonce(&transactions, show)));
                shown.filter(|(_, transactions)| !transactions.0.is_empty()).collect()
            };
            Ok(PoolContent { pending: shown(contents.pending), queued: shown(contents.queued) })
        };
        self.workers.read(Class::Range, answer).await
    }
}

/// Blob transactions are left out, as go-ethereum does it: they are counted, and found by their hash.
fn by_nonce<T>(transactions: &[Arc<PoolTransaction>], show: fn(&PoolTransaction) -> T) -> ByNonce<T> {
    let listed = transactions.iter().filter(|transaction| !transaction.is_blob());
    ByNonce(listed.map(|transaction| (transaction.nonce(), show(transaction))).collect())
}

/// A transaction in a line, as go-ethereum writes it.
fn in_a_line(transaction: &PoolTransaction) -> String {
    let tx = transaction.transaction();
    let to = tx.to().map_or_else(|| "contract creation".to_owned(), |to| to.to_string());
    let (value, gas) = (tx.value(), tx.gas_limit());
    format!("{to}: {value} wei + {gas} gas × {} wei", tx.max_fee_per_gas())
}

#[async_trait]
impl TxpoolApiServer for Txpool {
    async fn status(&self) -> RpcResult<PoolStatus> {
        let status = self.workers.query().pool().map(|pool| pool.status()).unwrap_or_default();
        Ok(PoolStatus { pending: U64::from(status.pending), queued: U64::from(status.queued) })
    }

    async fn content(&self) -> RpcResult<PoolContent<PooledTransaction>> {
        self.all(pooled).await
    }

    async fn content_from(&self, sender: Address) -> RpcResult<SenderContent<PooledTransaction>> {
        let answer = move |snapshot: &Snapshot<'_>| {
            let (pending, queued) =
                snapshot.pool().map(|pool| pool.contents_from(sender)).unwrap_or_default();
            let shown = |transactions: &[Arc<PoolTransaction>]| by_nonce(transactions, pooled);
            Ok(SenderContent { pending: shown(&pending), queued: shown(&queued) })
        };
        self.workers.read(Class::Range, answer).await
    }

    async fn inspect(&self) -> RpcResult<PoolContent<String>> {
        self.all(in_a_line).await
    }
}
