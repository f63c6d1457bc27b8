//! The data folder and the database in it.

use std::path::{Path, PathBuf};

use clap::Args;
use eyre::{Context, Result};
use portico_db::{Database, DatabaseSettings, SyncMode};

/// Flags about the data folder and its database.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// Folder for everything that the node keeps
    #[arg(long, env = "PORTICO_DATADIR", value_name = "FOLDER")]
    pub datadir: PathBuf,
    #[command(flatten)]
    tuning: DatabaseTuning,
}

/// Flags about the database file and its transactions.
#[derive(Debug, Clone, Args)]
pub struct DatabaseTuning {
    /// Upper bound of the database file (KB, MB, GB, TB)
    #[arg(long = "db.max-size", env = "PORTICO_DB_MAX_SIZE", default_value = "8TB", value_parser = parse_bytes, value_name = "SIZE")]
    pub max_size: usize,
    /// Step by which the database file grows
    #[arg(long = "db.growth-step", env = "PORTICO_DB_GROWTH_STEP", default_value = "64MB", value_parser = parse_bytes, value_name = "SIZE")]
    pub growth_step: usize,
    /// Changed pages that a write transaction holds in memory
    #[arg(long = "db.dirty-bytes", env = "PORTICO_DB_DIRTY_BYTES", default_value = "512MB", value_parser = parse_bytes, value_name = "SIZE")]
    pub dirty_bytes: usize,
    /// Simultaneous read transactions
    #[arg(long = "db.max-readers", env = "PORTICO_DB_MAX_READERS", default_value_t = 1024, value_name = "N")]
    pub max_readers: u32,
    /// Page size of a new database: a power of two from 4KB to 64KB
    #[arg(long = "db.page-size", env = "PORTICO_DB_PAGE_SIZE", default_value = "4KB", value_parser = parse_page_size, value_name = "SIZE")]
    pub page_size: usize,
}

/// The data folder, laid out: `db/` the database, `tmp/` sorted loads.
#[derive(Debug, Clone)]
pub struct DataDir {
    path: PathBuf,
}

impl DataDir {
    /// Does not touch the disk.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Folder of the database.
    pub fn database(&self) -> PathBuf {
        self.path.join("db")
    }

    /// Folder for sorted loads, made when it is missing.
    pub fn scratch(&self) -> Result<PathBuf> {
        let folder = self.path.join("tmp");
        std::fs::create_dir_all(&folder).wrap_err_with(|| format!("creating {}", folder.display()))?;
        Ok(folder)
    }
}

impl DatabaseArgs {
    /// The data folder.
    pub fn data_dir(&self) -> DataDir {
        DataDir::new(&self.datadir)
    }

    /// Opens the database to write, creating it when it is missing.
    pub fn open(&self, sync_mode: SyncMode) -> Result<Database> {
        self.tuning.open(&self.data_dir(), sync_mode)
    }

    /// Opens the database to read; another process may write it meanwhile.
    pub fn open_read_only(&self) -> Result<Database> {
        let settings = DatabaseSettings { read_only: true, ..self.tuning.settings() };
        Ok(Database::open(&self.data_dir().database(), &settings)?)
    }
}

impl DatabaseTuning {
    /// Opens the database of a data folder to write, creating it when it is missing.
    pub fn open(&self, data_dir: &DataDir, sync_mode: SyncMode) -> Result<Database> {
        let settings = DatabaseSettings { sync_mode, read_only: false, ..self.settings() };
        Ok(Database::open(&data_dir.database(), &settings)?)
    }

    fn settings(&self) -> DatabaseSettings {
        DatabaseSettings {
            max_size: self.max_size,
            growth_step: self.growth_step,
            dirty_bytes_max: self.dirty_bytes,
            max_readers: self.max_readers,
            page_size: self.page_size,
            ..Default::default()
        }
    }
}

/// Reads `512MB` and the like; units are powers of 1024.
pub fn parse_bytes(text: &str) -> Result<usize, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: usize = number.parse().map_err(|_| "expected a number and KB, MB, GB or TB".to_owned())?;
    let shift = match unit.trim().trim_end_matches(['i', 'B', 'b']).to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(format!("unknown unit {unit}: expected KB, MB, GB or TB")),
    };
    number
        .checked_mul(1 << shift)
        .filter(|bytes| isize::try_from(*bytes).is_ok())
        .ok_or("too large".to_owned())
}

/// A size with room for work: less than a megabyte would only make a command crawl, or do nothing.
pub fn parse_working_bytes(text: &str) -> Result<usize, String> {
    let bytes = parse_bytes(text)?;
    if bytes < 1 << 20 { Err("at least 1MB is needed".to_owned()) } else { Ok(bytes) }
}

fn parse_page_size(text: &str) -> Result<usize, String> {
    let bytes = parse_bytes(text)?;
    if bytes.is_power_of_two() && (4096..=65536).contains(&bytes) {
        Ok(bytes)
    } else {
        Err("expected a power of two from 4KB to 64KB".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(parse_bytes("512"), Ok(512));
        assert_eq!(parse_bytes("4KB"), Ok(4096));
        assert_eq!(parse_bytes("2GiB"), Ok(2 << 30));
        assert!(parse_bytes("1XB").is_err());
        assert!(parse_bytes("99999999999999TB").is_err());
        assert!(parse_bytes("-1").is_err());
    }
}
