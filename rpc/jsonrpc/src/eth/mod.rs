//! `eth_*`: blocks, transactions, receipts, logs, state and calls.

mod bundles;
pub(crate) mod convert;
mod facts;
mod filter;
mod filters;
mod gas;
mod overrides;
mod pending;
mod pubsub;
mod raw;
mod send;
mod server;
mod simulate;
mod slot;
mod state;
mod sync;

use std::sync::Arc;

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::{BlockOverrides, Index, TransactionRequest};
use jsonrpsee::{
    RpcModule,
    core::{RegisterMethodError, RpcResult},
    proc_macros::rpc,
};

pub use bundles::EthBundleApiServer;
pub use convert::{RpcBlock, RpcLog, RpcReceipt, RpcTransaction, receipt as rpc_receipt};
pub use facts::EthFactsApiServer;
pub use filter::FilterArgument;
pub use filters::EthFilterApiServer;
pub use gas::EthGasApiServer;
pub use overrides::StateOverrideArgument;
pub use pending::MadeOrPending;
pub use pubsub::EthPubSubApiServer;
use pubsub::{ChainWatch, EthPubSub};
pub use raw::EthRawApiServer;
use send::EthSend;
pub use send::EthSendApiServer;
use server::Eth;
pub use simulate::EthSimulateApiServer;
pub use slot::SlotArgument;
pub use state::EthStateApiServer;
pub use sync::Syncing;

use crate::Workers;

/// All methods of the namespace.
///
/// # Errors
/// When two have the same name.
pub(crate) fn methods(workers: &Workers) -> Result<RpcModule<()>, RegisterMethodError> {
    let watch = Arc::new(ChainWatch::new(workers.clone()));
    let eth = Eth::new(workers.clone());
    let mut methods = RpcModule::new(());
    methods.merge(EthApiServer::into_rpc(eth.clone()))?;
    methods.merge(EthBundleApiServer::into_rpc(eth.clone()))?;
    methods.merge(EthFactsApiServer::into_rpc(eth.clone()))?;
    methods.merge(EthFilterApiServer::into_rpc(eth.clone()))?;
    methods.merge(EthGasApiServer::into_rpc(eth.clone()))?;
    methods.merge(EthRawApiServer::into_rpc(eth.clone()))?;
    methods.merge(EthSend::new(workers.clone(), watch.clone()).into_rpc())?;
    methods.merge(EthSimulateApiServer::into_rpc(eth.clone()))?;
    methods.merge(EthStateApiServer::into_rpc(eth))?;
    methods.merge(EthPubSub::new(workers.clone(), watch).into_rpc())?;
    Ok(methods)
}

/// Blocks, transactions, receipts, logs, state and calls. A block is a number, a tag, a hash or an object as in
/// EIP-1898; where it is left out it is the latest.
#[rpc(server, namespace = "eth")]
pub trait EthApi {
    /// Chain id (EIP-695).
    #[method(name = "chainId")]
    fn chain_id(&self) -> RpcResult<U64>;

    /// Accounts that this node signs for: none.
    #[method(name = "accounts")]
    fn accounts(&self) -> RpcResult<Vec<Address>>;

    /// Number of the head.
    #[method(name = "blockNumber")]
    async fn block_number(&self) -> RpcResult<U64>;

    /// `false`, or how far the stages are.
    #[method(name = "syncing")]
    async fn syncing(&self) -> RpcResult<Syncing>;

    /// A block, with its transactions or their hashes. The pending one, which nobody has made yet, has no hash, nonce and
    /// miner.
    #[method(name = "getBlockByNumber")]
    async fn get_block_by_number(
        &self,
        block: BlockNumberOrTag,
        full: bool,
    ) -> RpcResult<Option<MadeOrPending<RpcBlock>>>;

    /// A block, canonical or not.
    #[method(name = "getBlockByHash")]
    async fn get_block_by_hash(&self, hash: B256, full: bool) -> RpcResult<Option<RpcBlock>>;

    /// All receipts of a block.
    #[method(name = "getBlockReceipts")]
    async fn get_block_receipts(&self, block: BlockId) -> RpcResult<Option<Vec<RpcReceipt>>>;

    /// Number of transactions in a block.
    #[method(name = "getBlockTransactionCountByNumber")]
    async fn get_block_transaction_count_by_number(&self, block: BlockNumberOrTag) -> RpcResult<Option<U64>>;

    /// Number of transactions in a block.
    #[method(name = "getBlockTransactionCountByHash")]
    async fn get_block_transaction_count_by_hash(&self, hash: B256) -> RpcResult<Option<U64>>;

    /// Number of ommers in a block.
    #[method(name = "getUncleCountByBlockNumber")]
    async fn get_uncle_count_by_block_number(&self, block: BlockNumberOrTag) -> RpcResult<Option<U64>>;

    /// Number of ommers in a block.
    #[method(name = "getUncleCountByBlockHash")]
    async fn get_uncle_count_by_block_hash(&self, hash: B256) -> RpcResult<Option<U64>>;

    /// An ommer, as a block without transactions.
    #[method(name = "getUncleByBlockNumberAndIndex")]
    async fn get_uncle_by_block_number_and_index(
        &self,
        block: BlockNumberOrTag,
        index: Index,
    ) -> RpcResult<Option<RpcBlock>>;

    /// An ommer, as a block without transactions.
    #[method(name = "getUncleByBlockHashAndIndex")]
    async fn get_uncle_by_block_hash_and_index(
        &self,
        hash: B256,
        index: Index,
    ) -> RpcResult<Option<RpcBlock>>;

    /// A transaction of the canonical chain, or one that waits for a block.
    #[method(name = "getTransactionByHash")]
    async fn get_transaction_by_hash(&self, hash: B256) -> RpcResult<Option<RpcTransaction>>;

    /// A transaction by its position.
    #[method(name = "getTransactionByBlockNumberAndIndex")]
    async fn get_transaction_by_block_number_and_index(
        &self,
        block: BlockNumberOrTag,
        index: Index,
    ) -> RpcResult<Option<RpcTransaction>>;

    /// A transaction by its position.
    #[method(name = "getTransactionByBlockHashAndIndex")]
    async fn get_transaction_by_block_hash_and_index(
        &self,
        hash: B256,
        index: Index,
    ) -> RpcResult<Option<RpcTransaction>>;

    /// The receipt of a transaction of the canonical chain.
    #[method(name = "getTransactionReceipt")]
    async fn get_transaction_receipt(&self, hash: B256) -> RpcResult<Option<RpcReceipt>>;

    /// Wei of an account.
    #[method(name = "getBalance")]
    async fn get_balance(&self, address: Address, block: Option<BlockId>) -> RpcResult<U256>;

    /// Code of an account.
    #[method(name = "getCode")]
    async fn get_code(&self, address: Address, block: Option<BlockId>) -> RpcResult<Bytes>;

    /// A storage slot.
    #[method(name = "getStorageAt")]
    async fn get_storage_at(
        &self,
        address: Address,
        slot: SlotArgument,
        block: Option<BlockId>,
    ) -> RpcResult<B256>;

    /// Nonce of an account; the pending one is that of its next transaction.
    #[method(name = "getTransactionCount")]
    async fn get_transaction_count(&self, address: Address, block: Option<BlockId>) -> RpcResult<U64>;

    /// Runs a call without a trace in the chain.
    #[method(name = "call")]
    async fn call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverrideArgument>,
        block_overrides: Option<Box<BlockOverrides>>,
    ) -> RpcResult<Bytes>;

    /// Logs of the canonical chain.
    #[method(name = "getLogs")]
    async fn get_logs(&self, filter: FilterArgument) -> RpcResult<Vec<RpcLog>>;
}
