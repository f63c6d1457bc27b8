//! What happens around every call: metrics, and arguments' errors with the reason in their message.

use std::{borrow::Cow, future::Future, time::Instant};

use jsonrpsee::{
    BatchResponseBuilder, MethodResponse,
    core::middleware::{Batch, BatchEntry, Notification},
    server::middleware::rpc::RpcServiceT,
    types::{ErrorObject, ErrorObjectOwned, Request, Response, ResponsePayload},
};
use serde_json::{Value, value::RawValue};

use crate::{
    Permissions,
    error::{INVALID_PARAMS, MethodError},
};

/// Puts [`Calls`] around the service that runs the methods.
#[derive(Debug, Clone, Copy)]
pub struct CallsLayer {
    /// Bytes of the answer to a batch, at most.
    pub response_bytes_max: usize,
}

impl<S> tower::Layer<S> for CallsLayer {
    type Service = Calls<S>;

    fn layer(&self, service: S) -> Calls<S> {
        Calls { service, response_bytes_max: self.response_bytes_max }
    }
}

/// Measures each call, alone or in a batch, and moves the reason why an argument was refused from the error's
/// `data`, where clients do not look, to its message.
#[derive(Debug, Clone)]
pub struct Calls<S> {
    service: S,
    response_bytes_max: usize,
}

impl<S> RpcServiceT for Calls<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse, NotificationResponse = MethodResponse>
        + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let service = self.service.clone();
        async move { run(&service, request).await }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let service = self.service.clone();
        let mut responses = BatchResponseBuilder::new_with_limit(self.response_bytes_max);
        async move {
            let mut notified = false;
            for entry in batch {
                let response = match entry {
                    Ok(BatchEntry::Call(request)) => run(&service, request).await,
                    Ok(BatchEntry::Notification(notification)) => {
                        notified = true;
                        service.notification(notification).await;
                        continue;
                    }
                    Err(error) => {
                        let (error, id) = error.into_parts();
                        MethodResponse::error(id, error)
                    }
                };
                if let Err(too_large) = responses.append(response) {
                    return too_large;
                }
            }
            if responses.is_empty() && notified {
                return MethodResponse::notification();
            }
            MethodResponse::from_batch(responses.finish())
        }
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.service.notification(notification)
    }
}

async fn run<S: RpcServiceT<MethodResponse = MethodResponse>>(
    service: &S,
    request: Request<'_>,
) -> MethodResponse {
    let method = request.method.clone().into_owned();
    let started = Instant::now();
    let allowed =
        request.extensions.get::<Permissions>().is_none_or(|permissions| permissions.allow(&method));
    if !allowed {
        let refused = MethodResponse::error(request.id, ErrorObjectOwned::from(MethodError::NotAllowed));
        record(&method, refused.as_error_code(), started);
        return refused;
    }
    let id = request.id.clone().into_owned();
    let mut response = explain(service.call(request).await);
    if response.as_error_code() == Some(INTERNAL_ERROR) && SUBSCRIPTIONS.contains(&method.as_str()) {
        // What the library says where nothing can be notified: over HTTP.
        response = MethodResponse::error(id, ErrorObjectOwned::from(MethodError::NoNotifications));
    }
    record(&method, response.as_error_code(), started);
    response
}

/// JSON-RPC 2.0: a fault of the server's.
const INTERNAL_ERROR: i32 = -32603;
/// Methods that need a connection on which messages can be sent.
const SUBSCRIPTIONS: [&str; 2] = ["eth_subscribe", "eth_unsubscribe"];

/// JSON-RPC 2.0: no such method. Its name is the client's invention and must not become a label.
const METHOD_NOT_FOUND: i32 = -32601;

/// Counts a call that is done; `code` is that of its error.
pub(crate) fn record(method: &str, code: Option<i32>, started: Instant) {
    let method = if code == Some(METHOD_NOT_FOUND) { "unknown" } else { method }.to_owned();
    let code = code.map_or_else(|| "ok".to_owned(), |code| code.to_string());
    metrics::histogram!("portico_rpc_seconds", "method" => method.clone())
        .record(started.elapsed().as_secs_f64());
    metrics::counter!("portico_rpc_calls_total", "method" => method, "code" => code).increment(1);
}

fn explain(response: MethodResponse) -> MethodResponse {
    if response.as_error_code() != Some(INVALID_PARAMS) {
        return response;
    }
    match explained(&response) {
        Some(explained) => explained.with_extensions(response.extensions().clone()),
        None => response,
    }
}

/// The same error with its reason in the message, if it has one in `data`.
fn explained(response: &MethodResponse) -> Option<MethodResponse> {
    let parsed: Response<'_, Value> = serde_json::from_str(response.as_json().get()).ok()?;
    let ResponsePayload::Error(error) = parsed.payload else { return None };
    error.data()?;
    Some(MethodResponse::error(parsed.id, explain_error(error.into_owned())))
}

/// Moves the reason why an argument was refused from `data` to the message.
pub(crate) fn explain_error(error: ErrorObjectOwned) -> ErrorObjectOwned {
    let reason = error.data().and_then(|data| serde_json::from_str::<String>(data.get()).ok());
    match reason {
        Some(reason) if error.code() == INVALID_PARAMS => {
            ErrorObject::owned(INVALID_PARAMS, format!("invalid argument: {reason}"), None::<()>)
        }
        _ => error,
    }
}

/// Counts a call that came over a transport without [`Calls`], by its texts.
pub fn record_raw(request: &str, answer: &RawValue, started: Instant) {
    #[derive(serde::Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        method: Cow<'a, str>,
    }
    let method =
        serde_json::from_str::<Named<'_>>(request).map_or(Cow::Borrowed("unknown"), |named| named.method);
    let error = serde_json::from_str::<Failure>(answer.get()).ok().and_then(|failure| failure.error);
    record(&method, error.map(|error| error.code), started);
}

#[derive(serde::Deserialize)]
struct Failure {
    error: Option<FailureCode>,
}

#[derive(serde::Deserialize)]
struct FailureCode {
    code: i32,
}
