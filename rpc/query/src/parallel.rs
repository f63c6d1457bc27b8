//! Work on many blocks of one call, on its own thread and on those of its class that have nothing else to do.
//!
//! ```text
//!  block numbers ──> window (bounded) ──> tasks ──> the call's thread, and helpers, each with a snapshot of its own
//!                                                          │
//!  `each`, in the order of the blocks  <── finished  <─────┘
//! ```
//! The call never waits for a helper to come: it takes tasks itself as long as there are any. A helper leaves when a
//! call waits for its thread, and when its snapshot does not show the same chain it does not begin.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use portico_chain::canonical_hash;
use portico_tracers::Budget;

use crate::{Query, QueryError, Snapshot};

/// Helpers of one call, at most.
const HELPERS_MAX: usize = 16;
/// How long the call's thread waits for a helper's result before it looks at its own budget.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Threads that may help a call.
pub trait Helpers: Send + Sync + fmt::Debug {
    /// Lets an idle thread do this; `false` when there is none.
    fn hire(&self, job: Box<dyn FnOnce() + Send>) -> bool;

    /// Whether calls wait for a thread: who helps is to leave.
    fn are_wanted(&self) -> bool;

    /// Threads that can work at the same time, the call's own included.
    fn threads(&self) -> usize;
}

/// What the threads share that work for one call.
struct Shared<T> {
    state: Mutex<State<T>>,
    /// A task was finished or given back.
    changed: Condvar,
    /// The call has ended.
    ended: Arc<AtomicBool>,
    helpers: AtomicUsize,
}

struct State<T> {
    /// Position among the results, and the block.
    tasks: VecDeque<(u64, u64)>,
    finished: BTreeMap<u64, Result<T, QueryError>>,
}

impl<T> Shared<T> {
    fn new() -> Self {
        let state = State { tasks: VecDeque::new(), finished: BTreeMap::new() };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            ended: Arc::default(),
            helpers: AtomicUsize::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Taken<'_, T>> {
        let (position, block_number) = self.state().tasks.pop_front()?;
        Some(Taken { shared: self, position, block_number, result: None })
    }
}

/// A task that a thread works on. Given up without a result, as by a panic, it is given back.
struct Taken<'s, T> {
    shared: &'s Shared<T>,
    position: u64,
    block_number: u64,
    result: Option<Result<T, QueryError>>,
}

impl<T> Taken<'_, T> {
    fn finish(mut self, result: Result<T, QueryError>) {
        self.result = Some(result);
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        match self.result.take() {
            Some(result) => drop(state.finished.insert(self.position, result)),
            None => state.tasks.push_front((self.position, self.block_number)),
        }
        self.shared.changed.notify_all();
    }
}

/// Counts a helper, until it has left.
struct Helping<T>(Arc<Shared<T>>);

impl<T> Drop for Helping<T> {
    fn drop(&mut self) {
        self.0.helpers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The call's end, whichever way it ends.
struct Ending(Arc<AtomicBool>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What to find out of each block.
type Work<T> = dyn Fn(&Snapshot<'_>, u64) -> Result<T, QueryError> + Send + Sync;

impl Snapshot<'_> {
    /// Does `work` for each of `blocks`, and hands the results to `each` in their order, until it says `false`.
    ///
    /// As many results are held as two for each thread; at first one, for callers that want no more.
    ///
    /// # Errors
    /// Of `blocks`, `work` and `each`; the first in the order of blocks. Those of [`Snapshot::check_deadline`].
    pub(crate) fn each_block<T: Send + 'static>(
        &self,
        mut blocks: impl Iterator<Item = Result<u64, QueryError>>,
        work: impl Fn(&Snapshot<'_>, u64) -> Result<T, QueryError> + Send + Sync + 'static,
        mut each: impl FnMut(T) -> Result<bool, QueryError>,
    ) -> Result<(), QueryError> {
        let work: Arc<Work<T>> = Arc::new(work);
        let shared = Arc::new(Shared::new());
        let _ending = Ending(shared.ended.clone());
        let threads = self.helpers.as_ref().map_or(1, |helpers| helpers.threads().max(1));
        let (mut window, mut put, mut handed) = (1, 0, 0);
        let mut blocks_end: Option<Result<(), QueryError>> = None;
        loop {
            while blocks_end.is_none() && put - handed < window {
                match blocks.next() {
                    Some(Ok(block_number)) => {
                        shared.state().tasks.push_back((put, block_number));
                        put += 1;
                    }
                    Some(Err(error)) => blocks_end = Some(Err(error)),
                    None => blocks_end = Some(Ok(())),
                }
            }
            if handed == put {
                // What came before an error of `blocks` was handed over.
                return blocks_end.unwrap_or(Ok(()));
            }
            self.check_deadline()?;
            self.call_helpers(&shared, &work);
            let next = shared.state().finished.remove(&handed);
            if let Some(result) = next {
                if !each(result?)? {
                    return Ok(());
                }
                handed += 1;
                window = (window * 2).min(2 * threads as u64);
            } else if let Some(task) = shared.take() {
                let result = work(self, task.block_number);
                task.finish(result);
            } else {
                let state = shared.state();
                if !state.finished.contains_key(&handed) && state.tasks.is_empty() {
                    drop(shared.changed.wait_timeout(state, LOOK_EVERY));
                }
            }
        }
    }

    /// Hires a helper when more is to be done than this thread does next.
    fn call_helpers<T: Send + 'static>(&self, shared: &Arc<Shared<T>>, work: &Arc<Work<T>>) {
        let Some(helpers) = &self.helpers else { return };
        let hired = shared.helpers.load(Ordering::Relaxed);
        if shared.state().tasks.len() < 2 || hired >= HELPERS_MAX || hired + 1 >= helpers.threads() {
            return;
        }
        let helper = Helper {
            query: self.query.clone(),
            budget: self.budget().until(shared.ended.clone()),
            head: self.head,
            work: work.clone(),
            helpers: helpers.clone(),
        };
        let Ok(head_hash) = canonical_hash(&self.txn, self.head) else { return };
        shared.helpers.fetch_add(1, Ordering::Relaxed);
        let helping = Helping(shared.clone());
        // A job that is not taken is dropped, and is counted no more.
        helpers.hire(Box::new(move || {
            let helping = helping;
            helper.help(&helping.0, head_hash);
        }));
    }

    /// Whether this snapshot shows the chain up to its head as another one did.
    fn shows_the_chain_of(&self, head_hash: Option<alloy_primitives::B256>) -> bool {
        // Blocks, state and history up to a canonical block are a function of its hash.
        head_hash.is_some() && canonical_hash(&self.txn, self.head).ok() == Some(head_hash)
    }
}

/// What a thread needs to help a call.
struct Helper<T> {
    query: Query,
    budget: Budget,
    head: u64,
    work: Arc<Work<T>>,
    helpers: Arc<dyn Helpers>,
}

impl<T> Helper<T> {
    fn help(&self, shared: &Shared<T>, head_hash: Option<alloy_primitives::B256>) {
        let Ok(mut snapshot) = self.query.snapshot_within(self.budget.clone()) else { return };
        let executed = snapshot.head;
        snapshot.head = self.head;
        if executed < self.head || !snapshot.shows_the_chain_of(head_hash) {
            return;
        }
        while !self.budget.is_spent() && !self.helpers.are_wanted() {
            let Some(task) = shared.take() else { return };
            match (self.work)(&snapshot, task.block_number) {
                // A newer snapshot may have been pruned further. The call's own has what is missing, or says what is wrong.
                Err(_) => return,
                result => task.finish(result),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_given_up_is_the_next_again() {
        let shared = Shared::<u8>::new();
        shared.state().tasks.extend([(0, 10), (1, 11)]);
        drop(shared.take().unwrap());
        let again = shared.take().unwrap();
        assert_eq!((again.position, again.block_number), (0, 10));
        again.finish(Ok(7));
        assert!(matches!(shared.state().finished.remove(&0), Some(Ok(7))));
        assert_eq!(shared.take().unwrap().block_number, 11);
    }
}
