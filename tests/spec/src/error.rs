//! Why fixtures could not be read or run at all; a test that fails is no error but part of the report.

use std::path::{Path, PathBuf};

/// Why fixtures could not be read or run.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// A file, folder or archive could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// An archive is damaged or cut off.
    #[error("{}: damaged or truncated archive: {source}", path.display())]
    Archive {
        /// Which.
        path: PathBuf,
        /// What the reader met.
        source: std::io::Error,
    },
    /// A fixture file is larger than any real one.
    #[error("{name}: {bytes} bytes, more than the {max} that a fixture file may have")]
    TooLarge {
        /// File, or archive and entry.
        name: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// A fixture file is not what it should be.
    #[error("{name}: {reason}")]
    Malformed {
        /// File, or archive and entry.
        name: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// Nothing to run was found.
    #[error("no fixture file (.json, .tar.zst, or folders of them) in {paths}")]
    NoFiles {
        /// What was searched.
        paths: String,
    },
    /// A worker's database failed.
    #[error("the test database: {0}")]
    Database(#[from] portico_db::DbError),
    /// The system refused something else.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
}

impl SpecError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// JSON of the wrong shape; the parser's message may quote a string of any length.
    pub(crate) fn malformed(name: &str, error: &serde_json::Error) -> Self {
        Self::Malformed { name: clip(name), reason: clip(&error.to_string()) }
    }
}

/// Bytes that reports repeat of the beginning, and of the end, of a text from a fixture.
const CLIP: usize = 1000;

/// The text; of a long one beginning and end, and how much there is between them.
pub(crate) fn clip(text: &str) -> String {
    if text.len() <= 2 * CLIP {
        return text.to_owned();
    }
    let head = &text[..text.floor_char_boundary(CLIP)];
    let tail = &text[text.ceil_char_boundary(text.len() - CLIP)..];
    format!("{head} … {} bytes … {tail}", text.len() - head.len() - tail.len())
}

#[cfg(test)]
mod tests {
    use super::clip;

    #[test]
    fn long_texts_keep_both_ends() {
        assert_eq!(clip("short"), "short");
        let clipped = clip(&format!("begin {} end", "é".repeat(5000)));
        assert!(clipped.starts_with("begin é") && clipped.ends_with("é end"), "{clipped}");
        assert!(clipped.contains(" bytes … ") && clipped.len() < 2100, "{clipped}");
    }
}
