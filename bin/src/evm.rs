//! `portico evm`: the EVM and the block rules on inputs of one's own, without a database.

mod stateless;

use clap::Subcommand;
use eyre::Result;

/// Subcommands of `portico evm`.
#[derive(Debug, Subcommand)]
pub enum EvmCommand {
    /// Validate a block by its execution witness alone
    Stateless(stateless::StatelessArgs),
}

pub(crate) fn run(command: EvmCommand) -> Result<()> {
    match command {
        EvmCommand::Stateless(args) => stateless::run(&args),
    }
}
