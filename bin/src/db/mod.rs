//! `portico db`: look into the database.

mod check;

use std::path::PathBuf;

use clap::Subcommand;
use eyre::{Result, bail, eyre};
use portico_chain::{read_checkpoint, read_identity, versions};
use portico_db::{Database, DatabaseSettings, TableDigest, tables::TABLES};
use portico_stages::FORWARD;

use crate::{datadir::DatabaseArgs, progress::human_bytes};

/// Subcommands of `portico db`.
#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Rows, pages and bytes of every table
    Stats {
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Rows of a table from a key on, as hex
    Get {
        #[command(flatten)]
        database: DatabaseArgs,
        /// Table name, as `portico db stats` prints it
        table: String,
        /// Key, or the beginning of one, as hex; the first rows without it
        #[arg(default_value = "")]
        key: String,
        /// Rows to print
        #[arg(long, default_value_t = 1, value_name = "N")]
        limit: usize,
    },
    /// Check that the tables agree: the chain of headers and bodies and the state root in full; receipts, senders,
    /// transaction lookups, changes, history and hashed state for one block in a hundred and the newest
    Check {
        #[command(flatten)]
        database: DatabaseArgs,
        /// Everything for every block
        #[arg(long)]
        deep: bool,
    },
    /// Write a copy without free pages, every table anew in key order: smaller, and faster to read
    Copy {
        #[command(flatten)]
        database: DatabaseArgs,
        /// Folder of the copy; must not hold a database
        target: PathBuf,
    },
    /// One hash per table: same content, same hash
    Digest {
        #[command(flatten)]
        database: DatabaseArgs,
        /// Only this table
        #[arg(long, value_name = "TABLE")]
        table: Option<String>,
    },
}

pub(crate) fn run(command: DbCommand) -> Result<()> {
    match command {
        DbCommand::Stats { database } => stats(&database.open_read_only()?),
        DbCommand::Get { database, table, key, limit } => {
            get(&database.open_read_only()?, &table, &key, limit)
        }
        DbCommand::Check { database, deep } => check::check(&database.open_read_only()?, deep),
        DbCommand::Copy { database, target } => copy(&database.open_read_only()?, &target),
        DbCommand::Digest { database, table } => digest(&database.open_read_only()?, table.as_deref()),
    }
}

fn table_index(name: &str) -> Result<usize> {
    let position = TABLES.iter().position(|table| table.name.eq_ignore_ascii_case(name));
    position.ok_or_else(|| {
        let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        eyre!("no table is called {name}; the tables are {}", names.join(", "))
    })
}

fn stats(database: &Database) -> Result<()> {
    let txn = database.begin_ro()?;
    if let Some(identity) = read_identity(&txn)? {
        println!(
            "chain id {}, genesis {}, written by {}",
            identity.chain_id,
            identity.genesis_hash,
            versions(&txn)?.join(", ")
        );
    }
    print_tables(database)?;
    println!("\n{:<20} {:>12}", "stage", "block");
    for stage in FORWARD {
        println!("{:<20} {:>12}", stage.name(), read_checkpoint(&txn, stage.name())?);
    }
    Ok(())
}

/// Rows, pages and bytes of every table, and of the file.
pub(crate) fn print_tables(database: &Database) -> Result<()> {
    println!(
        "{:<20} {:>12} {:>11} {:>10} {:>9} {:>5}",
        "table", "rows", "size", "leaves", "overflow", "depth"
    );
    let mut total = 0;
    for table in database.table_stats()? {
        total += table.bytes as u64;
        println!(
            "{:<20} {:>12} {:>11} {:>10} {:>9} {:>5}",
            table.info.name,
            table.entries,
            human_bytes(table.bytes as u64),
            table.pages[1],
            table.pages[2],
            table.depth
        );
    }
    let (file, free) = database.file_bytes()?;
    println!("{:<20} {:>12} {:>11}", "all tables", "", human_bytes(total));
    println!("{:<20} {:>12} {:>11}   {} of it free", "file", "", human_bytes(file), human_bytes(free));
    Ok(())
}

fn get(database: &Database, table: &str, key: &str, limit: usize) -> Result<()> {
    let index = table_index(table)?;
    let key = hex::decode(key.trim_start_matches("0x")).map_err(|error| eyre!("key {key}: {error}"))?;
    let rows = database.begin_ro()?.raw_from(index, &key, limit)?;
    let rows: Vec<_> = rows.into_iter().filter(|(found, _)| limit > 1 || found.starts_with(&key)).collect();
    if rows.is_empty() {
        bail!("{} has no row there", TABLES[index].name);
    }
    for (key, value) in rows {
        println!("{} {}", hex::encode(key), hex::encode(value));
    }
    Ok(())
}

fn copy(database: &Database, target: &std::path::Path) -> Result<()> {
    if target.join("db").join("mdbx.dat").exists() {
        bail!("{} holds a database already", target.display());
    }
    let copy = Database::open(&target.join("db"), &DatabaseSettings::default())?;
    let txn = database.begin_ro()?;
    let target_txn = copy.begin_rw()?;
    for index in 0..TABLES.len() {
        target_txn.append_all_raw(index, &txn)?;
    }
    target_txn.commit()?;
    let (before, after) = (database.file_bytes()?.0, copy.file_bytes()?.0);
    println!("{} copied into {}: {}", human_bytes(before), target.display(), human_bytes(after));
    Ok(())
}

fn digest(database: &Database, table: Option<&str>) -> Result<()> {
    let txn = database.begin_ro()?;
    let digests = match table {
        Some(name) => vec![TableDigest::of(&txn, table_index(name)?)?],
        None => TableDigest::of_all(&txn)?,
    };
    for TableDigest { table, entries, hash } in digests {
        println!("{table:<20} {entries:>12} {hash}");
    }
    Ok(())
}
