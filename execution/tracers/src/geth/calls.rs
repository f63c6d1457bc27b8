//! The call tracer's form.

use alloy_rpc_types_trace::geth::CallFrame;

use crate::Notes;

/// How a contract that destroyed itself is shown among the calls; it is no frame of its own.
pub(super) const SELFDESTRUCT: &str = "SELFDESTRUCT";

/// Puts the exact reason in place of a general one. Frames are numbered as they begin: callers before callees.
pub(super) fn name_faults(outermost: &mut CallFrame, notes: &Notes) {
    let mut number = 0;
    let mut waiting = vec![outermost];
    while let Some(frame) = waiting.pop() {
        if let Some(error) = &mut frame.error
            && let Some(fault) = notes.fault_of(number)
        {
            *error = fault.to_owned();
        }
        if frame.error.is_none() && frame.output.is_none() {
            frame.output = notes.lost_code(number).filter(|code| !code.is_empty()).cloned();
        }
        number += 1;
        waiting.extend(frame.calls.iter_mut().rev().filter(|call| call.typ != SELFDESTRUCT));
    }
}
