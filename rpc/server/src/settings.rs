//! What can be set about a server.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use portico_jsonrpc::Namespace;

/// What one TCP port serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortSettings {
    /// Where to listen.
    pub address: SocketAddr,
    /// Whether requests may come one by one.
    pub http: bool,
    /// Whether connections may become WebSockets.
    pub websocket: bool,
    /// Whether to serve `/graphql`.
    pub graphql: bool,
    /// Groups of methods.
    pub namespaces: Vec<Namespace>,
    /// Origins whose scripts may read answers and open WebSockets; `*` for all.
    pub cors_origins: Vec<String>,
    /// Names under which browsers may reach the server, against DNS rebinding; `*` for all. Addresses always may.
    pub hosts: Vec<String>,
    /// Certificate and key, for TLS.
    pub tls: Option<TlsFiles>,
    /// Who may come in; everybody when left out.
    pub auth: Option<AuthSettings>,
    /// Whether this is the consensus client's port: it has the Engine API, and takes large requests.
    pub engine: bool,
}

impl Default for PortSettings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8545)),
            http: true,
            websocket: true,
            graphql: false,
            namespaces: vec![Namespace::Eth, Namespace::Net, Namespace::Web3],
            cors_origins: Vec::new(),
            hosts: vec!["localhost".to_owned()],
            tls: None,
            auth: None,
            engine: false,
        }
    }
}

impl PortSettings {
    pub(crate) fn allows_any_origin(&self) -> bool {
        self.cors_origins.iter().any(|origin| origin == "*")
    }
}

/// Files in PEM form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and those that vouch for it.
    pub certificates: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How users prove who they are. With both, either will do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuthSettings {
    /// TOML file of users with hashed passwords and permissions, for `/login`.
    pub users: Option<PathBuf>,
    /// Key of tokens that somebody else makes: 32 bytes in hexadecimal (HS256), or a public key in PEM form
    /// (RS256 or ES256).
    pub token_key: Option<PathBuf>,
    /// The secret that is shared with the consensus client, 32 bytes in hexadecimal: its tokens are signed with it
    /// (HS256) and must say that they were made within the last minute.
    pub engine_secret: Option<PathBuf>,
}

/// The socket in the file system. Whoever may open it may call every method of its namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpcSettings {
    /// The socket's path.
    pub path: PathBuf,
    /// Groups of methods.
    pub namespaces: Vec<Namespace>,
}

/// What can be set about a server. The defaults listen on the loopback address, with go-ethereum's limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// TCP ports.
    pub ports: Vec<PortSettings>,
    /// The socket in the file system.
    pub ipc: Option<IpcSettings>,
    /// Connections at the same time, on each port.
    pub connections_max: u32,
    /// Subscriptions of one connection.
    pub subscriptions_max: u32,
    /// Bytes of a request, at most.
    pub request_bytes_max: u32,
    /// Bytes of an answer that is not streamed, at most.
    pub response_bytes_max: u32,
    /// Calls in a batch, at most; 0 refuses batches.
    pub batch_max: u32,
    /// How long a client may take to say what it wants: for TLS, for the header of each request, for its body.
    pub request_time_max: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            ports: vec![PortSettings::default()],
            ipc: None,
            connections_max: 500,
            subscriptions_max: 1024,
            request_bytes_max: 5 << 20,
            response_bytes_max: 160 << 20,
            batch_max: 1000,
            request_time_max: Duration::from_secs(30),
        }
    }
}
