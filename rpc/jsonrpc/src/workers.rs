//! Threads on which calls wait for the database, bounded per cost class.
//!
//! A call takes a permit of its class, then one of the runtime's blocking threads, and keeps both until it is done,
//! also when its client has gone away: no set of clients can hold more threads than the settings say.

use std::{sync::Arc, time::Duration};

use jsonrpsee::core::RpcResult;
use portico_query::{Query, QueryError, Snapshot};
use tokio::sync::Semaphore;

use crate::error::MethodError;

/// How many calls work at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Calls that read a few rows.
    pub light: usize,
    /// Calls that read many rows, or execute.
    pub heavy: usize,
    /// How long a call waits for its turn before it is refused.
    pub wait_max: Duration,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { light: cores * 8, heavy: cores * 2, wait_max: Duration::from_secs(10) }
    }
}

/// How much work a call may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cost {
    /// A bounded number of rows.
    Light,
    /// Bounded by time or by settings only.
    Heavy,
}

/// Runs calls on blocking threads. Clones share the bounds.
#[derive(Debug, Clone)]
pub struct Workers {
    query: Query,
    light: Arc<Semaphore>,
    heavy: Arc<Semaphore>,
    wait_max: Duration,
}

impl Workers {
    /// Calls on `query`.
    pub fn new(query: Query, settings: &WorkerSettings) -> Self {
        Self {
            query,
            light: Arc::new(Semaphore::new(settings.light.clamp(1, Semaphore::MAX_PERMITS))),
            heavy: Arc::new(Semaphore::new(settings.heavy.clamp(1, Semaphore::MAX_PERMITS))),
            wait_max: settings.wait_max,
        }
    }

    /// What calls are answered from.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// Answers a call from one snapshot.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        cost: Cost,
        answer: impl FnOnce(&Snapshot<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> RpcResult<T> {
        let permits = match cost {
            Cost::Light => &self.light,
            Cost::Heavy => &self.heavy,
        };
        let permit = tokio::time::timeout(self.wait_max, permits.clone().acquire_owned()).await;
        let Ok(permit) = permit else { return Err(MethodError::Busy { waited: self.wait_max }.into()) };
        let permit = permit.expect("the semaphores are never closed");
        let query = self.query.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            answer(&query.snapshot()?)
        });
        let Ok(answer) = work.await else { return Err(MethodError::Lost.into()) };
        Ok(answer.map_err(MethodError::from)?)
    }
}
