//! `portico bench abuse`: blocks are imported alone and while clients send the heaviest calls to the same database, by
//! turns, so that both suffer alike from whatever else the machine does.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Args;
use eyre::{Result, bail, eyre};
use portico_chainspec::ChainSpec;
use portico_db::{Database, SyncMode};
use portico_governor::GovernorSettings;
use portico_stages::StopSignal;
use tokio::runtime::{Builder, Runtime};

use super::{
    client::{Ask, Client, Measured, load},
    machine::ProcessorTime,
    print_heading, print_row,
    sample::Sample,
    serve,
};
use crate::{
    datadir::{DataDir, DatabaseTuning},
    import::{StageArgs, discover, import_shown, peak_memory, stop_on_signals},
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
    /// Seconds under load, in all; the files may end before
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    seconds: u64,
    /// Blocks that are there before anything is measured
    #[arg(long, default_value_t = 1000, value_name = "N")]
    first: u64,
    /// Blocks that are imported at a time, by turns alone and under load
    #[arg(long, default_value_t = 500, value_name = "N")]
    blocks: u64,
    /// Block files or folders of them, in any order
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// Imports of one kind.
#[derive(Debug, Default)]
struct Imports {
    blocks: u64,
    elapsed: Duration,
    /// Bytes by which the database in use grew.
    grown: u64,
    /// Blocks per second of each.
    speeds: Vec<f64>,
    /// The part of the machine that other programs took, of each.
    others: Vec<f64>,
}

impl Imports {
    fn speed(&self) -> f64 {
        self.blocks as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    fn others(&self) -> f64 {
        self.others.iter().sum::<f64>() / self.others.len().max(1) as f64
    }
}

/// The database that grows.
struct Importer<'a> {
    args: &'a AbuseArgs,
    spec: Arc<ChainSpec>,
    data_dir: DataDir,
    database: Arc<Database>,
    stop: StopSignal,
    head: u64,
}

impl Importer<'_> {
    /// Imports more blocks, and gives whether there were as many and nobody stopped it.
    fn import(&mut self, blocks: u64, imports: &mut Imports) -> Result<bool> {
        let (before, processors, begun) = (self.used_bytes()?, ProcessorTime::now(), Instant::now());
        let to = self.head + blocks;
        let files = discover(&self.args.paths)?;
        let stages = &self.args.stages;
        let (_, end) =
            import_shown(&self.database, &self.spec, &self.data_dir, stages, files, Some(to), &self.stop)?;
        if self.stop.is_stopped() {
            return Ok(false);
        }
        self.head = end?.head;
        if self.head != to {
            return Ok(false);
        }
        let elapsed = begun.elapsed();
        imports.blocks += blocks;
        imports.elapsed += elapsed;
        imports.grown += self.used_bytes()?.saturating_sub(before);
        imports.speeds.push(blocks as f64 / elapsed.as_secs_f64());
        let both = processors.zip(ProcessorTime::now());
        imports.others.extend(both.map(|(earlier, now)| now.others_since(&earlier)));
        Ok(true)
    }

    /// Bytes of the file, those that are free for reuse included: readers make it grow by keeping pages from reuse.
    fn used_bytes(&self) -> Result<u64> {
        Ok(self.database.file_bytes()?.0)
    }
}

/// Who sends calls.
struct Clients {
    address: SocketAddr,
    crowd: Runtime,
    count: usize,
    heavy: Ask,
    cheap: Ask,
}

impl Clients {
    /// Lets clients send calls while `work` is done.
    fn during<T>(
        &self,
        runtime: &Runtime,
        measured: &mut [Measured; 2],
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let stop = Arc::new(AtomicBool::new(false));
        let (address, count) = (self.address, self.count);
        let (heavy, heavy_stop) = (self.heavy.clone(), stop.clone());
        let heavy =
            self.crowd.spawn(async move { load(address, count, &heavy, Duration::ZERO, &heavy_stop).await });
        let (cheap, cheap_stop) = (self.cheap.clone(), stop.clone());
        let cheap = runtime.spawn(async move { load(address, 1, &cheap, CHEAP_PAUSE, &cheap_stop).await });
        let result = work();
        stop.store(true, Ordering::Relaxed);
        measured[1].join(runtime.block_on(cheap)?);
        measured[0].join(runtime.block_on(heavy)?);
        result
    }
}

pub(crate) fn run(args: &AbuseArgs) -> Result<()> {
    let spec = args.chain.load()?;
    let temporary = tempfile::tempdir()?;
    let data_dir = DataDir::new(args.datadir.as_deref().unwrap_or(temporary.path()));
    if data_dir.database().exists() {
        bail!("{} is there already: give a new data folder", data_dir.database().display());
    }
    let database = Arc::new(args.tuning.open(&data_dir, SyncMode::Bulk)?);
    let mut importer = Importer { args, spec, data_dir, database, stop: stop_on_signals()?, head: 0 };
    if !importer.import(args.first, &mut Imports::default())? {
        if importer.stop.is_stopped() {
            bail!("stopped on request before anything was measured");
        }
        bail!("the files end before block {}", args.first);
    }
    let runtime = Runtime::new()?;
    let (server, _governor) =
        serve(&runtime, &importer.database, &importer.spec, &GovernorSettings::default())?;
    let address = server.addresses()[0];
    let sample = runtime.block_on(Sample::take(&Client::new(address)))?;
    let (heavy, cheap) = (sample.heaviest_calls(), sample.cheap_calls());
    let clients = Clients { address, crowd: crowd()?, count: args.clients, heavy, cheap };
    let (mut alone, mut loaded, mut measured) = (Imports::default(), Imports::default(), Default::default());
    while loaded.elapsed < Duration::from_secs(args.seconds) {
        let is_whole = importer.import(args.blocks, &mut alone)?
            && clients.during(&runtime, &mut measured, || importer.import(args.blocks, &mut loaded))?;
        if !is_whole {
            break;
        }
    }
    runtime.block_on(server.stop());
    if importer.stop.is_stopped() {
        println!("stopped on request after {:.0} s under load", loaded.elapsed.as_secs_f64());
    }
    if loaded.blocks == 0 {
        bail!("the files end at block {}: nothing was measured", importer.head);
    }
    print(args, &alone, &loaded, &measured)
}

/// The clients' threads.
fn crowd() -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().on_thread_start(|| {
        // Where that is not possible the import has more to suffer from.
        let _ = rustix::process::nice(CLIENTS_NICE);
    });
    Ok(builder.build()?)
}

fn print(args: &AbuseArgs, alone: &Imports, loaded: &Imports, [heavy, cheap]: &[Measured; 2]) -> Result<()> {
    print_heading();
    print_row(&format!("heaviest calls, {} clients", args.clients), heavy);
    print_row("cheap calls, one client", cheap);
    println!(
        "import by turns of {} blocks: {:.1} blocks/s alone ({:.0} s), {:.1} under load ({:.0} s): ratio {:.2}",
        args.blocks,
        alone.speed(),
        alone.elapsed.as_secs_f64(),
        loaded.speed(),
        loaded.elapsed.as_secs_f64(),
        loaded.speed() / alone.speed()
    );
    let ratios =
        alone.speeds.iter().zip(&loaded.speeds).map(|(alone, loaded)| format!("{:.2}", loaded / alone));
    println!("ratio turn by turn: {}", ratios.collect::<Vec<_>>().join(" "));
    println!(
        "other programs took {:.0} % of the machine while it imported alone, {:.0} % under load",
        alone.others() * 100.0,
        loaded.others() * 100.0
    );
    println!(
        "database in use grew by {} alone, by {} under load",
        human_bytes(alone.grown),
        human_bytes(loaded.grown)
    );
    let peak = peak_memory().ok_or_else(|| eyre!("the peak of memory is not known here"))?;
    println!("peak memory {}, import, server and clients together", human_bytes(peak));
    Ok(())
}
