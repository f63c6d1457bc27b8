//! `portico evm`: the public test formats, and single executions by hand.

mod blocktest;

use clap::Subcommand;
use eyre::Result;

/// Subcommands of `portico evm`.
#[derive(Debug, Subcommand)]
pub enum EvmCommand {
    /// Run block tests (files, folders, .tar.zst archives) through all stages of a real database
    Blocktest(blocktest::BlocktestArgs),
}

pub(crate) fn run(command: EvmCommand) -> Result<()> {
    match command {
        EvmCommand::Blocktest(args) => blocktest::run(&args),
    }
}
