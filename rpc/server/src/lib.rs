//! The serving shell: TCP ports and a socket in the file system, in front of JSON-RPC, GraphQL and health checks.
//!
//! ```text
//!  port ──> TLS ──> gzip ──> CORS ──> Gate (hosts, origins, tokens) ──> /health /ready /login /graphql
//!                                                                  ├─> streamed methods, in chunks
//!                                                                  └─> JSON-RPC: HTTP POST or WebSocket
//!  IPC socket ──> JSON values one after another ──> JSON-RPC
//! ```
//! Here are sockets, limits and orderly shutdown. What methods answer is for `portico-jsonrpc` and
//! `portico-graphql`.

mod auth;
mod error;
mod framing;
mod gate;
mod graphql;
mod health;
mod ipc;
mod listen;
mod settings;
mod subscription_ids;
mod tls;

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, routing::get};
use jsonrpsee::server::{
    BatchRequestConfig, HttpBody, Server, ServerConfig, ServerHandle, middleware::rpc::RpcServiceBuilder,
    stop_channel,
};
use jsonrpsee::{RpcModule, core::RegisterMethodError};
use portico_governor::Governor;
use portico_jsonrpc::{CallsLayer, Namespace, NodeInfo};
use tokio::net::TcpListener;
use tower_http::{
    compression::CompressionLayer,
    cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer},
    map_response_body::MapResponseBodyLayer,
};

pub use error::ServerError;
pub use settings::{AuthSettings, IpcSettings, PortSettings, ServerSettings, TlsFiles};

use auth::Auth;
use gate::GateLayer;
use ipc::IpcLimits;

/// A server that accepts connections. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct RunningServer {
    addresses: Vec<SocketAddr>,
    handle: ServerHandle,
}

impl RunningServer {
    /// Where it listens, in the order of the settings' ports; a port is the real one when they asked for port 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Accepts no more connections, and waits until the calls that are being answered are done.
    pub async fn stop(self) {
        // An error means that it has stopped already.
        let _ = self.handle.stop();
        self.handle.stopped().await;
    }
}

/// Methods that only some nodes have.
#[derive(Debug, Clone, Default)]
pub struct ExtraMethods {
    /// For the consensus client's port.
    pub engine: Option<RpcModule<()>>,
    /// For ports with a namespace; they take the place of methods of the same names.
    pub others: Vec<(Namespace, RpcModule<()>)>,
}

/// Bytes of a request to the consensus client's port, at most.
const ENGINE_REQUEST_BYTES_MAX: u32 = 128 << 20;

/// Starts serving on the current tokio runtime. Nothing is served unless everything can be.
///
/// # Errors
/// When an address cannot be bound, a file cannot be used, or a setting makes no sense.
pub async fn start(
    settings: &ServerSettings,
    governor: &Governor,
    node: &Arc<NodeInfo>,
) -> Result<RunningServer, ServerError> {
    start_with(settings, governor, node, &ExtraMethods::default()).await
}

/// [`start`] for a node with more methods than those that only read.
///
/// # Errors
/// As [`start`].
pub async fn start_with(
    settings: &ServerSettings,
    governor: &Governor,
    node: &Arc<NodeInfo>,
    extra: &ExtraMethods,
) -> Result<RunningServer, ServerError> {
    let (stop, handle) = stop_channel();
    let mut addresses = Vec::new();
    let mut tasks: Vec<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>> = Vec::new();
    for port in &settings.ports {
        let bind_error = |source| ServerError::Bind { address: port.address, source };
        let mut methods = portico_jsonrpc::methods(governor, node, &port.namespaces)?;
        extra.merge(&mut methods.module, &port.namespaces, port.engine)?;
        let auth = port.auth.as_ref().map(Auth::new).transpose()?;
        let streams = port.http.then(|| methods.streams.clone());
        let router = routes(settings, port, governor, auth.as_ref());
        let gate = GateLayer::new(port, settings, auth, streams, router);
        let http = tower::ServiceBuilder::new()
            .layer(MapResponseBodyLayer::new(HttpBody::new))
            .layer(CompressionLayer::new())
            .layer(cors(port)?)
            .layer(gate);
        let rpc = RpcServiceBuilder::new()
            .layer(CallsLayer { response_bytes_max: settings.response_bytes_max as usize });
        let builder = Server::builder()
            .set_config(config(settings, port))
            .set_http_middleware(http)
            .set_rpc_middleware(rpc)
            .to_service_builder();
        let tls = port.tls.as_ref().map(tls::acceptor).transpose()?;
        let listener = TcpListener::bind(port.address).await.map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        tracing::info!(
            %address,
            namespaces = names(port),
            http = port.http,
            websocket = port.websocket,
            graphql = port.graphql,
            engine = port.engine,
            tls = tls.is_some(),
            authentication = port.auth.is_some(),
            "serving"
        );
        let service_stop = stop.clone();
        let service = move || builder.clone().build(methods.module.clone(), service_stop.clone());
        let limits = listen::Limits {
            connections: settings.connections_max as usize,
            request_time: settings.request_time_max,
        };
        tasks.push(Box::pin(listen::accept(listener, tls, limits, service, stop.clone())));
        addresses.push(address);
    }
    if let Some(ipc) = &settings.ipc {
        let mut methods = portico_jsonrpc::methods(governor, node, &ipc.namespaces)?;
        extra.merge(&mut methods.module, &ipc.namespaces, true)?;
        let listener = ipc::bind(ipc)?;
        tracing::info!(path = %ipc.path.display(), "serving IPC");
        let limits = IpcLimits {
            connections: settings.connections_max as usize,
            request_bytes: settings.request_bytes_max as usize,
            batch: settings.batch_max as usize,
        };
        tasks.push(Box::pin(ipc::accept(listener, ipc.path.clone(), limits, methods.module, stop.clone())));
    }
    for task in tasks {
        tokio::spawn(task);
    }
    drop(stop);
    Ok(RunningServer { addresses, handle })
}

impl ExtraMethods {
    fn merge(
        &self,
        module: &mut RpcModule<()>,
        namespaces: &[Namespace],
        engine: bool,
    ) -> Result<(), RegisterMethodError> {
        if let Some(methods) = self.engine.as_ref().filter(|_| engine) {
            module.merge(methods.clone())?;
        }
        for (_, methods) in self.others.iter().filter(|(namespace, _)| namespaces.contains(namespace)) {
            let names: Vec<&'static str> = methods.method_names().collect();
            names.into_iter().for_each(|name| drop(module.remove_method(name)));
            module.merge(methods.clone())?;
        }
        Ok(())
    }
}

pub(crate) fn request_bytes_max(settings: &ServerSettings, port: &PortSettings) -> u32 {
    if port.engine { ENGINE_REQUEST_BYTES_MAX } else { settings.request_bytes_max }
}

fn names(port: &PortSettings) -> String {
    let names: Vec<_> = port.namespaces.iter().map(|namespace| namespace.name()).collect();
    names.join(",")
}

fn config(settings: &ServerSettings, port: &PortSettings) -> ServerConfig {
    let batch = match settings.batch_max {
        0 => BatchRequestConfig::Disabled,
        limit => BatchRequestConfig::Limit(limit),
    };
    let config = ServerConfig::builder()
        .set_id_provider(subscription_ids::HexIds)
        .max_connections(settings.connections_max)
        .max_subscriptions_per_connection(settings.subscriptions_max)
        .max_request_body_size(request_bytes_max(settings, port))
        .max_response_body_size(settings.response_bytes_max)
        .set_batch_request_config(batch);
    match (port.http, port.websocket) {
        (true, true) | (false, false) => config.build(),
        (true, false) => config.http_only().build(),
        (false, true) => config.ws_only().build(),
    }
}

/// What is served besides JSON-RPC.
fn routes(
    settings: &ServerSettings,
    port: &PortSettings,
    governor: &Governor,
    auth: Option<&Auth>,
) -> Router {
    let mut router = Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .with_state(governor.query().clone());
    if let Some(auth) = auth {
        router = router.merge(auth::routes(auth.clone()));
    }
    if port.graphql { router.merge(graphql::routes(settings, governor)) } else { router }
}

fn cors(settings: &PortSettings) -> Result<CorsLayer, ServerError> {
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
