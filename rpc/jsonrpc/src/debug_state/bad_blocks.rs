//! Blocks that were refused.

use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_trace::geth::GethDebugTracingOptions;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use portico_query::BadBlock;
use serde::Serialize;

use crate::{
    error::with_general_code,
    eth::convert::{self, RpcBlock, TransactionDetail},
    stream::{Job, Streamed, write_array},
    workers::Class,
};

/// The methods about bad blocks, whose answers are streamed.
pub(crate) const STREAMED: [Streamed; 2] = [
    Streamed {
        method: "debug_getBadBlocks",
        class: Class::Trace,
        parse: get_bad_blocks,
        recode: with_general_code,
    },
    Streamed {
        method: "debug_traceBadBlock",
        class: Class::Trace,
        parse: trace_bad_block,
        recode: with_general_code,
    },
];

/// A block that was refused.
#[derive(Debug, Serialize)]
struct RefusedBlock {
    hash: B256,
    /// With its transactions; their sender is zero where a signature is invalid.
    block: RpcBlock,
    rlp: Bytes,
    reason: String,
}

impl From<BadBlock> for RefusedBlock {
    fn from(bad: BadBlock) -> Self {
        let full = bad.full();
        Self {
            hash: bad.parts.hash,
            rlp: alloy_rlp::encode(full.parts.clone().into_block()).into(),
            block: convert::block(full, TransactionDetail::Full),
            reason: bad.reason,
        }
    }
}

/// The blocks that were refused last since the node was started, at most ten, the newest first: each with its RLP and the
/// reason. Blocks that merely build upon them are not among them.
fn get_bad_blocks(_: Params<'_>) -> Result<Job, ErrorObjectOwned> {
    Ok(Box::new(|snapshot, sink| {
        let bad = snapshot.bad_blocks();
        write_array(sink, |push| {
            bad.into_iter().try_for_each(|bad| {
                snapshot.check_deadline()?;
                push(RefusedBlock::from(bad))
            })
        })
    }))
}

/// Traces the transactions of a block that was refused, upon its parent's state. At a transaction that cannot be executed
/// the list ends with the reason.
fn trace_bad_block(params: Params<'_>) -> Result<Job, ErrorObjectOwned> {
    let mut sequence = params.sequence();
    let hash: B256 = sequence.next()?;
    let options: Option<GethDebugTracingOptions> = sequence.optional_next()?;
    Ok(Box::new(move |snapshot, sink| {
        let result = snapshot.write_bad_block_traces(&hash, options.unwrap_or_default(), sink);
        sink.explain(result)
    }))
}
