//! OpenEthereum's traces, in Erigon's dialect.

mod vm_notes;
mod vm_trace;
mod vm_trace_text;

use alloy_primitives::{Address, map::HashSet};
use alloy_rpc_types_eth::TransactionInfo;
use alloy_rpc_types_trace::parity::{
    Action, CreateOutput, LocalizedTransactionTrace, TraceOutput, TraceResults, TraceType, TransactionTrace,
};
use portico_evm::ReadError;
use revm::Database;
use revm_inspectors::tracing::{CallTraceArena, TracingInspector, TracingInspectorConfig};

pub use self::{vm_notes::VmNotes, vm_trace_text::write_results};
use crate::{Bounded, Budget, Executed, Notes, StateBefore, TracerError, bounded::StepRecord};

/// What sees the execution: the call tracer, and notes on what it does not record.
pub type ParityInspector = (Notes, (VmNotes, TracingInspector));

/// Traces of calls, of instructions, and differences of state.
#[derive(Debug)]
pub struct ParityTracer;

impl ParityTracer {
    /// What is to see the execution, for `kinds` of results.
    pub fn inspector(kinds: &HashSet<TraceType>, budget: Budget) -> Bounded<ParityInspector> {
        let with_instructions = kinds.contains(&TraceType::VmTrace);
        let config = TracingInspectorConfig::from_parity_config(kinds);
        // The code of a creation that never ran is its input.
        let config = if with_instructions { config.set_record_inputs(true) } else { config };
        let calls = TracingInspector::new(config);
        let step_record = if with_instructions { StepRecord::Effect } else { StepRecord::Inputs };
        let inspector = (Notes::default(), (VmNotes::new(with_instructions), calls));
        Bounded::new(inspector, budget).recording(step_record)
    }

    /// The calls of a transaction, with its place in the chain; the inspector is ready for the next one afterwards.
    pub fn localized(
        inspector: &mut Bounded<ParityInspector>,
        info: TransactionInfo,
    ) -> Vec<LocalizedTransactionTrace> {
        let calls = take(inspector);
        let created = created_addresses(calls.traces());
        let mut traces = calls.into_parity_builder().into_transaction_traces();
        show_reverted_creations(&mut traces, &created);
        let localized = traces.into_iter().map(|trace| LocalizedTransactionTrace {
            trace,
            transaction_position: info.index,
            transaction_hash: info.hash,
            block_number: info.block_number,
            block_hash: info.block_hash,
        });
        localized.collect()
    }

    /// What was asked for of a transaction; the inspector is ready for the next one afterwards.
    ///
    /// # Errors
    /// When state cannot be read.
    pub fn results<D: Database<Error = ReadError>>(
        inspector: &mut Bounded<ParityInspector>,
        kinds: &HashSet<TraceType>,
        executed: Executed<'_, D>,
    ) -> Result<TraceResults, TracerError> {
        let calls = take(inspector);
        let created = created_addresses(calls.traces());
        let builder = calls.into_parity_builder();
        let state = StateBefore::new(executed.database);
        let mut results = builder.into_trace_results_with_state(executed.result, kinds, state)?;
        show_reverted_creations(&mut results.trace, &created);
        if let Some(trace) = &mut results.vm_trace {
            vm_trace::number(trace);
        }
        Ok(results)
    }
}

/// The call tracer with what it recorded and what was noted beside it; a new one takes its place.
fn take(inspector: &mut Bounded<ParityInspector>) -> TracingInspector {
    let (notes, (instructions, calls)) = inspector.inner_mut();
    let fresh = TracingInspector::new(*calls.config());
    let mut calls = std::mem::replace(calls, fresh);
    std::mem::take(notes).complete(calls.traces_mut());
    vm_trace::complete(calls.traces_mut(), &instructions.take());
    calls
}

/// For each call that is shown, in order, the address if it is a creation.
fn created_addresses(traces: &CallTraceArena) -> Vec<Option<Address>> {
    let shown = traces.nodes().iter().filter(|node| !node.is_precompile());
    shown.map(|node| node.kind().is_any_create().then_some(node.trace.address)).collect()
}

/// A creation that reverted has the address that it would have had, and what it returned in place of code.
fn show_reverted_creations(traces: &mut [TransactionTrace], created: &[Option<Address>]) {
    let calls = traces.iter_mut().filter(|trace| !matches!(trace.action, Action::Selfdestruct(_)));
    for (trace, created) in calls.zip(created) {
        if let (Some(address), Some(TraceOutput::Call(output))) = (created, &trace.result) {
            let (gas_used, code) = (output.gas_used, output.output.clone());
            trace.result = Some(TraceOutput::Create(CreateOutput { address: *address, code, gas_used }));
        }
    }
}
