//! Writes e2store records.

use super::partial_file::PartialFile;
use crate::{
    e2store::{RECORD_BYTES_MAX, RecordKind},
    error::{FileError, Problem},
};
use snap::write::FrameEncoder;
use std::{
    fmt,
    io::{self, Write},
};

/// Compresses and writes records, keeping its buffers from one to the next.
#[derive(Default)]
pub(super) struct RecordWriter {
    compressed: Vec<u8>,
}

impl RecordWriter {
    /// Writes a record and returns where it starts.
    pub(super) fn write(
        &self,
        file: &mut PartialFile,
        kind: RecordKind,
        data: &[u8],
    ) -> Result<u64, FileError> {
        write_record(file, kind, data)
    }

    /// Writes a record whose data is compressed with framed snappy and returns where it starts.
    pub(super) fn write_snappy(
        &mut self,
        file: &mut PartialFile,
        kind: RecordKind,
        data: &[u8],
    ) -> Result<u64, FileError> {
        self.compress(data).map_err(|error| file.refused(Problem::Io(error)))?;
        write_record(file, kind, &self.compressed)
    }

    fn compress(&mut self, data: &[u8]) -> io::Result<()> {
        self.compressed.clear();
        let mut encoder = FrameEncoder::new(&mut self.compressed);
        encoder.write_all(data)?;
        encoder.flush()
    }
}

impl fmt::Debug for RecordWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordWriter")
    }
}

fn write_record(file: &mut PartialFile, kind: RecordKind, data: &[u8]) -> Result<u64, FileError> {
    let offset = file.written();
    let length = data.len() as u64;
    let Some(length) = u32::try_from(length).ok().filter(|_| length <= RECORD_BYTES_MAX) else {
        return Err(file.refused(Problem::RecordTooLarge { kind, length }));
    };
    let [a, b, c, d] = length.to_le_bytes();
    let header = [kind.0[0], kind.0[1], a, b, c, d, 0, 0];
    file.write_all(&header)
        .and_then(|()| file.write_all(data))
        .map_err(|error| file.refused(Problem::Io(error)))?;
    Ok(offset)
}
