//! Streamed answers over HTTP: from a request's text to a body of chunks.

use std::{
    collections::HashMap,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use jsonrpsee::types::{ErrorObject, ErrorObjectOwned, Params};
use portico_governor::{Governor, Refusal};
use portico_query::Budget;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::{
    Streamed,
    sink::{Message, Sink},
};
use crate::{
    Permissions, calls,
    error::{INVALID_REQUEST, MethodError},
};

/// Chunks that may wait for a client to read them.
const CHUNKS_WAITING: usize = 16;

type Work = Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send>>;

/// Answers the requests whose answers are streamed.
#[derive(Debug, Clone)]
pub struct Streams {
    governor: Governor,
    methods: Arc<HashMap<&'static str, Streamed>>,
}

/// The parts of a request that decide who answers it.
#[derive(Deserialize)]
struct Envelope<'a> {
    jsonrpc: &'a str,
    #[serde(borrow)]
    id: &'a RawValue,
    method: &'a str,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

impl Streams {
    pub(crate) fn new(governor: Governor, methods: Arc<HashMap<&'static str, Streamed>>) -> Self {
        Self { governor, methods }
    }

    /// The answer to a request for one of the streamed methods; `None` for every other one, also for batches and for
    /// what is no request at all.
    pub async fn answer(&self, request: &[u8], permissions: Option<&Permissions>) -> Option<ChunkBody> {
        let envelope: Envelope<'_> = serde_json::from_slice(request).ok()?;
        let id = envelope.id.get();
        if id.starts_with(['{', '[', 't', 'f']) {
            // The library under us would take it for a notification and say nothing.
            let error = ErrorObject::borrowed(INVALID_REQUEST, "an id is a number, a string or null", None);
            return Some(failed("unknown", Instant::now(), "null", &error));
        }
        let has_id = id.starts_with('"') || id.starts_with(|first: char| first.is_ascii_digit());
        if envelope.jsonrpc != "2.0" || !has_id {
            return None;
        }
        let streamed = *self.methods.get(envelope.method)?;
        let started = Instant::now();
        if !permissions.is_none_or(|permissions| permissions.allow(streamed.method)) {
            return Some(failed(streamed.method, started, id, &MethodError::NotAllowed.into()));
        }
        let params = envelope.params.map(RawValue::get);
        let job = match (streamed.parse)(Params::new(params)) {
            Ok(job) => job,
            Err(error) => return Some(failed(streamed.method, started, id, &calls::explain_error(error))),
        };
        let (sender, mut chunks) = mpsc::channel(CHUNKS_WAITING);
        let limit = self.governor.settings(streamed.class).bytes;
        let head = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":");
        let (governor, reader) = (self.governor.clone(), self.governor.clone());
        let compute = move |budget: Budget| {
            let mut sink = Sink::sending(sender, limit, budget.clone());
            let result = reader.snapshot(streamed.class, budget).and_then(|snapshot| {
                sink.raw(&head)?;
                job(&snapshot, &mut sink)?;
                sink.raw("}")
            });
            sink.close(result.map_err(|error| (streamed.recode)(MethodError::from(error).into())));
        };
        let mut work: Work = Box::pin(async move { governor.run(streamed.class, compute).await });
        // The first chunk, or that there will be none.
        let first = tokio::select! {
            biased;
            first = chunks.recv() => first,
            ended = &mut work => match ended {
                Ok(()) => chunks.recv().await,
                Err(refusal) => Some(Message::Failed(MethodError::from(refusal).into())),
            },
        };
        match first {
            Some(Message::Chunk(first)) => Some(ChunkBody {
                first: Some(first),
                rest: Some(Rest { chunks, _work: work, method: streamed.method, started }),
            }),
            Some(Message::Whole(text)) => {
                calls::record(streamed.method, None, started);
                Some(ChunkBody { first: Some(text), rest: None })
            }
            Some(Message::Failed(error)) => Some(failed(streamed.method, started, id, &error)),
            Some(Message::End) | None => {
                Some(failed(streamed.method, started, id, &MethodError::Lost.into()))
            }
        }
    }
}

/// An answer that says why there is none.
fn failed(method: &'static str, started: Instant, id: &str, error: &ErrorObject<'_>) -> ChunkBody {
    calls::record(method, Some(error.code()), started);
    let error = serde_json::to_string(error).expect("an error object is JSON");
    let text = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{error}}}");
    ChunkBody { first: Some(text.into()), rest: None }
}

/// The body of an answer: chunks as they are computed. Dropping it stops the work.
pub struct ChunkBody {
    first: Option<Bytes>,
    rest: Option<Rest>,
}

struct Rest {
    chunks: mpsc::Receiver<Message>,
    /// Held only to be dropped.
    _work: Work,
    method: &'static str,
    started: Instant,
}

impl std::fmt::Debug for ChunkBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkBody").finish_non_exhaustive()
    }
}

impl Body for ChunkBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let Poll::Ready(message) = rest.chunks.poll_recv(context) else { return Poll::Pending };
        let (method, started) = (rest.method, rest.started);
        let cut_off = |error: ErrorObjectOwned| {
            calls::record(method, Some(error.code()), started);
            tracing::debug!(method, error = error.message(), "an answer was cut off");
            Poll::Ready(Some(Err(io::Error::other(error.message().to_owned()))))
        };
        match message {
            Some(Message::Chunk(chunk) | Message::Whole(chunk)) => {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            Some(Message::End) => calls::record(method, None, started),
            Some(Message::Failed(error)) => {
                self.rest = None;
                return cut_off(error);
            }
            None => {
                self.rest = None;
                return cut_off(MethodError::Lost.into());
            }
        }
        self.rest = None;
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let known = self.first.as_ref().map_or(0, |first| first.len() as u64);
        if self.rest.is_none() {
            return SizeHint::with_exact(known);
        }
        let mut hint = SizeHint::new();
        hint.set_lower(known);
        hint
    }
}
