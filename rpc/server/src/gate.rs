//! In front of JSON-RPC: who may come in, and the paths that are something else.

use std::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::Router;
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use tower::{BoxError, Layer, Service};

use crate::ServerSettings;

/// Puts a [`Gate`] in front of the JSON-RPC service.
#[derive(Debug, Clone)]
pub(crate) struct GateLayer {
    rules: Arc<Rules>,
    router: Router,
}

/// Who may come in.
#[derive(Debug)]
struct Rules {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl GateLayer {
    pub fn new(settings: &ServerSettings, router: Router) -> Self {
        let rules = Rules { hosts: settings.hosts.clone(), origins: settings.cors_origins.clone() };
        Self { rules: Arc::new(rules), router }
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, rules: self.rules.clone(), router: self.router.clone() }
    }
}

/// Refuses requests by the rules, answers the router's paths, and passes everything else on.
#[derive(Debug, Clone)]
pub(crate) struct Gate<S> {
    inner: S,
    rules: Arc<Rules>,
    router: Router,
}

type Response = Pin<Box<dyn Future<Output = Result<HttpResponse, BoxError>> + Send>>;

impl<S> Service<HttpRequest> for Gate<S>
where
    S: Service<HttpRequest, Response = HttpResponse, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = HttpResponse;
    type Error = BoxError;
    type Future = Response;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: HttpRequest) -> Response {
        if let Err(reason) = self.rules.check(&request) {
            return Box::pin(std::future::ready(Ok(refusal(reason))));
        }
        if !is_routed(request.uri().path()) {
            return Box::pin(self.inner.call(request));
        }
        let mut router = self.router.clone();
        Box::pin(async move {
            let response = router.call(request).await.unwrap_or_else(|never| match never {});
            Ok(response.map(HttpBody::new))
        })
    }
}

fn is_routed(path: &str) -> bool {
    matches!(path, "/health" | "/ready" | "/graphql")
}

fn refusal(reason: &'static str) -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::from(reason));
    *response.status_mut() = axum::http::StatusCode::FORBIDDEN;
    response
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
