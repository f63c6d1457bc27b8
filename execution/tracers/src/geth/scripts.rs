//! Bounds of tracers that are scripts in JavaScript.
//!
//! The engine bounds loops, recursion and its stack, and what a script gives is measured. The engine does not bound its
//! heap: what one function allocates before it returns is limited by these bounds and by time alone, so that a node
//! whose `debug` namespace strangers may call does better without scripts (`--rpc.no-script-tracers`).

use std::io::{self, Write};

use alloy_rpc_types_trace::geth::{GethDebugTracerType, GethDebugTracingOptions};
use revm_inspectors::tracing::js::{JsInspector, RuntimeLimits};
use serde_json::Value;

use crate::TracerError;

/// Bytes of a script; go-ethereum's own were a tenth of that.
const SCRIPT_BYTES_MAX: usize = 128 << 10;
/// Rounds of one loop.
const ROUNDS_MAX: u64 = 200_000;
/// Functions within each other.
const RECURSION_MAX: usize = 128;
/// Values on the engine's stack.
const STACK_MAX: usize = 10 << 10;
/// Bytes of what a script gives, as JSON.
const RESULT_BYTES_MAX: usize = 16 << 20;

/// What stands around a script, so that what its functions throw fails the trace and not the execution: the inspector
/// makes a revert of it, after which this transaction and all later ones would be other ones. A function that met one of
/// the engine's bounds, which nothing can catch, never comes to its end.
const GUARD: [&str; 2] = [
    "(function (tracer) {
        if (tracer === null || typeof tracer !== 'object') return tracer;
        var running = false, failed = false, failure;
        ['step', 'fault', 'enter', 'exit'].forEach(function (name) {
            var hook = tracer[name];
            if (typeof hook !== 'function') return;
            tracer[name] = function () {
                if (running) return hook.apply(tracer, arguments);
                if (failed) return;
                running = true;
                try { hook.apply(tracer, arguments); } catch (thrown) { failed = true; failure = thrown; }
                running = false;
            };
        });
        var result = tracer.result;
        if (typeof result === 'function') tracer.result = function () {
            if (failed) throw failure;
            if (running) throw new Error('a function of the tracer took too many rounds, calls or values');
            return result.apply(tracer, arguments);
        };
        return tracer;
    })(",
    "\n)",
];

/// Refuses a script that is no tracer's; puts a guard around others.
pub(super) fn guard(options: &mut GethDebugTracingOptions) -> Result<(), TracerError> {
    match &mut options.tracer {
        Some(GethDebugTracerType::JsTracer(script)) if script.len() > SCRIPT_BYTES_MAX => {
            Err(TracerError::Unusable(format!("a tracer's script has at most {SCRIPT_BYTES_MAX} bytes")))
        }
        Some(GethDebugTracerType::JsTracer(script)) => {
            *script = [GUARD[0], script, GUARD[1]].concat();
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Sets the engine's bounds.
pub(super) fn bound(script: &mut JsInspector) {
    let mut limits = RuntimeLimits::default();
    limits.set_loop_iteration_limit(ROUNDS_MAX);
    limits.set_recursion_limit(RECURSION_MAX);
    limits.set_stack_size_limit(STACK_MAX);
    script.set_runtime_limits(limits);
}

/// Refuses a result that is too large.
pub(super) fn check_result(result: &Value) -> Result<(), TracerError> {
    serde_json::to_writer(Room(RESULT_BYTES_MAX), result)
        .map_err(|_| TracerError::TooLarge { limit: RESULT_BYTES_MAX })
}

/// Takes so many bytes and keeps none.
struct Room(usize);

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or_else(|| io::Error::other("there is no room"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_measured_as_it_is_written() {
        let room = |bytes| serde_json::to_writer(Room(bytes), &serde_json::json!({ "a": [1, "b"] }));
        assert_eq!(serde_json::json!({ "a": [1, "b"] }).to_string().len(), 13);
        assert!(room(13).is_ok() && room(12).is_err());
    }
}
