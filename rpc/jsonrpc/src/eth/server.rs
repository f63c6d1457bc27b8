//! The methods: resolve the block, read, convert.

use std::sync::Arc;

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::{BlockOverrides, Index, TransactionRequest};
use jsonrpsee::core::{RpcResult, async_trait};
use portico_query::{CallOverrides, QueryError, Snapshot};

use super::{
    EthApiServer, FilterArgument, MadeOrPending, RpcBlock, RpcLog, RpcReceipt, RpcTransaction, SlotArgument,
    StateOverrideArgument, Syncing,
    convert::{self, TransactionDetail},
    filters::Filters,
    overrides::overrides,
    pending,
};
use crate::{Workers, workers::Class};

/// The methods' implementation.
#[derive(Debug, Clone)]
pub(crate) struct Eth {
    pub(super) workers: Workers,
    pub(super) filters: Arc<Filters>,
}

impl Eth {
    pub fn new(workers: Workers) -> Self {
        Self { workers, filters: Arc::default() }
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&Snapshot<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> RpcResult<T> {
        self.workers.read(Class::Light, answer).await
    }

    /// Answers from a block. The pending one may have to be made first, which is as much work as a call.
    async fn read_of<T: Send + 'static>(
        &self,
        block: BlockId,
        answer: impl FnOnce(&Snapshot<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> RpcResult<T> {
        if block != BlockId::pending() {
            return self.workers.read(Class::Light, answer).await;
        }
        self.workers.read(Class::Call, answer).await
    }

    /// Answers about a block, or `None` when there is no such block.
    pub(super) async fn in_block<T: Send + 'static>(
        &self,
        block: impl Into<BlockId>,
        answer: impl FnOnce(&Snapshot<'_>, u64) -> Result<T, QueryError> + Send + 'static,
    ) -> RpcResult<Option<T>> {
        let block = block.into();
        self.read_of(block, move |snapshot| snapshot.in_block(block, answer)).await
    }

    /// Answers from the state after a block, which must exist.
    pub(super) async fn in_state<T: Send + 'static>(
        &self,
        block: Option<BlockId>,
        answer: impl FnOnce(&Snapshot<'_>, u64) -> Result<T, QueryError> + Send + 'static,
    ) -> RpcResult<T> {
        let block = block.unwrap_or_default();
        self.read_of(block, move |snapshot| snapshot.in_state(block, answer)).await
    }

    async fn transaction_in_block(
        &self,
        block: impl Into<BlockId>,
        index: Index,
    ) -> RpcResult<Option<RpcTransaction>> {
        let tx_index = index.0 as u64;
        let found = self.in_block(block, move |snapshot, block_number| {
            let found = snapshot.transaction_in_block(block_number, tx_index)?.map(convert::transaction);
            Ok(found.map(|found| pending::transaction(found, snapshot.is_pending())))
        });
        Ok(found.await?.flatten())
    }

    async fn uncle(&self, block: impl Into<BlockId>, index: Index) -> RpcResult<Option<RpcBlock>> {
        let found = self.in_block(block, move |snapshot, block_number| {
            Ok(snapshot.ommers(block_number)?.into_iter().nth(index.0).map(convert::uncle))
        });
        Ok(found.await?.flatten())
    }

    async fn transaction_count(&self, block: impl Into<BlockId>) -> RpcResult<Option<U64>> {
        let count =
            |snapshot: &Snapshot<'_>, block_number| snapshot.transaction_count(block_number).map(U64::from);
        self.in_block(block, count).await
    }

    async fn uncle_count(&self, block: impl Into<BlockId>) -> RpcResult<Option<U64>> {
        self.in_block(block, |snapshot, block_number| Ok(U64::from(snapshot.ommers(block_number)?.len())))
            .await
    }
}

pub(super) fn detail(full: bool) -> TransactionDetail {
    if full { TransactionDetail::Full } else { TransactionDetail::Hashes }
}

#[async_trait]
impl EthApiServer for Eth {
    fn chain_id(&self) -> RpcResult<U64> {
        Ok(U64::from(self.workers.query().spec().chain_id()))
    }

    fn accounts(&self) -> RpcResult<Vec<Address>> {
        Ok(Vec::new())
    }

    async fn block_number(&self) -> RpcResult<U64> {
        self.read(|snapshot| Ok(U64::from(snapshot.head()))).await
    }

    async fn syncing(&self) -> RpcResult<Syncing> {
        self.read(|snapshot| Ok(snapshot.sync_status()?.into())).await
    }

    async fn get_block_by_number(
        &self,
        block: BlockNumberOrTag,
        full: bool,
    ) -> RpcResult<Option<MadeOrPending<RpcBlock>>> {
        let found = self.in_block(block, move |snapshot, block_number| {
            let Some(block) = snapshot.block(block_number)? else { return Ok(None) };
            Ok(Some(pending::block(convert::block(block, detail(full)), snapshot.is_pending())))
        });
        Ok(found.await?.flatten())
    }

    async fn get_block_by_hash(&self, hash: B256, full: bool) -> RpcResult<Option<RpcBlock>> {
        self.read(move |snapshot| {
            Ok(snapshot.block_by_hash(&hash)?.map(|block| convert::block(block, detail(full))))
        })
        .await
    }

    async fn get_block_receipts(&self, block: BlockId) -> RpcResult<Option<Vec<RpcReceipt>>> {
        let answer = move |snapshot: &Snapshot<'_>| {
            snapshot.in_block(block, |snapshot, block_number| {
                let receipts = snapshot.block_receipts(block_number)?;
                Ok(receipts.into_iter().map(convert::receipt).collect())
            })
        };
        self.workers.read(Class::Range, answer).await
    }

    async fn get_block_transaction_count_by_number(&self, block: BlockNumberOrTag) -> RpcResult<Option<U64>> {
        self.transaction_count(block).await
    }

    async fn get_block_transaction_count_by_hash(&self, hash: B256) -> RpcResult<Option<U64>> {
        self.transaction_count(hash).await
    }

    async fn get_uncle_count_by_block_number(&self, block: BlockNumberOrTag) -> RpcResult<Option<U64>> {
        self.uncle_count(block).await
    }

    async fn get_uncle_count_by_block_hash(&self, hash: B256) -> RpcResult<Option<U64>> {
        self.uncle_count(hash).await
    }

    async fn get_uncle_by_block_number_and_index(
        &self,
        block: BlockNumberOrTag,
        index: Index,
    ) -> RpcResult<Option<RpcBlock>> {
        self.uncle(block, index).await
    }

    async fn get_uncle_by_block_hash_and_index(
        &self,
        hash: B256,
        index: Index,
    ) -> RpcResult<Option<RpcBlock>> {
        self.uncle(hash, index).await
    }

    async fn get_transaction_by_hash(&self, hash: B256) -> RpcResult<Option<RpcTransaction>> {
        self.read(move |snapshot| {
            if let Some(found) = snapshot.transaction(&hash)? {
                return Ok(Some(convert::transaction(found)));
            }
            Ok(snapshot.pooled_transaction(&hash).map(|pooled| convert::pooled(&pooled)))
        })
        .await
    }

    async fn get_transaction_by_block_number_and_index(
        &self,
        block: BlockNumberOrTag,
        index: Index,
    ) -> RpcResult<Option<RpcTransaction>> {
        self.transaction_in_block(block, index).await
    }

    async fn get_transaction_by_block_hash_and_index(
        &self,
        hash: B256,
        index: Index,
    ) -> RpcResult<Option<RpcTransaction>> {
        self.transaction_in_block(hash, index).await
    }

    async fn get_transaction_receipt(&self, hash: B256) -> RpcResult<Option<RpcReceipt>> {
        self.read(move |snapshot| Ok(snapshot.receipt(&hash)?.map(convert::receipt))).await
    }

    async fn get_balance(&self, address: Address, block: Option<BlockId>) -> RpcResult<U256> {
        self.in_state(block, move |snapshot, block_number| {
            Ok(snapshot.account(&address, block_number)?.unwrap_or_default().balance)
        })
        .await
    }

    async fn get_code(&self, address: Address, block: Option<BlockId>) -> RpcResult<Bytes> {
        self.in_state(block, move |snapshot, block_number| snapshot.code(&address, block_number)).await
    }

    async fn get_storage_at(
        &self,
        address: Address,
        slot: SlotArgument,
        block: Option<BlockId>,
    ) -> RpcResult<B256> {
        self.in_state(block, move |snapshot, block_number| {
            Ok(snapshot.storage(&address, &slot.slot, block_number)?.into())
        })
        .await
    }

    async fn get_transaction_count(&self, address: Address, block: Option<BlockId>) -> RpcResult<U64> {
        if block == Some(BlockId::pending()) {
            return self.read(move |snapshot| Ok(U64::from(snapshot.pending_nonce(address)?))).await;
        }
        self.in_state(block, move |snapshot, block_number| {
            Ok(U64::from(snapshot.account(&address, block_number)?.unwrap_or_default().nonce))
        })
        .await
    }

    async fn call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverrideArgument>,
        block_overrides: Option<Box<BlockOverrides>>,
    ) -> RpcResult<Bytes> {
        let wanted = CallOverrides { state: overrides(state_overrides), block: block_overrides };
        let answer = move |snapshot: &Snapshot<'_>| {
            snapshot.in_state(block.unwrap_or_default(), |snapshot, block_number| {
                snapshot.call(request, block_number, wanted)
            })
        };
        self.workers.read(Class::Call, answer).await
    }

    async fn get_logs(&self, filter: FilterArgument) -> RpcResult<Vec<RpcLog>> {
        let answer = move |snapshot: &Snapshot<'_>| {
            Ok(snapshot.logs(&filter.0)?.into_iter().map(convert::log).collect())
        };
        self.workers.read(Class::Range, answer).await
    }
}
