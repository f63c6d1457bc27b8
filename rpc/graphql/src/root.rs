//! Where queries begin.

use alloy_primitives::U256;
use async_graphql::{Context, Object, Result, SimpleObject};
use portico_query::{BlockId, QueryError, Snapshot};

use crate::{
    GraphqlError, Reader,
    block::Block,
    criteria::FilterCriteria,
    log::Log,
    nullable::or_null,
    pending::Pending,
    scalars::{BigInt, Bytes32, Long},
    transaction::Transaction,
};

/// Blocks that one query may list.
const BLOCKS_MAX: u64 = 1000;

/// Where queries begin.
#[derive(Debug, Clone, Copy)]
pub struct Root;

/// SyncState contains the current synchronisation state of the client.
#[derive(Debug, SimpleObject)]
pub struct SyncState {
    /// StartingBlock is the block number at which synchronisation started.
    starting_block: Long,
    /// CurrentBlock is the point at which synchronisation has presently reached.
    current_block: Long,
    /// HighestBlock is the latest known block number.
    highest_block: Long,
}

#[Object(name = "Query")]
impl Root {
    /// Block fetches an Ethereum block by number or by hash. If neither is supplied, the most recent known block is
    /// returned.
    async fn block(
        &self,
        context: &Context<'_>,
        number: Option<Long>,
        hash: Option<Bytes32>,
    ) -> Option<Block> {
        or_null(context, find_block(context, number, hash).await.map(Some))
    }

    /// Blocks returns all the blocks between two numbers, inclusive. If to is not supplied, it defaults to the most
    /// recent known block.
    #[graphql(complexity = "listed(from, to) * child_complexity")]
    async fn blocks(
        &self,
        context: &Context<'_>,
        from: Option<Long>,
        to: Option<Long>,
    ) -> Result<Vec<Block>> {
        let reader = context.data::<Reader>()?;
        let head = reader.read(|snapshot| Ok(snapshot.head())).await?;
        let (from, to) = (from.map_or(0, |from| from.0), to.map_or(head, |to| to.0));
        if from > to {
            return Err(GraphqlError::from(QueryError::RangeReversed { from, to }).into());
        }
        let to = to.min(head);
        let count = (to + 1).saturating_sub(from);
        if count > BLOCKS_MAX {
            return Err(GraphqlError::TooManyBlocks { count, max: BLOCKS_MAX }.into());
        }
        let headers = reader.read(move |snapshot| {
            (from..=to)
                .filter_map(|number| {
                    snapshot.check_deadline().and_then(|()| snapshot.header(number)).transpose()
                })
                .collect::<Result<Vec<_>, _>>()
        });
        Ok(headers.await?.into_iter().map(Block::new).collect())
    }

    /// Pending returns the current pending state.
    async fn pending(&self) -> Pending {
        Pending
    }

    /// Transaction returns a transaction specified by its hash.
    async fn transaction(&self, context: &Context<'_>, hash: Bytes32) -> Option<Transaction> {
        or_null(context, find_transaction(context, hash).await)
    }

    /// Logs returns log entries matching the provided filter.
    #[graphql(complexity = "100 * child_complexity")]
    async fn logs(&self, context: &Context<'_>, filter: FilterCriteria) -> Result<Vec<Log>> {
        let filter = filter.into_filter()?;
        let logs = context.data::<Reader>()?.read(move |snapshot| snapshot.logs(&filter)).await?;
        Ok(logs.into_iter().map(Log).collect())
    }

    /// GasPrice returns the node's estimate of a gas price sufficient to ensure a transaction is mined in a timely
    /// fashion.
    async fn gas_price(&self, context: &Context<'_>) -> Result<BigInt> {
        let price = context.data::<Reader>()?.read(|snapshot| snapshot.gas_price()).await?;
        Ok(BigInt(U256::from(price)))
    }

    /// MaxPriorityFeePerGas returns the node's estimate of a gas tip sufficient to ensure a transaction is mined in a
    /// timely fashion.
    async fn max_priority_fee_per_gas(&self, context: &Context<'_>) -> Result<BigInt> {
        let tip = context.data::<Reader>()?.read(|snapshot| snapshot.priority_fee()).await?;
        Ok(BigInt(U256::from(tip)))
    }

    /// Syncing returns information on the current synchronisation state.
    async fn syncing(&self, context: &Context<'_>) -> Option<SyncState> {
        or_null(context, sync_state(context).await)
    }

    /// ChainID returns the current chain ID for transaction replay protection.
    #[graphql(name = "chainID")]
    async fn chain_id(&self, context: &Context<'_>) -> Result<BigInt> {
        let chain_id = context.data::<Reader>()?.read(|snapshot| Ok(snapshot.spec().chain_id())).await?;
        Ok(BigInt(U256::from(chain_id)))
    }
}

/// A block that somebody names must exist.
async fn find_block(context: &Context<'_>, number: Option<Long>, hash: Option<Bytes32>) -> Result<Block> {
    let block: BlockId = match (number, hash) {
        (None, None) => BlockId::latest(),
        (Some(number), None) => number.0.into(),
        (None, Some(hash)) => hash.0.into(),
        (Some(_), Some(_)) => return Err(GraphqlError::NumberAndHash.into()),
    };
    let find = move |snapshot: &Snapshot<'_>| {
        snapshot.header(snapshot.require(block)?)?.ok_or(QueryError::BlockNotFound(block))
    };
    Ok(Block::new(context.data::<Reader>()?.read(find).await?))
}

async fn find_transaction(context: &Context<'_>, hash: Bytes32) -> Result<Option<Transaction>> {
    let find = move |snapshot: &Snapshot<'_>| {
        if let Some(found) = snapshot.transaction(&hash.0)? {
            return Ok(Some(Transaction::new(found)));
        }
        Ok(snapshot.pooled_transaction(&hash.0).map(|pooled| Transaction::pending(&pooled)))
    };
    Ok(context.data::<Reader>()?.read(find).await?)
}

async fn sync_state(context: &Context<'_>) -> Result<Option<SyncState>> {
    let status = context.data::<Reader>()?.read(|snapshot| snapshot.sync_status()).await?;
    Ok(status.map(|status| SyncState {
        starting_block: Long(0),
        current_block: Long(status.current_block),
        highest_block: Long(status.highest_block),
    }))
}

/// Blocks that a list may have; an open end counts as few, since that is what it mostly means.
fn listed(from: Option<Long>, to: Option<Long>) -> usize {
    const OPEN_END: u64 = 10;
    let from = from.map_or(0, |from| from.0);
    let count = to.map_or(OPEN_END, |to| to.0.saturating_sub(from).saturating_add(1));
    count.clamp(1, BLOCKS_MAX) as usize
}
