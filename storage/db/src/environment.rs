//! Opening the MDBX environment: settings, table handles, schema version, statistics.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use libmdbx::{DatabaseOptions, Mode, NoWriteMap, PageSize, ReadWriteOptions, TableFlags, WriteFlags};

use crate::{
    DbError, RoTxn, RwTxn, SCHEMA_VERSION, Table, TableInfo, Txn, View,
    layer::Layered,
    tables::{self, TABLES},
};

/// What a commit promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncMode {
    /// Each commit is on the disk when it returns.
    #[default]
    Durable,
    /// For bulk loads: commits reach the disk when the system likes or at [`Database::sync`]. A crash of the
    /// machine may lose the last ones, never the database; a crash of the process loses nothing.
    Bulk,
}

/// How to open the environment. The defaults suit a node.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// What a commit promises.
    pub sync_mode: SyncMode,
    /// Upper bound of the file, in bytes; only address space until it is used.
    pub max_size: usize,
    /// How much the file grows at a time, in bytes.
    pub growth_step: usize,
    /// Bytes of changed pages that a write transaction holds before it spills them to the file.
    pub dirty_bytes_max: usize,
    /// Simultaneous read transactions.
    pub max_readers: u32,
    /// Page size of a new database, in bytes: a power of two from 256 to 65536.
    pub page_size: usize,
    /// Only read: no write transaction can begin, and the folder need not be writable.
    pub read_only: bool,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            sync_mode: SyncMode::Durable,
            max_size: 8 << 40,
            growth_step: 64 << 20,
            dirty_bytes_max: 512 << 20,
            max_readers: 1024,
            page_size: 4096,
            read_only: false,
        }
    }
}

/// An open database, from which transactions begin.
#[derive(Debug)]
pub struct Database {
    /// Handles in the order of [`TABLES`]. Dropped before the environment that they belong to.
    tables: Vec<libmdbx::Table<'static>>,
    env: libmdbx::Database<NoWriteMap>,
    path: PathBuf,
    /// Held by the one process that may write; released when it ends, however it ends.
    _lock: Option<File>,
}

/// Size of one table.
#[derive(Debug, Clone)]
pub struct TableStats {
    /// Which table.
    pub info: &'static TableInfo,
    /// Rows, counting duplicates.
    pub entries: usize,
    /// Bytes of all its pages.
    pub bytes: usize,
    /// Depth of the tree.
    pub depth: u32,
    /// Branch, leaf and overflow pages.
    pub pages: [usize; 3],
}

impl Database {
    /// Opens the database in folder `path`; creates folder and tables when they are missing, unless read-only.
    pub fn open(path: &Path, settings: &DatabaseSettings) -> Result<Self, DbError> {
        if settings.read_only && !path.join("mdbx.dat").exists() {
            return Err(DbError::Missing(path.to_owned()));
        }
        if !settings.read_only {
            std::fs::create_dir_all(path).map_err(|error| DbError::io("creating the folder", path, error))?;
        }
        let lock = if settings.read_only { None } else { Some(lock_for_writing(path)?) };
        let open_error = |source| DbError::Open { path: path.to_owned(), source };
        let env = libmdbx::Database::<NoWriteMap>::open_with_options(path, options(settings))
            .map_err(open_error)?;
        let version = check_schema(&env, path)?;
        let tables = match version {
            Some(_) => open_tables(&env, path)?,
            None if settings.read_only => return Err(DbError::Foreign(path.to_owned())),
            None => create_tables(&env, path)?,
        };
        Ok(Self { tables, env, path: path.to_owned(), _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a read transaction on the last committed state.
    pub fn begin_ro(&self) -> Result<RoTxn<'_>, DbError> {
        Ok(Txn::new(self.base()?, &self.tables))
    }

    /// Begins the write transaction; waits while another one is open.
    pub fn begin_rw(&self) -> Result<RwTxn<'_>, DbError> {
        let txn = self
            .env
            .begin_rw_txn()
            .map_err(|source| DbError::Transaction { operation: "beginning a write transaction", source })?;
        Ok(Txn::new(txn, &self.tables))
    }

    /// Begins a read transaction on the last committed state with the rows of `view` on top. The view must have been
    /// made on this state, or on an earlier one since which only layers of its own were applied.
    pub fn begin_ro_on(&self, view: &View) -> Result<RoTxn<'_>, DbError> {
        Ok(Txn::layered(Layered::fixed(self.base()?, view), &self.tables))
    }

    /// Begins a transaction whose writes stay in memory, on the last committed state with the rows of `view` on top.
    /// There can be any number of them; [`RwTxn::into_layer`] ends one.
    pub fn begin_in_memory(&self, view: &View) -> Result<RwTxn<'_>, DbError> {
        Ok(Txn::layered(Layered::growing(self.base()?, view), &self.tables))
    }

    fn base(&self) -> Result<libmdbx::Transaction<'_, libmdbx::RO, NoWriteMap>, DbError> {
        self.env
            .begin_ro_txn()
            .map_err(|source| DbError::Transaction { operation: "beginning a read transaction", source })
    }

    /// Makes every commit so far durable.
    pub fn sync(&self) -> Result<(), DbError> {
        self.env
            .sync(true)
            .map(drop)
            .map_err(|source| DbError::Transaction { operation: "flushing to disk", source })
    }

    /// Size of each table, in the order of [`TABLES`].
    pub fn table_stats(&self) -> Result<Vec<TableStats>, DbError> {
        let txn = self.begin_ro()?;
        let stats = (0..TABLES.len()).map(|index| {
            let stat = txn.stat(index)?;
            let pages = [stat.branch_pages(), stat.leaf_pages(), stat.overflow_pages()];
            Ok(TableStats {
                info: &TABLES[index],
                entries: stat.entries(),
                bytes: pages.iter().sum::<usize>() * stat.page_size() as usize,
                depth: stat.depth(),
                pages,
            })
        });
        stats.collect()
    }

    /// Bytes of the file, and of those the ones in pages that are free for reuse.
    pub fn file_bytes(&self) -> Result<(u64, u64), DbError> {
        let error = |source| DbError::Transaction { operation: "reading statistics", source };
        let info = self.env.info().map_err(error)?;
        let page_size = u64::from(self.env.stat().map_err(error)?.page_size());
        let free = self.env.freelist().map_err(error)? as u64 * page_size;
        Ok(((info.last_pgno() as u64 + 1) * page_size, free))
    }

    /// Read transactions that are open now.
    pub fn readers(&self) -> Result<usize, DbError> {
        let error = |source| DbError::Transaction { operation: "reading statistics", source };
        Ok(self.env.info().map_err(error)?.num_readers())
    }
}

/// Makes this process the database's writer.
fn lock_for_writing(path: &Path) -> Result<File, DbError> {
    let file = path.join("portico.lock");
    let error = |error| DbError::io("opening", &file, error);
    let lock = File::options().create(true).truncate(false).write(true).open(&file).map_err(error)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(DbError::Locked(path.to_owned())),
        Err(TryLockError::Error(failed)) => Err(error(failed)),
    }
}

pub(crate) const SCHEMA_KEY: &[u8] = b"schema_version";

/// The schema version of a database that is ours; `None` for an empty environment.
fn check_schema(env: &libmdbx::Database<NoWriteMap>, path: &Path) -> Result<Option<u32>, DbError> {
    let error = |source| DbError::Open { path: path.to_owned(), source };
    let foreign = || DbError::Foreign(path.to_owned());
    let txn = env.begin_ro_txn().map_err(error)?;
    let root = txn.open_table(None).map_err(error)?;
    if txn.table_stat(&root).map_err(error)?.entries() == 0 {
        return Ok(None);
    }
    let metadata = match txn.open_table(Some(tables::Metadata::NAME)) {
        Ok(table) => table,
        Err(libmdbx::Error::NotFound) => return Err(foreign()),
        Err(source) => return Err(error(source)),
    };
    let stored = txn.get::<[u8; 4]>(&metadata, SCHEMA_KEY).map_err(|_| foreign())?.ok_or_else(foreign)?;
    let found = u32::from_be_bytes(stored);
    if found != SCHEMA_VERSION {
        return Err(DbError::SchemaVersion { path: path.to_owned(), found, expected: SCHEMA_VERSION });
    }
    Ok(Some(found))
}

fn options(settings: &DatabaseSettings) -> DatabaseOptions {
    let sync_mode = match settings.sync_mode {
        SyncMode::Durable => libmdbx::SyncMode::Durable,
        SyncMode::Bulk => libmdbx::SyncMode::SafeNoSync,
    };
    let mode = if settings.read_only {
        Mode::ReadOnly
    } else {
        Mode::ReadWrite(ReadWriteOptions {
            sync_mode,
            max_size: Some(settings.max_size as isize),
            growth_step: Some(settings.growth_step as isize),
            ..Default::default()
        })
    };
    DatabaseOptions {
        max_readers: Some(settings.max_readers),
        max_tables: Some(TABLES.len() as u64 + 8),
        page_size: Some(PageSize::Set(settings.page_size)),
        txn_dp_limit: Some((settings.dirty_bytes_max / settings.page_size) as u64),
        mode,
        // A reader takes the durability that the writing process chose.
        accede: settings.read_only,
        // Random reads dominate once the database is larger than memory. Of a reader MDBX decides that by the sizes: a
        // writer can join a process that was first and only reads, such as an import a node, if that set nothing else.
        no_rdahead: !settings.read_only,
        // Pages that were freed last are still in the cache.
        liforeclaim: !settings.read_only,
        ..Default::default()
    }
}

fn create_tables(
    env: &libmdbx::Database<NoWriteMap>,
    path: &Path,
) -> Result<Vec<libmdbx::Table<'static>>, DbError> {
    let error = |source| DbError::Open { path: path.to_owned(), source };
    let txn = env.begin_rw_txn().map_err(error)?;
    for info in TABLES {
        let flags = if info.dup_sort { TableFlags::DUP_SORT } else { TableFlags::empty() };
        let table = txn.create_table(Some(info.name), flags).map_err(error)?;
        if info.name == tables::Metadata::NAME {
            write_schema_version(&txn, &table).map_err(error)?;
        }
        txn.prime_for_permaopen(table);
    }
    let (_, handles) = txn.commit_and_rebind_open_dbs().map_err(error)?;
    Ok(handles.into_iter().map(keep_open).collect())
}

fn write_schema_version(
    txn: &libmdbx::Transaction<'_, libmdbx::RW, NoWriteMap>,
    metadata: &libmdbx::Table<'_>,
) -> Result<(), libmdbx::Error> {
    txn.put(metadata, SCHEMA_KEY, SCHEMA_VERSION.to_be_bytes(), WriteFlags::UPSERT)
}

fn open_tables(
    env: &libmdbx::Database<NoWriteMap>,
    path: &Path,
) -> Result<Vec<libmdbx::Table<'static>>, DbError> {
    let error = |source| DbError::Open { path: path.to_owned(), source };
    let txn = env.begin_ro_txn().map_err(error)?;
    for info in TABLES {
        let table = match txn.open_table(Some(info.name)) {
            Ok(table) => table,
            Err(libmdbx::Error::NotFound) => return Err(DbError::Foreign(path.to_owned())),
            Err(source) => return Err(error(source)),
        };
        txn.prime_for_permaopen(table);
    }
    let (_, handles) = txn.commit_and_rebind_open_dbs().map_err(error)?;
    Ok(handles.into_iter().map(keep_open).collect())
}

/// Frees a table handle from the borrow of the environment that it lives in.
#[expect(unsafe_code, reason = "a handle and its environment are kept in one struct")]
fn keep_open(table: libmdbx::Table<'_>) -> libmdbx::Table<'static> {
    // SAFETY: the handle is an index into its environment, valid until that closes (it was committed as
    // permanently open). `Database` owns both, drops the handles first, and lends them only to transactions
    // that borrow it.
    unsafe { std::mem::transmute(table) }
}
