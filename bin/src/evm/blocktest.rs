//! `portico evm blocktest` and `portico evm statetest`.

use std::path::PathBuf;

use clap::Args;
use eyre::{Result, bail};
use portico_spec::{BlockTestSettings, Report, RunOptions, run_block_tests, run_state_tests};

/// Flags that block and state tests share.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Fixture files (.json), folders of them, and .tar.zst archives of them
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Only cases whose name contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Cases at a time; 0 for one per processor
    #[arg(long, value_name = "N", default_value_t = 0)]
    jobs: usize,
    /// Only every Nth case, for a quick look
    #[arg(long, value_name = "N", default_value_t = 1)]
    every: u64,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Flags of `portico evm blocktest`.
#[derive(Debug, Args)]
pub struct BlocktestArgs {
    #[command(flatten)]
    test: TestArgs,
    /// Afterwards take each chain back to genesis, compare all tables, and go forward again
    #[arg(long)]
    unwind: bool,
    /// Take blocks one by one, even when many valid ones follow each other
    #[arg(long)]
    one_by_one: bool,
}

/// Flags of `portico evm statetest`.
#[derive(Debug, Args)]
pub struct StatetestArgs {
    #[command(flatten)]
    test: TestArgs,
}

pub(super) fn run_states(args: &StatetestArgs) -> Result<()> {
    args.test.finish(run_state_tests(&args.test.paths, &args.test.options())?)
}

pub(super) fn run(args: &BlocktestArgs) -> Result<()> {
    let settings = BlockTestSettings { unwind: args.unwind, one_by_one: args.one_by_one };
    args.test.finish(run_block_tests(&args.test.paths, &args.test.options(), settings)?)
}

impl TestArgs {
    pub(super) fn options(&self) -> RunOptions {
        RunOptions { filter: self.filter.clone(), jobs: self.jobs, every: self.every }
    }

    /// Prints the report; an error when it is no success.
    pub(super) fn finish(&self, report: Report) -> Result<()> {
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            print!("{report}");
        }
        let total = report.total();
        if total.failed > 0 {
            bail!("{} of {} cases failed", total.failed, total.run);
        }
        if !report.broken.is_empty() {
            bail!("{} files could not be read", report.broken.len());
        }
        if !report.unopened.is_empty() {
            bail!("{} files hold no case that was recognised", report.unopened.len());
        }
        if total.run == 0 {
            bail!("no case was run");
        }
        Ok(())
    }
}
