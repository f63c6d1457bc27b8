//! What can be set about a server.

use std::net::{Ipv4Addr, SocketAddr};

use portico_jsonrpc::{Namespace, WorkerSettings};

/// What can be set about a server. The defaults listen on the loopback address, with go-ethereum's limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// Where to listen.
    pub address: SocketAddr,
    /// Whether connections may become WebSockets.
    pub websocket: bool,
    /// Whether to serve `/graphql`.
    pub graphql: bool,
    /// Groups of methods.
    pub namespaces: Vec<Namespace>,
    /// Connections and calls at the same time.
    pub connections_max: u32,
    /// Bytes of a request, at most.
    pub request_bytes_max: u32,
    /// Bytes of an answer, at most.
    pub response_bytes_max: u32,
    /// Calls in a batch, at most; 0 refuses batches.
    pub batch_max: u32,
    /// Origins whose scripts may read answers and open WebSockets; `*` for all.
    pub cors_origins: Vec<String>,
    /// Names under which browsers may reach the server, against DNS rebinding; `*` for all. Addresses always may.
    pub hosts: Vec<String>,
    /// Threads for calls.
    pub workers: WorkerSettings,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8545)),
            websocket: true,
            graphql: false,
            namespaces: vec![Namespace::Eth, Namespace::Net, Namespace::Web3],
            connections_max: 500,
            request_bytes_max: 5 << 20,
            response_bytes_max: 160 << 20,
            batch_max: 1000,
            cors_origins: Vec::new(),
            hosts: vec!["localhost".to_owned()],
            workers: WorkerSettings::default(),
        }
    }
}

impl ServerSettings {
    pub(crate) fn allows_any_origin(&self) -> bool {
        self.cors_origins.iter().any(|origin| origin == "*")
    }
}
