//! Log lines: how many and in which form.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// Flags about log lines.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// More log lines: -v debug, -vv trace
    #[arg(short, long = "verbose", action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    /// Fewer log lines: warnings and errors only
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Form of log lines
    #[arg(
        long = "log.format",
        value_enum,
        default_value = "text",
        global = true,
        env = "PORTICO_LOG_FORMAT",
        value_name = "FORMAT"
    )]
    format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Sets log lines up, at `level` if a command has a flag of its own for that.
pub(crate) fn init(args: &LogArgs, level: Option<&str>) -> eyre::Result<()> {
    let level = match (args.quiet, args.verbose) {
        (false, 0) if level.is_some() => level.unwrap_or_default(),
        (true, _) => "warn,libmdbx=off",
        (false, 0) => "info,libmdbx=off",
        (false, 1) => "debug",
        (false, _) => "trace",
    };
    let filter = EnvFilter::try_from_env("PORTICO_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match args.format {
        LogFormat::Text => builder.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    installed.map_err(|error| eyre::eyre!("setting up logging: {error}"))
}
