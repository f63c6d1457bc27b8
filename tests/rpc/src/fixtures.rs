//! Where the recorded data is.

use std::path::{Path, PathBuf};

/// The folder `name` of the fixtures: under `$PORTICO_FIXTURES`, or beside the workspace. Says so and gives `None`
/// when it is absent, so that a test can skip.
pub fn fixtures(name: &str) -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = std::env::var_os("PORTICO_FIXTURES")
        .map_or_else(|| workspace.join("../shared/fixtures"), PathBuf::from);
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED: no fixtures at {} (set PORTICO_FIXTURES)", folder.display());
    None
}
