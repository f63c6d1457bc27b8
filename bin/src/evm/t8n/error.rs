//! What stops a transition, with go-ethereum's exit codes.

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum T8nError {
    /// Execution could not be carried through.
    #[error(transparent)]
    Execution(#[from] portico_evm::ExecutionError),
    /// The block or the fork lack something, or contradict each other.
    #[error("{0}")]
    Configuration(String),
    /// `BLOCKHASH` asked for a block that the environment does not have.
    #[error("the hash of block {0} is asked for, but not in blockHashes")]
    MissingBlockHash(u64),
    /// An input is not what it should be.
    #[error("{what}: {reason}")]
    Input {
        /// Which one.
        what: String,
        /// Why.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Its path.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl T8nError {
    pub(in crate::evm) fn input(what: &str, reason: impl ToString) -> Self {
        Self::Input { what: what.to_owned(), reason: reason.to_string() }
    }

    pub(in crate::evm) fn configuration(reason: impl ToString) -> Self {
        Self::Configuration(reason.to_string())
    }

    /// 2 execution, 3 configuration, 4 missing block hash, 10 input, 11 files.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Execution(_) => 2,
            Self::Configuration(_) => 3,
            Self::MissingBlockHash(_) => 4,
            Self::Input { .. } => 10,
            Self::File { .. } => 11,
        }
    }
}
