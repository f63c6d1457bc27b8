//! The `portico` command: flags, configuration and wiring of the crates. A file per subcommand.

mod bench;
pub mod cli;
mod config;
mod datadir;
mod db;
mod dev_stream;
mod engine_args;
pub mod evm;
mod export;
mod file_source;
mod fork;
mod import;
mod init;
mod logging;
mod node;
mod node_metrics;
mod pool_watch;
mod progress;
mod serve_args;
mod stage;
mod txpool_args;

pub use bench::{Attack, Attacker, GeneratedChain, NodeCommand, NodeProcess, generate_chain, run_on};
pub use datadir::{DataDir, DatabaseArgs, DatabaseTuning};
pub use file_source::FileSource;
pub use fork::find_branch;
pub use import::{ImportEnd, import_files};

/// Name and version, as told to peers and clients.
pub const CLIENT_VERSION: &str = concat!(
    "Portico/v",
    env!("CARGO_PKG_VERSION"),
    "/",
    env!("PORTICO_TARGET"),
    "/rust",
    env!("PORTICO_RUSTC")
);
