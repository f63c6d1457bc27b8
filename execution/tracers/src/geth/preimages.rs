//! What was hashed: `keccak256PreimageTracer`.

use std::collections::BTreeMap;

use alloy_primitives::{B256, Bytes, keccak256};
use revm::{
    Inspector,
    bytecode::opcode,
    interpreter::{
        Interpreter,
        interpreter_types::{Jumps, MemoryTr},
    },
};
use serde_json::json;

/// Its name among the tracers.
pub(super) const NAME: &str = "keccak256PreimageTracer";

/// Bytes of preimages that are kept of one transaction at most.
const BYTES_MAX: usize = 64 << 20;

/// The inputs of the transaction's `KECCAK256` instructions, by their hash.
#[derive(Debug, Default)]
pub struct Preimages {
    enabled: bool,
    bytes: usize,
    found: BTreeMap<B256, Bytes>,
}

impl Preimages {
    pub(super) fn enabled() -> Self {
        Self { enabled: true, ..Self::default() }
    }

    /// What was found since the last call, as JSON; `None` when nobody asked.
    pub(super) fn take(&mut self) -> Option<serde_json::Value> {
        self.enabled.then(|| {
            self.bytes = 0;
            json!(std::mem::take(&mut self.found))
        })
    }

    fn note(&mut self, interpreter: &Interpreter) -> Option<()> {
        let word = |depth| interpreter.stack.peek(depth).ok().and_then(|word| usize::try_from(word).ok());
        let (offset, len) = (word(0)?, word(1)?);
        if self.bytes.saturating_add(len) > BYTES_MAX {
            return None;
        }
        // Memory that was never written is zero.
        let mut input = vec![0; len];
        let size = interpreter.memory.size();
        if offset < size {
            let end = offset.checked_add(len)?.min(size);
            input[..end - offset].copy_from_slice(&interpreter.memory.slice(offset..end));
        }
        self.bytes += len;
        self.found.insert(keccak256(&input), input.into());
        Some(())
    }
}

impl<CTX> Inspector<CTX> for Preimages {
    fn step(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        if self.enabled && interpreter.bytecode.opcode() == opcode::KECCAK256 {
            self.note(interpreter);
        }
    }
}
