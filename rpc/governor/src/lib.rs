//! Who may work, on which threads, and for how long: no mix of calls may stop the node.
//!
//! ```text
//!  call ──> its Class ──> queue (bounded) ──> threads of that class (bounded, of low priority when the work is heavy)
//!             │              │                     │
//!             │              └ full, or waited too long: Refusal, which names the limit
//!             └ settings: threads, queue, wait, time, bytes, niceness
//!                                                  └ one Snapshot within a Budget: time, and whether anybody waits
//! ```
//! A call that works on many blocks is helped by the threads of its class that are idle, as long as no call waits
//! for them. A class never takes another's threads, so that cheap calls are answered while heavy ones wait. Heavy classes run
//! at a lower priority than the rest of the process: on a busy machine the sync and cheap calls go first. When a
//! client goes away its call's future is dropped; a call that still waits is then skipped, and one that works sees it
//! in its budget and stops.

mod class;
mod error;
mod pool;
mod settings;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use portico_query::{Budget, Query, QueryError, Snapshot};
use tokio::sync::oneshot;

pub use class::{Class, UnknownClass};
pub use error::Refusal;
pub use settings::{BadLimit, ClassSettings, GovernorSettings, IDLE};

use pool::Pool;

/// Runs calls on the threads of their class. Clones share everything.
#[derive(Debug, Clone)]
pub struct Governor {
    query: Query,
    pools: Arc<[Pool]>,
}

impl Governor {
    /// Starts the threads of all classes, which read from `query`. They end with the last clone.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub fn start(query: Query, settings: &GovernorSettings) -> std::io::Result<Self> {
        let pools = Class::ALL.map(|class| Pool::start(class, settings.of(class)));
        let pools: Vec<_> = pools.into_iter().collect::<Result<_, _>>()?;
        Ok(Self { query, pools: pools.into() })
    }

    /// What calls read from.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The bounds of a class.
    pub fn settings(&self, class: Class) -> &ClassSettings {
        self.pool(class).settings()
    }

    /// Threads of a class that work now.
    pub fn running(&self, class: Class) -> usize {
        self.pool(class).running()
    }

    fn pool(&self, class: Class) -> &Pool {
        &self.pools[class as usize]
    }

    /// Runs `work` on a thread of the class. Dropping the future tells the work, by its budget, to stop.
    ///
    /// # Errors
    /// [`Refusal`] when the queue is full or has not moved for too long, or the work panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        class: Class,
        work: impl FnOnce(Budget) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let pool = self.pool(class);
        let asked = Asked::default();
        let cancelled = asked.cancelled.clone();
        let time = pool.settings().time;
        let (begun, has_begun) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        let waiting = pool.submit(move || {
            if begun.send(()).is_ok() {
                // A client that is gone needs no answer.
                let _ = answer.send(work(Budget::new(time, cancelled)));
            }
        })?;
        match tokio::time::timeout(pool.settings().wait, has_begun).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(Refusal::Lost),
            Err(_) => return Err(pool.refuse_waiting()),
        }
        drop(waiting);
        answered.await.map_err(|_| Refusal::Lost)
    }

    /// A snapshot for a call of this class, which idle threads of the class may help.
    ///
    /// # Errors
    /// As [`Query::snapshot`].
    pub fn snapshot(&self, class: Class, budget: Budget) -> Result<Snapshot<'_>, QueryError> {
        Ok(self.query.snapshot_within(budget)?.helped_by(self.pool(class).helpers()))
    }

    /// Answers from one snapshot.
    ///
    /// # Errors
    /// As [`Governor::run`]; the inner error is the query's.
    pub async fn read<T: Send + 'static>(
        &self,
        class: Class,
        answer: impl FnOnce(&Snapshot<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<Result<T, QueryError>, Refusal> {
        let governor = self.clone();
        let result = self.run(class, move |budget| answer(&governor.snapshot(class, budget)?)).await?;
        if matches!(result, Err(QueryError::TimedOut { .. })) {
            self.pool(class).note_timeout();
        }
        Ok(result)
    }
}

/// Somebody waits for the answer, as long as this exists.
#[derive(Debug, Default)]
struct Asked {
    cancelled: Arc<AtomicBool>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}
