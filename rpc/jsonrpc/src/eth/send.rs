//! Sending transactions, and those that wait for a block.

use std::{sync::Arc, time::Duration};

use alloy_primitives::{B256, Bytes};
use jsonrpsee::{
    core::{RpcResult, async_trait},
    proc_macros::rpc,
};
use portico_query::{AddOutcome, Snapshot};
use tokio::time::Instant;

use super::{RpcReceipt, RpcTransaction, convert, pubsub::ChainWatch};
use crate::{Workers, debug_state::Number, error::MethodError, workers::Class};

/// How long a transaction is waited for, unless the client says otherwise.
const WAIT: Duration = Duration::from_secs(20);
/// The longest that a client may wait.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Bytes above which a transaction has blobs, whose proofs take time.
const SMALL: usize = 128 << 10;

/// Sending transactions.
#[rpc(server, namespace = "eth")]
pub trait EthSendApi {
    /// Sends a signed transaction (EIP-2718), blobs with their sidecar; its hash.
    #[method(name = "sendRawTransaction")]
    async fn send_raw_transaction(&self, transaction: Bytes) -> RpcResult<B256>;

    /// Sends a signed transaction and waits for its receipt, for `timeout` milliseconds (EIP-7966).
    #[method(name = "sendRawTransactionSync")]
    async fn send_raw_transaction_sync(
        &self,
        transaction: Bytes,
        timeout: Option<Number>,
    ) -> RpcResult<RpcReceipt>;

    /// Transactions that could be in the next block, by sender and nonce.
    #[method(name = "pendingTransactions")]
    async fn pending_transactions(&self) -> RpcResult<Vec<RpcTransaction>>;
}

#[derive(Debug)]
pub(crate) struct EthSend {
    workers: Workers,
    watch: Arc<ChainWatch>,
}

impl EthSend {
    pub fn new(workers: Workers, watch: Arc<ChainWatch>) -> Self {
        Self { workers, watch }
    }

    async fn submit(&self, transaction: Bytes) -> RpcResult<AddOutcome> {
        let class = if transaction.len() > SMALL { Class::Call } else { Class::Light };
        self.workers.read(class, move |snapshot| snapshot.submit(&transaction)).await
    }

    async fn receipt(&self, hash: B256) -> RpcResult<Option<RpcReceipt>> {
        let answer = move |snapshot: &Snapshot<'_>| Ok(snapshot.receipt(&hash)?.map(convert::receipt));
        self.workers.read(Class::Light, answer).await
    }
}

#[async_trait]
impl EthSendApiServer for EthSend {
    async fn send_raw_transaction(&self, transaction: Bytes) -> RpcResult<B256> {
        Ok(self.submit(transaction).await?.hash)
    }

    async fn send_raw_transaction_sync(
        &self,
        transaction: Bytes,
        timeout: Option<Number>,
    ) -> RpcResult<RpcReceipt> {
        let waited =
            timeout.map(|timeout| Duration::from_millis(timeout.get())).filter(|wait| !wait.is_zero());
        let waited = waited.unwrap_or(WAIT).min(WAIT_MAX);
        let mut news = self.watch.subscribe().await?;
        let hash = self.submit(transaction).await?.hash;
        let deadline = Instant::now() + waited;
        loop {
            // Whatever became of the chain, and however much of it was missed, the receipt is there or not.
            let Ok(_) = tokio::time::timeout_at(deadline, news.recv()).await else {
                return Err(MethodError::NotIncluded { hash, waited }.into());
            };
            if let Some(receipt) = self.receipt(hash).await? {
                return Ok(receipt);
            }
        }
    }

    async fn pending_transactions(&self) -> RpcResult<Vec<RpcTransaction>> {
        let answer = |snapshot: &Snapshot<'_>| {
            let pending = snapshot.pending_transactions();
            Ok(pending.iter().map(|transaction| convert::pooled(transaction)).collect())
        };
        self.workers.read(Class::Range, answer).await
    }
}
