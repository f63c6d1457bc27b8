//! go-ethereum's tracers.

use alloy_rpc_types_trace::geth::{GethDebugTracingOptions, GethTrace};
use portico_evm::ReadError;
use revm::Database;
use revm_inspectors::tracing::{DebugInspector, DebugInspectorError, TransactionContext};

use crate::{Bounded, Budget, Executed, StateBefore, TracerError};

/// A tracer by its options: the struct logger, or one of the named ones.
#[derive(Debug)]
pub struct GethTracer;

impl GethTracer {
    /// What is to see the execution.
    ///
    /// # Errors
    /// [`TracerError::Unusable`] for a name or configuration that makes no sense.
    pub fn inspector(
        options: GethDebugTracingOptions,
        budget: Budget,
    ) -> Result<Bounded<DebugInspector>, TracerError> {
        let inspector =
            DebugInspector::new(options).map_err(|error| TracerError::Unusable(error.to_string()))?;
        Ok(Bounded::new(inspector, budget))
    }

    /// What the inspector found; it is ready for the next transaction afterwards.
    ///
    /// # Errors
    /// When state cannot be read, or a script fails.
    pub fn finish<D: Database<Error = ReadError>>(
        inspector: &mut Bounded<DebugInspector>,
        context: TransactionContext,
        executed: Executed<'_, D>,
    ) -> Result<GethTrace, TracerError> {
        let Executed { block, transaction, result, database } = executed;
        let mut state = StateBefore::new(database);
        let inspector = inspector.inner_mut();
        let trace = inspector.get_result(Some(context), transaction, block, result, &mut state);
        let trace = trace.map_err(|error| match error {
            DebugInspectorError::Database(error) => TracerError::Read(error),
            error => TracerError::Failed(error.to_string()),
        })?;
        inspector.fuse().map_err(|error| TracerError::Failed(error.to_string()))?;
        Ok(without_empty_fields(trace))
    }
}

/// The struct logger leaves out a refund of 0, and return data and memory that are empty.
fn without_empty_fields(mut trace: GethTrace) -> GethTrace {
    if let GethTrace::Default(frame) = &mut trace {
        for log in &mut frame.struct_logs {
            log.refund_counter = log.refund_counter.filter(|refund| *refund != 0);
            log.return_data = log.return_data.take().filter(|data| !data.is_empty());
            log.memory = log.memory.take().filter(|memory| !memory.is_empty());
        }
    }
    trace
}
