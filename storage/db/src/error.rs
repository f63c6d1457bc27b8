//! What can go wrong below the typed tables.

use std::path::PathBuf;

/// A failure of the database or of the file system under it.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// MDBX could not open the environment.
    #[error("cannot open the database at {path}: {source}{}", open_hint(source))]
    Open {
        /// The database folder.
        path: PathBuf,
        /// MDBX's answer.
        source: libmdbx::Error,
    },
    /// The folder holds no database and the caller did not ask to create one.
    #[error("no database at {0} (run `portico init` or `portico import` first)")]
    Missing(PathBuf),
    /// Another process, or another part of this one, has it open for writing.
    #[error("another process writes the database at {0}: there is one writer at a time")]
    Locked(PathBuf),
    /// Written by a version of this program with other tables.
    #[error(
        "the database at {path} has schema version {found}, this program reads and writes version {expected}: {}",
        if found > expected { "use a newer portico" } else { "import it anew" }
    )]
    SchemaVersion {
        /// The database folder.
        path: PathBuf,
        /// The version in the database.
        found: u32,
        /// The version of this program.
        expected: u32,
    },
    /// An MDBX environment that something else made.
    #[error("the database at {0} was not made by portico (it has tables but no schema version)")]
    Foreign(PathBuf),
    /// An operation on a table failed.
    #[error("{operation} on table {table}: {source}{}", write_hint(source))]
    Table {
        /// Table name.
        table: &'static str,
        /// What was attempted.
        operation: &'static str,
        /// MDBX's answer.
        source: libmdbx::Error,
    },
    /// Starting or committing a transaction failed.
    #[error("{operation}: {source}{}", write_hint(source))]
    Transaction {
        /// What was attempted.
        operation: &'static str,
        /// MDBX's answer.
        source: libmdbx::Error,
    },
    /// The call is for transactions in memory, or for those that are not.
    #[error(
        "a transaction in memory is applied, not committed, and one of the database committed, not applied"
    )]
    NotInMemory,
    /// A stored row cannot be decoded.
    #[error("corrupt row in table {table}: {source}")]
    Corrupt {
        /// Table name.
        table: &'static str,
        /// What the codec found.
        source: DecodeError,
    },
    /// A file beside the database (bulk load spill, lock, folder).
    #[error("{operation} {path}: {source}")]
    Io {
        /// What was attempted.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl DbError {
    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { operation, path: path.into(), source }
    }

    /// Whether the medium or the configured map is full, so that the user can mend it.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Table { source, .. } | Self::Transaction { source, .. } | Self::Open { source, .. } => {
                is_full(source)
            }
            Self::Io { source, .. } => source.raw_os_error() == Some(libc::ENOSPC),
            _ => false,
        }
    }
}

fn is_full(source: &libmdbx::Error) -> bool {
    matches!(source, libmdbx::Error::MapFull | libmdbx::Error::UnableExtendMapsize)
        || matches!(source, libmdbx::Error::Other(code) if *code == libc::ENOSPC)
}

fn write_hint(source: &libmdbx::Error) -> &'static str {
    match source {
        libmdbx::Error::MapFull => {
            " (the database reached --db.max-size; raise it; nothing committed is lost)"
        }
        // A write that the device took only a part of.
        libmdbx::Error::Io => " (the device is full or failing; nothing committed is lost)",
        source if is_full(source) => " (no space left on the device; free some; nothing committed is lost)",
        _ => "",
    }
}

fn open_hint(source: &libmdbx::Error) -> &'static str {
    match source {
        libmdbx::Error::Busy => " (another process uses it)",
        libmdbx::Error::Access | libmdbx::Error::PermissionDenied | libmdbx::Error::ReadOnlyFilesystem => {
            " (the folder must be writable)"
        }
        source => write_hint(source),
    }
}

/// Bytes that are not what their codec writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than the layout asks for.
    #[error("{what}: {len} bytes are too few")]
    TooShort {
        /// The part that was being read.
        what: &'static str,
        /// Bytes that were there.
        len: usize,
    },
    /// Bytes left over, or a field out of its range.
    #[error("{what} is malformed")]
    Malformed {
        /// The part that was being read.
        what: &'static str,
    },
    /// Decompression failed.
    #[error("{what} cannot be decompressed")]
    Compression {
        /// The part that was being read.
        what: &'static str,
    },
}
