//! Writes RLP blocks one after another.

use super::{ExportBlock, partial_file::PartialFile};
use crate::error::{Fault, FileError, Problem};
use flate2::{Compression, write::GzEncoder};
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// Writes a file of RLP blocks.
#[derive(Debug)]
pub struct RlpWriter {
    path: PathBuf,
    output: Output,
    block_rlp: Vec<u8>,
    last: Option<u64>,
}

#[derive(Debug)]
enum Output {
    Plain(PartialFile),
    Gzip(GzEncoder<PartialFile>),
}

impl Output {
    fn file(&self) -> &PartialFile {
        match self {
            Self::Plain(file) => file,
            Self::Gzip(encoder) => encoder.get_ref(),
        }
    }
}

impl RlpWriter {
    /// Begins a file, compressed with gzip if its name ends in `.gz`. It appears when it is finished.
    ///
    /// # Errors
    /// [`FileError`] if the folder cannot be written to.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = PartialFile::create(folder, &name)?;
        let output = match name.ends_with(".gz") {
            true => Output::Gzip(GzEncoder::new(file, Compression::default())),
            false => Output::Plain(file),
        };
        Ok(Self { path: path.to_owned(), output, block_rlp: Vec::new(), last: None })
    }

    /// Writes the next block.
    ///
    /// # Errors
    /// [`FileError`] if its number does not follow that of the last block, or the disk refuses.
    pub fn write(&mut self, block: ExportBlock<'_>) -> Result<(), FileError> {
        let number = block.header.number;
        if let Some(expected) =
            self.last.map(|last| last.saturating_add(1)).filter(|expected| *expected != number)
        {
            let fault = Fault::new(self.output.file().written(), Problem::Number { expected, found: number });
            return Err(fault.in_block(expected).in_file(self.path.as_path()));
        }
        block.encode_block(&mut self.block_rlp);
        let result = match &mut self.output {
            Output::Plain(file) => file.write_all(&self.block_rlp),
            Output::Gzip(encoder) => encoder.write_all(&self.block_rlp),
        };
        result.map_err(|error| {
            let fault = Fault::io(self.output.file().written(), error);
            fault.in_block(number).in_file(self.path.as_path())
        })?;
        self.last = Some(number);
        Ok(())
    }

    /// Completes the file: it is on disk under its name.
    ///
    /// # Errors
    /// [`FileError`] if the disk refuses; the file is then not there.
    pub fn finish(self) -> Result<(), FileError> {
        let file = match self.output {
            Output::Plain(file) => file,
            Output::Gzip(encoder) => {
                encoder.finish().map_err(|error| Fault::io(0, error).in_file(self.path.as_path()))?
            }
        };
        file.finish(&self.path)
    }
}
