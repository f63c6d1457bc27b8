//! What a run of fixtures gave: counts by fork, failures, and what was left out and why.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::Serialize;

use crate::{Part, error::clip};

/// Counts of one fork's cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Cases that were run.
    pub run: u64,
    /// Those that agreed.
    pub passed: u64,
    /// Those that did not.
    pub failed: u64,
    /// Cases that were not run.
    pub skipped: u64,
}

/// A case that did not agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The case's name.
    pub name: String,
    /// Where it is: a file, or an archive and the entry in it.
    pub file: String,
    /// The file or archive on disk.
    pub path: String,
    /// Network or fork.
    pub fork: String,
    /// Of a state test, the position among the fork's expectations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// What was compared: the block and hash, root, gas, account, exception.
    pub what: String,
    /// What the fixture says.
    pub expected: String,
    /// What we have.
    pub got: String,
}

impl Failure {
    /// The arguments that run just this case, after the command's name (`portico evm blocktest`), for a POSIX shell.
    pub fn rerun(&self) -> String {
        // The name of a file in an archive, `ARCHIVE:ENTRY`, is a path that this tool takes.
        let here = if self.file.starts_with('-') { "./" } else { "" };
        let mut arguments = format!("{here}{} --case={}", quote(&self.file), quote(&self.name));
        if let Some(index) = self.index {
            arguments.push_str(&format!(" --fork={} --index={index}", quote(&self.fork)));
        }
        arguments
    }
}

fn quote(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:=+@%".contains(&byte);
    if text.bytes().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It agrees; blocks that were rightly refused for another reason than the fixture's are listed.
    Passed(Vec<ReasonMismatch>),
    /// It does not agree: what was compared, the fixture's value and ours.
    Failed(Difference),
    /// It was not run.
    Skipped(&'static str),
}

/// The first difference of a failed case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What was compared.
    pub what: String,
    /// What the fixture says.
    pub expected: String,
    /// What we have.
    pub got: String,
}

impl Difference {
    /// A difference of two values; very long ones are cut.
    pub fn new(what: impl Into<String>, expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self { what: what.into(), expected: clip(&expected.to_string()), got: clip(&got.to_string()) }
    }
}

/// A block that was refused, as it must be, for another reason than the one that the fixture names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReasonMismatch {
    /// The fixture's exception.
    pub expected: String,
    /// Our error.
    pub got: String,
}

/// What became of one case, or of one of a state test's expectations.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct CaseResult {
    /// The case's name.
    pub name: String,
    /// Whether it was run and agreed.
    pub pass: bool,
    /// Network or fork.
    pub fork: String,
    /// Of a state test, the position among the fork's expectations.
    #[serde(skip)]
    pub index: Option<usize>,
    /// Why it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The result of a run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// The command that runs such cases: `blocktest` or `statetest`.
    #[serde(skip)]
    pub command: &'static str,
    /// By network or fork.
    pub forks: BTreeMap<String, Counts>,
    /// Cases that did not agree, by file and name.
    pub failures: Vec<Failure>,
    /// Refusals for another reason than the fixture's: how often each pair occurred, with the first case's name.
    pub reason_mismatches: Vec<MismatchCount>,
    /// Every case by name, of a run that was asked to keep them; without files' entries that are no such tests.
    #[serde(skip)]
    pub results: Vec<CaseResult>,
    /// Why cases were skipped, and how many.
    pub skips: BTreeMap<&'static str, u64>,
    /// Fixture files read.
    pub files: u64,
    /// Files and archives that could not be read, or not as JSON; each is a fault.
    pub broken: Vec<BrokenFile>,
    /// Files in which no case was run, skipped or left out by the filter: each is a fault.
    pub unopened: Vec<String>,
    /// Cases that the filter left out.
    pub filtered: u64,
    /// Blocks that were refused as the fixtures ask.
    pub refused_blocks: u64,
    /// Wall-clock time, in seconds.
    pub seconds: f64,
}

/// A file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct BrokenFile {
    /// What is wrong; names the file, or the archive and the entry in it.
    pub error: String,
}

/// How often a pair of reasons occurred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MismatchCount {
    /// The fixture's exception.
    pub expected: String,
    /// Our error, of the first case.
    pub got: String,
    /// The first case.
    pub case: String,
    /// Cases.
    pub count: u64,
}

impl Report {
    /// Keeps what became of one case.
    pub(crate) fn keep(&mut self, case: CaseId<'_>, outcome: &Outcome) {
        let error = match outcome {
            Outcome::Passed(_) => None,
            Outcome::Failed(Difference { what, expected, got }) => {
                Some(format!("{what}: expected {expected}, got {got}"))
            }
            Outcome::Skipped(UNKNOWN_NETWORK) => Some(format!("not run: {UNKNOWN_NETWORK}")),
            Outcome::Skipped(_) => return,
        };
        self.results.push(CaseResult {
            name: case.name.to_owned(),
            pass: error.is_none(),
            fork: case.part.fork.to_owned(),
            index: case.part.index,
            error,
        });
    }

    /// Notes one case.
    pub fn add(&mut self, case: CaseId<'_>, outcome: Outcome) {
        let counts = self.forks.entry(case.part.fork.to_owned()).or_default();
        match outcome {
            Outcome::Skipped(reason) => {
                counts.skipped += 1;
                *self.skips.entry(reason).or_default() += 1;
            }
            Outcome::Passed(mismatches) => {
                counts.run += 1;
                counts.passed += 1;
                for mismatch in mismatches {
                    self.add_mismatch(case.name, mismatch);
                }
            }
            Outcome::Failed(Difference { what, expected, got }) => {
                counts.run += 1;
                counts.failed += 1;
                self.failures.push(Failure {
                    name: case.name.to_owned(),
                    file: case.file.to_owned(),
                    path: case.path.to_owned(),
                    fork: case.part.fork.to_owned(),
                    index: case.part.index,
                    what,
                    expected,
                    got,
                });
            }
        }
    }

    fn add_mismatch(&mut self, case: &str, mismatch: ReasonMismatch) {
        let shape =
            |text: &str| text.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default().to_owned();
        let known = self
            .reason_mismatches
            .iter_mut()
            .find(|known| known.expected == mismatch.expected && shape(&known.got) == shape(&mismatch.got));
        match known {
            Some(known) => known.count += 1,
            None => self.reason_mismatches.push(MismatchCount {
                expected: mismatch.expected,
                got: mismatch.got,
                case: case.to_owned(),
                count: 1,
            }),
        }
    }

    /// Adds what another worker found.
    pub fn merge(&mut self, other: Self) {
        for (fork, counts) in other.forks {
            let mine = self.forks.entry(fork).or_default();
            mine.run += counts.run;
            mine.passed += counts.passed;
            mine.failed += counts.failed;
            mine.skipped += counts.skipped;
        }
        self.failures.extend(other.failures);
        self.results.extend(other.results);
        for mismatch in other.reason_mismatches {
            let MismatchCount { expected, got, case, count } = mismatch;
            self.add_mismatch(&case, ReasonMismatch { expected: expected.clone(), got });
            if let Some(mine) = self.reason_mismatches.iter_mut().rev().find(|mine| mine.expected == expected)
            {
                mine.count += count - 1;
            }
        }
        for (reason, count) in other.skips {
            *self.skips.entry(reason).or_default() += count;
        }
        self.files += other.files;
        self.broken.extend(other.broken);
        self.unopened.extend(other.unopened);
        self.filtered += other.filtered;
        self.refused_blocks += other.refused_blocks;
    }

    /// Counts of all forks together.
    pub fn total(&self) -> Counts {
        self.forks.values().fold(Counts::default(), |sum, counts| Counts {
            run: sum.run + counts.run,
            passed: sum.passed + counts.passed,
            failed: sum.failed + counts.failed,
            skipped: sum.skipped + counts.skipped,
        })
    }

    /// Cases of networks that are not known here.
    pub fn unknown_networks(&self) -> u64 {
        self.skips.get(UNKNOWN_NETWORK).copied().unwrap_or_default()
    }

    /// Whether every case that was run agrees, at least one was, every file was read and looked into, and no case was of
    /// a network that is not known here: a fork that this client lacks must not go unseen.
    pub fn is_success(&self) -> bool {
        let total = self.total();
        let is_known = self.unknown_networks() == 0;
        total.failed == 0 && total.run > 0 && is_known && self.unopened.is_empty() && self.broken.is_empty()
    }

    pub(crate) fn finish(&mut self, elapsed: Duration) {
        self.seconds = elapsed.as_secs_f64();
        self.failures.sort_by(|a, b| (&a.file, &a.name).cmp(&(&b.file, &b.name)));
        self.reason_mismatches.sort_by(|a, b| (&a.expected, &a.got).cmp(&(&b.expected, &b.got)));
        self.unopened.sort();
        self.broken.sort();
        self.results.sort_by(|a, b| (&a.name, &a.fork, a.index).cmp(&(&b.name, &b.fork, b.index)));
    }
}

/// Which case an outcome belongs to.
#[derive(Debug, Clone, Copy)]
pub struct CaseId<'a> {
    /// Its name.
    pub name: &'a str,
    /// File, or archive and entry.
    pub file: &'a str,
    /// File or archive on disk.
    pub path: &'a str,
    /// Which of its outcomes.
    pub part: Part<'a>,
}

/// Why a case of a fork that nobody told us of is skipped.
pub(crate) const UNKNOWN_NETWORK: &str = "unknown network";

/// Failures that the text report lists one by one.
const FAILURES_LISTED: usize = 50;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in self.failures.iter().take(FAILURES_LISTED) {
            let index = failure.index.map_or(String::new(), |index| format!(" [{index}]"));
            writeln!(f, "FAILED {} ({}{index})", failure.name, failure.fork)?;
            writeln!(f, "  in       {}", failure.file)?;
            writeln!(f, "  differs  {}", failure.what)?;
            writeln!(f, "  expected {}", failure.expected)?;
            writeln!(f, "  got      {}", failure.got)?;
            writeln!(f, "  rerun    portico evm {} {}", self.command, failure.rerun())?;
        }
        if self.failures.len() > FAILURES_LISTED {
            writeln!(f, "… and {} more failures", self.failures.len() - FAILURES_LISTED)?;
        }
        for BrokenFile { error } in &self.broken {
            writeln!(f, "BROKEN {error}")?;
        }
        for file in &self.unopened {
            writeln!(f, "NOT OPENED {file}: no case in it was recognised")?;
        }
        writeln!(f, "{:<34} {:>8} {:>8} {:>8} {:>8}", "fork", "run", "passed", "failed", "skipped")?;
        let line = |f: &mut fmt::Formatter<'_>, name: &str, counts: &Counts| {
            let Counts { run, passed, failed, skipped } = counts;
            writeln!(f, "{name:<34} {run:>8} {passed:>8} {failed:>8} {skipped:>8}")
        };
        for (fork, counts) in &self.forks {
            line(f, fork, counts)?;
        }
        let total = self.total();
        line(f, "total", &total)?;
        for (reason, count) in &self.skips {
            writeln!(f, "skipped {count}: {reason}")?;
        }
        if self.filtered > 0 {
            writeln!(f, "left out by the filter: {}", self.filtered)?;
        }
        if !self.reason_mismatches.is_empty() {
            let count: u64 = self.reason_mismatches.iter().map(|mismatch| mismatch.count).sum();
            writeln!(f, "blocks refused for another reason than the fixture names: {count}")?;
            for MismatchCount { expected, got, case, count } in &self.reason_mismatches {
                writeln!(f, "  {count:>5} × {expected}: {got}\n          first in {case}")?;
            }
        }
        let rate = total.run as f64 / self.seconds.max(1e-9);
        writeln!(f, "{} files, {:.1} s, {rate:.0} cases a second", self.files, self.seconds)
    }
}
