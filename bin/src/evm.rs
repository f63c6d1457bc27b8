//! `portico evm`: the public test formats, and the interpreter as a tool, with the interfaces that developers know
//! from go-ethereum's `evm`.

mod alloc;
mod blocktest;
mod number;
mod opcode_count;
mod run;
mod stateless;
pub mod t8n;

use std::process::ExitCode;

use clap::Subcommand;
use eyre::Result;

#[derive(Debug, Subcommand)]
pub(crate) enum EvmCommand {
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
}

/// Runs a tool; its exit code says how it went.
pub(crate) fn run(command: EvmCommand) -> Result<ExitCode> {
    match command {
        EvmCommand::Blocktest(args) => blocktest::run(&args).map(|()| ExitCode::SUCCESS),
        EvmCommand::Statetest(args) => blocktest::run_states(&args).map(|()| ExitCode::SUCCESS),
        EvmCommand::Run(args) => run::run(&args),
        EvmCommand::Stateless(args) => stateless::run(&args).map(|()| ExitCode::SUCCESS),
        EvmCommand::T8n(args) => Ok(t8n::run(&args)),
    }
}
