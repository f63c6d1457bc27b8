//! Fixture files on disk: single JSON files, folders of them, and `.tar.zst` archives, which are read as streams.
//!
//! A file is held in memory as a whole; sizes are checked before anything of that size is allocated. A file or archive
//! that cannot be read is handed on as an error, and the others are read all the same.

use std::{
    fs::File,
    io::{BufReader, Read},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use crate::SpecError;

/// Largest fixture file, in bytes. The largest real one is about a quarter of it.
pub const FILE_BYTES_MAX: u64 = 384 << 20;

/// Longest name, or set of attributes, that an archive may give to an entry, in bytes.
const NAME_BYTES_MAX: u64 = 64 << 10;

/// Folders of fixture releases that hold no fixtures.
const META_FOLDER: &str = ".meta";

/// A fixture file in memory.
#[derive(Debug, Clone)]
pub struct FixtureFile {
    /// The file on disk: the file itself, or the archive that it is in.
    pub path: PathBuf,
    /// For people: the path, or the archive's path and the entry's.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Calls `visit` with each JSON file in `paths`, in order of path, until it breaks; gives how many there were.
///
/// A file that is too large, no UTF-8 or unreadable, and an archive that is damaged from some point on, are given as
/// errors and count too.
///
/// # Errors
/// For a path or folder that cannot be looked into; [`SpecError::NoFiles`] when there is not a single file.
pub fn for_each_file(
    paths: &[PathBuf],
    mut visit: impl FnMut(Result<FixtureFile, SpecError>) -> ControlFlow<()>,
) -> Result<usize, SpecError> {
    let mut count = 0;
    let mut counted = |file| {
        count += 1;
        visit(file)
    };
    for path in paths {
        if walk(path, &mut counted)?.is_break() {
            break;
        }
    }
    if count == 0 {
        let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(SpecError::NoFiles { paths: paths.join(", ") });
    }
    Ok(count)
}

/// `ARCHIVE:ENTRY`, as reports name a file in an archive: the archive and the entry. `None` for a path that exists, and
/// for one of another form.
fn entry_of_archive(path: &Path) -> Option<(PathBuf, PathBuf)> {
    if path.exists() {
        return None;
    }
    let text = path.to_str()?;
    let splits = text.match_indices(':').map(|(at, _)| (Path::new(&text[..at]), Path::new(&text[at + 1..])));
    let (archive, entry) =
        splits.into_iter().find(|(archive, _)| is_archive(archive) && archive.is_file())?;
    Some((archive.to_owned(), entry.to_owned()))
}

type Visit<'a> = dyn FnMut(Result<FixtureFile, SpecError>) -> ControlFlow<()> + 'a;

fn walk(path: &Path, visit: &mut Visit<'_>) -> Result<ControlFlow<()>, SpecError> {
    let io = |source| SpecError::io(path, source);
    if let Some((archive, entry)) = entry_of_archive(path) {
        return read_archive(&archive, Some(&entry), visit).or_else(|error| Ok(visit(Err(error))));
    }
    let metadata = std::fs::metadata(path).map_err(io)?;
    if metadata.is_file() {
        return Ok(match is_archive(path) {
            true => read_archive(path, None, visit).unwrap_or_else(|error| visit(Err(error))),
            false => visit(read_single(path)),
        });
    }
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        entries.push(entry.map_err(io)?.path());
    }
    entries.sort();
    for entry in entries {
        let is_wanted =
            entry.is_dir() && !entry.ends_with(META_FOLDER) || is_json(&entry) || is_archive(&entry);
        if is_wanted && walk(&entry, visit)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

fn is_archive(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".tar.zst") || name.ends_with(".tar")
}

fn read_single(path: &Path) -> Result<FixtureFile, SpecError> {
    let io = |source| SpecError::io(path, source);
    let file = File::open(path).map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    let name = path.display().to_string();
    let text = read_text(&name, file, bytes).map_err(|fault| fault.into_error(io))?;
    Ok(FixtureFile { path: path.to_owned(), name, text })
}

/// Gives the JSON files of an archive, or the one entry that is wanted; an error from where it cannot be read on.
fn read_archive(
    path: &Path,
    only: Option<&Path>,
    visit: &mut Visit<'_>,
) -> Result<ControlFlow<()>, SpecError> {
    let file = File::open(path).map_err(|source| SpecError::io(path, source))?;
    let damaged = |source| SpecError::Archive { path: path.to_owned(), source };
    let stream: Box<dyn Read> = match path.extension().is_some_and(|extension| extension == "zst") {
        // The decoder's own limit of the window, 128 MiB, bounds what it allocates.
        true => Box::new(zstd::Decoder::new(file).map_err(damaged)?),
        false => Box::new(BufReader::new(file)),
    };
    let mut archive = tar::Archive::new(stream);
    // Of an entry that stands for the next one's name.
    let mut long_name = None;
    // Raw, because the reader would hold names of any length in memory.
    for entry in archive.entries().map_err(damaged)?.raw(true) {
        let mut entry = entry.map_err(damaged)?;
        if is_about_next(&entry) {
            long_name = read_name(path, &mut entry)?.or(long_name);
            continue;
        }
        let inner = match long_name.take() {
            Some(name) => name,
            None => entry.path().map_err(damaged)?.into_owned(),
        };
        if !entry.header().entry_type().is_file() || !is_json(&inner) {
            continue;
        }
        if only.is_some_and(|only| only != inner)
            || inner.components().any(|part| part.as_os_str() == META_FOLDER)
        {
            continue;
        }
        let name = format!("{}:{}", path.display(), inner.display());
        let bytes = entry.size();
        let text = match read_text(&name, &mut entry, bytes) {
            Err(Fault::Io(source)) => return Err(damaged(source)),
            Err(Fault::Spec(error)) => Err(error),
            Ok(text) => Ok(text),
        };
        let file = text.map(|text| FixtureFile { path: path.to_owned(), name, text });
        if visit(file).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    // The archive's end is not the stream's: the checksum comes last.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(damaged)?;
    Ok(ControlFlow::Continue(()))
}

fn is_about_next(entry: &tar::Entry<'_, impl Read>) -> bool {
    let kind = entry.header().entry_type();
    kind.is_gnu_longname() || kind.is_gnu_longlink() || kind.is_pax_local_extensions()
}

/// The name of the next entry, where this one gives it.
fn read_name(path: &Path, entry: &mut tar::Entry<'_, impl Read>) -> Result<Option<PathBuf>, SpecError> {
    let damaged = |source| SpecError::Archive { path: path.to_owned(), source };
    let (kind, bytes) = (entry.header().entry_type(), entry.size());
    if bytes > NAME_BYTES_MAX {
        let name = format!("{}: the name of an entry", path.display());
        return Err(SpecError::TooLarge { name, bytes, max: NAME_BYTES_MAX });
    }
    if kind.is_gnu_longname() {
        let mut name = Vec::new();
        entry.read_to_end(&mut name).map_err(damaged)?;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        return Ok(Some(PathBuf::from(String::from_utf8_lossy(&name[..end]).into_owned())));
    }
    let attributes = entry.pax_extensions().map_err(damaged)?;
    for attribute in attributes.into_iter().flatten() {
        let attribute = attribute.map_err(damaged)?;
        if attribute.key_bytes() == b"path" {
            return Ok(Some(PathBuf::from(String::from_utf8_lossy(attribute.value_bytes()).into_owned())));
        }
    }
    Ok(None)
}

enum Fault {
    Io(std::io::Error),
    Spec(SpecError),
}

impl Fault {
    fn into_error(self, io: impl FnOnce(std::io::Error) -> SpecError) -> SpecError {
        match self {
            Self::Io(source) => io(source),
            Self::Spec(error) => error,
        }
    }
}

/// Reads `bytes` bytes of text; what a header promises is never allocated before it has been read.
fn read_text(name: &str, source: impl Read, bytes: u64) -> Result<String, Fault> {
    if bytes > FILE_BYTES_MAX {
        return Err(Fault::Spec(SpecError::TooLarge { name: name.to_owned(), bytes, max: FILE_BYTES_MAX }));
    }
    let mut content = Vec::with_capacity(bytes.min(1 << 20) as usize);
    source.take(FILE_BYTES_MAX + 1).read_to_end(&mut content).map_err(Fault::Io)?;
    if (content.len() as u64) < bytes {
        let message = format!("{name} ends after {} of {bytes} bytes", content.len());
        return Err(Fault::Io(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, message)));
    }
    String::from_utf8(content).map_err(|error| {
        let reason = format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to());
        Fault::Spec(SpecError::Malformed { name: name.to_owned(), reason })
    })
}
