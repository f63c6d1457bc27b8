//! `portico bench abuse`: blocks are imported twice as many, first alone and then while clients send the heaviest
//! calls to the same database.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Args;
use eyre::{Result, bail, eyre};
use portico_db::{Database, SyncMode};
use portico_governor::GovernorSettings;
use tokio::runtime::{Builder, Runtime};

use super::{
    client::{Client, Measured, load},
    print_heading, print_row,
    sample::Sample,
    serve,
};
use crate::{
    datadir::{DataDir, DatabaseTuning},
    import::{StageArgs, discover, import_shown, peak_memory},
    init::ChainArgs,
    progress::human_bytes,
};

/// Pause of the client that sends cheap calls.
const CHEAP_PAUSE: Duration = Duration::from_millis(5);
/// Niceness of the clients' threads: in life they are on other machines.
const CLIENTS_NICE: i32 = 19;

/// Flags of `portico bench abuse`.
#[derive(Debug, Args)]
pub struct AbuseArgs {
    #[command(flatten)]
    chain: ChainArgs,
    /// New folder for the database; without it a temporary one, which goes in the end
    #[arg(long, value_name = "FOLDER")]
    datadir: Option<PathBuf>,
    #[command(flatten)]
    tuning: DatabaseTuning,
    #[command(flatten)]
    stages: StageArgs,
    /// Clients that send the heaviest calls
    #[arg(long, default_value_t = 200, value_name = "N")]
    clients: usize,
    /// Blocks that are there before anything is measured
    #[arg(long, default_value_t = 1000, value_name = "N")]
    first: u64,
    /// Blocks that are imported alone, and then under load
    #[arg(long, default_value_t = 1000, value_name = "N")]
    blocks: u64,
    /// Block files or folders of them, in any order
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// An import of some blocks.
struct Import {
    elapsed: Duration,
    file_bytes: u64,
}

pub(crate) fn run(args: &AbuseArgs) -> Result<()> {
    let spec = args.chain.load()?;
    let temporary = tempfile::tempdir()?;
    let data_dir = DataDir::new(args.datadir.as_deref().unwrap_or(temporary.path()));
    if data_dir.database().exists() {
        bail!("{} is there already: give a new data folder", data_dir.database().display());
    }
    let database = Arc::new(args.tuning.open(&data_dir, SyncMode::Bulk)?);
    let import = |to: u64| -> Result<Import> {
        let begun = Instant::now();
        let files = discover(&args.paths)?;
        let (_, end) = import_shown(&database, &spec, &data_dir, &args.stages, files, Some(to))?;
        let end = end?;
        if end.head != to {
            bail!("the files end at block {}: {to} are needed", end.head);
        }
        Ok(Import { elapsed: begun.elapsed(), file_bytes: used_bytes(&database)? })
    };
    let before = import(args.first)?;
    let alone = import(args.first + args.blocks)?;

    let runtime = Runtime::new()?;
    let (server, _governor) = serve(&runtime, &database, &spec, &GovernorSettings::default())?;
    let address = server.addresses()[0];
    let sample = runtime.block_on(Sample::take(&Client::new(address)))?;
    let crowd = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(|| {
            // Where that is not possible the import has more to suffer from.
            let _ = rustix::process::nice(CLIENTS_NICE);
        })
        .build()?;
    let stop = Arc::new(AtomicBool::new(false));
    let (heavy_ask, cheap_ask) = (sample.heaviest_calls(), sample.cheap_calls());
    let (heavy_stop, cheap_stop, clients) = (stop.clone(), stop.clone(), args.clients);
    let heavy =
        crowd.spawn(async move { load(address, clients, &heavy_ask, Duration::ZERO, &heavy_stop).await });
    let cheap = runtime.spawn(async move { load(address, 1, &cheap_ask, CHEAP_PAUSE, &cheap_stop).await });
    let loaded = import(args.first + 2 * args.blocks);
    stop.store(true, Ordering::Relaxed);
    let (heavy, cheap): (Measured, Measured) = runtime.block_on(async {
        let cheap = cheap.await?;
        let heavy = heavy.await?;
        server.stop().await;
        Ok::<_, tokio::task::JoinError>((heavy, cheap))
    })?;
    let loaded = loaded?;

    print_heading();
    print_row("heaviest calls, all clients", &heavy);
    print_row("cheap calls, one client", &cheap);
    let speed = |import: &Import| args.blocks as f64 / import.elapsed.as_secs_f64();
    println!(
        "import of {} blocks: {:.1} blocks/s alone, {:.1} under load (ratio {:.2})",
        args.blocks,
        speed(&alone),
        speed(&loaded),
        speed(&loaded) / speed(&alone)
    );
    let grown = |from: &Import, to: &Import| human_bytes(to.file_bytes.saturating_sub(from.file_bytes));
    println!(
        "database in use: {} more alone, {} more under load",
        grown(&before, &alone),
        grown(&alone, &loaded)
    );
    let peak = peak_memory().ok_or_else(|| eyre!("the peak of memory is not known here"))?;
    println!("peak memory {}, import, server and clients together", human_bytes(peak));
    Ok(())
}

/// Bytes of the file, those that are free for reuse included: readers make it grow by keeping pages from reuse.
fn used_bytes(database: &Database) -> Result<u64> {
    Ok(database.file_bytes()?.0)
}
