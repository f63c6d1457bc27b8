//! Where methods hand over their work: to the governor, under a class of cost.

use jsonrpsee::core::RpcResult;
use portico_governor::{Class, Governor};
use portico_query::{Query, QueryError, Snapshot};

use crate::error::MethodError;

/// How much work a call may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cost {
    /// A bounded number of rows.
    Light,
    /// Bounded by time or by settings only.
    Heavy,
}

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
        cost: Cost,
        answer: impl FnOnce(&Snapshot<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> RpcResult<T> {
        let class = match cost {
            Cost::Light => Class::Light,
            Cost::Heavy => Class::Range,
        };
        let answer = self.governor.read(class, answer).await.map_err(MethodError::from)?;
        Ok(answer.map_err(MethodError::from)?)
    }
}
