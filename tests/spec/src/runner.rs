//! Spreading cases over workers: one thread reads files and cuts them into cases, the others run them.

use std::{
    any::Any,
    collections::BTreeMap,
    ops::{ControlFlow, Range},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::{CaseId, Difference, FixtureFile, Outcome, Report, SpecError, for_each_file};

/// Cases that wait for a worker.
const CASES_WAITING: usize = 512;

/// What to run, and how.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Only cases whose name contains this.
    pub filter: Option<String>,
    /// Workers; 0 for one per processor.
    pub jobs: usize,
    /// Run only every n-th case (by position), for a quick look; 0 or 1 for all.
    pub every: u64,
}

/// Runs the cases of one kind of fixture; one for each worker.
pub trait CaseRunner {
    /// Runs one case: its name and its JSON. A case may hold several outcomes, by fork.
    ///
    /// # Errors
    /// When the case is not what its format says, or the runner itself failed; the whole run ends.
    fn run(&mut self, name: &str, json: &str, report: &mut dyn FnMut(&str, Outcome))
    -> Result<(), SpecError>;

    /// Blocks refused so far, as the fixtures asked.
    fn refused_blocks(&self) -> u64 {
        0
    }
}

/// A case within its file.
struct Case {
    file: Arc<FixtureFile>,
    name: String,
    json: Range<usize>,
    seen: Arc<AtomicU64>,
}

/// Runs all cases in `paths`; `new_runner` makes one runner for each worker.
///
/// # Errors
/// When a file cannot be read or is no fixture, or when a runner failed.
pub fn run_cases<R: CaseRunner>(
    paths: &[PathBuf],
    options: &RunOptions,
    new_runner: impl Fn() -> Result<R, SpecError> + Sync,
) -> Result<Report, SpecError> {
    let started = Instant::now();
    let jobs = match options.jobs {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        jobs => jobs,
    };
    let (send, receive) = bounded::<Case>(CASES_WAITING);
    let mut report = Report::default();
    let opened = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs)
            .map(|_| {
                let (receive, new_runner) = (receive.clone(), &new_runner);
                scope.spawn(move || work(&receive, new_runner))
            })
            .collect();
        drop(receive);
        let read = read_cases(paths, options, &send, &mut report);
        drop(send);
        let mut failed = None;
        for worker in workers {
            match worker.join().expect("a worker does not panic") {
                Ok(part) => report.merge(part),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(read, Err)
    })?;
    let unopened = opened.into_iter().filter(|(_, seen)| seen.load(Ordering::Relaxed) == 0);
    report.unopened = unopened.map(|(name, _)| name).collect();
    report.finish(started.elapsed());
    Ok(report)
}

/// Cases of each file that had an outcome or were left out by the filter.
type Opened = BTreeMap<String, Arc<AtomicU64>>;

fn work<R: CaseRunner>(
    cases: &Receiver<Case>,
    new_runner: impl Fn() -> Result<R, SpecError>,
) -> Result<Report, SpecError> {
    let mut runner = new_runner()?;
    let mut report = Report::default();
    let mut refused_blocks = 0;
    for case in cases {
        let json = &case.file.text[case.json.clone()];
        let path = case.file.path.display().to_string();
        let mut outcomes = 0;
        let mut add = |fork: &str, outcome| {
            outcomes += 1;
            report.add(CaseId { name: &case.name, file: &case.file.name, path: &path, fork }, outcome);
        };
        // A panic is the worst that a block can do to a node: it fails the case, not the run.
        let ran = catch_unwind(AssertUnwindSafe(|| runner.run(&case.name, json, &mut add)));
        match ran {
            Ok(result) => result.map_err(|error| error.within(&case.file.name))?,
            Err(panic) => {
                refused_blocks += runner.refused_blocks();
                runner = new_runner()?;
                add("panic", Outcome::Failed(Difference::new("outcome", "any", panic_text(&*panic))));
            }
        }
        case.seen.fetch_add(outcomes, Ordering::Relaxed);
    }
    report.refused_blocks = refused_blocks + runner.refused_blocks();
    Ok(report)
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    format!("panic: {}", text.unwrap_or("without a message"))
}

fn read_cases(
    paths: &[PathBuf],
    options: &RunOptions,
    send: &Sender<Case>,
    report: &mut Report,
) -> Result<Opened, SpecError> {
    let mut failed = None;
    let mut position = 0_u64;
    let mut opened = Opened::new();
    report.files = for_each_file(paths, |file| {
        let cases = match cut(&file) {
            Ok(cases) => cases,
            Err(error) => {
                failed = Some(error);
                return ControlFlow::Break(());
            }
        };
        let file = Arc::new(file);
        let seen = Arc::new(AtomicU64::new(0));
        opened.insert(file.name.clone(), seen.clone());
        for (name, json) in cases {
            position += 1;
            let is_wanted = options.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()))
                && (options.every <= 1 || position % options.every == 1);
            if !is_wanted {
                report.filtered += 1;
                seen.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let case = Case { file: file.clone(), name, json, seen: seen.clone() };
            if send.send(case).is_err() {
                // All workers have failed and say why.
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })? as u64;
    failed.map_or(Ok(opened), Err)
}

/// The cases of a file: an object of cases, by name. Gives where each lies in the text.
fn cut(file: &FixtureFile) -> Result<Vec<(String, Range<usize>)>, SpecError> {
    let malformed = |error: serde_json::Error| SpecError::Malformed {
        name: file.name.clone(),
        reason: error.to_string(),
    };
    let base = file.text.as_ptr() as usize;
    let mut json = serde_json::Deserializer::from_str(&file.text);
    let entries = json.deserialize_any(Entries).map_err(malformed)?;
    json.end().map_err(malformed)?;
    let located = entries.into_iter().map(|(name, raw)| {
        let start = raw.get().as_ptr() as usize - base;
        (name, start..start + raw.get().len())
    });
    Ok(located.collect())
}

/// Reads an object's entries without looking into them.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of cases by name")
    }

    /// Some files of other kinds of tests are lists: no cases.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Vec::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}
