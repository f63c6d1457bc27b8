//! `portico bench import`: what an import takes, stage by stage, and how that compares with the bare libraries.

use std::path::PathBuf;

use clap::Args;
use eyre::{Result, bail};
use portico_chainspec::ChainSpec;
use portico_db::{Database, SyncMode};
use portico_stages::StageId;

use super::baseline::{Measured, recover_public_keys, run_revm};
use crate::{
    datadir::{DataDir, DatabaseTuning},
    db::print_tables,
    import::{StageArgs, discover, import_shown, print_timings, stop_on_signals},
    init::ChainArgs,
    progress::{StageTotal, SyncProgress},
};

/// Flags of `portico bench import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    chain: ChainArgs,
    /// New folder for the database; without it a temporary one, which goes in the end
    #[arg(long, value_name = "FOLDER")]
    datadir: Option<PathBuf>,
    #[command(flatten)]
    tuning: DatabaseTuning,
    #[command(flatten)]
    stages: StageArgs,
    /// Stop at this block
    #[arg(long, value_name = "BLOCK")]
    to: Option<u64>,
    /// Leave the comparison with the bare libraries out
    #[arg(long)]
    no_baselines: bool,
    /// Block files or folders of them, in any order
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub(crate) fn run(args: &ImportArgs) -> Result<()> {
    let spec = args.chain.load()?;
    let files = discover(&args.paths)?;
    let temporary = tempfile::tempdir()?;
    let data_dir = DataDir::new(args.datadir.as_deref().unwrap_or(temporary.path()));
    if data_dir.database().exists() {
        bail!("{} is there already: give a new data folder", data_dir.database().display());
    }
    let database = args.tuning.open(&data_dir, SyncMode::Bulk)?;
    let stop = stop_on_signals()?;
    let (progress, end) = import_shown(&database, &spec, &data_dir, &args.stages, files, args.to, &stop)?;
    let end = end?;
    print_whole_run(&progress);
    print_timings(&progress, &database)?;
    println!();
    print_tables(&database)?;
    if !args.no_baselines {
        println!();
        print_baselines(&progress, &database, &spec)?;
    }
    println!("head: block {} {}", end.head, end.hash);
    Ok(())
}

fn total_of(progress: &SyncProgress, stage: StageId) -> StageTotal {
    let (totals, _) = progress.totals();
    totals.into_iter().find(|(id, _)| *id == stage).map(|(_, total)| total).unwrap_or_default()
}

/// All stages together, as one speed.
fn print_whole_run(progress: &SyncProgress) {
    let (_, elapsed) = progress.totals();
    let StageTotal { blocks, counters, .. } = total_of(progress, StageId::Execution);
    let per_second = |count: u64| count as f64 / elapsed.as_secs_f64();
    println!(
        "{blocks} blocks, {} transactions, {} Mgas in {:.2} s: {:.0} Mgas/s, {:.0} tx/s, {:.1} blocks/s\n",
        counters.transactions,
        counters.gas / 1_000_000,
        elapsed.as_secs_f64(),
        per_second(counters.gas) / 1e6,
        per_second(counters.transactions),
        per_second(blocks),
    );
}

/// Does the work of two stages again with bare libraries.
fn print_baselines(progress: &SyncProgress, database: &Database, spec: &ChainSpec) -> Result<()> {
    println!("{:<18} {:>9} {:>10} {:>10} {:>6}", "baseline", "unit", "stage", "bare", "ratio");
    let senders = total_of(progress, StageId::Senders);
    let ours = Measured { count: senders.counters.transactions, elapsed: senders.elapsed };
    print_ratio("sender recovery", "tx/s", ours, recover_public_keys(database)?, 1.0);
    let execution = total_of(progress, StageId::Execution);
    let ours = Measured { count: execution.counters.gas, elapsed: execution.elapsed };
    match run_revm(database, spec)? {
        Some(bare) => print_ratio("execution", "Mgas/s", ours, bare, 1e6),
        None => println!("execution: not measured for this chain's engine"),
    }
    println!(
        "bare sender recovery is libsecp256k1 alone on {} threads, over hashes and signatures in memory;\n\
         bare execution is revm alone on a map in memory: nothing is read, checked, recorded or written\n",
        rayon::current_num_threads()
    );
    Ok(())
}

fn print_ratio(name: &str, unit: &str, ours: Measured, bare: Measured, scale: f64) {
    let (ours, bare) = (ours.per_second() / scale, bare.per_second() / scale);
    println!("{name:<18} {unit:>9} {ours:>10.0} {bare:>10.0} {:>6.2}", ours / bare);
}
