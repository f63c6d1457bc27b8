//! `txpool_*`: transactions that wait for a block.

use std::collections::BTreeMap;

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U64};
use jsonrpsee::{core::RpcResult, proc_macros::rpc};
use serde::Serialize;

use crate::eth::RpcTransaction;

/// Transactions that wait for a block. Pending ones could be in the next one, queued ones wait for others.
#[rpc(server, namespace = "txpool")]
pub trait TxpoolApi {
    /// How many there are.
    #[method(name = "status")]
    fn status(&self) -> RpcResult<PoolStatus>;

    /// All of them, by sender and nonce.
    #[method(name = "content")]
    fn content(&self) -> RpcResult<PoolContent<RpcTransaction>>;

    /// Those of a sender, by nonce.
    #[method(name = "contentFrom")]
    fn content_from(&self, sender: Address) -> RpcResult<SenderContent<RpcTransaction>>;

    /// All of them in a line each, by sender and nonce.
    #[method(name = "inspect")]
    fn inspect(&self) -> RpcResult<PoolContent<String>>;
}

/// How many transactions wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolStatus {
    pending: U64,
    queued: U64,
}

/// Transactions by nonce, in decimal.
pub type ByNonce<T> = BTreeMap<String, T>;

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

/// Where waiting transactions come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Pool {
    /// This node takes none in yet.
    #[default]
    None,
}

impl Pool {
    fn content(self) -> PoolContent<RpcTransaction> {
        match self {
            Self::None => PoolContent { pending: BTreeMap::new(), queued: BTreeMap::new() },
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Txpool {
    pool: Pool,
}

fn count<T>(transactions: &BySender<T>) -> U64 {
    U64::from(transactions.values().map(BTreeMap::len).sum::<usize>())
}

/// A transaction in a line, as go-ethereum writes it.
fn in_a_line(transaction: RpcTransaction) -> String {
    let to = transaction.to().map_or_else(|| "contract creation".to_owned(), |to| to.to_string());
    let (value, gas) = (transaction.value(), transaction.gas_limit());
    format!("{to}: {value} wei + {gas} gas × {} wei", transaction.max_fee_per_gas())
}

fn lines(transactions: BySender<RpcTransaction>) -> BySender<String> {
    let lines = transactions.into_iter().map(|(sender, by_nonce)| {
        let by_nonce = by_nonce.into_iter().map(|(nonce, transaction)| (nonce, in_a_line(transaction)));
        (sender, by_nonce.collect())
    });
    lines.collect()
}

impl TxpoolApiServer for Txpool {
    fn status(&self) -> RpcResult<PoolStatus> {
        let content = self.pool.content();
        Ok(PoolStatus { pending: count(&content.pending), queued: count(&content.queued) })
    }

    fn content(&self) -> RpcResult<PoolContent<RpcTransaction>> {
        Ok(self.pool.content())
    }

    fn content_from(&self, sender: Address) -> RpcResult<SenderContent<RpcTransaction>> {
        let mut content = self.pool.content();
        let sender = sender.to_checksum(None);
        let take = |of: &mut BySender<_>| of.remove(&sender).unwrap_or_default();
        Ok(SenderContent { pending: take(&mut content.pending), queued: take(&mut content.queued) })
    }

    fn inspect(&self) -> RpcResult<PoolContent<String>> {
        let PoolContent { pending, queued } = self.pool.content();
        Ok(PoolContent { pending: lines(pending), queued: lines(queued) })
    }
}
