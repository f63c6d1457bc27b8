//! Headers alone, data as the network encodes it, block access lists, and transactions to be signed.

use alloy_eip7928::BlockAccessList;
use alloy_eips::{BlockId, BlockNumberOrTag, eip2718::Encodable2718};
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_eth::{Header as RpcHeader, Index, TransactionRequest};
use jsonrpsee::{
    core::{RpcResult, async_trait},
    proc_macros::rpc,
};
use portico_query::{Snapshot, Transaction, TransactionAt, encode_unsigned};
use serde::Serialize;

use super::{Eth, MadeOrPending};
use crate::workers::Class;

/// Headers alone, raw transactions, block access lists.
#[rpc(server, namespace = "eth")]
pub trait EthRawApi {
    /// A header.
    #[method(name = "getHeaderByNumber")]
    async fn get_header_by_number(
        &self,
        block: BlockNumberOrTag,
    ) -> RpcResult<Option<MadeOrPending<RpcHeader>>>;

    /// A header, canonical or not.
    #[method(name = "getHeaderByHash")]
    async fn get_header_by_hash(&self, hash: B256) -> RpcResult<Option<RpcHeader>>;

    /// A transaction as blocks hold it, or as it was sent while it waits for a block; empty when it is unknown.
    #[method(name = "getRawTransactionByHash")]
    async fn get_raw_transaction_by_hash(&self, hash: B256) -> RpcResult<Bytes>;

    /// A transaction by its position, as blocks hold it; empty when there is none.
    #[method(name = "getRawTransactionByBlockNumberAndIndex")]
    async fn get_raw_transaction_by_block_number_and_index(
        &self,
        block: BlockNumberOrTag,
        index: Index,
    ) -> RpcResult<Bytes>;

    /// A transaction by its position, as blocks hold it; empty when there is none.
    #[method(name = "getRawTransactionByBlockHashAndIndex")]
    async fn get_raw_transaction_by_block_hash_and_index(&self, hash: B256, index: Index)
    -> RpcResult<Bytes>;

    /// The access list of a block (EIP-7928).
    #[method(name = "getBlockAccessList")]
    async fn get_block_access_list(&self, block: BlockId) -> RpcResult<BlockAccessList>;

    /// A transaction with all that it lacks but a signature.
    #[method(name = "fillTransaction")]
    async fn fill_transaction(&self, request: TransactionRequest) -> RpcResult<FilledTransaction>;
}

/// A transaction to be signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FilledTransaction {
    /// Encoded, with a signature of zeros.
    raw: Bytes,
    /// Its fields.
    tx: Transaction,
}

fn raw(found: Option<TransactionAt>) -> Bytes {
    found.map_or_else(Bytes::new, |found| found.transaction.encoded_2718().into())
}

impl Eth {
    async fn raw_in_block(&self, block: impl Into<BlockId>, index: Index) -> RpcResult<Bytes> {
        let tx_index = index.0 as u64;
        let found = self.in_block(block, move |snapshot, block_number| {
            snapshot.transaction_in_block(block_number, tx_index)
        });
        Ok(raw(found.await?.flatten()))
    }
}

#[async_trait]
impl EthRawApiServer for Eth {
    async fn get_header_by_number(
        &self,
        block: BlockNumberOrTag,
    ) -> RpcResult<Option<MadeOrPending<RpcHeader>>> {
        let found = self.in_block(block, |snapshot, block_number| {
            let header = snapshot.header(block_number)?.map(RpcHeader::from_sealed);
            Ok(header.map(|header| MadeOrPending::of(header, snapshot.is_pending())))
        });
        Ok(found.await?.flatten())
    }

    async fn get_header_by_hash(&self, hash: B256) -> RpcResult<Option<RpcHeader>> {
        self.read(move |snapshot| Ok(snapshot.header_by_hash(&hash)?.map(RpcHeader::from_sealed))).await
    }

    async fn get_raw_transaction_by_hash(&self, hash: B256) -> RpcResult<Bytes> {
        self.read(move |snapshot| {
            let found = snapshot.transaction(&hash)?;
            let pooled = if found.is_none() { snapshot.pooled_transaction(&hash) } else { None };
            Ok(pooled.map_or_else(|| raw(found), |pooled| pooled.to_network_bytes().into()))
        })
        .await
    }

    async fn get_raw_transaction_by_block_number_and_index(
        &self,
        block: BlockNumberOrTag,
        index: Index,
    ) -> RpcResult<Bytes> {
        self.raw_in_block(block, index).await
    }

    async fn get_raw_transaction_by_block_hash_and_index(
        &self,
        hash: B256,
        index: Index,
    ) -> RpcResult<Bytes> {
        self.raw_in_block(hash, index).await
    }

    async fn get_block_access_list(&self, block: BlockId) -> RpcResult<BlockAccessList> {
        self.read(move |snapshot| snapshot.block_access_list(snapshot.require(block)?)).await
    }

    async fn fill_transaction(&self, request: TransactionRequest) -> RpcResult<FilledTransaction> {
        let answer = move |snapshot: &Snapshot<'_>| {
            let tx = snapshot.fill_transaction(request)?;
            Ok(FilledTransaction { raw: encode_unsigned(&tx).into(), tx })
        };
        self.workers.read(Class::Range, answer).await
    }
}
