//! A file that appears under its name only when it is complete.

use crate::error::{Fault, FileError, Problem};
use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

/// Bytes written at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// Tells temporary files of one process apart.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A file under a temporary name, `.<name>.<process>-<n>.partial`, removed if it is dropped unfinished.
#[derive(Debug)]
pub(super) struct PartialFile {
    path: PathBuf,
    file: BufWriter<File>,
    written: u64,
    finished: bool,
}

impl PartialFile {
    /// Creates it in `folder`; `name` is for those who see it there.
    pub(super) fn create(folder: &Path, name: &str) -> Result<Self, FileError> {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!(".{name}.{}-{number}.partial", process::id()));
        // Read access is for the components of an ere file, which are put together at the end.
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(|error| Fault::io(0, error).in_file(path.as_path()))?;
        Ok(Self { path, file: BufWriter::with_capacity(BUFFER_BYTES, file), written: 0, finished: false })
    }

    /// Bytes written so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Appends the content of another partial file.
    pub(super) fn append(&mut self, other: &mut Self) -> Result<(), FileError> {
        let mut copy = || {
            other.file.flush()?;
            let mut content = other.file.get_ref();
            content.rewind()?;
            io::copy(&mut content.take(other.written), self)
        };
        copy().map(|_| ()).map_err(|error| self.refused(Problem::Io(error)))
    }

    /// Brings the content to disk and gives the file its name, replacing a file of that name.
    pub(super) fn finish(mut self, path: &Path) -> Result<(), FileError> {
        let mut finish = || {
            self.file.flush()?;
            self.file.get_ref().sync_all()?;
            std::fs::rename(&self.path, path)?;
            sync_folder(path)
        };
        let result = finish();
        self.finished = result.is_ok();
        result.map_err(|error| Fault::io(self.written, error).in_file(path))
    }

    /// The error for something that cannot be written at this place.
    pub(super) fn refused(&self, problem: Problem) -> FileError {
        Fault::new(self.written, problem).in_file(self.path.as_path())
    }
}

/// Makes the new name itself durable, where folders can be synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    match cfg!(unix) {
        true => File::open(folder)?.sync_all(),
        false => Ok(()),
    }
}

impl Write for PartialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.finished {
            // Nobody is left to hear of an error; the name says what the file is.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
