//! A stream that may be compressed with gzip, and how far it has been read.

use crate::source::ReadSeek;
use flate2::bufread::MultiGzDecoder;
use std::{
    fmt,
    io::{self, BufReader, Read},
};

/// The first bytes of a gzip file.
pub(crate) const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Compressed bytes read at a time.
const BUFFER_BYTES: usize = 128 << 10;

/// A byte stream, gunzipped on the way where it is compressed.
pub(crate) enum Stream {
    Plain(Counted),
    Gzip(MultiGzDecoder<BufReader<Counted>>),
}

impl Stream {
    pub(crate) fn plain(input: Box<dyn ReadSeek>) -> Self {
        Self::Plain(Counted { input, bytes: 0 })
    }

    /// A stream of gzip members, as gzip files are.
    pub(crate) fn gzip(input: Box<dyn ReadSeek>) -> Self {
        let input = BufReader::with_capacity(BUFFER_BYTES, Counted { input, bytes: 0 });
        Self::Gzip(MultiGzDecoder::new(input))
    }

    /// Bytes taken from the file so far, compressed ones where it is compressed.
    pub(crate) fn bytes_read(&self) -> u64 {
        match self {
            Self::Plain(counted) => counted.bytes,
            Self::Gzip(decoder) => decoder.get_ref().get_ref().bytes,
        }
    }

    pub(crate) fn is_gzip(&self) -> bool {
        matches!(self, Self::Gzip(_))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(counted) => counted.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("gzip", &self.is_gzip())
            .field("bytes_read", &self.bytes_read())
            .finish()
    }
}

/// A reader that counts.
pub(crate) struct Counted {
    input: Box<dyn ReadSeek>,
    bytes: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }
}
