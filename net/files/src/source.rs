//! Where a file's bytes come from: the disk, or memory for tests and fuzzing.

use std::{
    fs::File,
    io::{self, Cursor, Read, Seek},
    path::PathBuf,
    sync::Arc,
};

/// Bytes that can be opened any number of times, each time with a position of its own.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Disk(PathBuf),
    Memory(Arc<[u8]>),
}

/// One opened [`Source`].
pub(crate) trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

impl Source {
    pub(crate) fn open(&self) -> io::Result<Box<dyn ReadSeek>> {
        Ok(match self {
            Self::Disk(path) => Box::new(File::open(path)?),
            Self::Memory(bytes) => Box::new(Cursor::new(Arc::clone(bytes))),
        })
    }

    /// The number of bytes.
    pub(crate) fn length(&self) -> io::Result<u64> {
        match self {
            Self::Disk(path) => match std::fs::metadata(path)? {
                metadata if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
                metadata if metadata.is_file() => Ok(metadata.len()),
                // A pipe cannot be opened again after its first bytes have told the format.
                _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
            },
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// Up to `N` bytes from the start, and how many there are.
    pub(crate) fn first_bytes<const N: usize>(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(N);
        self.open()?.take(N as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
