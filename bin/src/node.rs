//! `portico node`: serve what is in the database.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use clap::Args;
use eyre::{Result, WrapErr, bail};
use portico_chain::check_identity;
use portico_db::Database;
use portico_jsonrpc::{Namespace, NodeInfo};
use portico_query::{Query, QuerySettings};
use portico_server::ServerSettings;
use portico_stages::{StopSignal, identity};

use crate::{
    CLIENT_VERSION,
    datadir::DatabaseArgs,
    import::{head, stop_on_signals},
    init::ChainArgs,
    node_metrics,
};

/// Flags of `portico node`.
#[derive(Debug, Args)]
pub struct NodeArgs {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Serve JSON-RPC over HTTP and WebSocket
    #[arg(long, env = "PORTICO_HTTP")]
    http: bool,
    /// Address to serve on
    #[arg(
        long = "http.addr",
        env = "PORTICO_HTTP_ADDR",
        default_value = "127.0.0.1",
        value_name = "ADDRESS"
    )]
    http_addr: std::net::IpAddr,
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
    /// Serve GraphQL at /graphql of the same port
    #[arg(long, env = "PORTICO_GRAPHQL")]
    graphql: bool,
    /// Serve Prometheus metrics at this address and port
    #[arg(long, env = "PORTICO_METRICS", value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,
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
    /// Seconds that one read or call works at most
    #[arg(
        long = "rpc.evmtimeout",
        env = "PORTICO_RPC_EVMTIMEOUT",
        default_value_t = 5,
        value_name = "SECONDS"
    )]
    call_seconds: u64,
}

pub(crate) fn run(args: &NodeArgs) -> Result<()> {
    if !args.http && !args.graphql && args.metrics.is_none() {
        bail!("nothing to serve: give --http, --graphql or --metrics");
    }
    let spec = args.chain.load()?;
    let database = Arc::new(args.database.open_read_only()?);
    check_identity(&database.begin_ro()?, identity(&spec))?;
    let stop = stop_on_signals()?;
    if let Some(address) = args.metrics {
        node_metrics::serve(address)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let query = Query::new(database.clone(), spec.clone(), query_settings(args));
    tracing::info!(
        chain = spec.name(),
        chain_id = spec.chain_id(),
        head = head(&database)?,
        "{CLIENT_VERSION}"
    );
    runtime.block_on(serve(args, &query, &database, &stop))
}

fn query_settings(args: &NodeArgs) -> QuerySettings {
    QuerySettings {
        log_results_max: args.logs_max,
        call_gas_max: args.gas_cap,
        call_time_max: Duration::from_secs(args.call_seconds),
        proof_blocks_max: args.proof_blocks,
        ..QuerySettings::default()
    }
}

fn server_settings(args: &NodeArgs) -> ServerSettings {
    ServerSettings {
        address: SocketAddr::new(args.http_addr, args.http_port),
        graphql: args.graphql,
        namespaces: if args.http { args.http_api.clone() } else { Vec::new() },
        cors_origins: args.http_corsdomain.clone(),
        hosts: args.http_vhosts.clone(),
        ..ServerSettings::default()
    }
}

async fn serve(args: &NodeArgs, query: &Query, database: &Arc<Database>, stop: &StopSignal) -> Result<()> {
    let server = if args.http || args.graphql {
        let node = Arc::new(NodeInfo::new(CLIENT_VERSION.to_owned()));
        let server = portico_server::start(&server_settings(args), query, &node)
            .await
            .wrap_err("starting the server")?;
        Some(server)
    } else {
        None
    };
    while !stop.is_stopped() {
        if args.metrics.is_some() {
            let database = database.clone();
            tokio::task::spawn_blocking(move || node_metrics::observe(&database)).await??;
        }
        for _ in 0..50 {
            if stop.is_stopped() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    if let Some(server) = server {
        server.stop().await;
    }
    tracing::info!("stopped");
    Ok(())
}
