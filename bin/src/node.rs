//! `portico node`: serve what is in the database.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use clap::Args;
use eyre::{Result, WrapErr, bail};
use portico_chain::check_identity;
use portico_db::{Database, LiveDatabase};
use portico_governor::Governor;
use portico_jsonrpc::NodeInfo;
use portico_query::Query;
use portico_stages::{StopSignal, identity};

use crate::{
    CLIENT_VERSION,
    datadir::DatabaseArgs,
    import::{head, stop_on_signals_saying},
    init::ChainArgs,
    node_metrics, pool_watch,
    serve_args::ServeArgs,
    txpool_args::TxpoolArgs,
};

/// Flags of `portico node`.
#[derive(Debug, Args)]
pub struct NodeArgs {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    serve: ServeArgs,
    #[command(flatten)]
    txpool: TxpoolArgs,
    /// Serve Prometheus metrics at this address and port
    #[arg(long, env = "PORTICO_METRICS", value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,
}

pub(crate) fn run(args: &NodeArgs) -> Result<()> {
    if !args.serve.serves() && args.metrics.is_none() {
        bail!("nothing to serve: give --http, --ws, --graphql or --metrics, or leave out --ipc.disable");
    }
    let spec = args.chain.load()?;
    let database = Arc::new(args.database.open_read_only()?);
    check_identity(&database.begin_ro()?, identity(&spec))?;
    let stop =
        stop_on_signals_saying("stopping: finishing the calls that are being answered", "stopped at once")?;
    if let Some(address) = args.metrics {
        node_metrics::serve(address)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let query = Query::new(LiveDatabase::of(database.clone()), spec.clone(), args.serve.query_settings());
    pool_watch::start(&query, args.txpool.settings(&args.database.datadir), &stop)?;
    let governor = Governor::start(query, &args.serve.governor_settings()?)?;
    tracing::info!(
        chain = spec.name(),
        chain_id = spec.chain_id(),
        head = head(&database)?,
        "{CLIENT_VERSION}"
    );
    runtime.block_on(serve(args, &governor, &database, &stop))
}

async fn serve(
    args: &NodeArgs,
    governor: &Governor,
    database: &Arc<Database>,
    stop: &StopSignal,
) -> Result<()> {
    let node = Arc::new(NodeInfo::new(CLIENT_VERSION.to_owned()));
    let settings = args.serve.server_settings(&args.database.datadir);
    let server = portico_server::start(&settings, governor, &node).await.wrap_err("starting the server")?;
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
    server.stop().await;
    tracing::info!("stopped");
    Ok(())
}
