//! Reading the chain through GraphQL: the schema of EIP-1767 on top of `portico-query`.
//!
//! ```text
//!  request ──> Schema (depth and complexity limits) ──> resolvers ──> Reader ──> one thread with one Snapshot
//! ```
//! A request is answered from one snapshot, however many fields it has: its [`Reader`] keeps the snapshot on a
//! blocking thread and runs what the resolvers ask for there, one after the other, until the request is done.
//!
//! A document is measured before anything walks through it (`document.rs`): fragments that spread one another are
//! larger than their text. There is no transaction pool: the pending state is the head's, and nothing can be sent.

mod account;
mod block;
mod call;
mod criteria;
mod document;
mod error;
mod log;
mod mutation;
mod nullable;
mod pending;
mod reader;
mod root;
mod scalars;
mod transaction;

use async_graphql::{EmptySubscription, Request, Response, ServerError, parser::types::ExecutableDocument};
use portico_governor::Governor;

pub use error::GraphqlError;
pub use mutation::Mutation;
pub use reader::Reader;
pub use root::Root;

/// The schema.
pub type Schema = async_graphql::Schema<Root, Mutation, EmptySubscription>;

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
        let schema = Schema::build(Root, Mutation, EmptySubscription)
            .limit_depth(settings.depth_max)
            .limit_complexity(settings.complexity_max)
            .finish();
        Self { schema, governor }
    }

    /// Answers a request from one snapshot; what goes wrong is in the response.
    pub async fn execute(&self, request: Request) -> Response {
        match document::parse(&request.query) {
            Ok(document) => self.run(request, document).await,
            Err(error) => failure(error),
        }
    }

    /// [`Service::execute`] for requests that must not change anything.
    pub async fn execute_query(&self, request: Request) -> Response {
        match document::parse(&request.query) {
            Ok(document) if document::has_only_queries(&document) => self.run(request, document).await,
            Ok(_) => failure(GraphqlError::NotAQuery),
            Err(error) => failure(error),
        }
    }

    async fn run(&self, mut request: Request, document: ExecutableDocument) -> Response {
        request.set_parsed_query(document);
        let reader = match Reader::start(&self.governor).await {
            Ok(reader) => reader,
            Err(error) => return failure(error),
        };
        let mut response = self.schema.execute(request.data(reader)).await;
        for error in &mut response.errors {
            if let Some(extensions) = error.source::<GraphqlError>().and_then(GraphqlError::extensions) {
                error.extensions = Some(extensions);
            }
        }
        response
    }

    /// The schema in GraphQL's own language.
    pub fn sdl(&self) -> String {
        self.schema.sdl()
    }
}

fn failure(error: GraphqlError) -> Response {
    let extensions = error.extensions();
    Response::from_errors(vec![ServerError { extensions, ..error.into() }])
}
