//! One snapshot for a whole request.

use portico_query::{Query, QueryError, Snapshot};
use tokio::sync::{mpsc, oneshot};

use crate::GraphqlError;

type Job = Box<dyn FnOnce(&Snapshot<'_>) + Send>;

/// Runs reads, one after the other, on a thread that holds the request's snapshot; the thread ends with the reader.
#[derive(Debug, Clone)]
pub struct Reader {
    jobs: mpsc::Sender<Job>,
}

impl Reader {
    /// Opens a snapshot on a blocking thread.
    ///
    /// # Errors
    /// When the database refuses another reader.
    pub async fn start(query: &Query) -> Result<Self, GraphqlError> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(64);
        let (opened, is_open) = oneshot::channel::<Result<(), QueryError>>();
        let query = query.clone();
        tokio::task::spawn_blocking(move || {
            let (snapshot, result) = match query.snapshot() {
                Ok(snapshot) => (Some(snapshot), Ok(())),
                Err(error) => (None, Err(error)),
            };
            // A request that is gone needs no answer, here and below.
            let _ = opened.send(result);
            let Some(snapshot) = snapshot else { return };
            while let Some(job) = waiting.blocking_recv() {
                job(&snapshot);
            }
        });
        is_open.await.map_err(|_| GraphqlError::Lost)??;
        Ok(Self { jobs })
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
