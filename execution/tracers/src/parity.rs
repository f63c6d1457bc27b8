//! OpenEthereum's traces.

use alloy_primitives::map::HashSet;
use alloy_rpc_types_eth::TransactionInfo;
use alloy_rpc_types_trace::parity::{LocalizedTransactionTrace, TraceResults, TraceType};
use portico_evm::ReadError;
use revm::Database;
use revm_inspectors::tracing::{TracingInspector, TracingInspectorConfig};

use crate::{Bounded, Budget, Executed, StateBefore, TracerError};

/// Traces of calls, of instructions, and differences of state.
#[derive(Debug)]
pub struct ParityTracer;

impl ParityTracer {
    /// What is to see the execution, for `kinds` of results.
    pub fn inspector(kinds: &HashSet<TraceType>, budget: Budget) -> Bounded<TracingInspector> {
        let config = TracingInspectorConfig::from_parity_config(kinds);
        Bounded::new(TracingInspector::new(config), budget)
    }

    /// The calls of a transaction, with its place in the chain; the inspector is ready for the next one afterwards.
    pub fn localized(
        inspector: &mut Bounded<TracingInspector>,
        info: TransactionInfo,
    ) -> Vec<LocalizedTransactionTrace> {
        take(inspector).into_parity_builder().into_localized_transaction_traces(info)
    }

    /// What was asked for of a transaction; the inspector is ready for the next one afterwards.
    ///
    /// # Errors
    /// When state cannot be read.
    pub fn results<D: Database<Error = ReadError>>(
        inspector: &mut Bounded<TracingInspector>,
        kinds: &HashSet<TraceType>,
        executed: Executed<'_, D>,
    ) -> Result<TraceResults, TracerError> {
        let builder = take(inspector).into_parity_builder();
        let state = StateBefore::new(executed.database);
        Ok(builder.into_trace_results_with_state(executed.result, kinds, state)?)
    }
}

fn take(inspector: &mut Bounded<TracingInspector>) -> TracingInspector {
    let inspector = inspector.inner_mut();
    let config = *inspector.config();
    std::mem::replace(inspector, TracingInspector::new(config))
}
