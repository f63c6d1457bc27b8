//! `portico import`: sync from block files.

use std::{cell::RefCell, path::PathBuf, rc::Rc, sync::Arc};

use alloy_primitives::B256;
use clap::{Args, ValueEnum};
use eyre::{Result, bail};
use portico_chain::{canonical_hash, read_checkpoint};
use portico_chainspec::ChainSpec;
use portico_consensus::{HeaderChecks, ethash::VerifyPow};
use portico_db::{Database, SyncMode};
use portico_files::BlockFiles;
use portico_stages::{
    Branch, Pipeline, PipelineConfig, PipelineObserver, SharedSource, StageError, StageId, StageSettings,
    StopSignal,
};

use crate::{
    FileSource,
    datadir::{DataDir, DatabaseArgs, parse_working_bytes},
    find_branch,
    init::{ChainArgs, ensure_genesis},
    node_metrics,
    progress::{SyncProgress, human_bytes, human_seconds},
};

/// Flags of `portico import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    stages: StageArgs,
    /// Stop at this block
    #[arg(long, value_name = "BLOCK")]
    to: Option<u64>,
    /// Print what each stage took at the end
    #[arg(long)]
    timings: bool,
    /// Serve Prometheus metrics at this address and port meanwhile
    #[arg(long, env = "PORTICO_METRICS", value_name = "ADDRESS:PORT")]
    metrics: Option<std::net::SocketAddr>,
    /// Block files or folders of them, in any order. Receipts in archives are not read: execution makes them, and each
    /// block's are compared with its header
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// Limits of the stages.
#[derive(Debug, Clone, Args)]
pub struct StageArgs {
    /// Blocks in a batch, at most
    #[arg(
        long = "stage.batch-blocks",
        default_value_t = 100_000,
        env = "PORTICO_STAGE_BATCH_BLOCKS",
        value_name = "N"
    )]
    batch_blocks: u64,
    /// Bytes of blocks in a batch, about
    #[arg(long = "stage.batch-bytes", default_value = "128MB", value_parser = parse_working_bytes, env = "PORTICO_STAGE_BATCH_BYTES", value_name = "SIZE")]
    batch_bytes: usize,
    /// State that a batch holds in memory, about
    #[arg(long = "stage.overlay-bytes", default_value = "384MB", value_parser = parse_working_bytes, env = "PORTICO_STAGE_OVERLAY_BYTES", value_name = "SIZE")]
    overlay_bytes: usize,
    /// Memory for a sorted load before it spills to disk
    #[arg(long = "stage.etl-bytes", default_value = "192MB", value_parser = parse_working_bytes, env = "PORTICO_STAGE_ETL_BYTES", value_name = "SIZE")]
    etl_bytes: usize,
    /// Blocks behind the head that can be unwound
    #[arg(
        long = "unwind-horizon",
        default_value_t = 10_000,
        env = "PORTICO_UNWIND_HORIZON",
        value_name = "BLOCKS"
    )]
    unwind_horizon: u64,
    /// Proof-of-work seals to verify; by default a sample on mainnet and Sepolia, none on other chains
    #[arg(long = "verify-pow", value_enum, env = "PORTICO_VERIFY_POW", value_name = "WHICH")]
    verify_pow: Option<VerifyPowArg>,
    /// Do not ask for the slot number in Amsterdam headers (chains made while the fork was designed)
    #[arg(long = "lenient.slot-number", hide = true)]
    lenient_slot_number: bool,
}

/// [`VerifyPow`], as users type it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum VerifyPowArg {
    /// Every one, those of ommers too
    All,
    /// One in a hundred and the last of every batch, of blocks that are in no archive known to be the chain's
    Sample,
    /// None
    None,
}

impl From<VerifyPowArg> for VerifyPow {
    fn from(which: VerifyPowArg) -> Self {
        match which {
            VerifyPowArg::All => Self::All,
            VerifyPowArg::Sample => Self::Sample,
            VerifyPowArg::None => Self::None,
        }
    }
}

impl StageArgs {
    pub(crate) fn settings(&self) -> StageSettings {
        StageSettings {
            batch_blocks: self.batch_blocks.max(1),
            batch_body_bytes: self.batch_bytes as u64,
            overlay_bytes: self.overlay_bytes as u64,
            etl_bytes: self.etl_bytes,
            unwind_horizon: self.unwind_horizon,
            verify_pow: self.verify_pow.map(VerifyPow::from),
            header_checks: HeaderChecks { slot_number: !self.lenient_slot_number, ..HeaderChecks::default() },
            ..StageSettings::default()
        }
    }
}

/// Where an import ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportEnd {
    /// Number of the head.
    pub head: u64,
    /// Hash of the head.
    pub hash: B256,
}

pub(crate) fn run(args: &ImportArgs) -> Result<()> {
    let spec = args.chain.load()?;
    let files = discover(&args.paths)?;
    let database = args.database.open(SyncMode::Bulk)?;
    let data_dir = args.database.data_dir();
    if let Some(address) = args.metrics {
        node_metrics::serve(address)?;
    }
    let stop = stop_on_signals()?;
    let (progress, end) = import_shown(&database, &spec, &data_dir, &args.stages, files, args.to, &stop)?;
    if args.timings {
        print_timings(&progress, &database)?;
    }
    let end = end?;
    println!("head: block {} {}", end.head, end.hash);
    Ok(())
}

/// The block files among `paths`, with a word about those that are none.
pub(crate) fn discover(paths: &[PathBuf]) -> Result<BlockFiles> {
    let files = BlockFiles::discover(paths)?;
    for ignored in files.ignored() {
        tracing::warn!(path = %ignored.path.display(), reason = %ignored.reason, "not a block file");
    }
    Ok(files)
}

/// Imports files and shows how far it is, until `stop` is told. What each stage did is known also when it ends early.
pub(crate) fn import_shown(
    database: &Database,
    spec: &Arc<ChainSpec>,
    data_dir: &DataDir,
    stages: &StageArgs,
    files: BlockFiles,
    to: Option<u64>,
    stop: &StopSignal,
) -> Result<(SyncProgress, Result<ImportEnd>)> {
    let progress = SyncProgress::new(to.or_else(|| last_block(&files)));
    let end = import_files(database, spec, data_dir, &stages.settings(), files, to, stop, &progress);
    progress.finish();
    // Also after an error: what was committed is to stay.
    database.sync()?;
    Ok((progress, end))
}

/// Asks to stop at the first SIGINT or SIGTERM, and ends the process at the second. Once in a process: what is asked
/// twice says its words twice.
pub(crate) fn stop_on_signals() -> Result<StopSignal> {
    stop_on_signals_saying(
        "stopping: dropping the unfinished batch, flushing the finished ones",
        "stopped at once; the last committed batch is kept",
    )
}

/// [`stop_on_signals`] with words of one's own for the first signal and the second.
pub(crate) fn stop_on_signals_saying(first: &'static str, second: &'static str) -> Result<StopSignal> {
    let stop = StopSignal::default();
    let told = stop.clone();
    let mut signals =
        signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM])?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            if told.is_stopped() {
                eprintln!("{second}");
                std::process::exit(130);
            }
            eprintln!("{first} (once more to stop at once)");
            told.stop();
        }
    });
    Ok(stop)
}

fn last_block(files: &BlockFiles) -> Option<u64> {
    files.files().iter().map(|file| file.last_block_hint).max()?
}

/// Takes the blocks of `files` through all stages, up to `to`. A branch that wins against the database's chain
/// replaces it; the blocks that lose are kept as side blocks.
///
/// # Errors
/// With the file's and the block's name for a damaged file or a block that breaks a rule; the database then stands
/// at the last good block.
#[expect(clippy::too_many_arguments, reason = "everything that an import depends on, once")]
pub fn import_files(
    database: &Database,
    spec: &Arc<ChainSpec>,
    data_dir: &DataDir,
    settings: &StageSettings,
    files: BlockFiles,
    to: Option<u64>,
    stop: &StopSignal,
    observer: &dyn PipelineObserver,
) -> Result<ImportEnd> {
    ensure_genesis(database, spec, data_dir)?;
    let branch = find_branch(database, &files)?;
    let source = Rc::new(RefCell::new(FileSource::new(files, spec.clone()).ending_with(stop)));
    let shared: SharedSource = source.clone();
    let config = PipelineConfig {
        database,
        spec,
        settings,
        stop,
        observer,
        scratch: data_dir.scratch()?,
        light_caches: Arc::default(),
    };
    let mut pipeline = Pipeline::new(config, &shared);
    if let Some(branch) = branch {
        change_over(&mut pipeline, branch, to).map_err(|error| match error.downcast::<StageError>() {
            Ok(error) => name_file(error, database, &source.borrow()),
            Err(other) => other,
        })?;
    }
    let head = match pipeline.run(to) {
        Ok(head) => head,
        Err(StageError::Stopped) => {
            let head = head(database)?;
            bail!("stopped on request at block {head}: the same command goes on from there");
        }
        Err(error) => return Err(name_file(error, database, &source.borrow())),
    };
    let hash = canonical_hash(&database.begin_ro()?, head)?.unwrap_or_default();
    Ok(ImportEnd { head, hash })
}

/// Makes a branch the chain if it wins.
fn change_over(pipeline: &mut Pipeline<'_>, mut branch: Branch, to: Option<u64>) -> Result<()> {
    if let Some(to) = to {
        branch.cut_behind(to);
    }
    if !branch.wins() {
        bail!(
            "the files hold a branch from block {} to {} with total difficulty {}; the database's chain has {} and stays",
            branch.ancestor + 1,
            branch.tip(),
            branch.total_difficulty(),
            branch.canonical_total_difficulty
        );
    }
    let (ancestor, old_head, new_head) = (branch.ancestor, branch.head, branch.tip());
    tracing::info!(ancestor, old_head, new_head, "reorganisation");
    branch.change_over(pipeline)?;
    Ok(())
}

fn name_file(error: StageError, database: &Database, source: &FileSource) -> eyre::Report {
    let StageError::InvalidBlock { number, .. } = &error else { return error.into() };
    let file = source.file_of(*number).map(|path| format!("{}: ", path.display())).unwrap_or_default();
    match head(database) {
        Ok(head) => eyre::eyre!("{file}{error}; the database stands at block {head}"),
        Err(_) => eyre::eyre!("{file}{error}"),
    }
}

/// What each stage took, memory and the size of the file.
pub(crate) fn print_timings(progress: &SyncProgress, database: &Database) -> Result<()> {
    let (totals, elapsed) = progress.totals();
    println!(
        "{:<15} {:>10} {:>12} {:>9} {:>9} {:>9}",
        "stage", "blocks", "transactions", "seconds", "Mgas/s", "tx/s"
    );
    let mut stages = 0.0;
    for (stage, total) in totals {
        let seconds = total.elapsed.as_secs_f64();
        stages += seconds;
        let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        println!(
            "{:<15} {:>10} {:>12} {:>9.2} {:>9.0} {:>9.0}",
            stage.name(),
            total.blocks,
            total.counters.transactions,
            seconds,
            per_second(total.counters.gas) / 1e6,
            per_second(total.counters.transactions),
        );
    }
    let other = elapsed.as_secs_f64() - stages;
    println!("{:<15} {:>10} {:>12} {:>9.2}   (commit, genesis)", "other", "", "", other);
    println!("total {} ({:.2} s)", human_seconds(elapsed.as_secs()), elapsed.as_secs_f64());
    if let Some(memory) = peak_memory() {
        println!(
            "peak memory {} (anonymous; the database's mapped pages belong to the system's cache)",
            human_bytes(memory)
        );
    }
    let (file, free) = database.file_bytes()?;
    println!("database {} of which {} free", human_bytes(file), human_bytes(free));
    Ok(())
}

/// The most memory of its own that the process had, in bytes: the peak of all less the file pages it has now.
pub(crate) fn peak_memory() -> Option<u64> {
    let [peak, file] = memory_fields(["VmHWM:", "RssFile:"])?;
    Some(peak.saturating_sub(file))
}

/// The memory of its own that the process has now, in bytes.
pub(crate) fn own_memory() -> Option<u64> {
    memory_fields(["RssAnon:"]).map(|[bytes]| bytes)
}

fn memory_fields<const N: usize>(names: [&str; N]) -> Option<[u64; N]> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mut fields = [0; N];
    for (field, name) in fields.iter_mut().zip(names) {
        let line = status.lines().find(|line| line.starts_with(name))?;
        *field = line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024;
    }
    Some(fields)
}

/// The head that readers see.
pub(crate) fn head(database: &Database) -> Result<u64> {
    Ok(read_checkpoint(&database.begin_ro()?, StageId::Finish.name())?)
}
