//! The command line: global flags and the list of subcommands.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, error::ErrorKind};

use crate::{
    bench, config, db, evm, export, import, init,
    logging::{self, LogArgs},
    node, stage,
};

/// An Ethereum execution client: staged sync over flat tables, tracing and history at full speed.
#[derive(Debug, Parser)]
#[command(name = "portico", version, long_version = crate::CLIENT_VERSION, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// TOML file with settings: a flag `--http.port` is the key "http.port", or `port` in `[http]`; flags and the
    /// environment go before it
    #[arg(long, global = true, env = "PORTICO_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create the database with the genesis state
    Init(init::InitArgs),
    /// Sync from block files (.rlp, .era1, .ere, folders of them)
    Import(import::ImportArgs),
    /// Write blocks to .rlp or .era1 files
    Export(export::ExportArgs),
    /// Run the node
    Node(Box<node::NodeArgs>),
    /// Work on single stages
    #[command(subcommand)]
    Stage(stage::StageCommand),
    /// Look into the database
    #[command(subcommand)]
    Db(db::DbCommand),
    /// Run the public consensus tests, and code, transactions and blocks without a chain
    Evm(evm::EvmArgs),
    /// Make heavy chains and measure their import
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Print every setting, its value and where the value came from
    Config(config::ConfigArgs),
}

/// As shells see a process that the signal of a closed pipe has ended.
const CLOSED_PIPE_EXIT: i32 = 141;

/// Runs the command that the arguments name; an error is printed and becomes exit code 1, bad arguments 2.
pub fn main() -> ExitCode {
    quit_on_closed_pipe();
    let arguments = match config::merged_arguments(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => return fail(&error),
    };
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // A closed pipe is no reason to complain.
            let _ = error.print();
            return ExitCode::from(if help { 0 } else { 2 });
        }
    };
    let level = match &cli.command {
        Command::Evm(args) => args.log_level(),
        _ => None,
    };
    if let Err(error) = logging::init(&cli.log, level) {
        return fail(&error);
    }
    portico_evm::install_kzg_verification();
    let result = match cli.command {
        Command::Init(args) => init::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Node(args) => node::run(&args),
        Command::Stage(command) => stage::run(command),
        Command::Db(command) => db::run(command),
        Command::Bench(command) => bench::run(command),
        Command::Evm(args) => match evm::run(args) {
            Ok(exit_code) => return exit_code,
            Err(error) => Err(error),
        },
        Command::Config(args) => config::run(&args, cli.config.as_deref()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Ends the process quietly when whoever reads its output has gone (`| head`): `println!` would panic.
fn quit_on_closed_pipe() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_closed_pipe = panic
            .payload_as_str()
            .is_some_and(|text| text.starts_with("failed printing to std") && text.contains("Broken pipe"));
        if is_closed_pipe {
            std::process::exit(CLOSED_PIPE_EXIT);
        }
        default(panic);
    }));
}

fn fail(error: &eyre::Report) -> ExitCode {
    let mut message = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // Errors that pass their source's text on would say it twice.
        if !message.contains(&cause) {
            message.push_str(if message.is_empty() { "" } else { ": " });
            message.push_str(&cause);
        }
    }
    eprintln!("error: {message}");
    ExitCode::FAILURE
}
