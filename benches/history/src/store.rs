//! An MDBX environment of its own, and what is measured on it.

use std::{
    borrow::Cow,
    fs::File,
    path::{Path, PathBuf},
    time::Instant,
};

use libmdbx::{
    Database, DatabaseOptions, Mode, NoWriteMap, PageSize, RO, RW, ReadWriteOptions, SyncMode, TableFlags,
    Transaction, WriteFlags,
};
use rustix::fs::{Advice, fadvise};

use crate::{
    Result,
    workload::{Change, Read, SlotKey, Workload},
};

/// Name of a table, and whether keys have sorted duplicates.
pub(crate) type TableSpec = (&'static str, TableFlags);

/// Reads a slot as of a block: the value before the next change.
pub(crate) type Reader<'txn> = Box<dyn FnMut(&SlotKey, u64) -> Result<Option<Vec<u8>>> + 'txn>;

/// A way to keep history.
pub(crate) trait Form {
    fn name(&self) -> &'static str;

    fn tables(&self) -> &'static [TableSpec];

    /// The tables that are not written in key order while they grow.
    fn sorted_tables(&self) -> &'static [&'static str];

    /// Writes a batch of changes, which come in order of block and key.
    fn append(
        &self,
        txn: &Transaction<'_, RW, NoWriteMap>,
        workload: &Workload,
        batch: &[Change],
    ) -> Result<()>;

    fn reader<'txn>(&self, txn: &'txn Transaction<'_, RO, NoWriteMap>) -> Result<Reader<'txn>>;
}

/// What reading costs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadCost {
    /// Page faults per read that had to wait for the disk, after the file was put out of memory.
    pub major_faults: f64,
    /// Page faults per read that found the page in memory.
    pub minor_faults: f64,
    /// Microseconds per read meanwhile.
    pub cold_us: f64,
    /// Microseconds per read when the same is read again.
    pub warm_us: f64,
}

/// The environment.
pub(crate) struct Store {
    env: Option<Database<NoWriteMap>>,
    folder: PathBuf,
    tables: &'static [TableSpec],
}

impl Store {
    pub(crate) fn create(folder: &Path, tables: &'static [TableSpec]) -> Result<Self> {
        let env = open(folder)?;
        let txn = env.begin_rw_txn()?;
        for (name, flags) in tables {
            txn.create_table(Some(name), *flags)?;
        }
        txn.commit()?;
        Ok(Self { env: Some(env), folder: folder.to_owned(), tables })
    }

    fn env(&self) -> &Database<NoWriteMap> {
        self.env.as_ref().expect("only reopening takes it, and puts it back")
    }

    pub(crate) fn write(
        &self,
        work: impl FnOnce(&Transaction<'_, RW, NoWriteMap>) -> Result<()>,
    ) -> Result<()> {
        let txn = self.env().begin_rw_txn()?;
        work(&txn)?;
        txn.commit()?;
        Ok(())
    }

    pub(crate) fn sync(&self) -> Result<()> {
        self.env().sync(true)?;
        Ok(())
    }

    /// Writes the rows of `tables` once more, front to back.
    pub(crate) fn reappend(&self, tables: &[&str]) -> Result<()> {
        let to = self.env().begin_rw_txn()?;
        let from = self.env().begin_ro_txn()?;
        for name in tables {
            let mut rows = from.cursor(&from.open_table(Some(name))?)?;
            let table = to.open_table(Some(name))?;
            to.clear_table(&table)?;
            let mut cursor = to.cursor(&table)?;
            for row in rows.iter_start::<Cow<'_, [u8]>, Cow<'_, [u8]>>() {
                let (key, value) = row?;
                cursor.put(&key, &value, WriteFlags::APPEND)?;
            }
        }
        to.commit()?;
        Ok(())
    }

    /// Bytes of the pages of each table.
    pub(crate) fn table_bytes(&self) -> Result<Vec<(&'static str, u64)>> {
        let txn = self.env().begin_ro_txn()?;
        let mut sizes = Vec::new();
        for (name, _) in self.tables {
            let stat = txn.table_stat(&txn.open_table(Some(name))?)?;
            let pages = stat.branch_pages() + stat.leaf_pages() + stat.overflow_pages();
            sizes.push((*name, pages as u64 * u64::from(stat.page_size())));
        }
        Ok(sizes)
    }

    /// Answers `reads` twice, at first with nothing of the file in memory.
    pub(crate) fn measure(
        &mut self,
        form: &dyn Form,
        workload: &Workload,
        reads: &[Read],
    ) -> Result<ReadCost> {
        self.reopen_cold()?;
        let txn = self.env().begin_ro_txn()?;
        let mut reader = form.reader(&txn)?;
        // One that is not counted: the root pages.
        reader(&workload.keys[0], 0)?;
        let (minor, major) = page_faults()?;
        let cold = answer(&mut reader, reads)?;
        let (minor_after, major_after) = page_faults()?;
        let warm = answer(&mut reader, reads)?;
        let each = |total: f64| total / reads.len().max(1) as f64;
        Ok(ReadCost {
            major_faults: each((major_after - major) as f64),
            minor_faults: each((minor_after - minor) as f64),
            cold_us: each(cold * 1e6),
            warm_us: each(warm * 1e6),
        })
    }

    fn reopen_cold(&mut self) -> Result<()> {
        self.env = None;
        let file = File::open(self.folder.join("mdbx.dat"))?;
        file.sync_all()?;
        fadvise(&file, 0, None, Advice::DontNeed)?;
        self.env = Some(open(&self.folder)?);
        Ok(())
    }
}

/// Seconds that it took.
fn answer(reader: &mut Reader<'_>, reads: &[Read]) -> Result<f64> {
    let started = Instant::now();
    let mut wrong = 0;
    for read in reads {
        wrong += usize::from(reader(&read.key, read.block)? != read.expected);
    }
    let seconds = started.elapsed().as_secs_f64();
    if wrong > 0 {
        return Err(format!("{wrong} of {} answers are wrong", reads.len()).into());
    }
    Ok(seconds)
}

fn open(folder: &Path) -> Result<Database<NoWriteMap>> {
    let options = ReadWriteOptions {
        sync_mode: SyncMode::SafeNoSync,
        max_size: Some(64 << 30),
        growth_step: Some(64 << 20),
        ..Default::default()
    };
    Ok(Database::open_with_options(
        folder,
        DatabaseOptions {
            max_tables: Some(8),
            page_size: Some(PageSize::Set(4096)),
            txn_dp_limit: Some((512 << 20) / 4096),
            mode: Mode::ReadWrite(options),
            no_rdahead: true,
            liforeclaim: true,
            ..Default::default()
        },
    )?)
}

/// Minor and major page faults of this process so far, as Linux counts them.
fn page_faults() -> Result<(u64, u64)> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The second field, the program's name, may hold spaces; it ends in the last bracket.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |position: usize| fields.get(position).ok_or("no page faults in /proc/self/stat");
    Ok((field(7)?.parse()?, field(9)?.parse()?))
}
