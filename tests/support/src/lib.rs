//! What tests of several crates share: finding the fixtures, a database in a temporary folder, importing a chain, random
//! blocks that were executed the naive way.

pub mod naive;

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use alloy_primitives::B256;
use eyre::Result;
use portico::{DataDir, import_files};
use portico_chainspec::ChainSpec;
use portico_db::{Database, DatabaseSettings, SyncMode, TableDigest};
use portico_files::BlockFiles;
use portico_stages::{
    BlockTree, NoBlocks, Pipeline, PipelineConfig, SharedSource, StageContext, StageSettings, StopSignal,
    initialize,
};
use tempfile::TempDir;

/// The folder of the test data: `$PORTICO_FIXTURES`, or `shared/fixtures` beside the project.
pub fn fixtures() -> Option<PathBuf> {
    let folder = match std::env::var_os("PORTICO_FIXTURES") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"),
    };
    folder.is_dir().then_some(folder)
}

/// The path of a fixture; says plainly that the test is skipped when the fixtures are not there.
pub fn fixture(name: &str) -> Option<PathBuf> {
    let Some(folder) = fixtures() else {
        eprintln!("SKIPPED: the fixtures are not at ../shared/fixtures nor at $PORTICO_FIXTURES ({name})");
        return None;
    };
    let path = folder.join(name);
    assert!(path.exists(), "the fixtures have no {name}");
    Some(path)
}

/// Where files lie in memory on most systems.
const MEMORY_FOLDER: &str = "/dev/shm";

/// A database in a temporary folder, with its chain.
#[derive(Debug)]
pub struct TestNode {
    /// The database.
    pub database: Arc<Database>,
    /// The chain.
    pub spec: Arc<ChainSpec>,
    /// Limits of the stages; tests change them.
    pub settings: StageSettings,
    folder: TempDir,
}

impl TestNode {
    /// An empty database for the chain of a genesis file, or of a built-in name.
    pub fn new(chain: &str) -> Result<Self> {
        Self::in_folder(chain, tempfile::tempdir()?)
    }

    /// As [`Self::new`], in memory where the system has a place for that: for tests that make many.
    pub fn in_memory(chain: &str) -> Result<Self> {
        Self::in_folder(chain, tempfile::tempdir_in(MEMORY_FOLDER).or_else(|_| tempfile::tempdir())?)
    }

    fn in_folder(chain: &str, folder: TempDir) -> Result<Self> {
        let spec = ChainSpec::load(chain)?;
        let settings = DatabaseSettings {
            sync_mode: SyncMode::Bulk,
            growth_step: 1 << 20,
            max_size: 64 << 30,
            ..DatabaseSettings::default()
        };
        let database = Arc::new(Database::open(&folder.path().join("db"), &settings)?);
        Ok(Self { database, spec, settings: StageSettings::default(), folder })
    }

    /// The data folder.
    pub fn data_dir(&self) -> DataDir {
        DataDir::new(self.folder.path())
    }

    /// Takes the blocks of `files` through all stages, up to `to`; gives the head.
    pub fn import(&self, files: &[PathBuf], to: Option<u64>) -> Result<(u64, B256)> {
        let files = BlockFiles::discover(files)?;
        let stop = StopSignal::default();
        let end = import_files(
            &self.database,
            &self.spec,
            &self.data_dir(),
            &self.settings,
            files,
            to,
            &stop,
            &(),
        )?;
        Ok((end.head, end.hash))
    }

    /// Works with a pipeline that gets no blocks.
    pub fn with_pipeline<T>(&self, work: impl FnOnce(&mut Pipeline<'_>) -> T) -> Result<T> {
        let stop = StopSignal::default();
        let source: SharedSource = Rc::new(RefCell::new(NoBlocks));
        Ok(work(&mut Pipeline::new(self.pipeline_config(&stop)?, &source)))
    }

    /// Works with the chain as blocks come in one by one.
    pub fn with_tree<T>(&self, work: impl FnOnce(&mut BlockTree<'_>) -> T) -> Result<T> {
        let stop = StopSignal::default();
        Ok(work(&mut BlockTree::new(self.pipeline_config(&stop)?)))
    }

    /// Puts the genesis block into an empty database.
    pub fn initialize(&self) -> Result<()> {
        let context = StageContext {
            spec: &self.spec,
            settings: &self.settings,
            stop: &StopSignal::default(),
            progress: &(),
            scratch: self.data_dir().scratch()?,
        };
        initialize(&self.database, &context, "test")?;
        Ok(())
    }

    fn pipeline_config<'a>(&'a self, stop: &'a StopSignal) -> Result<PipelineConfig<'a>> {
        Ok(PipelineConfig {
            database: &self.database,
            spec: &self.spec,
            settings: &self.settings,
            stop,
            observer: &(),
            scratch: self.data_dir().scratch()?,
            light_caches: Default::default(),
        })
    }

    /// Takes all stages back to a block.
    pub fn unwind(&self, to: u64) -> Result<()> {
        Ok(self.with_pipeline(|pipeline| pipeline.unwind(to))??)
    }

    /// One hash per table.
    pub fn digests(&self) -> Result<Vec<TableDigest>> {
        Ok(TableDigest::of_all(&self.database.begin_ro()?)?)
    }
}

/// A node with the chain of these files.
pub fn import_chain(genesis: &Path, files: &[PathBuf]) -> Result<TestNode> {
    let node = TestNode::new(&genesis.to_string_lossy())?;
    node.import(files, None)?;
    Ok(node)
}

/// Compares two databases table by table.
///
/// # Panics
/// Naming the tables that differ, apart from those in `except`.
pub fn assert_same_tables(what: &str, left: &[TableDigest], right: &[TableDigest], except: &[&str]) {
    let differ: Vec<String> = left
        .iter()
        .zip(right)
        .filter(|(left, right)| left != right && !except.contains(&left.table))
        .map(|(left, right)| format!("{} ({} rows against {})", left.table, left.entries, right.entries))
        .collect();
    assert!(differ.is_empty(), "{what}: tables differ: {}", differ.join(", "));
}
