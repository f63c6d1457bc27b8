//! `portico bench rpc` and `portico bench abuse`: how fast a chain is served, and what that costs an import.

mod abuse;
mod cases;
mod client;
mod machine;
mod sample;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::Args;
use eyre::Result;
use portico_chainspec::ChainSpec;
use portico_db::Database;
use portico_governor::{Governor, GovernorSettings};
use portico_jsonrpc::{Namespace, NodeInfo};
use portico_query::{Query, QuerySettings};
use portico_server::{PortSettings, RunningServer, ServerSettings};
use tokio::runtime::Runtime;

use crate::{
    CLIENT_VERSION, datadir::DatabaseArgs, import::peak_memory, init::ChainArgs, progress::human_bytes,
};
use client::{Ask, Client, Measured, load};
use sample::Sample;

pub(crate) use abuse::{AbuseArgs, run as run_abuse};

/// Flags of `portico bench rpc`.
#[derive(Debug, Args)]
pub struct RpcArgs {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Clients that ask at the same time
    #[arg(long, default_value_t = 4, value_name = "N")]
    clients: usize,
    /// Seconds for each kind of call
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    seconds: u64,
    /// Only kinds of calls whose name has this in it
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

pub(crate) fn run(args: &RpcArgs) -> Result<()> {
    let spec = args.chain.load()?;
    let database = Arc::new(args.database.open_read_only()?);
    let runtime = Runtime::new()?;
    let (server, _governor) = serve(&runtime, &database, &spec, &GovernorSettings::default())?;
    let address = server.addresses()[0];
    runtime.block_on(async {
        let sample = Sample::take(&Client::new(address)).await?;
        println!("head {}, {} clients, {} s each", sample.head, args.clients, args.seconds);
        print_heading();
        for case in sample.cases() {
            if args.filter.as_deref().is_some_and(|filter| !case.name.contains(filter)) {
                continue;
            }
            let measured =
                load_for(address, args.clients, &case.ask, Duration::from_secs(args.seconds)).await;
            print_row(&case.name, &measured);
        }
        server.stop().await;
        Ok(())
    })
}

/// Serves a database on a free port of this machine.
fn serve(
    runtime: &Runtime,
    database: &Arc<Database>,
    spec: &Arc<ChainSpec>,
    limits: &GovernorSettings,
) -> Result<(RunningServer, Governor)> {
    let query =
        Query::new(portico_db::LiveDatabase::of(database.clone()), spec.clone(), QuerySettings::default());
    let governor = Governor::start(query, limits)?;
    let port = PortSettings {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        namespaces: Namespace::ALL.to_vec(),
        ..PortSettings::default()
    };
    let settings = ServerSettings { ports: vec![port], ..ServerSettings::default() };
    let node = Arc::new(NodeInfo::new(CLIENT_VERSION.to_owned()));
    let server = runtime.block_on(portico_server::start(&settings, &governor, &node))?;
    Ok((server, governor))
}

async fn load_for(address: SocketAddr, clients: usize, ask: &Ask, time: Duration) -> Measured {
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(time).await;
        stopping.store(true, Ordering::Relaxed);
    });
    load(address, clients, ask, Duration::ZERO, &stop).await
}

fn print_heading() {
    println!(
        "{:<40} {:>10} {:>9} {:>9} {:>9} {:>9} {:>10} {:>10}",
        "call", "per second", "p50 ms", "p95 ms", "p99 ms", "MiB/s", "unanswered", "peak"
    );
}

/// Prints what was measured, and plainly what was not: a call without a result is in no other column.
fn print_row(name: &str, measured: &Measured) {
    let millis = |part| measured.quantile(part).as_secs_f64() * 1e3;
    println!(
        "{name:<40} {:>10.1} {:>9.2} {:>9.2} {:>9.2} {:>9.1} {:>10} {:>10}",
        measured.per_second(),
        millis(0.5),
        millis(0.95),
        millis(0.99),
        measured.bytes as f64 / measured.elapsed.as_secs_f64() / f64::from(1 << 20),
        measured.unanswered(),
        peak_memory().map_or_else(|| "?".to_owned(), human_bytes),
    );
    if measured.micros.is_empty() && measured.unanswered() > 0 {
        println!("  NOTHING WAS MEASURED: no call of this kind was answered");
    }
    for (error, count) in &measured.refused {
        println!("  {count} times refused: error {}: {}", error.code, error.message);
    }
    if measured.broken > 0 {
        println!("  {} answers were cut off, or were none", measured.broken);
    }
}
