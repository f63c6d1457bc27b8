//! `portico bench`: heavy chains, what it takes to import them, and how fast they are served.

mod baseline;
mod engine;
mod generate;
mod import;
mod node_process;
mod pool;
mod rpc;

use clap::Subcommand;
use eyre::Result;

pub use generate::{GeneratedChain, generate_chain};
pub use node_process::{NodeCommand, NodeProcess, run_on};
pub use pool::{Attack, Attacker};

/// Subcommands of `portico bench`.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Make a chain as a genesis file and a block file; equal settings give equal bytes
    Generate(generate::GenerateArgs),
    /// Import block files into a new database and compare with what the bare libraries take
    Import(import::ImportArgs),
    /// Import block files but for the last blocks, bring those one by one, and print how long each step takes
    Engine(engine::EngineArgs),
    /// Ask a database's chain many questions and print how fast they are answered
    Rpc(rpc::RpcArgs),
    /// Import block files while clients send the heaviest calls, and print what that costs
    Abuse(rpc::AbuseArgs),
    /// Attack the transaction pool of a node that follows a chain, and print what the chain and honest senders notice
    Pool(pool::PoolArgs),
}

pub(crate) fn run(command: BenchCommand) -> Result<()> {
    match command {
        BenchCommand::Generate(args) => generate::run(&args),
        BenchCommand::Import(args) => import::run(&args),
        BenchCommand::Engine(args) => engine::run(&args),
        BenchCommand::Rpc(args) => rpc::run(&args),
        BenchCommand::Abuse(args) => rpc::run_abuse(&args),
        BenchCommand::Pool(args) => pool::run(&args),
    }
}
