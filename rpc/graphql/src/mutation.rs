//! What changes something.

use async_graphql::{Context, Object, Result};

use crate::{
    GraphqlError, Reader,
    scalars::{Bytes, Bytes32},
};

/// What changes something.
#[derive(Debug, Clone, Copy)]
pub struct Mutation;

#[Object]
impl Mutation {
    /// SendRawTransaction sends an RLP-encoded transaction to the network.
    async fn send_raw_transaction(&self, context: &Context<'_>, data: Bytes) -> Result<Bytes32> {
        let judge = move |snapshot: &portico_query::Snapshot<'_>| {
            let submission = snapshot.submission(&data.0)?;
            let account = snapshot.account(&submission.sender, snapshot.head())?;
            Ok((submission, account.unwrap_or_default().nonce))
        };
        let (submission, next_nonce) = context.data::<Reader>()?.read(judge).await?;
        if submission.nonce < next_nonce {
            return Err(GraphqlError::NonceTooLow { nonce: submission.nonce, next_nonce }.into());
        }
        Err(GraphqlError::NoPool.into())
    }
}
