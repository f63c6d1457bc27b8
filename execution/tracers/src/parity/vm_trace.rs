//! Putting together the trace of instructions.

use alloy_rpc_types_trace::parity::VmTrace;
use revm::interpreter::InstructionResult;
use revm_inspectors::tracing::{CallTraceArena, types::CallTraceNode};

use super::VmNotes;

/// Puts what was noted into what the call tracer recorded.
pub(super) fn complete(traces: &mut CallTraceArena, notes: &VmNotes) {
    for node in traces.nodes_mut() {
        show_init_code(node);
        for delta in &mut node.trace.step_deltas {
            if let Some(memory) = notes.memory_at(node.idx, delta.step) {
                delta.memory = Some(memory.clone());
            }
        }
        let Some(last) = node.trace.steps.len().checked_sub(1) else { continue };
        let step = &mut node.trace.steps[last];
        if let Some(cost) = notes.cost_at(node.idx, last) {
            step.gas_cost = cost;
        }
        // It was paid for and did nothing else: that is what is shown, not that it has no effect.
        if step.status.is_some_and(fails_after_payment) {
            step.status = None;
            step.push_stack = None;
        }
    }
}

/// A creation whose address is taken runs no code; it has its init code all the same.
fn show_init_code(node: &mut CallTraceNode) {
    if node.kind().is_any_create() && node.trace.bytecode.is_none() {
        node.trace.bytecode = Some(node.trace.data.clone());
    }
}

fn fails_after_payment(result: InstructionResult) -> bool {
    use InstructionResult as R;
    matches!(
        result,
        R::InvalidJump | R::OutOfOffset | R::StateChangeDuringStaticCall | R::CallNotAllowedInsideStatic
    )
}

/// Numbers instructions: position within the frame, after those of the calls that lead to it (`4-0-17`).
pub(super) fn number(trace: &mut VmTrace) {
    let mut open = vec![(String::new(), trace)];
    while let Some((prefix, trace)) = open.pop() {
        for (position, instruction) in trace.ops.iter_mut().enumerate() {
            let index = format!("{prefix}{position}");
            if let Some(sub) = &mut instruction.sub {
                open.push((format!("{index}-"), sub));
            }
            instruction.idx = Some(index);
        }
    }
}
