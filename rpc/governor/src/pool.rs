//! The threads of one class.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use crossbeam_channel::{Receiver, Sender, unbounded};
use portico_query::Helpers;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Class, ClassSettings, Refusal, settings::IDLE};

type Work = Box<dyn FnOnce() + Send>;

/// Work that waits for a thread, until it is taken by one or given up.
#[derive(Clone)]
struct Job {
    submitted: Instant,
    work: Arc<Mutex<Option<Work>>>,
}

impl Job {
    fn new(work: Work) -> Self {
        Self { submitted: Instant::now(), work: Arc::new(Mutex::new(Some(work))) }
    }

    fn take(&self) -> Option<Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A place in the queue. Dropping it gives up the work, unless a thread has taken it.
pub(crate) struct Waiting {
    class: Class,
    job: Job,
    _place: OwnedSemaphorePermit,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        gauge("portico_rpc_class_waiting", self.class).decrement(1.0);
        // What is left of the job in the channel is a few words.
        self.job.take();
    }
}

/// Threads that take jobs from a bounded queue until the pool is dropped.
#[derive(Debug)]
pub(crate) struct Pool {
    class: Class,
    settings: ClassSettings,
    places: Arc<Semaphore>,
    jobs: Sender<Job>,
    running: Arc<AtomicUsize>,
}

/// Lets calls have the threads of their class that are idle.
#[derive(Debug)]
struct IdleThreads {
    jobs: Sender<Job>,
    running: Arc<AtomicUsize>,
    threads: usize,
}

impl Helpers for IdleThreads {
    fn hire(&self, job: Box<dyn FnOnce() + Send>) -> bool {
        // In a race the job waits a little, and finds nothing to do.
        let is_idle = self.jobs.is_empty() && self.running.load(Ordering::Relaxed) < self.threads;
        is_idle && self.jobs.send(Job::new(job)).is_ok()
    }

    fn are_wanted(&self) -> bool {
        !self.jobs.is_empty()
    }

    fn threads(&self) -> usize {
        self.threads
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("submitted", &self.submitted).finish_non_exhaustive()
    }
}

impl Pool {
    pub fn start(class: Class, settings: &ClassSettings) -> std::io::Result<Self> {
        let (jobs, queue) = unbounded();
        let running = Arc::new(AtomicUsize::new(0));
        for number in 0..settings.threads.max(1) {
            let (queue, running) = (queue.clone(), running.clone());
            let nice = settings.nice;
            std::thread::Builder::new()
                .name(format!("rpc-{class}-{number}"))
                .spawn(move || work_through(class, nice, &queue, &running))?;
        }
        let places = Arc::new(Semaphore::new(settings.queue.clamp(1, Semaphore::MAX_PERMITS)));
        Ok(Self { class, settings: settings.clone(), places, jobs, running })
    }

    /// Threads that have something to do.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// The threads that have nothing to do, for calls that are running.
    pub fn helpers(&self) -> Arc<dyn Helpers> {
        let (jobs, running) = (self.jobs.clone(), self.running.clone());
        Arc::new(IdleThreads { jobs, running, threads: self.settings.threads.max(1) })
    }

    pub fn settings(&self) -> &ClassSettings {
        &self.settings
    }

    /// Puts work into the queue, unless that is full. The place is free again when the result is dropped, which is to
    /// happen as soon as the work has begun.
    pub fn submit(&self, work: impl FnOnce() + Send + 'static) -> Result<Waiting, Refusal> {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            self.count_refusal("queue");
            return Err(Refusal::QueueFull { class: self.class, limit: self.settings.queue });
        };
        let job = Job::new(Box::new(work));
        self.jobs.send(job.clone()).map_err(|_| Refusal::Lost)?;
        gauge("portico_rpc_class_waiting", self.class).increment(1.0);
        Ok(Waiting { class: self.class, job, _place: place })
    }

    /// The error of a call that has waited for too long.
    pub fn refuse_waiting(&self) -> Refusal {
        self.count_refusal("wait");
        Refusal::WaitedTooLong { class: self.class, limit: self.settings.wait }
    }

    /// Counts a call that was stopped because it worked for too long.
    pub fn note_timeout(&self) {
        self.count_refusal("time");
    }

    fn count_refusal(&self, limit: &'static str) {
        metrics::counter!("portico_rpc_refused_total", "class" => self.class.name(), "limit" => limit)
            .increment(1);
    }
}

fn gauge(name: &'static str, class: Class) -> metrics::Gauge {
    metrics::gauge!(name, "class" => class.name())
}

fn work_through(class: Class, nice: u8, queue: &Receiver<Job>, running: &AtomicUsize) {
    lower_priority(class, nice);
    while let Ok(job) = queue.recv() {
        let Some(work) = job.take() else { continue };
        metrics::histogram!("portico_rpc_class_wait_seconds", "class" => class.name())
            .record(job.submitted.elapsed().as_secs_f64());
        gauge("portico_rpc_class_running", class).increment(1.0);
        running.fetch_add(1, Ordering::Relaxed);
        // The thread outlives a bug in one call; whoever waits for it sees that its channel is gone.
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            tracing::error!(%class, "an RPC call panicked");
        }
        running.fetch_sub(1, Ordering::Relaxed);
        gauge("portico_rpc_class_running", class).decrement(1.0);
    }
}

/// Linux gives every thread a niceness of its own; elsewhere it would be the whole process's.
#[cfg(target_os = "linux")]
fn lower_priority(class: Class, nice: u8) {
    let lowered: Result<(), Box<dyn std::error::Error>> = match nice {
        0 => return,
        IDLE.. => stand_idle(),
        nice => rustix::process::nice(i32::from(nice)).map(drop).map_err(Into::into),
    };
    if let Err(error) = lowered {
        tracing::warn!(%class, %error, "the priority of RPC threads could not be lowered");
    }
}

#[cfg(target_os = "linux")]
fn stand_idle() -> Result<(), Box<dyn std::error::Error>> {
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
        thread_native_id,
    };
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    Ok(set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy)?)
}

#[cfg(not(target_os = "linux"))]
fn lower_priority(_class: Class, _nice: u8) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::GovernorSettings;

    /// The fields 19 (niceness) and 41 (policy) of `/proc/PID/stat`, see proc(5).
    fn niceness_and_policy(class: Class, settings: &ClassSettings) -> (String, String) {
        let pool = Pool::start(class, settings).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let _waiting =
            pool.submit(move || tell.send(std::fs::read_to_string("/proc/thread-self/stat")).unwrap());
        let stat = told.recv().unwrap().unwrap();
        // The name is field 2 and may hold spaces.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        (fields[19 - 3].to_owned(), fields[41 - 3].to_owned())
    }

    #[test]
    fn long_work_stands_behind_all_else() {
        const NORMAL: &str = "0";
        const IDLE_POLICY: &str = "5";
        let settings = GovernorSettings::default();
        let of = |class| niceness_and_policy(class, settings.of(class));
        let (own, _) = of(Class::Light);
        for class in [Class::Range, Class::Trace, Class::Proof] {
            assert_eq!(of(class).1, IDLE_POLICY, "{class}");
        }
        let (call, policy) = of(Class::Call);
        assert_eq!(policy, NORMAL);
        assert_eq!(call.parse::<i32>().unwrap(), (own.parse::<i32>().unwrap() + 10).min(19));
    }
}
