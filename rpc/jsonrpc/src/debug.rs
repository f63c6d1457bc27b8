//! `debug_*`: traces in go-ethereum's form, and data as the network encodes it.

use alloy_eips::{BlockId, BlockNumberOrTag, eip2718::Encodable2718};
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_rpc_types_trace::geth::{GethDebugTracingCallOptions, GethDebugTracingOptions, GethTrace};
use jsonrpsee::{
    core::{RpcResult, async_trait},
    proc_macros::rpc,
    types::{ErrorObjectOwned, Params},
};
use portico_query::{CallOverrides, QueryError, ReceiptAt, Snapshot};
use serde::Deserialize;

use crate::{
    Workers,
    error::with_general_code,
    stream::{Job, Streamed},
    workers::Class,
};

/// Traces of transactions, blocks and calls, and raw data. A tracer is chosen by name or given as a script; without
/// one the answer lists every instruction.
#[rpc(server, namespace = "debug")]
pub trait DebugApi {
    /// Traces a call on the state after a block.
    #[method(name = "traceCall")]
    async fn trace_call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        options: Option<GethDebugTracingCallOptions>,
    ) -> RpcResult<GethTrace>;

    /// RLP of a header.
    #[method(name = "getRawHeader")]
    async fn get_raw_header(&self, block: BlockId) -> RpcResult<Bytes>;

    /// RLP of a block.
    #[method(name = "getRawBlock")]
    async fn get_raw_block(&self, block: BlockId) -> RpcResult<Bytes>;

    /// Receipts of a block, each as the receipts trie holds it.
    #[method(name = "getRawReceipts")]
    async fn get_raw_receipts(&self, block: BlockId) -> RpcResult<Vec<Bytes>>;

    /// A transaction as blocks hold it, or as it was sent while it waits for a block; empty when it is unknown.
    #[method(name = "getRawTransaction")]
    async fn get_raw_transaction(&self, hash: HashArgument) -> RpcResult<Bytes>;
}

/// A hash, which must begin with `0x`.
#[derive(Debug, Clone, Copy)]
pub struct HashArgument(B256);

impl<'de> Deserialize<'de> for HashArgument {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let error = || serde::de::Error::custom(format!("{text:?} is not a hash: 0x and 64 digits"));
        let digits = text.strip_prefix("0x").ok_or_else(error)?;
        digits.parse().map(Self).map_err(|_| error())
    }
}

/// The methods of this namespace whose answers are streamed.
pub(crate) const STREAMED: [Streamed; 5] = [
    Streamed {
        method: "debug_traceTransaction",
        class: Class::Trace,
        parse: trace_transaction,
        recode: with_general_code,
    },
    Streamed {
        method: "debug_traceBlockByNumber",
        class: Class::Trace,
        parse: trace_block_by_number,
        recode: with_general_code,
    },
    Streamed {
        method: "debug_traceBlockByHash",
        class: Class::Trace,
        parse: trace_block_by_hash,
        recode: with_general_code,
    },
    Streamed {
        method: "debug_traceBlock",
        class: Class::Trace,
        parse: trace_block,
        recode: with_general_code,
    },
    Streamed {
        method: "debug_traceChain",
        class: Class::Trace,
        parse: trace_chain,
        recode: with_general_code,
    },
];

/// Traces a transaction of the canonical chain.
fn trace_transaction(params: Params<'_>) -> Result<Job, ErrorObjectOwned> {
    let mut sequence = params.sequence();
    let hash: B256 = sequence.next()?;
    let options: Option<GethDebugTracingOptions> = sequence.optional_next()?;
    Ok(Box::new(move |snapshot, sink| {
        let result = snapshot.write_transaction_trace(&hash, options.unwrap_or_default(), sink);
        sink.explain(result)
    }))
}

/// Traces every transaction of a block.
fn trace_block_by_number(params: Params<'_>) -> Result<Job, ErrorObjectOwned> {
    let mut sequence = params.sequence();
    let block: BlockNumberOrTag = sequence.next()?;
    let options: Option<GethDebugTracingOptions> = sequence.optional_next()?;
    Ok(trace_canonical_block(block.into(), options))
}

/// Traces every transaction of a block.
fn trace_block_by_hash(params: Params<'_>) -> Result<Job, ErrorObjectOwned> {
    let mut sequence = params.sequence();
    let hash: B256 = sequence.next()?;
    let options: Option<GethDebugTracingOptions> = sequence.optional_next()?;
    Ok(trace_canonical_block(hash.into(), options))
}

/// Traces every transaction of a block that is given as RLP; its parent must be canonical.
fn trace_block(params: Params<'_>) -> Result<Job, ErrorObjectOwned> {
    let mut sequence = params.sequence();
    let rlp: Bytes = sequence.next()?;
    let options: Option<GethDebugTracingOptions> = sequence.optional_next()?;
    Ok(Box::new(move |snapshot, sink| {
        let block = snapshot.decode_block(&rlp)?;
        let result = snapshot.write_block_traces(&block, options.unwrap_or_default(), sink);
        sink.explain(result)
    }))
}

/// Traces the blocks after `start`, up to `end`, as one answer. go-ethereum has a subscription of this name.
fn trace_chain(params: Params<'_>) -> Result<Job, ErrorObjectOwned> {
    let mut sequence = params.sequence();
    let start: BlockNumberOrTag = sequence.next()?;
    let end: BlockNumberOrTag = sequence.next()?;
    let options: Option<GethDebugTracingOptions> = sequence.optional_next()?;
    Ok(Box::new(move |snapshot, sink| {
        let (start, end) = (snapshot.require(start.into())?, snapshot.require(end.into())?);
        let result = snapshot.write_chain_traces(start, end, options.unwrap_or_default(), sink);
        sink.explain(result)
    }))
}

fn trace_canonical_block(block: BlockId, options: Option<GethDebugTracingOptions>) -> Job {
    Box::new(move |snapshot, sink| {
        let block_number = snapshot.require(block)?;
        let found = snapshot.block(block_number)?.ok_or(QueryError::BlockNotFound(block))?;
        let result = snapshot.write_block_traces(&found, options.unwrap_or_default(), sink);
        sink.explain(result)
    })
}

#[derive(Debug)]
pub(crate) struct Debug {
    workers: Workers,
}

impl Debug {
    pub fn new(workers: Workers) -> Self {
        Self { workers }
    }

    async fn read<T: Send + 'static>(
        &self,
        block: BlockId,
        answer: impl FnOnce(&Snapshot<'_>, u64) -> Result<T, QueryError> + Send + 'static,
    ) -> RpcResult<T> {
        let answer = move |snapshot: &Snapshot<'_>| answer(snapshot, snapshot.require(block)?);
        self.workers.read(Class::Light, answer).await.map_err(with_general_code)
    }
}

#[async_trait]
impl DebugApiServer for Debug {
    async fn trace_call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        options: Option<GethDebugTracingCallOptions>,
    ) -> RpcResult<GethTrace> {
        let options = options.unwrap_or_default();
        let overrides =
            CallOverrides { state: options.state_overrides, block: options.block_overrides.map(Box::new) };
        let answer = move |snapshot: &Snapshot<'_>| {
            let block_number = snapshot.require(block.unwrap_or_default())?;
            let (tx_index, tracing) = (options.tx_index, options.tracing_options);
            snapshot.geth_call_trace(request, block_number, tx_index, overrides, tracing)
        };
        self.workers.read(Class::Trace, answer).await.map_err(with_general_code)
    }

    async fn get_raw_header(&self, block: BlockId) -> RpcResult<Bytes> {
        self.read(block, |snapshot, block_number| {
            let header = snapshot.header(block_number)?;
            let header = header.ok_or(QueryError::BlockNotFound(block_number.into()))?;
            Ok(alloy_rlp::encode(header.inner()).into())
        })
        .await
    }

    async fn get_raw_block(&self, block: BlockId) -> RpcResult<Bytes> {
        self.read(block, |snapshot, block_number| {
            let block = snapshot.block(block_number)?;
            let block = block.ok_or(QueryError::BlockNotFound(block_number.into()))?;
            Ok(alloy_rlp::encode(block.parts.into_block()).into())
        })
        .await
    }

    async fn get_raw_receipts(&self, block: BlockId) -> RpcResult<Vec<Bytes>> {
        self.read(block, |snapshot, block_number| {
            Ok(snapshot.block_receipts(block_number)?.iter().map(ReceiptAt::encoded).collect())
        })
        .await
    }

    async fn get_raw_transaction(&self, hash: HashArgument) -> RpcResult<Bytes> {
        let answer = move |snapshot: &Snapshot<'_>| {
            if let Some(found) = snapshot.transaction(&hash.0)? {
                return Ok(found.transaction.encoded_2718().into());
            }
            let pooled = snapshot.pooled_transaction(&hash.0);
            Ok(pooled.map_or_else(Bytes::new, |pooled| pooled.to_network_bytes().into()))
        };
        self.workers.read(Class::Light, answer).await
    }
}
