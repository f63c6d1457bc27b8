//! Three ways to keep what storage slots were, measured against each other.
//!
//! ```text
//!  chunks     address ‖ slot ‖ last block → chunk of (block, value before)          as Portico keeps it
//!  indexed    block ‖ address → (slot, value before)  and  address ‖ slot ‖ last block → blocks
//!  5-byte id  id ‖ last block → chunk,  and  address ‖ slot → id
//! ```
//! Each is built in batches, then written once more in key order, and read before and after that: as of random blocks,
//! slots that rarely change and slots that often do, first with nothing of the file in memory, then with all of what
//! is needed. Every answer is compared with the changes themselves.
//!
//! `cargo run --release -p portico-bench-history -- [--changes N] [--batches N] [--reads N] [--dir PATH]`

mod indexed;
mod report;
mod store;
mod transposed;
mod workload;

use std::{path::PathBuf, time::Instant};

use crate::{
    indexed::Indexed,
    report::{Line, print_table},
    store::{Form, Store},
    transposed::Transposed,
    workload::{Read, Workload},
};

/// What can go wrong here ends the program with a message.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

struct Arguments {
    changes: usize,
    batches: usize,
    reads: usize,
    dir: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = arguments()?;
    let started = Instant::now();
    let workload = Workload::generate(arguments.changes);
    println!(
        "{} changes of {} slots in {} blocks; {} batches; made in {:.1} s",
        workload.changes.len(),
        workload.keys.len(),
        workload.blocks(),
        arguments.batches,
        started.elapsed().as_secs_f64(),
    );
    let reads = [workload.reads(arguments.reads, 1..=3), workload.reads(arguments.reads, 100..=usize::MAX)];
    let mut lines = Vec::new();
    for form in [&Transposed::whole_keys() as &dyn Form, &Indexed, &Transposed::short_ids()] {
        run(form, &workload, &reads, &arguments, &mut lines)?;
    }
    print_table(&lines);
    Ok(())
}

fn run(
    form: &dyn Form,
    workload: &Workload,
    reads: &[Vec<Read>; 2],
    arguments: &Arguments,
    lines: &mut Vec<Line>,
) -> Result<()> {
    let parent = arguments.dir.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::tempdir_in(parent)?;
    let mut store = Store::create(folder.path(), form.tables())?;
    let started = Instant::now();
    for batch in workload.changes.chunks(workload.changes.len().div_ceil(arguments.batches)) {
        store.write(|txn| form.append(txn, workload, batch))?;
    }
    store.sync()?;
    let seconds = started.elapsed().as_secs_f64();
    lines.push(measure(&mut store, form, form.name().to_owned(), seconds, workload, reads)?);

    let started = Instant::now();
    store.reappend(form.sorted_tables())?;
    store.sync()?;
    let seconds = started.elapsed().as_secs_f64();
    lines.push(measure(&mut store, form, "  re-appended".to_owned(), seconds, workload, reads)?);
    Ok(())
}

fn measure(
    store: &mut Store,
    form: &dyn Form,
    name: String,
    seconds: f64,
    workload: &Workload,
    reads: &[Vec<Read>; 2],
) -> Result<Line> {
    let bytes = store.table_bytes()?;
    let [sparse, dense] = reads;
    let sparse = store.measure(form, workload, sparse)?;
    let dense = store.measure(form, workload, dense)?;
    Ok(Line { name, seconds, bytes, sparse, dense })
}

fn arguments() -> Result<Arguments> {
    let mut arguments = Arguments { changes: 4_000_000, batches: 16, reads: 10_000, dir: None };
    let mut words = std::env::args().skip(1);
    while let Some(flag) = words.next() {
        let mut value = || words.next().ok_or(format!("{flag} wants a value"));
        match flag.as_str() {
            "--changes" => arguments.changes = value()?.parse()?,
            "--batches" => arguments.batches = value()?.parse()?,
            "--reads" => arguments.reads = value()?.parse()?,
            "--dir" => arguments.dir = Some(value()?.into()),
            // What `cargo bench` passes on.
            "--bench" => {}
            _ => return Err(format!("unknown flag {flag}").into()),
        }
    }
    if arguments.changes == 0 || arguments.batches == 0 || arguments.reads == 0 {
        return Err("--changes, --batches and --reads want more than 0".into());
    }
    Ok(arguments)
}
