//! The pending state. There is no transaction pool: it is the state after the head.

use async_graphql::{Context, Object, Result};

use crate::{
    account::Account,
    call::{CallData, CallResult, estimate, run},
    nullable::or_null,
    scalars::{Address, Long},
    transaction::Transaction,
};

/// The pending state, on top of a block.
#[derive(Debug, Clone, Copy)]
pub struct Pending {
    pub(crate) head: u64,
}

/// Pending represents the current pending state.
#[Object]
impl Pending {
    /// TransactionCount is the number of transactions in the pending state.
    async fn transaction_count(&self) -> Long {
        Long(0)
    }

    /// Transactions is a list of transactions in the current pending state.
    async fn transactions(&self) -> Option<Vec<Transaction>> {
        Some(Vec::new())
    }

    /// Account fetches an Ethereum account for the pending state.
    async fn account(&self, address: Address) -> Account {
        Account { address: address.0, block_number: self.head }
    }

    /// Call executes a local call operation for the pending state.
    #[graphql(complexity = "100 + child_complexity")]
    async fn call(&self, context: &Context<'_>, data: CallData) -> Option<CallResult> {
        or_null(context, run(context, data, self.head).await.map(Some))
    }

    /// EstimateGas estimates the amount of gas that will be required for successful execution of a transaction for
    /// the pending state.
    #[graphql(complexity = "500 + child_complexity")]
    async fn estimate_gas(&self, context: &Context<'_>, data: CallData) -> Result<Long> {
        estimate(context, data, self.head).await
    }
}
