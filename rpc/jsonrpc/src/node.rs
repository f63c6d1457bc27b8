//! What methods say about the node itself.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
};

/// A group of methods that can be switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// The node as its operator sees it.
    Admin,
    /// Traces in go-ethereum's form, raw data.
    Debug,
    /// Erigon's own methods.
    Erigon,
    /// Blocks, state, calls, logs.
    Eth,
    /// The network.
    Net,
    /// What the Otterscan explorer asks.
    Ots,
    /// OpenEthereum's list of an account's slots.
    Parity,
    /// Building blocks by hand, for tests.
    Testing,
    /// Traces in OpenEthereum's form.
    Trace,
    /// Transactions that wait for a block.
    Txpool,
    /// The client.
    Web3,
}

impl Namespace {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Admin,
        Self::Debug,
        Self::Erigon,
        Self::Eth,
        Self::Net,
        Self::Ots,
        Self::Parity,
        Self::Testing,
        Self::Trace,
        Self::Txpool,
        Self::Web3,
    ];

    /// As it stands before the underscore of its methods.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Debug => "debug",
            Self::Erigon => "erigon",
            Self::Eth => "eth",
            Self::Net => "net",
            Self::Ots => "ots",
            Self::Parity => "parity",
            Self::Testing => "testing",
            Self::Trace => "trace",
            Self::Txpool => "txpool",
            Self::Web3 => "web3",
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No namespace has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no RPC namespace {0:?} (known: {known})", known = known_names())]
pub struct UnknownNamespace(pub String);

fn known_names() -> String {
    Namespace::ALL.map(Namespace::name).join(", ")
}

impl FromStr for Namespace {
    type Err = UnknownNamespace;

    fn from_str(name: &str) -> Result<Self, UnknownNamespace> {
        let known = Self::ALL.into_iter().find(|namespace| namespace.name() == name);
        known.ok_or_else(|| UnknownNamespace(name.to_owned()))
    }
}

/// What methods say about the node itself.
#[derive(Debug)]
pub struct NodeInfo {
    client_version: String,
    peers: AtomicU64,
}

impl NodeInfo {
    /// A node without peers.
    pub fn new(client_version: String) -> Self {
        Self { client_version, peers: AtomicU64::new(0) }
    }

    /// Name, version, system and compiler, separated by slashes.
    pub fn client_version(&self) -> &str {
        &self.client_version
    }

    /// Peers that are connected now.
    pub fn peer_count(&self) -> u64 {
        self.peers.load(Ordering::Relaxed)
    }

    /// Notes how many peers are connected.
    pub fn set_peer_count(&self, peers: u64) {
        self.peers.store(peers, Ordering::Relaxed);
    }
}
