//! Where methods hand over their work: to the governor, under a class of cost.

use jsonrpsee::core::RpcResult;
pub(crate) use portico_governor::Class;
use portico_governor::Governor;
use portico_query::{Query, QueryError, Snapshot};

use crate::error::MethodError;

/// Runs calls on the threads of their class. Clones share the bounds.
#[derive(Debug, Clone)]
pub struct Workers {
    governor: Governor,
}

impl Workers {
    /// Calls through a governor.
    pub fn new(governor: Governor) -> Self {
        Self { governor }
    }

    /// What calls are answered from.
    pub fn query(&self) -> &Query {
        self.governor.query()
    }

    /// Answers a call from one snapshot.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        class: Class,
        answer: impl FnOnce(&Snapshot<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> RpcResult<T> {
        let answer = self.governor.read(class, answer).await.map_err(MethodError::from)?;
        Ok(answer.map_err(MethodError::from)?)
    }
}
