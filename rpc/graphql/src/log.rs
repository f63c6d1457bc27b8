//! A log.

use async_graphql::{Context, Object, Result};
use portico_query::LogAt;

use crate::{
    GraphqlError, Reader,
    account::Account,
    scalars::{Bytes, Bytes32, Long},
    transaction::Transaction,
};

/// An Ethereum event log.
#[derive(Debug, Clone)]
pub struct Log(pub(crate) LogAt);

/// Log is an Ethereum event log.
#[Object]
impl Log {
    /// Index is the index of this log in the block.
    async fn index(&self) -> Long {
        Long(self.0.log_index)
    }

    /// Account is the account which generated this log - this will always be a contract account.
    async fn account(&self, context: &Context<'_>, block: Option<Long>) -> Result<Account> {
        Account::at(context, self.0.log.address, block).await
    }

    /// Topics is a list of 0-4 indexed topics for the log.
    async fn topics(&self) -> Vec<Bytes32> {
        self.0.log.data.topics().iter().copied().map(Bytes32).collect()
    }

    /// Data is unindexed data for this log.
    async fn data(&self) -> Bytes {
        Bytes(self.0.log.data.data.clone())
    }

    /// Transaction is the transaction that generated this log entry.
    async fn transaction(&self, context: &Context<'_>) -> Result<Transaction> {
        let (block_number, tx_index) = (self.0.block.block_number, self.0.tx_index);
        let reader = context.data::<Reader>()?;
        let found =
            reader.read(move |snapshot| snapshot.transaction_in_block(block_number, tx_index)).await?;
        Ok(Transaction::new(found.ok_or(GraphqlError::Lost)?))
    }
}
