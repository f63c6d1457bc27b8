//! `debug_*`: the state in pages, what blocks changed, witnesses, and calls in bundles.
//!
//! Where clients differ, answers and ranges are Erigon's: accounts and slots come in the order of their addresses and
//! slots, and a range of blocks includes both ends.

mod answers;
mod bad_blocks;

use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes};
use alloy_rpc_types_eth::{Bundle, StateContext, TransactionRequest};
use alloy_rpc_types_trace::geth::{GethDebugTracingCallOptions, GethDebugTracingOptions, GethTrace};
use jsonrpsee::{
    core::{RpcResult, async_trait},
    proc_macros::rpc,
};
use portico_query::{CallBundle, FullBlock, PageOptions, QueryError, Snapshot, StateWithin};

pub use self::answers::{AccountRange, AccountThen, Number, StorageRange, Witness, WitnessMode};
use self::answers::{address_key, slot_key};
pub(crate) use self::bad_blocks::STREAMED;
use crate::{
    Workers,
    error::{invalid_params, with_general_code},
    workers::Class,
};

/// Accounts of a page, unless the caller wants fewer. Erigon gives as many.
const ACCOUNTS_MAX: usize = 256;

/// State in pages, what blocks changed, witnesses, and calls in bundles.
#[rpc(server, namespace = "debug")]
pub trait DebugStateApi {
    /// Traces bundles of calls on the state after a block, or before one of its transactions; each call sees what
    /// those before it did.
    #[method(name = "traceCallMany")]
    async fn trace_call_many(
        &self,
        bundles: Vec<Bundle<TransactionRequest>>,
        at: Option<StateContext>,
        options: Option<GethDebugTracingCallOptions>,
    ) -> RpcResult<Vec<Vec<GethTrace>>>;

    /// State roots after each transaction of a block.
    #[method(name = "intermediateRoots")]
    async fn intermediate_roots(
        &self,
        block: BlockId,
        options: Option<GethDebugTracingOptions>,
    ) -> RpcResult<Vec<B256>>;

    /// Slots of an account before a transaction of a block, in order, from a slot on.
    #[method(name = "storageRangeAt")]
    async fn storage_range_at(
        &self,
        block: BlockId,
        tx_index: Number,
        address: Address,
        first: String,
        limit: Number,
    ) -> RpcResult<StorageRange>;

    /// Accounts after a block, in order, from an address on.
    #[method(name = "accountRange")]
    async fn account_range(
        &self,
        block: BlockId,
        first: Option<String>,
        limit: Option<Number>,
        no_code: Option<bool>,
        no_storage: Option<bool>,
        incompletes: Option<bool>,
    ) -> RpcResult<AccountRange>;

    /// An account before a transaction of a block.
    #[method(name = "accountAt")]
    async fn account_at(
        &self,
        block: BlockId,
        tx_index: Number,
        address: Address,
    ) -> RpcResult<Option<AccountThen>>;

    /// Accounts that the blocks from `start` to `end` changed; only `start` when there is no end.
    #[method(name = "getModifiedAccountsByNumber")]
    async fn get_modified_accounts_by_number(
        &self,
        start: Number,
        end: Option<Number>,
    ) -> RpcResult<Vec<Address>>;

    /// Accounts that the blocks from `start` to `end` changed; only `start` when there is no end.
    #[method(name = "getModifiedAccountsByHash")]
    async fn get_modified_accounts_by_hash(&self, start: B256, end: Option<B256>) -> RpcResult<Vec<Address>>;

    /// A row of a table as the database holds it: by table and key, or by both in one, as in `Headers/0x01`.
    #[method(name = "dbGet")]
    async fn db_get(&self, table: String, key: Option<Bytes>) -> RpcResult<Option<Bytes>>;

    /// What has this hash: code, the RLP of a header, a transaction, the address of an account or a storage slot of the newest
    /// state, which is searched for as long as the call may work.
    #[method(name = "preimage")]
    async fn preimage(&self, hash: B256) -> RpcResult<Bytes>;

    /// What a block needs to be executed without a database.
    #[method(name = "executionWitness")]
    async fn execution_witness(&self, block: BlockId, mode: Option<WitnessMode>) -> RpcResult<Witness>;

    /// The access list of a block as RLP (EIP-7928).
    #[method(name = "getRawBlockAccessList")]
    async fn get_raw_block_access_list(&self, block: BlockId) -> RpcResult<Bytes>;
}

#[derive(Debug)]
pub(crate) struct DebugState {
    workers: Workers,
}

impl DebugState {
    pub fn new(workers: Workers) -> Self {
        Self { workers }
    }

    async fn read<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&Snapshot<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> RpcResult<T> {
        self.workers.read(Class::Trace, answer).await.map_err(with_general_code)
    }

    async fn read_block<T: Send + 'static>(
        &self,
        block: BlockId,
        answer: impl FnOnce(&Snapshot<'_>, FullBlock) -> Result<T, QueryError> + Send + 'static,
    ) -> RpcResult<T> {
        self.read(move |snapshot| {
            let block_number = snapshot.require(block)?;
            let block = snapshot.block(block_number)?;
            answer(snapshot, block.ok_or(QueryError::BlockNotFound(block_number.into()))?)
        })
        .await
    }
}

#[async_trait]
impl DebugStateApiServer for DebugState {
    async fn trace_call_many(
        &self,
        bundles: Vec<Bundle<TransactionRequest>>,
        at: Option<StateContext>,
        options: Option<GethDebugTracingCallOptions>,
    ) -> RpcResult<Vec<Vec<GethTrace>>> {
        let (options, context) = (options.unwrap_or_default(), at.unwrap_or_default());
        let bundles = bundles
            .into_iter()
            .map(|bundle| CallBundle { calls: bundle.transactions, block: bundle.block_override })
            .collect();
        self.read(move |snapshot| {
            let block_number = snapshot.require(context.block_number.unwrap_or_default())?;
            let tx_index = context.transaction_index.unwrap_or_default().index().map(|index| index as u64);
            let at = StateWithin::new(block_number, tx_index);
            snapshot.geth_call_traces(bundles, at, options.state_overrides, options.tracing_options)
        })
        .await
    }

    async fn intermediate_roots(
        &self,
        block: BlockId,
        _: Option<GethDebugTracingOptions>,
    ) -> RpcResult<Vec<B256>> {
        self.read_block(block, |snapshot, block| snapshot.intermediate_roots(&block)).await
    }

    async fn storage_range_at(
        &self,
        block: BlockId,
        tx_index: Number,
        address: Address,
        first: String,
        limit: Number,
    ) -> RpcResult<StorageRange> {
        let first = slot_key(&first)?;
        self.read_block(block, move |snapshot, block| {
            let page = snapshot.storage_page(&block, tx_index.get(), address, first, limit.size())?;
            Ok(page.into())
        })
        .await
    }

    async fn account_range(
        &self,
        block: BlockId,
        first: Option<String>,
        limit: Option<Number>,
        no_code: Option<bool>,
        no_storage: Option<bool>,
        _: Option<bool>,
    ) -> RpcResult<AccountRange> {
        let first = first.map_or(Ok(Address::ZERO), |text| address_key(&text))?;
        let entries_max = limit.map_or(ACCOUNTS_MAX, Number::size).clamp(1, ACCOUNTS_MAX);
        let options = PageOptions {
            entries_max,
            with_code: !no_code.unwrap_or_default(),
            with_storage: !no_storage.unwrap_or_default(),
        };
        self.read(move |snapshot| {
            let block_number = snapshot.require(block)?;
            Ok(snapshot.account_page(block_number, first, options)?.into())
        })
        .await
    }

    async fn account_at(
        &self,
        block: BlockId,
        tx_index: Number,
        address: Address,
    ) -> RpcResult<Option<AccountThen>> {
        self.read_block(block, move |snapshot, block| {
            let account = snapshot.account_within(&block, tx_index.get(), address)?;
            Ok(account.map(AccountThen::from))
        })
        .await
    }

    async fn get_modified_accounts_by_number(
        &self,
        start: Number,
        end: Option<Number>,
    ) -> RpcResult<Vec<Address>> {
        let (from, to) = (start.get(), end.unwrap_or(start).get());
        self.read(move |snapshot| {
            snapshot.require(from.into())?;
            snapshot.require(to.into())?;
            Ok(snapshot.modified_accounts(from..=to)?.into_iter().collect())
        })
        .await
    }

    async fn get_modified_accounts_by_hash(&self, start: B256, end: Option<B256>) -> RpcResult<Vec<Address>> {
        self.read(move |snapshot| {
            let from = snapshot.require(start.into())?;
            let to = snapshot.require(end.unwrap_or(start).into())?;
            Ok(snapshot.modified_accounts(from..=to)?.into_iter().collect())
        })
        .await
    }

    async fn db_get(&self, table: String, key: Option<Bytes>) -> RpcResult<Option<Bytes>> {
        let (table, key) = match (key, table.split_once('/')) {
            (Some(key), _) => (table, key),
            (None, Some((table, key))) => {
                let key = key.parse().map_err(|_| invalid_params(format!("{key:?} is no key")))?;
                (table.to_owned(), key)
            }
            (None, None) => return Err(invalid_params("a table and a key are wanted".to_owned())),
        };
        self.read(move |snapshot| snapshot.raw_row(&table, &key)).await
    }

    async fn preimage(&self, hash: B256) -> RpcResult<Bytes> {
        self.read(move |snapshot| snapshot.preimage(&hash)).await
    }

    async fn execution_witness(&self, block: BlockId, _: Option<WitnessMode>) -> RpcResult<Witness> {
        self.read_block(block, |snapshot, block| Ok(snapshot.execution_witness(&block)?.into())).await
    }

    async fn get_raw_block_access_list(&self, block: BlockId) -> RpcResult<Bytes> {
        let answer = move |snapshot: &Snapshot<'_>| snapshot.raw_access_list(snapshot.require(block)?);
        self.workers.read(Class::Light, answer).await
    }
}
