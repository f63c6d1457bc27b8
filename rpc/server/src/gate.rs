//! In front of JSON-RPC: who may come in, the paths that are something else, and the answers that are streamed.

use std::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderValue, Method, StatusCode, header::CONTENT_TYPE},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Body;
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use portico_jsonrpc::{Permissions, Streams};
use tower::{BoxError, Layer, Service};

use crate::{PortSettings, ServerSettings, auth::Auth, request_bytes_max};

/// JSON-RPC code of a request that is too large, as the library under us has it.
const TOO_LARGE: i32 = -32007;

/// Puts a [`Gate`] in front of the JSON-RPC service.
#[derive(Debug, Clone)]
pub(crate) struct GateLayer {
    shared: Arc<Shared>,
    router: Router,
}

#[derive(Debug)]
struct Shared {
    rules: Rules,
    auth: Option<Auth>,
    streams: Option<Streams>,
    request_bytes_max: usize,
    /// How long a client may take to send a request's body.
    request_time_max: Duration,
}

/// Who may come in.
#[derive(Debug)]
struct Rules {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl GateLayer {
    /// For a port; `streams` when it takes requests one by one.
    pub fn new(
        port: &PortSettings,
        settings: &ServerSettings,
        auth: Option<Auth>,
        streams: Option<Streams>,
        router: Router,
    ) -> Self {
        let rules = Rules { hosts: port.hosts.clone(), origins: port.cors_origins.clone() };
        let shared = Shared {
            rules,
            auth,
            streams,
            request_bytes_max: request_bytes_max(settings, port) as usize,
            request_time_max: settings.request_time_max,
        };
        Self { shared: Arc::new(shared), router }
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, shared: self.shared.clone(), router: self.router.clone() }
    }
}

/// Refuses requests by the rules, answers the router's paths and the streamed methods, and passes everything else on.
#[derive(Debug, Clone)]
pub(crate) struct Gate<S> {
    inner: S,
    shared: Arc<Shared>,
    router: Router,
}

type Response = Pin<Box<dyn Future<Output = Result<HttpResponse, BoxError>> + Send>>;

impl<S, B> Service<HttpRequest<B>> for Gate<S>
where
    S: Service<HttpRequest, Response = HttpResponse, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = HttpResponse;
    type Error = BoxError;
    type Future = Response;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: HttpRequest<B>) -> Response {
        let mut request = request.map(HttpBody::new);
        if let Err(reason) = self.shared.rules.check(&request) {
            return ready(refusal(reason));
        }
        let path = request.uri().path().to_owned();
        if self.shared.auth.is_some() && !is_open(&path) {
            let Some(permissions) = self.shared.permissions(&request) else { return ready(unauthorized()) };
            request.extensions_mut().insert(permissions);
        }
        if is_routed(&path) {
            let mut router = self.router.clone();
            return Box::pin(async move {
                let response = router.call(request).await.unwrap_or_else(|never| match never {});
                Ok(response.map(HttpBody::new))
            });
        }
        if !is_call(&request) {
            return Box::pin(self.inner.call(request));
        }
        let (shared, mut inner) = (self.shared.clone(), self.inner.clone());
        Box::pin(async move { shared.answer(request, &mut inner).await })
    }
}

impl Shared {
    fn permissions<B>(&self, request: &HttpRequest<B>) -> Option<Permissions> {
        let authorization = request.headers().get("authorization")?.to_str().ok()?;
        self.auth.as_ref()?.permissions(authorization)
    }

    /// Reads the whole request, and streams the answer if it is one of those that are streamed.
    async fn answer<S>(&self, request: HttpRequest, inner: &mut S) -> Result<HttpResponse, BoxError>
    where
        S: Service<HttpRequest, Response = HttpResponse, Error = BoxError>,
    {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, self.request_bytes_max).collect();
        let bytes = match tokio::time::timeout(self.request_time_max, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Ok(self.too_large()),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Ok(plain(StatusCode::REQUEST_TIMEOUT, "the request took too long\n")),
        };
        let permissions = head.extensions.get::<Permissions>();
        if let Some(streams) = &self.streams
            && let Some(answer) = streams.answer(&bytes, permissions).await
        {
            let mut response = HttpResponse::new(HttpBody::new(answer));
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, json);
            return Ok(response);
        }
        let response = inner.call(HttpRequest::from_parts(head, HttpBody::new(Full::new(bytes)))).await?;
        Ok(if is_null(&response) { plain(response.status(), HttpBody::empty()) } else { response })
    }

    fn too_large(&self) -> HttpResponse {
        let limit = self.request_bytes_max;
        let error = format!(
            r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":{TOO_LARGE},"message":"the request is larger than {limit} bytes"}}}}"#
        );
        plain(StatusCode::PAYLOAD_TOO_LARGE, error)
    }
}

fn ready(response: HttpResponse) -> Response {
    Box::pin(std::future::ready(Ok(response)))
}

/// A JSON-RPC request, as far as its header goes.
fn is_call<B>(request: &HttpRequest<B>) -> bool {
    let content = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    request.method() == Method::POST && content.is_some_and(|content| content.starts_with("application/json"))
}

/// What the library under us says to notifications. JSON-RPC 2.0, and clients with it, expect nothing at all.
fn is_null(response: &HttpResponse) -> bool {
    // Every other answer is an object, or an array of them.
    response.body().size_hint().exact() == Some("null".len() as u64)
}

fn is_routed(path: &str) -> bool {
    matches!(path, "/health" | "/ready" | "/login" | "/graphql" | "/graphql/" | "/graphql/ui")
}

/// Paths that need no token.
fn is_open(path: &str) -> bool {
    matches!(path, "/health" | "/ready" | "/login")
}

fn plain(status: StatusCode, text: impl Into<HttpBody>) -> HttpResponse {
    let mut response = HttpResponse::new(text.into());
    *response.status_mut() = status;
    response
}

fn unauthorized() -> HttpResponse {
    plain(StatusCode::UNAUTHORIZED, "a token is needed: Authorization: Bearer TOKEN\n")
}

fn refusal(reason: &'static str) -> HttpResponse {
    plain(StatusCode::FORBIDDEN, reason)
}

impl Rules {
    fn check<B>(&self, request: &axum::http::Request<B>) -> Result<(), &'static str> {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let host = request.uri().host().or_else(|| header("host").map(without_port));
        if !host.is_none_or(|host| self.allows_host(host)) {
            return Err("invalid host specified\n");
        }
        // Browsers let any page open a WebSocket and say so in this header; other clients do not send it.
        let is_upgrade = request.headers().contains_key("upgrade");
        if is_upgrade && !header("origin").is_none_or(|origin| is_listed(origin, &self.origins)) {
            return Err("origin not allowed\n");
        }
        Ok(())
    }

    /// Rebinding needs a name: an address is what it says.
    fn allows_host(&self, host: &str) -> bool {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        address.parse::<IpAddr>().is_ok() || is_listed(host, &self.hosts)
    }
}

fn is_listed(value: &str, list: &[String]) -> bool {
    list.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(value))
}

/// The host of a `Host` header.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&str, &str)]) -> bool {
        let rules =
            Rules { hosts: vec!["localhost".to_owned()], origins: vec!["https://good.example".to_owned()] };
        let mut request = axum::http::Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        rules.check(&request.body(()).unwrap()).is_ok()
    }

    #[test]
    fn names_must_be_listed_and_addresses_need_not() {
        for (host, allowed) in [
            ("localhost", true),
            ("LocalHost:8545", true),
            ("127.0.0.1:8545", true),
            ("[::1]:8545", true),
            ("[::1]", true),
            ("evil.example", false),
            ("localhost.evil.example:8545", false),
        ] {
            assert_eq!(check(&[("host", host)]), allowed, "{host}");
        }
        assert!(check(&[]));
    }

    #[test]
    fn websockets_of_pages_need_a_listed_origin() {
        let upgrade = ("upgrade", "websocket");
        assert!(check(&[upgrade]));
        assert!(check(&[upgrade, ("origin", "https://good.example")]));
        assert!(!check(&[upgrade, ("origin", "https://evil.example")]));
        assert!(check(&[("origin", "https://evil.example")]), "CORS is for the others");
    }
}
