//! `portico evm blocktest` and `portico evm statetest`.

use std::path::PathBuf;

use clap::Args;
use eyre::{Result, bail};
use portico_spec::{
    BlockTestSettings, Report, RunOptions, StateTestSettings, run_block_tests, run_state_tests,
};
use portico_tracers::TraceFields;
use regex::Regex;

use super::trace_args::FieldArgs;

/// Flags that block and state tests share.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Fixture files (.json), folders of them, .tar.zst archives of them, and ARCHIVE:ENTRY for one file of an archive
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Only cases whose name contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Only cases whose name this regular expression matches somewhere
    #[arg(long = "run", value_name = "REGEX")]
    pattern: Option<Regex>,
    /// Only the case of this name
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// Let a case fail when a block or transaction is refused for another reason than the fixture names. Without this
    /// such cases are listed only: in the older corpora many blocks break two rules, and the fixture names one
    #[arg(long)]
    strict_exceptions: bool,
    /// Cases at a time; 0 for one per processor
    #[arg(long, value_name = "N", default_value_t = 0)]
    jobs: usize,
    /// Only every Nth case, for a quick look
    #[arg(long, value_name = "N", default_value_t = 1)]
    every: u64,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Print every case as go-ethereum's `evm` does: a JSON list of name, pass, fork and error. Cases that fail do not
    /// change the exit code then; files that cannot be read do, and none to run
    #[arg(long, conflicts_with = "json")]
    geth_json: bool,
    /// Write traces (EIP-3155) to standard error; one case runs at a time
    #[arg(long)]
    trace: bool,
    #[command(flatten)]
    fields: FieldArgs,
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
    /// Only what is expected of this fork
    #[arg(long, value_name = "NAME", alias = "statetest.fork")]
    fork: Option<String>,
    /// Only the expectation at this position, of each fork
    #[arg(long, value_name = "N", alias = "statetest.index")]
    index: Option<usize>,
}

pub(super) fn run_states(args: &StatetestArgs) -> Result<()> {
    let settings = StateTestSettings { fork: args.fork.clone(), index: args.index, trace: args.test.trace() };
    args.test.finish(run_state_tests(&args.test.paths, &args.test.options(), &settings)?)
}

pub(super) fn run(args: &BlocktestArgs) -> Result<()> {
    let settings =
        BlockTestSettings { unwind: args.unwind, one_by_one: args.one_by_one, trace: args.test.trace() };
    args.test.finish(run_block_tests(&args.test.paths, &args.test.options(), settings)?)
}

impl TestArgs {
    pub(super) fn options(&self) -> RunOptions {
        RunOptions {
            filter: self.filter.clone(),
            pattern: self.pattern.clone(),
            case: self.case.clone(),
            strict_exceptions: self.strict_exceptions,
            jobs: if self.trace { 1 } else { self.jobs },
            every: self.every,
            keeps_results: self.geth_json,
        }
    }

    fn trace(&self) -> Option<TraceFields> {
        self.trace.then(|| self.fields.fields())
    }

    /// Prints the report; an error when it is no success.
    pub(super) fn finish(&self, report: Report) -> Result<()> {
        if self.geth_json {
            println!("{}", serde_json::to_string_pretty(&report.results)?);
        } else if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            print!("{report}");
        }
        let total = report.total();
        if total.failed > 0 && !self.geth_json {
            bail!("{} of {} cases failed", total.failed, total.run);
        }
        if !report.broken.is_empty() {
            bail!("{} files could not be read", report.broken.len());
        }
        if !report.unopened.is_empty() {
            bail!("{} files hold no case that was recognised", report.unopened.len());
        }
        if self.geth_json && !report.results.is_empty() {
            return Ok(());
        }
        if report.unknown_networks() > 0 {
            bail!("{} cases are of networks that are not known here", report.unknown_networks());
        }
        if total.run == 0 {
            bail!("no case was run");
        }
        Ok(())
    }
}
