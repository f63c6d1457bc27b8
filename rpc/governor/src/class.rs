//! Classes of work.

use std::{fmt, str::FromStr};

/// How much work a call may be, and of which kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A bounded number of rows: balances, blocks, receipts.
    Light,
    /// Runs code: calls, gas estimates, simulations.
    Call,
    /// Walks through a range of blocks or an index: logs, fee history, searches.
    Range,
    /// Executes transactions of the chain again.
    Trace,
    /// Walks through the trie: proofs, witnesses.
    Proof,
    /// A GraphQL request, whatever its fields ask for.
    Graphql,
}

impl Class {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Light, Self::Call, Self::Range, Self::Trace, Self::Proof, Self::Graphql];

    /// As settings and metrics name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Call => "call",
            Self::Range => "range",
            Self::Trace => "trace",
            Self::Proof => "proof",
            Self::Graphql => "graphql",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No class has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no class {0:?} (known: light, call, range, trace, proof, graphql)")]
pub struct UnknownClass(pub String);

impl FromStr for Class {
    type Err = UnknownClass;

    fn from_str(name: &str) -> Result<Self, UnknownClass> {
        let known = Self::ALL.into_iter().find(|class| class.name() == name);
        known.ok_or_else(|| UnknownClass(name.to_owned()))
    }
}
