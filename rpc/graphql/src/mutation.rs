//! What changes something.

use async_graphql::{Context, Object, Result};
use portico_query::Snapshot;

use crate::{
    Reader,
    scalars::{Bytes, Bytes32},
};

/// What changes something.
#[derive(Debug, Clone, Copy)]
pub struct Mutation;

#[Object]
impl Mutation {
    /// SendRawTransaction sends an RLP-encoded transaction to the network.
    async fn send_raw_transaction(&self, context: &Context<'_>, data: Bytes) -> Result<Bytes32> {
        let submit = move |snapshot: &Snapshot<'_>| snapshot.submit(&data.0);
        Ok(Bytes32(context.data::<Reader>()?.read(submit).await?.hash))
    }
}
