//! Reading the chain through GraphQL: the schema of EIP-1767 on top of `portico-query`.
//!
//! ```text
//!  request ──> Schema (depth and complexity limits) ──> resolvers ──> Reader ──> one thread with one Snapshot
//! ```
//! A request is answered from one snapshot, however many fields it has: its [`Reader`] keeps the snapshot on a
//! blocking thread and runs what the resolvers ask for there, one after the other, until the request is done.
//!
//! Not there yet, and not in the schema: pending state, fee estimates, raw receipts, sending transactions.

mod account;
mod block;
mod call;
mod criteria;
mod error;
mod log;
mod reader;
mod root;
mod scalars;
mod transaction;

use async_graphql::{EmptyMutation, EmptySubscription, Request, Response};
use portico_governor::Governor;

pub use error::GraphqlError;
pub use reader::Reader;
pub use root::Root;

/// The schema.
pub type Schema = async_graphql::Schema<Root, EmptyMutation, EmptySubscription>;

/// Bounds on a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphqlSettings {
    /// Fields within fields, at most.
    pub depth_max: usize,
    /// Fields in all, at most; those within lists count as often as the list may be long.
    pub complexity_max: usize,
}

impl Default for GraphqlSettings {
    fn default() -> Self {
        Self { depth_max: 16, complexity_max: 20_000 }
    }
}

/// Answers requests. Clones share everything.
#[derive(Clone)]
pub struct Service {
    schema: Schema,
    governor: Governor,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

impl Service {
    /// A service that reads through a governor.
    pub fn new(governor: Governor, settings: &GraphqlSettings) -> Self {
        let schema = Schema::build(Root, EmptyMutation, EmptySubscription)
            .limit_depth(settings.depth_max)
            .limit_complexity(settings.complexity_max)
            .finish();
        Self { schema, governor }
    }

    /// Answers a request from one snapshot; what goes wrong is in the response.
    pub async fn execute(&self, request: Request) -> Response {
        match Reader::start(&self.governor).await {
            Ok(reader) => self.schema.execute(request.data(reader)).await,
            Err(error) => {
                Response::from_errors(vec![async_graphql::ServerError::new(error.to_string(), None)])
            }
        }
    }

    /// The schema in GraphQL's own language.
    pub fn sdl(&self) -> String {
        self.schema.sdl()
    }
}
