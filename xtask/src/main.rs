//! Project tasks: `cargo xtask check` is what CI runs.

mod layers;

use std::process::{Command, ExitCode};

use eyre::{Result, bail};

/// A step of the check: its name and the cargo arguments.
type Step = (&'static str, &'static [&'static str]);

const STEPS: [Step; 4] = [
    ("format", &["fmt", "--all", "--check"]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
    ("tests", &["test", "--workspace", "--locked", "--no-fail-fast"]),
    ("docs", &["doc", "--workspace", "--no-deps", "--locked"]),
];

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    let result = match task.as_str() {
        "check" => check(),
        "layers" => layers::check(),
        _ => {
            eprintln!("usage: cargo xtask check | layers");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that must pass. The tests come last, so that their runner's closing lines end the output.
fn check() -> Result<()> {
    let [format, lints, tests, docs] = STEPS;
    cargo(format)?;
    println!("== layers");
    layers::check()?;
    cargo(lints)?;
    cargo(docs)?;
    deny()?;
    cargo(tests)
}

fn cargo((name, arguments): Step) -> Result<()> {
    println!("== {name}: cargo {}", arguments.join(" "));
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments);
    if name == "docs" {
        command.env("RUSTDOCFLAGS", "-D warnings");
    }
    if !command.status()?.success() {
        bail!("{name} failed");
    }
    Ok(())
}

/// Licences, advisories and duplicate natives, where cargo-deny is installed; it needs no network for these checks.
fn deny() -> Result<()> {
    let installed =
        Command::new("cargo-deny").arg("--version").output().is_ok_and(|output| output.status.success());
    if !installed {
        println!("== deny: SKIPPED, cargo-deny is not installed");
        return Ok(());
    }
    cargo(("deny", &["deny", "--offline", "check", "bans", "licenses", "sources"]))
}
