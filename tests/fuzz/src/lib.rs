//! A fuzz target for every decoder of what comes from files, peers, clients or disk.
//!
//! ```text
//!  seeds (real data) ─> corpus folder ─┬─> cargo fuzz        guided by coverage, where nightly is installed
//!                                      └─> portico-fuzz run  simple mutations, on the stable toolchain
//!                                            │ bytes
//!                                            v
//!                                          TARGETS: a function each, which panics when something is wrong
//! ```
//! A target holds when no bytes make it panic, abort, hang or allocate without bounds. Where decoding is strict, what
//! decodes must encode to the same bytes again.

mod chain;
mod mutate;
mod pool;
mod rows;
mod rpc;
mod seeds;
mod texts;

pub use chain::{archive, block, header, receipts, transaction};
pub use mutate::Mutator;
pub use pool::{journal, pooled};
pub use rows::{chunk, row};
pub use rpc::rpc;
pub use seeds::{Corpus, minimal_seeds, seeds};
pub use texts::{genesis, state_test, witness_json, witness_rlp};

/// Something that takes any bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// As `cargo fuzz` and `portico-fuzz` call it.
    pub name: &'static str,
    /// What it does with them.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 14] = [
    Target { name: "block", run: block },
    Target { name: "header", run: header },
    Target { name: "transaction", run: transaction },
    Target { name: "receipts", run: receipts },
    Target { name: "archive", run: archive },
    Target { name: "row", run: row },
    Target { name: "chunk", run: chunk },
    Target { name: "genesis", run: genesis },
    Target { name: "witness_rlp", run: witness_rlp },
    Target { name: "witness_json", run: witness_json },
    Target { name: "state_test", run: state_test },
    Target { name: "rpc", run: rpc },
    Target { name: "pooled", run: pooled },
    Target { name: "journal", run: journal },
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
