//! What a run of conversations came to.

use std::collections::BTreeMap;

/// Counts and failures of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    passed: usize,
    skipped: BTreeMap<String, usize>,
    known: Vec<String>,
    failed: Vec<String>,
}

impl Report {
    /// A conversation went as recorded.
    pub fn pass(&mut self) {
        self.passed += 1;
    }

    /// A conversation was not held.
    pub fn skip(&mut self, reason: String) {
        *self.skipped.entry(reason).or_default() += 1;
    }

    /// A conversation went otherwise, for a reason that is known.
    pub fn known(&mut self, name: &str, reason: &str) {
        self.known.push(format!("{name}: {reason}"));
    }

    /// A conversation went otherwise.
    pub fn fail(&mut self, name: &str, reason: &str) {
        self.failed.push(format!("{name}: {reason}"));
    }

    /// Prints everything, and panics after a failure or when nothing was run.
    pub fn finish(&self, title: &str) {
        let skipped: usize = self.skipped.values().sum();
        println!(
            "{title}: {} passed, {} differ for known reasons, {} failed, {skipped} skipped",
            self.passed,
            self.known.len(),
            self.failed.len()
        );
        for (reason, count) in &self.skipped {
            println!("  skipped {count}: {reason}");
        }
        for known in &self.known {
            println!("  known   {known}");
        }
        for failed in &self.failed {
            println!("  FAILED  {failed}");
        }
        assert!(self.failed.is_empty(), "{title}: {} conversations failed", self.failed.len());
        assert!(self.passed > 0, "{title}: nothing was run");
    }
}
