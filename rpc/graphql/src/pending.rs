//! The pending state: that after the block that would be made now, and the transactions of the pool that a block could
//! execute.

use async_graphql::{Context, Object, Result};
use portico_query::Snapshot;

use crate::{
    Reader,
    account::Account,
    call::{CallData, CallResult, estimate, run},
    nullable::or_null,
    reader::StateAfter,
    scalars::{Address, Long},
    transaction::Transaction,
};

/// The state after the block that would be made now.
#[derive(Debug, Clone, Copy)]
pub struct Pending;

/// Pending represents the current pending state.
#[Object]
impl Pending {
    /// TransactionCount is the number of transactions in the pending state.
    async fn transaction_count(&self, context: &Context<'_>) -> Result<Long> {
        let count =
            |snapshot: &Snapshot<'_>| Ok(snapshot.pool().map_or(0, |pool| pool.status().pending as u64));
        Ok(Long(context.data::<Reader>()?.read(count).await?))
    }

    /// Transactions is a list of transactions in the current pending state.
    #[graphql(complexity = "100 * child_complexity")]
    async fn transactions(&self, context: &Context<'_>) -> Option<Vec<Transaction>> {
        or_null(context, pending_transactions(context).await.map(Some))
    }

    /// Account fetches an Ethereum account for the pending state.
    async fn account(&self, address: Address) -> Account {
        Account { address: address.0, after: StateAfter::Pending }
    }

    /// Call executes a local call operation for the pending state.
    #[graphql(complexity = "100 + child_complexity")]
    async fn call(&self, context: &Context<'_>, data: CallData) -> Option<CallResult> {
        or_null(context, run(context, data, StateAfter::Pending).await.map(Some))
    }

    /// EstimateGas estimates the amount of gas that will be required for successful execution of a transaction for
    /// the pending state.
    #[graphql(complexity = "500 + child_complexity")]
    async fn estimate_gas(&self, context: &Context<'_>, data: CallData) -> Result<Long> {
        estimate(context, data, StateAfter::Pending).await
    }
}

async fn pending_transactions(context: &Context<'_>) -> Result<Vec<Transaction>> {
    let pending = |snapshot: &Snapshot<'_>| {
        let pending = snapshot.pending_transactions();
        Ok(pending.iter().map(|transaction| Transaction::pending(transaction)).collect())
    };
    Ok(context.data::<Reader>()?.read(pending).await?)
}
