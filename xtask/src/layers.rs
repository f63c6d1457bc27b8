//! Dependencies between our crates point one way.

use std::{collections::BTreeMap, process::Command};

use eyre::{Context, Result, bail, eyre};
use serde_json::Value;

/// What each crate may depend on, of our own. Build tools, tests and benches may use everything.
const ALLOWED: &[(&str, &[&str])] = &[
    ("portico-db", &[]),
    ("portico-chainspec", &[]),
    ("portico-consensus", &["portico-chainspec"]),
    ("portico-files", &[]),
    ("portico-chain", &["portico-db"]),
    ("portico-state", &["portico-db"]),
    ("portico-trie", &["portico-db"]),
    ("portico-evm", &["portico-chainspec", "portico-consensus", "portico-db", "portico-state"]),
    (
        "portico-stateless",
        &["portico-db", "portico-trie", "portico-chainspec", "portico-consensus", "portico-evm"],
    ),
    (
        "portico-stages",
        &[
            "portico-db",
            "portico-chain",
            "portico-state",
            "portico-trie",
            "portico-chainspec",
            "portico-consensus",
            "portico-evm",
        ],
    ),
    ("portico-tracers", &["portico-evm"]),
    ("portico-txpool", &["portico-chainspec", "portico-consensus", "portico-evm"]),
    (
        "portico-query",
        &[
            "portico-tracers",
            "portico-txpool",
            "portico-db",
            "portico-chain",
            "portico-state",
            "portico-trie",
            "portico-chainspec",
            "portico-consensus",
            "portico-evm",
        ],
    ),
    ("portico-governor", &["portico-query"]),
    ("portico-jsonrpc", &["portico-query", "portico-governor"]),
    ("portico-graphql", &["portico-query", "portico-governor"]),
    (
        "portico-engine",
        &[
            "portico-query",
            "portico-db",
            "portico-chain",
            "portico-chainspec",
            "portico-consensus",
            "portico-stages",
            "portico-txpool",
        ],
    ),
    ("portico-server", &["portico-query", "portico-governor", "portico-jsonrpc", "portico-graphql"]),
];

/// Crates that stand above all layers.
const ABOVE: &[&str] = &[
    "portico",
    "portico-generator",
    "portico-bench-history",
    "portico-test-support",
    "portico-tests-sync",
    "portico-tests-rpc",
    "portico-tests-fuzz",
    "portico-spec",
    "xtask",
];

/// # Errors
/// Naming each dependency that points the wrong way, and each crate that has no place.
pub(crate) fn check() -> Result<()> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .output()
        .wrap_err("running cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages =
        metadata["packages"].as_array().ok_or_else(|| eyre!("cargo metadata lists no packages"))?;
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut faults = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        if ABOVE.contains(&name) {
            continue;
        }
        let Some(allowed) = allowed.get(name) else {
            faults.push(format!("{name} has no place in xtask/src/layers.rs"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let is_normal = dependency["kind"].is_null();
            let dependency = dependency["name"].as_str().unwrap_or_default();
            if is_normal && dependency.starts_with("portico") && !allowed.contains(&dependency) {
                faults.push(format!("{name} must not depend on {dependency}"));
            }
        }
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    println!("{} crates, all dependencies point down", packages.len());
    Ok(())
}
