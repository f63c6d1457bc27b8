//! The bounds of each class, and their short form on the command line.

use std::{num::ParseIntError, time::Duration};

use crate::{Class, UnknownClass};

/// The niceness of threads that work only while a processor has nothing else to do: the system's idle policy, which
/// others displace at once, where even a niceness of 19 keeps them waiting for a slice of time.
pub const IDLE: u8 = 20;

/// The bounds of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassSettings {
    /// Calls that work at the same time.
    pub threads: usize,
    /// Calls that may wait for a thread.
    pub queue: usize,
    /// How long a call may wait for a thread.
    pub wait: Duration,
    /// How long a call may work.
    pub time: Duration,
    /// Bytes of one answer, at most.
    pub bytes: usize,
    /// How far its threads stand back behind the rest of the process: 0 (not at all) to 19, or [`IDLE`].
    pub nice: u8,
}

/// The bounds of all classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GovernorSettings {
    classes: [ClassSettings; Class::ALL.len()],
}

impl Default for GovernorSettings {
    /// For this machine's number of processors: reads that wait for the disk get more threads than it has, work that
    /// keeps a processor busy does not.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { classes: Class::ALL.map(|class| defaults(class, cores)) }
    }
}

fn defaults(class: Class, cores: usize) -> ClassSettings {
    let (threads, queue, seconds, mebibytes, nice) = match class {
        Class::Light => (cores * 4, 4096, 5, 32, 0),
        Class::Call => (cores, 1024, 5, 32, 10),
        Class::Range => (cores, 256, 30, 160, IDLE),
        Class::Trace => (cores, 128, 60, 1024, IDLE),
        Class::Proof => (cores.div_ceil(2), 64, 60, 160, IDLE),
        Class::Graphql => (cores, 256, 10, 32, 10),
    };
    ClassSettings {
        threads,
        queue,
        wait: Duration::from_secs(10),
        time: Duration::from_secs(seconds),
        bytes: mebibytes << 20,
        nice,
    }
}

/// Why a limit cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLimit {
    /// It is not of the form CLASS.LIMIT=NUMBER.
    #[error("{0:?} is not CLASS.LIMIT=NUMBER, as trace.threads=2")]
    Form(String),
    /// There is no such class.
    #[error(transparent)]
    Class(#[from] UnknownClass),
    /// There is no such limit.
    #[error("there is no limit {0:?} (known: threads, queue, wait and time in seconds, bytes, nice)")]
    Limit(String),
    /// It is not a whole number.
    #[error("{0:?}: {1}")]
    Number(String, ParseIntError),
    /// The number makes no sense there.
    #[error("{limit} must be from {min} to {max}")]
    OutOfRange {
        /// Which limit.
        limit: String,
        /// The smallest that makes sense.
        min: u64,
        /// The largest that makes sense.
        max: u64,
    },
}

impl GovernorSettings {
    /// The bounds of a class.
    pub fn of(&self, class: Class) -> &ClassSettings {
        &self.classes[class as usize]
    }

    /// The bounds of a class, to change them.
    pub fn of_mut(&mut self, class: Class) -> &mut ClassSettings {
        &mut self.classes[class as usize]
    }

    /// Sets one bound: `trace.threads=2`; `wait` and `time` are in seconds.
    ///
    /// # Errors
    /// [`BadLimit`] says what is wrong with the text.
    pub fn set(&mut self, text: &str) -> Result<(), BadLimit> {
        let form = || BadLimit::Form(text.to_owned());
        let (name, number) = text.split_once('=').ok_or_else(form)?;
        let (class, limit) = name.split_once('.').ok_or_else(form)?;
        let class: Class = class.parse()?;
        let number: u64 =
            number.trim().parse().map_err(|error| BadLimit::Number(number.to_owned(), error))?;
        let (min, max) = match limit {
            "threads" => (1, 1024),
            "queue" => (1, 1 << 20),
            "wait" | "time" => (1, 86_400),
            "bytes" => (1024, 1 << 40),
            "nice" => (0, u64::from(IDLE)),
            _ => return Err(BadLimit::Limit(limit.to_owned())),
        };
        if !(min..=max).contains(&number) {
            return Err(BadLimit::OutOfRange { limit: name.to_owned(), min, max });
        }
        let settings = self.of_mut(class);
        let size = usize::try_from(number).unwrap_or(usize::MAX);
        match limit {
            "threads" => settings.threads = size,
            "queue" => settings.queue = size,
            "wait" => settings.wait = Duration::from_secs(number),
            "time" => settings.time = Duration::from_secs(number),
            "bytes" => settings.bytes = size,
            _ => settings.nice = number as u8,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_set_by_name() {
        let mut settings = GovernorSettings::default();
        for text in ["trace.threads=7", "trace.time=3600", "light.queue=9", "proof.nice=0", "call.bytes=2048"]
        {
            settings.set(text).unwrap();
        }
        assert_eq!(settings.of(Class::Trace).threads, 7);
        assert_eq!(settings.of(Class::Trace).time, Duration::from_secs(3600));
        assert_eq!(settings.of(Class::Light).queue, 9);
        assert_eq!(settings.of(Class::Proof).nice, 0);
        assert_eq!(settings.of(Class::Call).bytes, 2048);
    }

    #[test]
    fn a_bad_limit_says_what_is_wrong() {
        let mut settings = GovernorSettings::default();
        let before = settings.clone();
        for (text, part) in [
            ("trace", "is not CLASS.LIMIT=NUMBER"),
            ("trace=4", "is not CLASS.LIMIT=NUMBER"),
            ("heavy.threads=4", "there is no class \"heavy\""),
            ("trace.cores=4", "there is no limit \"cores\""),
            ("trace.threads=many", "invalid digit"),
            ("trace.threads=0", "trace.threads must be from 1 to 1024"),
            ("trace.nice=21", "trace.nice must be from 0 to 20"),
            ("trace.time=99999999999999999999", "too large"),
        ] {
            let error = settings.set(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert_eq!(settings, before);
    }
}
