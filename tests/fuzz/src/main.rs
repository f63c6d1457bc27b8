//! Runs fuzz targets on the stable toolchain: simple mutations of a corpus, without guidance by coverage.

use std::{
    collections::BTreeMap,
    fs::File,
    os::unix::fs::FileExt,
    panic::catch_unwind,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::{Parser, Subcommand};
use eyre::{Context, Result, bail, eyre};
use portico_tests_fuzz::{Mutator, TARGETS, Target, seeds, target};

/// An input that takes longer than this is a finding.
const INPUT_SECONDS_MAX: u64 = 5;

#[derive(Debug, Parser)]
#[command(about = "Fuzz targets on the stable toolchain")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a corpus: a folder of inputs for each target, as `cargo fuzz` and `run` take it
    Seeds {
        /// Where to
        corpus: PathBuf,
    },
    /// Run targets on changed inputs of a corpus
    Run {
        /// What `seeds` wrote
        corpus: PathBuf,
        /// Which targets; all of them by default
        targets: Vec<String>,
        /// For how long each
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Seed of the changes
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Write an input of a run to a file: after a run that aborted, what its `.position` file says
    Input {
        /// What `seeds` wrote
        corpus: PathBuf,
        /// Which target
        target: String,
        /// Seed of the run
        #[arg(long)]
        seed: u64,
        /// Position in the run
        #[arg(long)]
        position: u64,
        /// The file
        out: PathBuf,
    },
    /// Run a target on files, as they are
    Replay {
        /// Which
        target: String,
        /// What to give it
        inputs: Vec<PathBuf>,
    },
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Seeds { corpus } => write_seeds(&corpus),
        Command::Run { corpus, targets, seconds, seed } => {
            let targets = match targets.is_empty() {
                true => TARGETS.to_vec(),
                false => targets.iter().map(|name| find(name)).collect::<Result<_>>()?,
            };
            targets.into_iter().try_for_each(|target| run(target, &corpus, seconds, seed))
        }
        Command::Input { corpus, target, seed, position, out } => {
            let inputs = read_corpus(&corpus.join(find(&target)?.name))?;
            Ok(std::fs::write(out, Mutator::new(seed, position).input(&inputs))?)
        }
        Command::Replay { target, inputs } => {
            let target = find(&target)?;
            inputs.iter().try_for_each(|input| {
                (target.run)(&std::fs::read(input)?);
                println!("{}: nothing found", input.display());
                Ok(())
            })
        }
    }
}

fn find(name: &str) -> Result<Target> {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    target(name).ok_or_else(|| eyre!("there is no target {name:?}; there are {}", names.join(", ")))
}

fn write_seeds(corpus: &Path) -> Result<()> {
    let corpora: BTreeMap<_, _> = seeds()?;
    for (name, inputs) in corpora {
        let folder = corpus.join(name);
        std::fs::create_dir_all(&folder).wrap_err_with(|| format!("making {}", folder.display()))?;
        for (index, input) in inputs.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{index:04}")), input)?;
        }
        println!("{name}: {} inputs", inputs.len());
    }
    Ok(())
}

fn read_corpus(folder: &Path) -> Result<Vec<Vec<u8>>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).wrap_err_with(|| format!("reading {}", folder.display()))? {
        paths.push(entry?.path());
    }
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).wrap_err_with(|| format!("reading {}", path.display())))
        .collect()
}

/// Where a run is, is written down before each input, so that one that ends the process can be made again.
fn run(target: Target, corpus: &Path, seconds: u64, seed: u64) -> Result<()> {
    let inputs = read_corpus(&corpus.join(target.name))?;
    let path = corpus.join(format!("{}.position", target.name));
    let place = File::create(&path).wrap_err_with(|| format!("making {}", path.display()))?;
    let started = Instant::now();
    let mut position = 0_u64;
    while started.elapsed() < Duration::from_secs(seconds) {
        let input = Mutator::new(seed, position).input(&inputs);
        place.write_all_at(format!("--seed {seed} --position {position}\n").as_bytes(), 0)?;
        let began = Instant::now();
        let is_panic = catch_unwind(|| (target.run)(&input)).is_err();
        if is_panic || is_slow(target, &input, began.elapsed()) {
            let found = corpus.join(format!("{}.found-{seed}-{position}", target.name));
            std::fs::write(&found, &input)?;
            let kind = if is_panic { "a panic" } else { "a slow input" };
            bail!("{}: {kind} after {position} inputs: {}", target.name, found.display());
        }
        position += 1;
    }
    std::fs::remove_file(&path)?;
    println!("{}: {position} inputs in {seconds} s, nothing found", target.name);
    Ok(())
}

/// Whether an input took too long, and does so again: tables that are made once, or other programs, are no finding.
fn is_slow(target: Target, input: &[u8], elapsed: Duration) -> bool {
    let max = Duration::from_secs(INPUT_SECONDS_MAX);
    if elapsed <= max {
        return false;
    }
    let began = Instant::now();
    (target.run)(input);
    began.elapsed() > max
}
