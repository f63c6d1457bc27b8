//! Settings from flags, the environment and a TOML file, and `portico config`, which prints them.
//!
//! A file named by `--config` holds the flags' names as keys (`datadir = "…"`, `db.max-size = "1TB"`, `[http]` tables
//! are the same as dotted names). A flag wins over the environment, the environment over the file, the file over the
//! default.

use std::ffi::OsString;

use clap::{Args, CommandFactory};
use eyre::{Context, Result, bail};
use toml::Value;

use crate::cli::Cli;

/// Flags of `portico config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The subcommand whose settings to print
    #[arg(default_value = "import")]
    command: String,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Environment,
    Default,
    Unset,
}

pub(crate) fn run(args: &ConfigArgs) -> Result<()> {
    let cli = Cli::command();
    let Some(command) = cli.find_subcommand(&args.command) else {
        bail!("no subcommand is called {}", args.command);
    };
    println!("{:<24} {:<28} origin", "setting", "value");
    for argument in command.get_arguments().filter(|argument| argument.get_long().is_some()) {
        let name = argument.get_long().expect("filtered");
        if matches!(name, "help" | "version") {
            continue;
        }
        let environment = argument.get_env().and_then(std::env::var_os);
        let default = argument.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
        let (value, origin) = match (environment, default) {
            (Some(value), _) => (value.to_string_lossy().into_owned(), Origin::Environment),
            (None, Some(value)) => (value, Origin::Default),
            (None, None) => (String::new(), Origin::Unset),
        };
        let origin = match origin {
            Origin::Environment => {
                format!("environment {}", argument.get_env().expect("it was set").to_string_lossy())
            }
            Origin::Default => "default".to_owned(),
            Origin::Unset => "not set".to_owned(),
        };
        println!("--{name:<22} {value:<28} {origin}");
    }
    Ok(())
}

/// The arguments with those of the configuration file put in, where neither flag nor environment names them.
pub(crate) fn merged_arguments(arguments: impl Iterator<Item = OsString>) -> Result<Vec<OsString>> {
    let mut arguments: Vec<OsString> = arguments.collect();
    let Some(path) = take_config_path(&mut arguments)? else { return Ok(arguments) };
    let text =
        std::fs::read_to_string(&path).wrap_err_with(|| format!("reading {}", path.to_string_lossy()))?;
    let table: toml::Table = text.parse().wrap_err_with(|| format!("in {}", path.to_string_lossy()))?;
    let mut settings = Vec::new();
    flatten("", &Value::Table(table), &mut settings);
    let cli = Cli::command();
    let subcommand = arguments.get(1).and_then(|name| cli.find_subcommand(name.to_string_lossy().as_ref()));
    let Some(subcommand) = subcommand else { return Ok(arguments) };
    for (name, value) in settings {
        let Some(argument) = subcommand.get_arguments().find(|argument| argument.get_long() == Some(&name))
        else {
            if cli
                .get_subcommands()
                .any(|other| other.get_arguments().any(|argument| argument.get_long() == Some(&name)))
            {
                continue;
            }
            bail!("{}: no flag is called --{name}", path.to_string_lossy());
        };
        let flag = format!("--{name}");
        let given = arguments.iter().any(|given| {
            let given = given.to_string_lossy();
            given == flag || given.starts_with(&format!("{flag}="))
        });
        if given || argument.get_env().is_some_and(|name| std::env::var_os(name).is_some()) {
            continue;
        }
        match value.as_str() {
            "true" if !argument.get_action().takes_values() => arguments.push(flag.into()),
            "false" if !argument.get_action().takes_values() => {}
            value => arguments.push(format!("{flag}={value}").into()),
        }
    }
    Ok(arguments)
}

fn take_config_path(arguments: &mut Vec<OsString>) -> Result<Option<OsString>> {
    for position in 1..arguments.len() {
        let argument = arguments[position].to_string_lossy().into_owned();
        if let Some(path) = argument.strip_prefix("--config=") {
            let path = OsString::from(path);
            arguments.remove(position);
            return Ok(Some(path));
        }
        if argument == "--config" {
            if position + 1 == arguments.len() {
                bail!("--config needs a file");
            }
            arguments.remove(position);
            return Ok(Some(arguments.remove(position)));
        }
    }
    Ok(std::env::var_os("PORTICO_CONFIG"))
}

fn flatten(prefix: &str, value: &Value, settings: &mut Vec<(String, String)>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&name, value, settings);
            }
        }
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(plain).collect();
            settings.push((prefix.to_owned(), values.join(",")));
        }
        value => settings.push((prefix.to_owned(), plain(value))),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_what_no_flag_does() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("portico.toml");
        std::fs::write(&file, "datadir = \"/there\"\nchain = \"sepolia\"\n[db]\nmax-size = \"1GB\"\n")
            .unwrap();
        let arguments = ["portico", "init", "--config", file.to_str().unwrap(), "--chain", "hoodi"];
        let merged = merged_arguments(arguments.into_iter().map(OsString::from)).unwrap();
        assert_eq!(merged, ["portico", "init", "--chain", "hoodi", "--datadir=/there", "--db.max-size=1GB"]);
    }

    #[test]
    fn an_unknown_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("portico.toml");
        std::fs::write(&file, "dataDir = 1\n").unwrap();
        let arguments = ["portico", "init", "--config", file.to_str().unwrap()];
        let error = merged_arguments(arguments.into_iter().map(OsString::from)).unwrap_err();
        assert!(error.to_string().contains("--dataDir"), "{error}");
    }
}
