//! Settings from flags, the environment and a TOML file, and `portico config`, which prints them.
//!
//! A file named by `--config` holds the flags' names as keys (`datadir = "…"`, `db.max-size = "1TB"`, `[http]` tables
//! are the same as dotted names). A flag wins over the environment, the environment over the file, the file over the
//! default.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, Args, Command, CommandFactory};
use eyre::{Context, Result, bail, eyre};
use toml::Value;

use crate::cli::Cli;

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Environment,
    File,
    Default,
    Unset,
}

/// Flags of `portico config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The subcommand whose settings to print, such as `node` or `stage unwind`
    #[arg(default_value = "import", num_args = 1..)]
    command: Vec<String>,
}

/// Prints the settings of a subcommand as it would find them, without flags.
pub(crate) fn run(args: &ConfigArgs, file: Option<&Path>) -> Result<()> {
    let mut cli = Cli::command();
    // Fills in what subcommands inherit.
    cli.build();
    let command = args.command.iter().try_fold(&cli, |command, name| {
        let names = || args.command.join(" ");
        command.find_subcommand(name).ok_or_else(|| eyre!("no subcommand is called {}", names()))
    })?;
    if command.has_subcommands() {
        let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        bail!("{} has settings for each of: {}", args.command.join(" "), names.join(", "));
    }
    let settings = file.map(|file| read_file(file, &cli)).transpose()?.unwrap_or_default();
    println!("{:<24} {:<28} origin", "setting", "value");
    for argument in command.get_arguments() {
        let Some(name) = argument.get_long().filter(|name| !matches!(*name, "help" | "version" | "config"))
        else {
            continue;
        };
        let (value, origin) = effective(argument, name, &settings);
        let origin = match (origin, argument.get_env()) {
            (Origin::Environment, Some(variable)) => format!("environment {}", variable.to_string_lossy()),
            (Origin::Environment, None) => "environment".to_owned(),
            (Origin::File, _) => {
                format!("file {}", file.map(|file| file.display().to_string()).unwrap_or_default())
            }
            (Origin::Default, _) => "default".to_owned(),
            (Origin::Unset, _) => "not set".to_owned(),
        };
        println!("--{name:<22} {value:<28} {origin}");
    }
    Ok(())
}

fn effective(argument: &Arg, name: &str, settings: &[(String, String)]) -> (String, Origin) {
    if let Some(value) = argument.get_env().and_then(std::env::var_os) {
        return (value.to_string_lossy().into_owned(), Origin::Environment);
    }
    if let Some((_, value)) = settings.iter().find(|(key, _)| key == name) {
        return (value.clone(), Origin::File);
    }
    match argument.get_default_values() {
        [] => (String::new(), Origin::Unset),
        values => {
            let values: Vec<_> = values.iter().map(|value| value.to_string_lossy()).collect();
            (values.join(","), Origin::Default)
        }
    }
}

/// The settings of a file, each of which must be a flag of some subcommand.
fn read_file(path: &Path, cli: &Command) -> Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path).wrap_err_with(|| format!("reading {}", path.display()))?;
    let table: toml::Table = text.parse().wrap_err_with(|| format!("in {}", path.display()))?;
    let mut settings = Vec::new();
    flatten("", &Value::Table(table), &mut settings);
    let unknown = settings.iter().find(|(name, _)| !has_flag(cli, name));
    match unknown {
        Some((name, _)) => bail!("{}: no flag is called --{name}", path.display()),
        None => Ok(settings),
    }
}

/// Whether a command, or one below it, has this flag.
fn has_flag(command: &Command, name: &str) -> bool {
    name != "config"
        && (flag(command, name).is_some() || command.get_subcommands().any(|below| has_flag(below, name)))
}

fn flag<'c>(command: &'c Command, name: &str) -> Option<&'c Arg> {
    command.get_arguments().find(|argument| argument.get_long() == Some(name))
}

/// The arguments with those of the configuration file put in, where neither flag nor environment names them.
pub(crate) fn merged_arguments(arguments: impl Iterator<Item = OsString>) -> Result<Vec<OsString>> {
    let mut arguments: Vec<OsString> = arguments.collect();
    let Some(path) = config_path(&arguments)? else { return Ok(arguments) };
    let mut cli = Cli::command();
    cli.build();
    let settings = read_file(&path, &cli)?;
    let command = named_command(&cli, &arguments);
    if command.get_name() == "config" {
        // It shows the file's settings rather than having them.
        return Ok(arguments);
    }
    for (name, value) in settings {
        let Some(argument) = flag(command, &name) else { continue };
        if is_given(&arguments, argument, &name)
            || argument.get_env().is_some_and(|name| std::env::var_os(name).is_some())
        {
            continue;
        }
        let flag = format!("--{name}");
        match (argument.get_action(), value.as_str()) {
            (ArgAction::Count, count) => {
                let count: usize = count.parse().wrap_err_with(|| format!("{name} in {}", path.display()))?;
                arguments.extend(std::iter::repeat_n(OsString::from(flag), count.min(COUNT_MAX)));
            }
            (action, "true") if !action.takes_values() => arguments.push(flag.into()),
            (action, "false") if !action.takes_values() => {}
            (_, value) => arguments.push(format!("{flag}={value}").into()),
        }
    }
    Ok(arguments)
}

/// Flags that count how often they are there have no more steps than this.
const COUNT_MAX: usize = 4;

/// The subcommand that the arguments name; flags between the names are passed over.
fn named_command<'c>(cli: &'c Command, arguments: &[OsString]) -> &'c Command {
    let names = arguments.iter().skip(1).map(|argument| argument.to_string_lossy());
    names.fold(cli, |command, name| command.find_subcommand(name.as_ref()).unwrap_or(command))
}

fn is_given(arguments: &[OsString], argument: &Arg, name: &str) -> bool {
    let long = format!("--{name}");
    arguments.iter().skip(1).any(|given| {
        let given = given.to_string_lossy();
        let has_short = || {
            let short = argument.get_short();
            short.is_some_and(|short| {
                given.starts_with('-') && !given.starts_with("--") && given.contains(short)
            })
        };
        given == long || given.starts_with(&format!("{long}=")) || has_short()
    })
}

/// The file that `--config` or the environment names.
fn config_path(arguments: &[OsString]) -> Result<Option<PathBuf>> {
    let mut given = arguments.iter().skip(1);
    while let Some(argument) = given.next() {
        let argument = argument.to_string_lossy();
        if let Some(path) = argument.strip_prefix("--config=") {
            return Ok(Some(path.into()));
        }
        if argument == "--config" {
            let Some(path) = given.next() else { bail!("--config needs a file") };
            return Ok(Some(path.into()));
        }
    }
    Ok(std::env::var_os("PORTICO_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from))
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
        let file = file.to_str().unwrap();
        let given = ["portico", "init", "--config", file, "--chain", "hoodi"];
        assert_eq!(merged, [&given[..], &["--datadir=/there", "--db.max-size=1GB"]].concat());
    }

    #[test]
    fn settings_reach_nested_commands_and_flags_of_all_commands() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("portico.toml");
        std::fs::write(&file, "datadir = \"/there\"\nverbose = 2\n[log]\nformat = \"json\"\n").unwrap();
        let file = file.to_str().unwrap();
        let merge = |arguments: &[&str]| {
            let arguments = [arguments, &["--config", file]].concat();
            let merged = merged_arguments(arguments.iter().map(OsString::from)).unwrap();
            let merged: Vec<String> =
                merged.into_iter().map(|argument| argument.into_string().unwrap()).collect();
            merged[arguments.len()..].to_vec()
        };
        let added = ["--datadir=/there", "--log.format=json", "--verbose", "--verbose"];
        let mut got = merge(&["portico", "stage", "unwind", "--to", "3"]);
        got.sort_unstable();
        assert_eq!(got, added);
        assert_eq!(merge(&["portico", "--log.format", "text", "stage", "list", "-v"]), ["--datadir=/there"]);
        assert!(merge(&["portico", "config", "stage", "unwind"]).is_empty());
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
