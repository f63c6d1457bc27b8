//! `portico node`: serve what is in the database, and follow a consensus client.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use clap::Args;
use eyre::{Result, WrapErr, bail};
use portico_chain::check_identity;
use portico_chainspec::ChainSpec;
use portico_db::{Database, DbError, LiveDatabase, SyncMode};
use portico_governor::Governor;
use portico_jsonrpc::NodeInfo;
use portico_query::Query;
use portico_server::ExtraMethods;
use portico_stages::{StopSignal, identity};

use crate::{
    CLIENT_VERSION,
    datadir::DatabaseArgs,
    dev_stream,
    engine_args::EngineArgs,
    import::{head, stop_on_signals_saying},
    init::{ChainArgs, ensure_genesis},
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
    engine: EngineArgs,
    #[command(flatten)]
    txpool: TxpoolArgs,
    /// Serve Prometheus metrics at this address and port
    #[arg(long, env = "PORTICO_METRICS", value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,
}

pub(crate) fn run(args: &NodeArgs) -> Result<()> {
    if !args.serve.serves() && args.metrics.is_none() && args.engine.disable {
        bail!("nothing to serve: give --http, --ws, --graphql or --metrics, or leave out --ipc.disable");
    }
    let spec = if args.engine.dev { args.chain.load_or_dev()? } else { args.chain.load()? };
    let (database, tip) = open(args, &spec)?;
    let live = LiveDatabase::of(database.clone());
    let tip = match tip {
        Access::Write => Some(args.engine.start_tip(&live, &spec, &args.database.data_dir())?),
        Access::Read => None,
    };
    let stop =
        stop_on_signals_saying("stopping: finishing the calls that are being answered", "stopped at once")?;
    if let Some(address) = args.metrics {
        node_metrics::serve(address)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let query = Query::new(live, spec.clone(), args.serve.query_settings());
    pool_watch::start(&query, args.txpool.settings(&args.database.datadir), &stop)?;
    let governor = Governor::start(query.clone(), &args.serve.governor_settings()?)?;
    tracing::info!(
        chain = spec.name(),
        chain_id = spec.chain_id(),
        head = head(&database)?,
        "{CLIENT_VERSION}"
    );
    let extra = tip.as_ref().map(|(tip, _)| args.engine.methods(tip, &query)).transpose()?;
    if let Some(per_second) = args.engine.dev_stream {
        dev_stream::start(&query, per_second, &stop)?;
    }
    let served = runtime.block_on(serve(args, &governor, &database, extra, &stop));
    runtime.shutdown_timeout(Duration::from_secs(5));
    if let Some((_, worker)) = tip {
        worker.stop().wrap_err("writing the newest blocks")?;
    }
    served?;
    tracing::info!("stopped");
    Ok(())
}

/// What the node may do with the database.
enum Access {
    /// It follows a consensus client.
    Write,
    /// It shows what is there, and what others write.
    Read,
}

/// Opens the database to write, or, when the consensus client is not wanted or another process writes, to read.
fn open(args: &NodeArgs, spec: &Arc<ChainSpec>) -> Result<(Arc<Database>, Access)> {
    let read = || {
        let database = Arc::new(args.database.open_read_only()?);
        check_identity(&database.begin_ro()?, identity(spec))?;
        Ok((database, Access::Read))
    };
    if args.engine.disable {
        return read();
    }
    let database = match args.database.open(SyncMode::Durable) {
        Ok(database) => Arc::new(database),
        Err(error) => {
            let locked = matches!(error.downcast_ref(), Some(DbError::Locked(_)));
            if locked && !args.engine.is_explicit() {
                tracing::warn!(
                    "another process writes the database: serving what is there, without Engine API"
                );
                return read();
            }
            return Err(error);
        }
    };
    ensure_genesis(&database, spec, &args.database.data_dir())?;
    Ok((database, Access::Write))
}

async fn serve(
    args: &NodeArgs,
    governor: &Governor,
    database: &Arc<Database>,
    extra: Option<ExtraMethods>,
    stop: &StopSignal,
) -> Result<()> {
    let node = Arc::new(NodeInfo::new(CLIENT_VERSION.to_owned()));
    let mut settings = args.serve.server_settings(&args.database.datadir);
    if extra.is_some() {
        settings.ports.extend(args.engine.port_settings(&args.database.datadir)?);
    }
    let server = portico_server::start_with(&settings, governor, &node, &extra.unwrap_or_default())
        .await
        .wrap_err("starting the server")?;
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
    Ok(())
}
