//! Blocks as JSON-RPC gives them.

use alloy_consensus::{BlockBody, Header};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::B256;
use portico_evm::Transaction;
use serde::Deserialize;

use crate::StatelessError;

/// A block with its body.
pub type Block = alloy_consensus::Block<Transaction>;

#[derive(Debug, Deserialize)]
struct JsonBody {
    hash: Option<B256>,
    transactions: Vec<Transaction>,
    #[serde(default)]
    uncles: Vec<B256>,
    withdrawals: Option<Withdrawals>,
}

/// Decodes a block from what `eth_getBlockByNumber` answers with whole transactions: the `result`, not its envelope.
///
/// # Errors
/// When it is no such JSON, has ommers (of which the JSON has only hashes), or its fields do not hash to its `hash`.
pub fn decode_block_json(json: &[u8]) -> Result<Block, StatelessError> {
    let header: Header = serde_json::from_slice(json).map_err(StatelessError::BlockJson)?;
    let body: JsonBody = serde_json::from_slice(json).map_err(StatelessError::BlockJson)?;
    if !body.uncles.is_empty() {
        return Err(StatelessError::OmmersInJson { count: body.uncles.len() });
    }
    let got = header.hash_slow();
    if let Some(expected) = body.hash.filter(|expected| *expected != got) {
        return Err(StatelessError::BlockHash { expected, got });
    }
    let body =
        BlockBody { transactions: body.transactions, ommers: Vec::new(), withdrawals: body.withdrawals };
    Ok(Block { header, body })
}
