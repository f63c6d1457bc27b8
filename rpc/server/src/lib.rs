//! The serving shell: one port for JSON-RPC over HTTP and WebSocket, GraphQL and health checks.
//!
//! ```text
//!  connection ──> CORS ──> Gate (host and origin checks) ──> /health /ready /graphql
//!                                                        └─> JSON-RPC: HTTP POST or WebSocket
//! ```
//! Here are sockets, limits and orderly shutdown. What methods answer is for `portico-jsonrpc` and
//! `portico-graphql`.

mod error;
mod gate;
mod graphql;
mod health;
mod settings;

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, routing::get};
use jsonrpsee::{
    RpcModule,
    server::{BatchRequestConfig, Server, ServerConfig, ServerHandle, middleware::rpc::RpcServiceBuilder},
};
use portico_jsonrpc::{CallsLayer, NodeInfo};
use portico_query::Query;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

pub use error::ServerError;
pub use settings::ServerSettings;

use gate::GateLayer;

/// A server that accepts connections. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct RunningServer {
    address: SocketAddr,
    handle: ServerHandle,
}

impl RunningServer {
    /// Where it listens; the port is the real one when the settings asked for port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more connections, and waits until the calls that are being answered are done.
    pub async fn stop(self) {
        // An error means that it has stopped already.
        let _ = self.handle.stop();
        self.handle.stopped().await;
    }
}

/// Starts serving `query` on the current tokio runtime.
///
/// # Errors
/// When the address cannot be bound, or a setting makes no sense.
pub async fn start(
    settings: &ServerSettings,
    query: &Query,
    node: &Arc<NodeInfo>,
) -> Result<RunningServer, ServerError> {
    let methods = portico_jsonrpc::methods(query, node, &settings.workers, &settings.namespaces)?;
    let http = tower::ServiceBuilder::new()
        .layer(cors(settings)?)
        .layer(GateLayer::new(settings, routes(settings, query)));
    let rpc = RpcServiceBuilder::new()
        .layer(CallsLayer { response_bytes_max: settings.response_bytes_max as usize });
    let server = Server::builder()
        .set_config(config(settings))
        .set_http_middleware(http)
        .set_rpc_middleware(rpc)
        .build(settings.address)
        .await
        .map_err(|source| ServerError::Bind { address: settings.address, source })?;
    let address =
        server.local_addr().map_err(|source| ServerError::Bind { address: settings.address, source })?;
    tracing::info!(%address, namespaces = names(settings), websocket = settings.websocket, "serving JSON-RPC");
    Ok(RunningServer { address, handle: server.start(methods) })
}

/// The methods alone, for callers that have their own transport.
///
/// # Errors
/// As [`start`].
pub fn methods(
    settings: &ServerSettings,
    query: &Query,
    node: &Arc<NodeInfo>,
) -> Result<RpcModule<()>, ServerError> {
    Ok(portico_jsonrpc::methods(query, node, &settings.workers, &settings.namespaces)?)
}

fn names(settings: &ServerSettings) -> String {
    let names: Vec<_> = settings.namespaces.iter().map(|namespace| namespace.name()).collect();
    names.join(",")
}

fn config(settings: &ServerSettings) -> ServerConfig {
    let batch = match settings.batch_max {
        0 => BatchRequestConfig::Disabled,
        limit => BatchRequestConfig::Limit(limit),
    };
    let config = ServerConfig::builder()
        .max_connections(settings.connections_max)
        .max_request_body_size(settings.request_bytes_max)
        .max_response_body_size(settings.response_bytes_max)
        .set_batch_request_config(batch);
    if settings.websocket { config.build() } else { config.http_only().build() }
}

/// What is served besides JSON-RPC.
fn routes(settings: &ServerSettings, query: &Query) -> Router {
    let health = Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .with_state(query.clone());
    if settings.graphql { health.merge(graphql::routes(settings, query)) } else { health }
}

fn cors(settings: &ServerSettings) -> Result<CorsLayer, ServerError> {
    let layer = CorsLayer::new();
    if settings.cors_origins.is_empty() {
        return Ok(layer);
    }
    let layer =
        layer.allow_methods(AllowMethods::mirror_request()).allow_headers(AllowHeaders::mirror_request());
    if settings.allows_any_origin() {
        return Ok(layer.allow_origin(AllowOrigin::any()));
    }
    let origins = settings
        .cors_origins
        .iter()
        .map(|origin| origin.parse().map_err(|_| ServerError::BadOrigin(origin.clone())));
    Ok(layer.allow_origin(AllowOrigin::list(origins.collect::<Result<Vec<_>, _>>()?)))
}
