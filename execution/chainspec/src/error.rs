//! What can be wrong with a genesis file.

use crate::{Activation, Fork};
use std::path::PathBuf;

/// Why a chain specification could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ChainSpecError {
    /// The genesis file could not be read.
    #[error("cannot read genesis file {path}: {source} (built-in chains: mainnet, sepolia, hoodi, dev)", path = path.display())]
    Read {
        /// Path as given.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is larger than [`crate::GENESIS_FILE_SIZE_MAX`].
    #[error("genesis is {size} bytes, more than the {max} that are read")]
    TooLarge {
        /// Size in bytes.
        size: u64,
        /// Largest size accepted, in bytes.
        max: u64,
    },
    /// The text is not JSON, or a value is not the JSON type that its place asks for.
    #[error("genesis{at} is not valid JSON: {source}", at = at(field))]
    Json {
        /// Where: a dotted path, empty for the whole file.
        field: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The bytes are not UTF-8.
    #[error("genesis is not UTF-8 text: {0}")]
    NotUtf8(#[from] std::str::Utf8Error),
    /// A field that has no default is absent.
    #[error("genesis lacks the field `{field}`")]
    MissingField {
        /// Dotted path of the field.
        field: String,
    },
    /// A value cannot be what its field asks for.
    #[error("genesis field `{field}` is {value}: expected {expected}")]
    InvalidField {
        /// Dotted path of the field.
        field: String,
        /// The text found, shortened.
        value: String,
        /// What was expected.
        expected: &'static str,
    },
    /// One key appears twice (keys are compared without regard to case).
    #[error("genesis has the key `{field}` twice")]
    DuplicateKey {
        /// Dotted path of the key.
        field: String,
    },
    /// Two spellings of one setting disagree.
    #[error("genesis settings `{first}` and `{second}` mean the same but differ")]
    ConflictingKeys {
        /// One spelling.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A later fork is scheduled before an earlier one.
    #[error("fork {later} ({later_at}) is scheduled before {earlier} ({earlier_at})")]
    UnorderedForks {
        /// The fork that must come first.
        earlier: Fork,
        /// When it is scheduled.
        earlier_at: Activation,
        /// The fork that must not come before it.
        later: Fork,
        /// When it is scheduled.
        later_at: Activation,
    },
    /// A fork by timestamp needs London by block, and nothing says when London starts.
    #[error("fork {fork} is scheduled but londonBlock is not set")]
    LondonMissing {
        /// The fork by timestamp.
        fork: Fork,
    },
    /// The genesis asks for rules that this client does not have.
    #[error("genesis setting `{field}` asks for rules that this client does not have")]
    UnsupportedRules {
        /// Dotted path of the setting.
        field: String,
    },
    /// A key that schedules a fork, by its name, is none that this client knows.
    #[error("genesis setting `{field}` schedules no fork that this client knows")]
    UnknownFork {
        /// Dotted path of the setting.
        field: String,
    },
    /// There is no test network of this name.
    #[error("there is no test network or fork named {name:?}")]
    UnknownTestNetwork {
        /// The name asked for.
        name: String,
    },
    /// A blob schedule entry makes no sense.
    #[error("blob schedule of {fork}: {reason}")]
    InvalidBlobSchedule {
        /// The fork that the entry belongs to.
        fork: Fork,
        /// What is wrong.
        reason: &'static str,
    },
}

fn at(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!(" field `{field}`") }
}
