//! Tells the program which compiler made it, for which machine, and from which commit.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc).arg("--version").output().ok();
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    println!("cargo:rustc-env=PORTICO_RUSTC={}", version.split_whitespace().nth(1).unwrap_or("unknown"));
    let commit = Command::new("git").args(["rev-parse", "--short=8", "HEAD"]).output().ok();
    let commit = commit.filter(|output| output.status.success());
    let commit = commit.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let commit = if commit.trim().is_empty() { "00000000" } else { commit.trim() };
    println!("cargo:rustc-env=PORTICO_COMMIT={commit}");
    println!("cargo:rustc-env=PORTICO_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}
