//! The struct logger's form.

use alloy_rpc_types_trace::geth::DefaultFrame;

use crate::Notes;

/// Leaves out a refund of 0, and return data and memory that are empty; names faults and unknown instructions.
pub(super) fn put_as_geth(frame: &mut DefaultFrame, notes: &Notes) {
    let mut faults = notes.failed_steps().iter();
    for log in &mut frame.struct_logs {
        log.refund_counter = log.refund_counter.filter(|refund| *refund != 0);
        log.return_data = log.return_data.take().filter(|data| !data.is_empty());
        log.memory = log.memory.take().filter(|memory| !memory.is_empty());
        if log.error.is_none() {
            continue;
        }
        let Some(fault) = faults.next() else { continue };
        if let Some(undefined) = fault.strip_prefix("invalid opcode: ").filter(|name| name.contains(' ')) {
            log.op = undefined.to_owned().into();
        }
        log.error = Some(fault.clone());
    }
}
