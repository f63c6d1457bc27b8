//! Spreading cases over workers: one thread reads files and cuts them into cases, the others run them.

use std::{
    any::Any,
    collections::BTreeMap,
    ops::{ControlFlow, Range},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use regex::Regex;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::{
    BrokenFile, CaseId, Difference, FixtureFile, Outcome, ReasonMismatch, Report, SpecError, for_each_file,
};

/// Workers beyond this only take memory from each other.
const JOBS_PER_PROCESSOR_MAX: usize = 8;
/// Cases that wait for a worker.
const CASES_WAITING: usize = 512;
/// Size of the files that they are in, in bytes; the file that is being read comes on top.
const BYTES_WAITING_MAX: usize = 96 << 20;
/// Longest name of a case. Real ones have a few hundred bytes.
const CASE_NAME_BYTES_MAX: usize = 16 << 10;

/// What to run, and how.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Only cases whose name contains this.
    pub filter: Option<String>,
    /// Only cases whose name this matches somewhere.
    pub pattern: Option<Regex>,
    /// Only the case of this name.
    pub case: Option<String>,
    /// A case that is refused for another reason than the fixture's fails.
    pub strict_exceptions: bool,
    /// Workers; 0 for one per processor.
    pub jobs: usize,
    /// Whether the report has every case ([`Report::results`]), not only those that fail.
    pub keeps_results: bool,
    /// Run only every n-th case (by position), for a quick look; 0 or 1 for all.
    pub every: u64,
}

impl RunOptions {
    fn is_wanted(&self, name: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()))
            && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(name))
            && self.case.as_ref().is_none_or(|case| name == case)
    }

    /// What becomes of a case under these options.
    fn judge(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Passed(mut mismatches) if self.strict_exceptions && !mismatches.is_empty() => {
                let ReasonMismatch { expected, got } = mismatches.swap_remove(0);
                Outcome::Failed(Difference { what: "reason of a refusal".to_owned(), expected, got })
            }
            outcome => outcome,
        }
    }
}

/// Which of a case's outcomes it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// Network or fork.
    pub fork: &'a str,
    /// Of a state test, the position among the fork's expectations.
    pub index: Option<usize>,
}

impl<'a> Part<'a> {
    /// The only outcome of a case.
    pub fn whole(fork: &'a str) -> Self {
        Self { fork, index: None }
    }
}

/// Takes the outcomes of a case.
pub type Notes<'a> = dyn FnMut(Part<'_>, Outcome) + 'a;

/// Runs the cases of one kind of fixture; one for each worker.
pub trait CaseRunner {
    /// Runs one case: its name and its JSON. A case may hold several outcomes, by fork.
    ///
    /// # Errors
    /// [`SpecError::Malformed`] when the case is not what its format says: it counts as failed. Anything else is the
    /// runner's own failure, and the whole run ends.
    fn run(&mut self, name: &str, json: &str, notes: &mut Notes<'_>) -> Result<(), SpecError>;

    /// Blocks refused so far, as the fixtures asked.
    fn refused_blocks(&self) -> u64 {
        0
    }
}

/// Just enough of a case to tell what it is; JSON of another shape is of another kind.
///
/// # Errors
/// For text that is no JSON.
pub(crate) fn kind_of<K: Default + DeserializeOwned>(name: &str, json: &str) -> Result<K, SpecError> {
    match serde_json::from_str(json) {
        Ok(kind) => Ok(kind),
        Err(error) if error.is_data() => Ok(K::default()),
        Err(error) => Err(SpecError::malformed(name, &error)),
    }
}

/// A case within its file.
struct Case {
    file: Arc<FixtureFile>,
    name: String,
    json: Range<usize>,
    seen: Arc<AtomicU64>,
    _space: Arc<Space>,
}

/// Runs all cases in `paths`; `new_runner` makes one runner for each worker.
///
/// # Errors
/// When a path does not exist, when no file is found, or when a runner failed. Files that cannot be read or are no JSON
/// are listed in the report.
pub fn run_cases<R: CaseRunner>(
    paths: &[PathBuf],
    options: &RunOptions,
    new_runner: impl Fn() -> Result<R, SpecError> + Sync,
) -> Result<Report, SpecError> {
    let started = Instant::now();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let jobs = match options.jobs {
        0 => processors,
        jobs => jobs.min(processors * JOBS_PER_PROCESSOR_MAX),
    };
    let (send, receive) = bounded::<Case>(CASES_WAITING);
    let mut report = Report::default();
    let opened = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs)
            .map(|_| {
                let (receive, new_runner) = (receive.clone(), &new_runner);
                scope.spawn(move || work(&receive, options, new_runner))
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
    options: &RunOptions,
    new_runner: impl Fn() -> Result<R, SpecError>,
) -> Result<Report, SpecError> {
    let mut runner = new_runner()?;
    let mut report = Report::default();
    let mut refused_blocks = 0;
    for case in cases {
        let json = &case.file.text[case.json.clone()];
        let path = case.file.path.display().to_string();
        let mut outcomes = 0;
        let mut add = |part: Part<'_>, outcome| {
            outcomes += 1;
            let id = CaseId { name: &case.name, file: &case.file.name, path: &path, part };
            let outcome = options.judge(outcome);
            if options.keeps_results {
                report.keep(id, &outcome);
            }
            report.add(id, outcome);
        };
        // A panic is the worst that a block can do to a node: it fails the case, not the run.
        let ran = catch_unwind(AssertUnwindSafe(|| runner.run(&case.name, json, &mut add)));
        match ran {
            Ok(Ok(())) => {}
            Ok(Err(SpecError::Malformed { reason, .. })) => {
                add(
                    Part::whole("malformed"),
                    Outcome::Failed(Difference::new("format of the case", "a test", reason)),
                );
            }
            Ok(Err(error)) => return Err(error),
            Err(panic) => {
                refused_blocks += runner.refused_blocks();
                runner = new_runner()?;
                add(
                    Part::whole("panic"),
                    Outcome::Failed(Difference::new("outcome", "any", panic_text(&*panic))),
                );
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
    let mut position = 0_u64;
    let mut opened = Opened::new();
    let room = Arc::new(Room::default());
    let mut broken = Vec::new();
    report.files = for_each_file(paths, |file| {
        let file = match file.and_then(|file| cut(&file).map(|cases| (file, cases))) {
            Ok(file) => file,
            Err(error) => {
                broken.push(BrokenFile { error: error.to_string() });
                return ControlFlow::Continue(());
            }
        };
        let (file, cases) = file;
        let Some(cases) = cases else {
            let path = file.path.display().to_string();
            let case = CaseId { name: "", file: &file.name, path: &path, part: Part::whole("other") };
            report.add(case, Outcome::Skipped("a list, not cases by name: another kind of test"));
            return ControlFlow::Continue(());
        };
        let space = room.take(file.text.len());
        let file = Arc::new(file);
        let seen = Arc::new(AtomicU64::new(0));
        opened.insert(file.name.clone(), seen.clone());
        for (name, json) in cases {
            position += 1;
            let is_wanted = options.is_wanted(&name) && (options.every <= 1 || position % options.every == 1);
            if !is_wanted {
                report.filtered += 1;
                seen.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let case = Case { file: file.clone(), name, json, seen: seen.clone(), _space: space.clone() };
            if send.send(case).is_err() {
                // All workers have failed and say why.
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })? as u64;
    report.broken = broken;
    Ok(opened)
}

/// Bytes of the files whose cases wait or run.
#[derive(Default)]
struct Room {
    taken: Mutex<usize>,
    freed: Condvar,
}

impl Room {
    /// Waits until there is room for a file of this size; one alone always has.
    fn take(self: &Arc<Self>, bytes: usize) -> Arc<Space> {
        let mut taken = self.taken.lock().expect("no holder panics");
        while *taken > 0 && taken.saturating_add(bytes) > BYTES_WAITING_MAX {
            taken = self.freed.wait(taken).expect("no holder panics");
        }
        *taken += bytes;
        Arc::new(Space { room: self.clone(), bytes })
    }
}

/// A file's share of the room, given back when its last case is done.
struct Space {
    room: Arc<Room>,
    bytes: usize,
}

impl Drop for Space {
    fn drop(&mut self) {
        *self.room.taken.lock().expect("no holder panics") -= self.bytes;
        self.room.freed.notify_one();
    }
}

/// Names, and where their cases lie.
type Located = Vec<(String, Range<usize>)>;

/// The cases of a file: an object of cases, by name. Gives where each lies in the text; `None` for a list.
fn cut(file: &FixtureFile) -> Result<Option<Located>, SpecError> {
    let malformed = |error: serde_json::Error| SpecError::malformed(&file.name, &error);
    let base = file.text.as_ptr() as usize;
    let mut json = serde_json::Deserializer::from_str(&file.text);
    let entries = json.deserialize_any(Entries).map_err(malformed)?;
    json.end().map_err(malformed)?;
    let Some(entries) = entries else { return Ok(None) };
    if let Some((name, _)) = entries.iter().find(|(name, _)| name.len() > CASE_NAME_BYTES_MAX) {
        let reason = format!("a case's name of {} bytes, more than {CASE_NAME_BYTES_MAX}", name.len());
        return Err(SpecError::Malformed { name: file.name.clone(), reason });
    }
    let located = entries.into_iter().map(|(name, raw)| {
        let start = raw.get().as_ptr() as usize - base;
        (name, start..start + raw.get().len())
    });
    Ok(Some(located.collect()))
}

/// Reads an object's entries without looking into them.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Option<Vec<(String, &'de RawValue)>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of cases by name")
    }

    /// Some files of other kinds of tests are lists: no cases.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Some(entries))
    }
}
