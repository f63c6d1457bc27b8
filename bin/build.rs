//! Tells the program which compiler made it and for which machine.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc).arg("--version").output().ok();
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    println!("cargo:rustc-env=PORTICO_RUSTC={}", version.split_whitespace().nth(1).unwrap_or("unknown"));
    println!("cargo:rustc-env=PORTICO_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}
