//! Answers that are written while they are computed.
//!
//! ```text
//!  Streamed { method, class, parse } ──parse──> Job ──> writes JSON into a Sink on a thread of its class
//!                                                          ├─ HTTP:  chunks, as far as the client reads them
//!                                                          └─ WebSocket, IPC, batches: one text, bounded
//! ```
//! Such an answer never exists as a tree of values, and over HTTP not as one text either. What goes wrong before the
//! first chunk is an ordinary error. After that the transport is cut off: a client must never take half an answer
//! for a whole one.

mod http;
mod sink;

use std::{collections::HashMap, sync::Arc};

use jsonrpsee::{
    RpcModule,
    core::{RegisterMethodError, RpcResult},
    types::{ErrorObjectOwned, Params},
};
use portico_governor::{Class, Governor};
use portico_query::{QueryError, Snapshot};
use serde_json::value::RawValue;

use crate::error::MethodError;

pub use http::{ChunkBody, Streams};
pub(crate) use sink::{Sink, write_array};

/// Computes one answer and writes it as JSON.
pub(crate) type Job = Box<dyn FnOnce(&Snapshot<'_>, &mut Sink) -> Result<(), QueryError> + Send>;

/// A method whose answer is written while it is computed.
#[derive(Clone, Copy)]
pub(crate) struct Streamed {
    /// Its whole name.
    pub method: &'static str,
    /// What it costs.
    pub class: Class,
    /// Takes the arguments apart.
    pub parse: fn(Params<'_>) -> Result<Job, ErrorObjectOwned>,
    /// Gives errors the codes that this namespace's clients know.
    pub recode: fn(ErrorObjectOwned) -> ErrorObjectOwned,
}

impl std::fmt::Debug for Streamed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streamed")
            .field("method", &self.method)
            .field("class", &self.class)
            .finish_non_exhaustive()
    }
}

/// Registers methods for the transports that need the whole answer.
pub(crate) fn register(
    module: &mut RpcModule<()>,
    governor: &Governor,
    methods: &[Streamed],
) -> Result<(), RegisterMethodError> {
    for streamed in methods.iter().copied() {
        let governor = governor.clone();
        module.register_async_method(streamed.method, move |params, _, _| {
            let governor = governor.clone();
            async move { collect(&governor, streamed, params).await }
        })?;
    }
    Ok(())
}

async fn collect(governor: &Governor, streamed: Streamed, params: Params<'_>) -> RpcResult<Box<RawValue>> {
    let job = (streamed.parse)(params)?;
    let limit = governor.settings(streamed.class).bytes;
    let answer = governor.read(streamed.class, move |snapshot| {
        let mut sink = Sink::collecting(limit, snapshot.budget());
        job(snapshot, &mut sink)?;
        Ok(sink.into_text())
    });
    let text = answer.await.map_err(MethodError::from)?.map_err(MethodError::from);
    let text = text.map_err(|error| (streamed.recode)(error.into()))?;
    Ok(RawValue::from_string(text).map_err(|error| MethodError::NotJson(error.to_string()))?)
}

/// The table of methods that HTTP streams.
pub(crate) fn table(methods: Vec<Streamed>) -> Arc<HashMap<&'static str, Streamed>> {
    Arc::new(methods.into_iter().map(|streamed| (streamed.method, streamed)).collect())
}

/// For namespaces without codes of their own.
pub(crate) fn as_it_is(error: ErrorObjectOwned) -> ErrorObjectOwned {
    error
}
