//! Flags about serving: ports, who may come in, and what calls may cost.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use alloy_primitives::utils::parse_ether;
use clap::Args;
use eyre::Result;
use portico_governor::GovernorSettings;
use portico_jsonrpc::Namespace;
use portico_query::QuerySettings;
use portico_server::{AuthSettings, IpcSettings, PortSettings, ServerSettings, TlsFiles};

/// Name of the socket in the data folder.
const IPC_FILE: &str = "portico.ipc";

/// Flags about serving.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Serve JSON-RPC over HTTP, and over WebSocket on the same port
    #[arg(long, env = "PORTICO_HTTP")]
    http: bool,
    /// Address to serve on
    #[arg(
        long = "http.addr",
        env = "PORTICO_HTTP_ADDR",
        default_value = "127.0.0.1",
        value_name = "ADDRESS"
    )]
    http_addr: IpAddr,
    /// Port to serve on
    #[arg(long = "http.port", env = "PORTICO_HTTP_PORT", default_value_t = 8545, value_name = "PORT")]
    http_port: u16,
    /// Groups of methods to serve
    #[arg(
        long = "http.api",
        env = "PORTICO_HTTP_API",
        default_value = "eth,net,web3",
        value_delimiter = ',',
        value_name = "NAMES"
    )]
    http_api: Vec<Namespace>,
    /// Origins whose scripts may use the server, * for all
    #[arg(
        long = "http.corsdomain",
        env = "PORTICO_HTTP_CORSDOMAIN",
        value_delimiter = ',',
        value_name = "ORIGINS"
    )]
    http_corsdomain: Vec<String>,
    /// Names under which browsers may reach the server, * for all
    #[arg(
        long = "http.vhosts",
        env = "PORTICO_HTTP_VHOSTS",
        default_value = "localhost",
        value_delimiter = ',',
        value_name = "NAMES"
    )]
    http_vhosts: Vec<String>,
    /// Certificate chain (PEM) for TLS on all ports
    #[arg(long = "http.tls.cert", env = "PORTICO_HTTP_TLS_CERT", requires = "tls_key", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// Private key (PEM) of the certificate
    #[arg(long = "http.tls.key", env = "PORTICO_HTTP_TLS_KEY", requires = "tls_cert", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Users (TOML: [Users.NAME] with password, a bcrypt hash, and permissions) who get tokens at /login
    #[arg(long = "http.auth.users", env = "PORTICO_HTTP_AUTH_USERS", value_name = "FILE")]
    auth_users: Option<PathBuf>,
    /// Key of the tokens to accept: a secret of 64 hexadecimal digits (HS256), or a public key (PEM)
    #[arg(long = "http.auth.key", env = "PORTICO_HTTP_AUTH_KEY", value_name = "FILE")]
    auth_key: Option<PathBuf>,
    /// Serve JSON-RPC over WebSocket on a port of its own
    #[arg(long, env = "PORTICO_WS")]
    ws: bool,
    /// Address to serve WebSockets on
    #[arg(long = "ws.addr", env = "PORTICO_WS_ADDR", default_value = "127.0.0.1", value_name = "ADDRESS")]
    ws_addr: IpAddr,
    /// Port to serve WebSockets on
    #[arg(long = "ws.port", env = "PORTICO_WS_PORT", default_value_t = 8546, value_name = "PORT")]
    ws_port: u16,
    /// Groups of methods to serve over WebSocket
    #[arg(
        long = "ws.api",
        env = "PORTICO_WS_API",
        default_value = "eth,net,web3",
        value_delimiter = ',',
        value_name = "NAMES"
    )]
    ws_api: Vec<Namespace>,
    /// Origins whose scripts may open WebSockets, * for all
    #[arg(long = "ws.origins", env = "PORTICO_WS_ORIGINS", value_delimiter = ',', value_name = "ORIGINS")]
    ws_origins: Vec<String>,
    /// Serve GraphQL at /graphql of the HTTP port
    #[arg(long, env = "PORTICO_GRAPHQL")]
    graphql: bool,
    /// Path of the IPC socket, which serves all methods to whoever may open it [default: DATADIR/portico.ipc]
    #[arg(long = "ipc.path", env = "PORTICO_IPC_PATH", value_name = "PATH")]
    ipc_path: Option<PathBuf>,
    /// No IPC socket
    #[arg(long = "ipc.disable", env = "PORTICO_IPC_DISABLE")]
    ipc_disable: bool,
    /// Connections at the same time, on each port
    #[arg(
        long = "rpc.connections-max",
        env = "PORTICO_RPC_CONNECTIONS_MAX",
        default_value_t = 500,
        value_name = "N"
    )]
    connections_max: u32,
    /// Logs that one eth_getLogs returns at most
    #[arg(long = "rpc.logs-max", env = "PORTICO_RPC_LOGS_MAX", default_value_t = 20_000, value_name = "N")]
    logs_max: usize,
    /// Gas that one eth_call executes at most
    #[arg(long = "rpc.gascap", env = "PORTICO_RPC_GASCAP", default_value_t = 50_000_000, value_name = "GAS")]
    gas_cap: u64,
    /// Blocks back from the head whose state eth_getProof proves and on which eth_simulateV1 builds; the work grows with
    /// what changed since
    #[arg(
        long = "rpc.proof-blocks",
        env = "PORTICO_RPC_PROOF_BLOCKS",
        default_value_t = 10_000,
        value_name = "BLOCKS"
    )]
    proof_blocks: u64,
    /// Seconds that one eth_call works at most; short for --rpc.limit call.time=SECONDS
    #[arg(long = "rpc.evmtimeout", env = "PORTICO_RPC_EVMTIMEOUT", value_name = "SECONDS")]
    call_seconds: Option<u64>,
    /// Ether that a transaction which is sent over RPC may pay for gas at most, 0 for no bound
    #[arg(
        long = "rpc.txfeecap",
        env = "PORTICO_RPC_TXFEECAP",
        default_value = "1",
        value_parser = wei_of_ether,
        value_name = "ETHER"
    )]
    tx_fee_cap: u128,
    /// Take transactions over RPC that are valid on every chain (without EIP-155)
    #[arg(long = "rpc.allow-unprotected-txs", env = "PORTICO_RPC_ALLOW_UNPROTECTED_TXS")]
    unprotected: bool,
    /// Refuse tracers that are scripts in JavaScript: they are bounded in time, loops and results, but not in memory
    #[arg(long = "rpc.no-script-tracers", env = "PORTICO_RPC_NO_SCRIPT_TRACERS")]
    no_script_tracers: bool,
    /// A bound of a class of calls, as trace.threads=4. Classes: light, call, range, trace, proof, graphql. Bounds:
    /// threads, queue (calls that wait), wait and time (seconds), bytes (of an answer), nice (0 to 19; 20: only while
    /// a processor has nothing else to do)
    #[arg(
        long = "rpc.limit",
        env = "PORTICO_RPC_LIMIT",
        value_delimiter = ',',
        value_name = "CLASS.BOUND=NUMBER"
    )]
    limits: Vec<String>,
}

impl ServeArgs {
    /// Whether anything besides the IPC socket is served.
    pub fn has_ports(&self) -> bool {
        self.http || self.graphql || self.ws
    }

    /// Whether anything is served at all.
    pub fn serves(&self) -> bool {
        self.has_ports() || !self.ipc_disable
    }

    /// Bounds on what calls find.
    pub fn query_settings(&self) -> QuerySettings {
        QuerySettings {
            log_results_max: self.logs_max,
            call_gas_max: self.gas_cap,
            proof_blocks_max: self.proof_blocks,
            tx_fee_max: self.tx_fee_cap,
            unprotected_allowed: self.unprotected,
            scripts_allowed: !self.no_script_tracers,
            ..QuerySettings::default()
        }
    }

    /// Bounds on the work of calls.
    pub fn governor_settings(&self) -> Result<GovernorSettings> {
        let mut settings = GovernorSettings::default();
        if let Some(seconds) = self.call_seconds {
            settings.set(&format!("call.time={seconds}"))?;
        }
        for limit in &self.limits {
            settings.set(limit)?;
        }
        Ok(settings)
    }

    /// Ports and socket.
    pub fn server_settings(&self, datadir: &Path) -> ServerSettings {
        let tls = self.tls_cert.clone().zip(self.tls_key.clone());
        let tls = tls.map(|(certificates, key)| TlsFiles { certificates, key });
        let auth = AuthSettings {
            users: self.auth_users.clone(),
            token_key: self.auth_key.clone(),
            engine_secret: None,
        };
        let auth = (auth != AuthSettings::default()).then_some(auth);
        let mut ports = Vec::new();
        if self.http || self.graphql {
            ports.push(PortSettings {
                address: SocketAddr::new(self.http_addr, self.http_port),
                http: true,
                websocket: self.http,
                graphql: self.graphql,
                namespaces: if self.http { self.http_api.clone() } else { Vec::new() },
                cors_origins: self.http_corsdomain.clone(),
                hosts: self.http_vhosts.clone(),
                tls: tls.clone(),
                auth: auth.clone(),
                engine: false,
            });
        }
        if self.ws {
            ports.push(PortSettings {
                address: SocketAddr::new(self.ws_addr, self.ws_port),
                http: false,
                websocket: true,
                graphql: false,
                namespaces: self.ws_api.clone(),
                cors_origins: self.ws_origins.clone(),
                hosts: self.http_vhosts.clone(),
                tls,
                auth,
                engine: false,
            });
        }
        let ipc = (!self.ipc_disable).then(|| IpcSettings {
            path: self.ipc_path.clone().unwrap_or_else(|| datadir.join(IPC_FILE)),
            namespaces: Namespace::ALL.to_vec(),
        });
        ServerSettings { ports, ipc, connections_max: self.connections_max, ..ServerSettings::default() }
    }
}

/// Wei of an amount of ether in decimal, as `0.5`.
fn wei_of_ether(text: &str) -> Result<u128, String> {
    let is_number = text.starts_with(|first: char| first.is_ascii_digit());
    is_number
        .then(|| parse_ether(text).ok())
        .flatten()
        .and_then(|wei| u128::try_from(wei).ok())
        .ok_or_else(|| format!("{text:?} is no amount of ether"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_ether_are_decimal() {
        assert_eq!(wei_of_ether("1"), Ok(1_000_000_000_000_000_000));
        assert_eq!(wei_of_ether("0.5"), Ok(500_000_000_000_000_000));
        assert_eq!(wei_of_ether("0"), Ok(0));
        for text in ["", "x", "-1", "999999999999999999999999999999"] {
            assert!(wei_of_ether(text).is_err(), "{text}");
        }
    }
}
