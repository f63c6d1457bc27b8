//! `portico bench`: heavy chains, and what it takes to import them.

mod baseline;
mod generate;
mod import;

use clap::Subcommand;
use eyre::Result;

pub use generate::{GeneratedChain, generate_chain};

/// Subcommands of `portico bench`.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Make a chain as a genesis file and a block file; equal settings give equal bytes
    Generate(generate::GenerateArgs),
    /// Import block files into a new database and compare with what the bare libraries take
    Import(import::ImportArgs),
}

pub(crate) fn run(command: BenchCommand) -> Result<()> {
    match command {
        BenchCommand::Generate(args) => generate::run(&args),
        BenchCommand::Import(args) => import::run(&args),
    }
}
