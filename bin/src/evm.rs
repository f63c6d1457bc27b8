//! `portico evm`: the public test formats, and the interpreter as a tool, with the interfaces that developers know
//! from go-ethereum's `evm`.

mod alloc;
mod b11r;
mod blocktest;
mod number;
mod opcode_count;
mod run;
mod stateless;
pub mod t8n;
mod trace_args;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use eyre::Result;

#[derive(Debug, Args)]
pub(crate) struct EvmArgs {
    /// Log lines as go-ethereum counts them: 0 none, 1 errors, 2 warnings, 3 information, 4 debug, 5 trace
    #[arg(long, value_name = "LEVEL", global = true)]
    verbosity: Option<u8>,
    #[command(subcommand)]
    command: EvmCommand,
}

impl EvmArgs {
    /// The level of log lines that was asked for.
    pub(crate) fn log_level(&self) -> Option<&'static str> {
        self.verbosity.map(|verbosity| match verbosity {
            0 => "off",
            1 => "error",
            2 => "warn",
            3 => "info",
            4 => "debug",
            _ => "trace",
        })
    }
}

#[derive(Debug, Subcommand)]
enum EvmCommand {
    /// Run block tests (files, folders, .tar.zst archives) through all stages of a real database
    Blocktest(blocktest::BlocktestArgs),
    /// Run state tests (files, folders, .tar.zst archives): one transaction on a state in memory
    Statetest(blocktest::StatetestArgs),
    /// Run code, or one signed transaction, with or without a trace (EIP-3155)
    Run(run::RunArgs),
    /// Validate a block against its execution witness alone
    Stateless(stateless::StatelessArgs),
    /// Execute a block's transactions on a given state: the transition tool of the spec tests
    #[command(visible_alias = "transition")]
    T8n(t8n::T8nArgs),
    /// Build a block of a header, transactions, ommers and withdrawals
    #[command(visible_alias = "block-builder")]
    B11r(b11r::B11rArgs),
}

/// Runs a tool; its exit code says how it went.
pub(crate) fn run(args: EvmArgs) -> Result<ExitCode> {
    match args.command {
        EvmCommand::Blocktest(args) => blocktest::run(&args).map(|()| ExitCode::SUCCESS),
        EvmCommand::Statetest(args) => blocktest::run_states(&args).map(|()| ExitCode::SUCCESS),
        EvmCommand::Run(args) => run::run(&args),
        EvmCommand::Stateless(args) => stateless::run(&args).map(|()| ExitCode::SUCCESS),
        EvmCommand::T8n(args) => Ok(t8n::run(&args)),
        EvmCommand::B11r(args) => Ok(b11r::run(&args)),
    }
}
