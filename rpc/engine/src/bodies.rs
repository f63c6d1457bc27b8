//! Bodies of blocks that the consensus client has only the headers of, and blobs that it has not seen.

use alloy_consensus::Block;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Decodable;
use portico_chain::{
    BlockParts, Transaction, block_number_of, canonical_hash, read_access_list, read_block, read_checkpoint,
    read_side_block,
};
use portico_db::RoTxn;
use serde::Serialize;

use crate::{Engine, EngineError};

/// Bodies that one request gives.
pub(crate) const BODIES_MAX: u64 = 1024;

/// A body, as both versions have it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Body {
    transactions: Vec<Bytes>,
    withdrawals: Option<Vec<alloy_eips::eip4895::Withdrawal>>,
    /// Left out of version 1; null when it is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    block_access_list: Option<Option<Bytes>>,
}

impl Body {
    fn new(block: BlockParts) -> Self {
        let transactions = block.transactions.iter().map(|transaction| transaction.encoded_2718().into());
        Self { transactions: transactions.collect(), withdrawals: block.withdrawals, block_access_list: None }
    }
}

impl Engine {
    /// `engine_getPayloadBodiesByHash`: of canonical blocks and of those that are kept beside the chain.
    pub(crate) fn bodies_by_hash(
        &self,
        version: u8,
        hashes: &[B256],
    ) -> Result<Vec<Option<Body>>, EngineError> {
        check_count(hashes.len() as u64)?;
        let txn = self.tip().live().begin_ro()?;
        hashes.iter().map(|hash| body_by_hash(&txn, version, hash)).collect()
    }

    /// `engine_getPayloadBodiesByRange`: nothing behind the head.
    pub(crate) fn bodies_by_range(
        &self,
        version: u8,
        start: u64,
        count: u64,
    ) -> Result<Vec<Option<Body>>, EngineError> {
        if start == 0 || count == 0 {
            return Err(EngineError::InvalidParams("start and count begin at 1".to_owned()));
        }
        check_count(count)?;
        let txn = self.tip().live().begin_ro()?;
        let head = read_checkpoint(&txn, "Finish")?;
        let end = start.saturating_add(count).min(head.saturating_add(1));
        (start..end).map(|number| body_at(&txn, version, number)).collect()
    }
}

fn check_count(asked: u64) -> Result<(), EngineError> {
    let max = BODIES_MAX;
    if asked > max { Err(EngineError::TooLarge { asked, max }) } else { Ok(()) }
}

fn body_by_hash(txn: &RoTxn<'_>, version: u8, hash: &B256) -> Result<Option<Body>, EngineError> {
    let Some(number) = block_number_of(txn, hash)? else { return Ok(None) };
    if canonical_hash(txn, number)?.as_ref() == Some(hash) {
        return body_at(txn, version, number);
    }
    let Some(rlp) = read_side_block(txn, number, *hash)? else { return Ok(None) };
    let block = Block::<Transaction>::decode(&mut rlp.as_slice())
        .map_err(|error| EngineError::Internal(format!("side block {number}: {error}")))?;
    let mut body = Body::new(BlockParts::from_block(*hash, block));
    body.block_access_list = (version >= 2).then_some(None);
    Ok(Some(body))
}

fn body_at(txn: &RoTxn<'_>, version: u8, number: u64) -> Result<Option<Body>, EngineError> {
    let Some(block) = read_block(txn, number)? else { return Ok(None) };
    let mut body = Body::new(block);
    if version >= 2 {
        body.block_access_list = Some(read_access_list(txn, number)?.map(Bytes::from));
    }
    Ok(Some(body))
}
