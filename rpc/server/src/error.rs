//! Why serving could not begin.

use std::{net::SocketAddr, path::PathBuf};

use jsonrpsee::core::RegisterMethodError;

/// Why serving could not begin.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken, not ours, or not allowed.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The socket's path is taken by another process or by something else, or cannot be written.
    #[error("cannot listen on {}: {source}", path.display())]
    BindIpc {
        /// The path.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// An origin for CORS is not a header value.
    #[error("{0:?} is not an origin")]
    BadOrigin(String),
    /// A file of certificates, keys or users cannot be used.
    #[error("{}: {reason}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Two namespaces have a method of the same name.
    #[error(transparent)]
    Methods(#[from] RegisterMethodError),
}
