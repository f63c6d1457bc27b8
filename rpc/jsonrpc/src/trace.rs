//! `trace_*`: calls within transactions in OpenEthereum's form, as Erigon answers where clients differ.

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U64};
use alloy_rpc_types_eth::{Index, TransactionRequest};
use alloy_rpc_types_trace::parity::{LocalizedTransactionTrace, TraceResults, TraceType};
use jsonrpsee::{
    core::{RpcResult, async_trait},
    proc_macros::rpc,
    types::{ErrorObjectOwned, Params},
};
use portico_query::{CallOverrides, QueryError, Snapshot, TraceFilter, TraceKinds};
use serde::Deserialize;

use crate::{
    Workers,
    error::with_invalid_params,
    stream::{Job, Streamed, as_it_is, write_array},
    workers::Class,
};

/// Calls within transactions, replays, and the search for calls by address.
#[rpc(server, namespace = "trace")]
pub trait TraceApi {
    /// All traces of a block, rewards last.
    #[method(name = "block")]
    async fn block(&self, block: BlockId) -> RpcResult<Option<Vec<LocalizedTransactionTrace>>>;

    /// The traces of a transaction.
    #[method(name = "transaction")]
    async fn transaction(&self, hash: B256) -> RpcResult<Option<Vec<LocalizedTransactionTrace>>>;

    /// The trace of a transaction at an address among its calls.
    #[method(name = "get")]
    async fn get(&self, hash: B256, address: Vec<Index>) -> RpcResult<Option<LocalizedTransactionTrace>>;

    /// Runs a call and traces it.
    #[method(name = "call")]
    async fn call(
        &self,
        request: TransactionRequest,
        kinds: Vec<TraceType>,
        block: Option<BlockId>,
    ) -> RpcResult<TraceResults>;

    /// Runs calls one after another, each on what those before it left, and traces them.
    #[method(name = "callMany")]
    async fn call_many(
        &self,
        calls: Vec<(TransactionRequest, Vec<TraceType>)>,
        block: Option<BlockId>,
    ) -> RpcResult<Vec<TraceResults>>;

    /// Runs a signed transaction and traces it.
    #[method(name = "rawTransaction")]
    async fn raw_transaction(
        &self,
        transaction: Bytes,
        kinds: Vec<TraceType>,
        block: Option<BlockId>,
    ) -> RpcResult<TraceResults>;

    /// Executes a transaction again and traces it.
    #[method(name = "replayTransaction")]
    async fn replay_transaction(&self, hash: B256, kinds: Vec<TraceType>) -> RpcResult<Option<TraceResults>>;
}

/// What `trace_filter` is to find.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TraceFilterArgument {
    from_block: Option<BlockNumberOrTag>,
    to_block: Option<BlockNumberOrTag>,
    from_address: Option<Vec<Address>>,
    to_address: Option<Vec<Address>>,
    mode: Mode,
    after: Option<Count>,
    count: Option<Count>,
}

/// How senders and recipients combine, when both are given. Erigon's default is the union.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Union,
    Intersection,
}

/// A number, as JSON has it or in hexadecimal.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u64),
    Quantity(U64),
}

impl Count {
    fn get(self) -> u64 {
        match self {
            Self::Number(number) => number,
            Self::Quantity(quantity) => quantity.to(),
        }
    }
}

impl From<TraceFilterArgument> for TraceFilter {
    fn from(argument: TraceFilterArgument) -> Self {
        Self {
            from_block: argument.from_block,
            to_block: argument.to_block,
            from_addresses: argument.from_address.unwrap_or_default(),
            to_addresses: argument.to_address.unwrap_or_default(),
            intersection: argument.mode == Mode::Intersection,
            after: argument.after.map_or(0, Count::get),
            count: argument.count.map(Count::get),
        }
    }
}

/// The methods of this namespace whose answers are streamed.
pub(crate) const STREAMED: [Streamed; 2] = [
    Streamed { method: "trace_filter", class: Class::Trace, parse: filter, recode: as_it_is },
    Streamed {
        method: "trace_replayBlockTransactions",
        class: Class::Trace,
        parse: replay_block_transactions,
        recode: with_invalid_params,
    },
];

/// Traces by the addresses in them, over any range of blocks.
fn filter(params: Params<'_>) -> Result<Job, ErrorObjectOwned> {
    let filter: TraceFilterArgument = params.one()?;
    let filter = TraceFilter::from(filter);
    Ok(Box::new(move |snapshot, sink| write_array(sink, |push| snapshot.filter_traces(&filter, push))))
}

/// Executes a block's transactions again and traces them.
fn replay_block_transactions(params: Params<'_>) -> Result<Job, ErrorObjectOwned> {
    let (block, wanted): (BlockId, Vec<TraceType>) = params.parse()?;
    let kinds = kinds(wanted);
    Ok(Box::new(move |snapshot, sink| {
        let block_number = snapshot.require(block)?;
        let result = snapshot.write_replayed_block(block_number, &kinds, sink);
        sink.explain(result)
    }))
}

#[derive(Debug)]
pub(crate) struct Trace {
    workers: Workers,
}

impl Trace {
    pub fn new(workers: Workers) -> Self {
        Self { workers }
    }

    async fn read<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&Snapshot<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> RpcResult<T> {
        self.workers.read(Class::Trace, answer).await
    }
}

fn kinds(kinds: Vec<TraceType>) -> TraceKinds {
    kinds.into_iter().collect()
}

#[async_trait]
impl TraceApiServer for Trace {
    async fn block(&self, block: BlockId) -> RpcResult<Option<Vec<LocalizedTransactionTrace>>> {
        self.read(move |snapshot| {
            snapshot.resolve(block)?.map(|block_number| snapshot.block_traces(block_number)).transpose()
        })
        .await
    }

    async fn transaction(&self, hash: B256) -> RpcResult<Option<Vec<LocalizedTransactionTrace>>> {
        self.read(move |snapshot| snapshot.transaction_traces(&hash)).await
    }

    async fn get(&self, hash: B256, address: Vec<Index>) -> RpcResult<Option<LocalizedTransactionTrace>> {
        let address: Vec<usize> = address.into_iter().map(usize::from).collect();
        self.read(move |snapshot| {
            let traces = snapshot.transaction_traces(&hash)?.unwrap_or_default();
            Ok(traces.into_iter().find(|trace| trace.trace.trace_address == address))
        })
        .await
    }

    async fn call(
        &self,
        request: TransactionRequest,
        wanted: Vec<TraceType>,
        block: Option<BlockId>,
    ) -> RpcResult<TraceResults> {
        let results = self.call_many(vec![(request, wanted)], block).await?;
        Ok(results.into_iter().next().expect("a result for each call"))
    }

    async fn call_many(
        &self,
        calls: Vec<(TransactionRequest, Vec<TraceType>)>,
        block: Option<BlockId>,
    ) -> RpcResult<Vec<TraceResults>> {
        let calls = calls.into_iter().map(|(request, wanted)| (request, kinds(wanted))).collect();
        self.read(move |snapshot| {
            let block_number = snapshot.require(block.unwrap_or_default())?;
            snapshot.trace_calls(calls, block_number, CallOverrides::default())
        })
        .await
    }

    async fn raw_transaction(
        &self,
        transaction: Bytes,
        wanted: Vec<TraceType>,
        block: Option<BlockId>,
    ) -> RpcResult<TraceResults> {
        self.read(move |snapshot| {
            let block_number = snapshot.require(block.unwrap_or_default())?;
            snapshot.trace_raw_transaction(&transaction, &kinds(wanted), block_number)
        })
        .await
    }

    async fn replay_transaction(
        &self,
        hash: B256,
        wanted: Vec<TraceType>,
    ) -> RpcResult<Option<TraceResults>> {
        self.read(move |snapshot| snapshot.replay_transaction(&hash, &kinds(wanted))).await
    }
}
