//! Many block files as one chain: found, put in order, read one after another.
//!
//! ```text
//! files    |---- a 0..8191 ----|---- b 8192..16383 ----|   |-- d 20000.. --|
//!                          |------ c 8000..19999 ------|
//! order    a, b, c, d (by first block)       overlaps are handed out as they are; skip_to() steps over them
//!                                            a block missing between two files is an error when it is reached
//! ```

use crate::{
    block::FileBlock,
    block_file::{BlockFile, FileFormat, ReadSettings},
    error::{Fault, FileError, Problem},
};
use std::{
    collections::HashSet,
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Folders within folders that are searched.
const FOLDER_DEPTH_MAX: usize = 8;

/// Extensions of the files that are taken from a folder; each may be followed by `.gz`.
const EXTENSIONS: [&str; 5] = ["rlp", "blocks", "bin", "era1", "ere"];

/// The one of [`EXTENSIONS`] that other programs' data has, too.
const COMMON_EXTENSION: &str = "bin";

/// The block files found under some paths, in the order of their first blocks.
#[derive(Clone, Debug)]
pub struct BlockFiles {
    files: Arc<[FoundFile]>,
    ignored: Vec<IgnoredPath>,
    settings: ReadSettings,
}

/// A block file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Its path.
    pub path: PathBuf,
    /// Its format.
    pub format: FileFormat,
    /// Number of its first block.
    pub first_block: u64,
    /// Number of its last block, where the file says it without being read (archives).
    pub last_block_hint: Option<u64>,
    /// Its size.
    pub byte_length: u64,
}

/// A path in a folder that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredPath {
    /// The path.
    pub path: PathBuf,
    /// Why.
    pub reason: IgnoreReason,
}

/// Why a path in a folder was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoreReason {
    /// Its name does not end like that of a block file.
    Extension,
    /// Its name ends in `.bin`, but it holds no blocks.
    NoBlocks,
    /// A folder too deep down.
    TooDeep,
    /// A link to a folder: folders are not followed through links, which might lead in circles.
    LinkedFolder,
    /// Neither a file nor a folder.
    Special,
    /// The same file was found under another name.
    Twice,
}

impl fmt::Display for IgnoreReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Extension => f.write_str(
                "its name does not end in .rlp, .blocks, .bin (with or without .gz), .era1 or .ere",
            ),
            Self::NoBlocks => f.write_str("a .bin file without blocks"),
            Self::TooDeep => write!(f, "more than {FOLDER_DEPTH_MAX} folders down"),
            Self::LinkedFolder => f.write_str("a link to a folder"),
            Self::Special => f.write_str("neither a file nor a folder"),
            Self::Twice => f.write_str("the same file as another"),
        }
    }
}

impl BlockFiles {
    /// Finds block files with default settings; see [`Self::discover_with`].
    ///
    /// # Errors
    /// As [`Self::discover_with`].
    pub fn discover(paths: &[PathBuf]) -> Result<Self, FileError> {
        Self::discover_with(paths, &ReadSettings::default())
    }

    /// Finds the block files among `paths`, which are files or folders in any order, and looks at the first block (of
    /// archives, the index) of each.
    ///
    /// A path that is a file must be a block file, whatever its name. From folders, and folders in them, files are
    /// taken by extension; what is left out is in [`Self::ignored`]. A file taken by its extension must hold blocks,
    /// lest a damaged one go unnoticed; only `.bin`, which may be anything, need not.
    ///
    /// # Errors
    /// [`FileError`] if a path cannot be read, a file is not a sound block file, or there is none at all.
    pub fn discover_with(paths: &[PathBuf], settings: &ReadSettings) -> Result<Self, FileError> {
        let mut search = Search { settings, files: Vec::new(), ignored: Vec::new(), seen: HashSet::new() };
        for path in paths {
            match std::fs::metadata(path).map_err(|error| io_error(path, error))?.is_dir() {
                true => search.folder(path, FOLDER_DEPTH_MAX)?,
                false => search.file(path)?,
            }
        }
        let Search { mut files, ignored, .. } = search;
        if files.is_empty() {
            let path = paths.first().cloned().unwrap_or_default();
            return Err(Fault::new(0, Problem::NoBlockFiles).in_file(path));
        }
        files.sort_by(|a, b| (a.first_block, &a.path).cmp(&(b.first_block, &b.path)));
        Ok(Self { files: files.into(), ignored, settings: settings.clone() })
    }

    /// The files in the order they are read: by first block, then by path.
    pub fn files(&self) -> &[FoundFile] {
        &self.files
    }

    /// What was left out of the folders, to be reported.
    pub fn ignored(&self) -> &[IgnoredPath] {
        &self.ignored
    }

    /// Size of all files together.
    pub fn byte_length(&self) -> u64 {
        self.files.iter().map(|file| file.byte_length).sum()
    }

    /// Reads all files, one after another. The iterator owns what it needs and can move to another thread.
    pub fn blocks(&self) -> Blocks {
        Blocks {
            files: Arc::clone(&self.files),
            settings: self.settings.clone(),
            position: 0,
            open: None,
            wanted_from: 0,
            last: None,
            bytes_before: 0,
            failed: false,
        }
    }
}

/// A search for block files.
struct Search<'a> {
    settings: &'a ReadSettings,
    files: Vec<FoundFile>,
    ignored: Vec<IgnoredPath>,
    /// Files found, by their real paths.
    seen: HashSet<PathBuf>,
}

impl Search<'_> {
    fn folder(&mut self, folder: &Path, depth_left: usize) -> Result<(), FileError> {
        let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = entries.map_err(|error| io_error(folder, error))?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let is_link = entry.file_type().map_err(|error| io_error(&path, error))?.is_symlink();
            let Ok(metadata) = std::fs::metadata(&path) else {
                // A link to nowhere.
                self.ignore(path, IgnoreReason::Special);
                continue;
            };
            match block_extension(&path) {
                _ if metadata.is_dir() && is_link => self.ignore(path, IgnoreReason::LinkedFolder),
                _ if metadata.is_dir() && depth_left == 0 => self.ignore(path, IgnoreReason::TooDeep),
                _ if metadata.is_dir() => self.folder(&path, depth_left - 1)?,
                None => self.ignore(path, IgnoreReason::Extension),
                Some(_) if !metadata.is_file() => self.ignore(path, IgnoreReason::Special),
                Some(COMMON_EXTENSION) => match self.file(&path) {
                    Ok(()) => {}
                    Err(error) if matches!(error.problem, Problem::Io(_)) => return Err(error),
                    Err(_) => self.ignore(path, IgnoreReason::NoBlocks),
                },
                Some(_) => self.file(&path)?,
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<(), FileError> {
        let real_path = path.canonicalize().map_err(|error| io_error(path, error))?;
        if !self.seen.insert(real_path) {
            self.ignore(path.to_owned(), IgnoreReason::Twice);
            return Ok(());
        }
        let mut file = BlockFile::open_with(path, self.settings)?;
        let first_block = file.peek_number()?.ok_or_else(|| Fault::new(0, Problem::Empty).in_file(path))?;
        self.files.push(FoundFile {
            path: path.to_owned(),
            format: file.format(),
            first_block,
            last_block_hint: file.last_block_hint(),
            byte_length: file.byte_length(),
        });
        Ok(())
    }

    fn ignore(&mut self, path: PathBuf, reason: IgnoreReason) {
        self.ignored.push(IgnoredPath { path, reason });
    }
}

/// The extension by which a file in a folder is taken; `.gz` after it does not count.
fn block_extension(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let (_, extension) = name.rsplit_once('.')?;
    EXTENSIONS.into_iter().find(|known| *known == extension)
}

fn io_error(path: &Path, error: io::Error) -> FileError {
    Fault::io(0, error).in_file(path)
}

/// How far reading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read (or stepped over) so far.
    pub bytes_read: u64,
    /// Bytes of all files.
    pub bytes_total: u64,
    /// The file being read, counted from 0; the number of files at the end.
    pub file_index: usize,
    /// The number of files.
    pub file_count: usize,
}

/// The blocks of all files, in the order of the files; ends after the first error.
///
/// Where files overlap, blocks come again with lower numbers: the consumer looks at the number, or says with
/// [`Self::skip_to`] what it needs, which spares decoding the rest. Between files, a block may be missing at no point
/// ([`Problem::Gap`]). That a block's parent is the block before is for the consumer to check.
#[derive(Debug)]
pub struct Blocks {
    files: Arc<[FoundFile]>,
    settings: ReadSettings,
    /// The file being read, or to be opened.
    position: usize,
    open: Option<BlockFile>,
    /// Blocks below are not handed out.
    wanted_from: u64,
    /// The highest block seen so far and the file that holds it.
    last: Option<(u64, usize)>,
    /// Bytes of the files before `position`.
    bytes_before: u64,
    failed: bool,
}

impl Blocks {
    /// From now on, leaves out blocks below `block_number`. Files known to end before it are not opened.
    ///
    /// Calling this before each block with the number that is needed next makes overlaps disappear.
    pub fn skip_to(&mut self, block_number: u64) {
        self.wanted_from = self.wanted_from.max(block_number);
    }

    /// The file being read, or read next; `None` at the end.
    pub fn current_file(&self) -> Option<&FoundFile> {
        self.files.get(self.position)
    }

    /// How far reading has come.
    pub fn progress(&self) -> Progress {
        Progress {
            bytes_read: self.bytes_before + self.open.as_ref().map_or(0, BlockFile::bytes_read),
            bytes_total: self.files.iter().map(|file| file.byte_length).sum(),
            file_index: self.position,
            file_count: self.files.len(),
        }
    }

    /// The next block; `None` after the last block of the last file.
    fn next_block(&mut self) -> Result<Option<FileBlock>, FileError> {
        while self.position < self.files.len() {
            if let Some(block) = self.next_in_file()? {
                return Ok(Some(block));
            }
            self.bytes_before += self.files[self.position].byte_length;
            self.position += 1;
            self.open = None;
        }
        Ok(None)
    }

    /// The next block of the current file, which is opened if need be; `None` if it has none (that is wanted).
    fn next_in_file(&mut self) -> Result<Option<FileBlock>, FileError> {
        let found = &self.files[self.position];
        if self.open.is_none() {
            self.check_gap(found)?;
            if let Some(last) = found.last_block_hint.filter(|last| *last < self.wanted_from) {
                self.raise_last(last);
                return Ok(None);
            }
            self.open = Some(BlockFile::open_with(&found.path, &self.settings)?);
        }
        let file = self.open.as_mut().expect("opened above");
        file.skip_to(self.wanted_from)?;
        let block = file.next().transpose()?;
        if let Some(last) = file.last_number() {
            self.raise_last(last);
        }
        Ok(block)
    }

    fn raise_last(&mut self, number: u64) {
        if self.last.is_none_or(|(last, _)| number > last) {
            self.last = Some((number, self.position));
        }
    }

    /// Refuses a file that starts after the block that follows the last one seen.
    fn check_gap(&self, found: &FoundFile) -> Result<(), FileError> {
        let Some((previous_block, file)) = self.last else { return Ok(()) };
        let first_block = found.first_block;
        if first_block <= previous_block.saturating_add(1) {
            return Ok(());
        }
        let previous = self.files[file].path.clone();
        let fault = Fault::new(0, Problem::Gap { previous, previous_block, first_block });
        Err(fault.in_block(previous_block.saturating_add(1)).in_file(found.path.as_path()))
    }
}

impl Iterator for Blocks {
    type Item = Result<FileBlock, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.next_block();
        self.failed = next.is_err();
        next.transpose()
    }
}
