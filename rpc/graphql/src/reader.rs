//! One snapshot for a whole request.

use std::sync::Arc;

use portico_governor::{Class, Governor, Refusal};
use portico_query::{BlockId, QueryError, Snapshot};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::GraphqlError;

/// A state that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateAfter {
    /// After a block, whose number was resolved before.
    Block(u64),
    /// After the block that would be made now.
    Pending,
}

impl StateAfter {
    /// Reads from the snapshot that has the state.
    pub fn read<T>(
        self,
        snapshot: &Snapshot<'_>,
        read: impl FnOnce(&Snapshot<'_>, u64) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        match self {
            Self::Block(block_number) => read(snapshot, block_number),
            Self::Pending => snapshot.in_state(BlockId::pending(), |snapshot, number| read(snapshot, number)),
        }
    }
}

type Job = Box<dyn FnOnce(&Snapshot<'_>) + Send>;

/// Reads that may wait for the thread.
const JOBS_WAITING: usize = 64;

/// Runs reads, one after the other, on a thread of the governor that holds the request's snapshot; the thread is
/// free again when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Reader {
    jobs: mpsc::Sender<Job>,
    _work: Arc<Work>,
}

/// Tells the thread, when it is dropped, that nobody waits any more.
#[derive(Debug)]
struct Work(JoinHandle<Result<(), Refusal>>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Reader {
    /// Opens a snapshot on a thread for GraphQL.
    ///
    /// # Errors
    /// When no thread is free for too long, or the database refuses another reader.
    pub async fn start(governor: &Governor) -> Result<Self, GraphqlError> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(JOBS_WAITING);
        let (opened, is_open) = oneshot::channel::<Result<(), QueryError>>();
        let query = governor.query().clone();
        let serve = move |budget| {
            let (snapshot, result) = match query.snapshot_within(budget) {
                Ok(snapshot) => (Some(snapshot), Ok(())),
                Err(error) => (None, Err(error)),
            };
            // A request that is gone needs no answer, here and below.
            let _ = opened.send(result);
            let Some(snapshot) = snapshot else { return };
            while let Some(job) = waiting.blocking_recv() {
                job(&snapshot);
            }
        };
        let governor = governor.clone();
        let mut work = Work(tokio::spawn(async move { governor.run(Class::Graphql, serve).await }));
        match is_open.await {
            Ok(result) => result?,
            Err(_) => return Err(refusal(&mut work).await),
        }
        Ok(Self { jobs, _work: Arc::new(work) })
    }

    /// Runs one read within the request's time.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Snapshot<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, GraphqlError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |snapshot| {
            let result = snapshot.check_deadline().and_then(|()| read(snapshot));
            let _ = answer.send(result);
        });
        self.jobs.send(job).await.map_err(|_| GraphqlError::Lost)?;
        Ok(answered.await.map_err(|_| GraphqlError::Lost)??)
    }
}

/// Why the work did not begin.
async fn refusal(work: &mut Work) -> GraphqlError {
    match (&mut work.0).await {
        Ok(Err(refusal)) => refusal.into(),
        Ok(Ok(())) | Err(_) => GraphqlError::Lost,
    }
}
