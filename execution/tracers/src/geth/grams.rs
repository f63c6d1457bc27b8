//! How often instructions follow each other: `unigramTracer`, `bigramTracer`, `trigramTracer`, and `opcountTracer`.
//!
//! go-ethereum has them as scripts; here they are counted without one.

use std::collections::{BTreeMap, VecDeque};

use revm::{
    Inspector,
    context::{ContextTr, JournalTr},
    interpreter::{Interpreter, interpreter_types::Jumps},
};
use serde_json::{Value, json};

use crate::words;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// All instructions together.
    Instructions,
    /// Sequences of so many instructions of one frame.
    Sequences(usize),
}

/// Counts of one transaction.
#[derive(Debug, Default)]
pub struct Grams {
    counted: Option<Counted>,
    count: u64,
    sequences: BTreeMap<String, u64>,
    last: VecDeque<u8>,
    depth: usize,
}

impl Grams {
    /// The tracer of this name, if it is one of these.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        let counted = match name {
            "opcountTracer" => Counted::Instructions,
            "unigramTracer" => Counted::Sequences(1),
            "bigramTracer" => Counted::Sequences(2),
            "trigramTracer" => Counted::Sequences(3),
            _ => return None,
        };
        Some(Self { counted: Some(counted), ..Self::default() })
    }

    /// What was counted since the last call, as JSON; `None` when nobody asked.
    pub(super) fn take(&mut self) -> Option<Value> {
        let counted = self.counted?;
        let found = std::mem::replace(self, Self { counted: Some(counted), ..Self::default() });
        Some(match counted {
            Counted::Instructions => json!(found.count),
            Counted::Sequences(_) => json!(found.sequences),
        })
    }

    /// The instruction follows those before it only within the same depth.
    fn note(&mut self, opcode: u8, depth: usize, len: usize) {
        if depth != self.depth {
            self.depth = depth;
            self.last.clear();
        }
        self.last.push_back(opcode);
        if self.last.len() > len {
            self.last.pop_front();
        }
        if self.last.len() == len {
            let names: Vec<String> = self.last.iter().map(|opcode| words::name(*opcode)).collect();
            *self.sequences.entry(names.join("-")).or_default() += 1;
        }
    }
}

impl<CTX: ContextTr> Inspector<CTX> for Grams {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        match self.counted {
            None => {}
            Some(Counted::Instructions) => self.count += 1,
            Some(Counted::Sequences(len)) => {
                self.note(interpreter.bytecode.opcode(), context.journal_ref().depth(), len);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use revm::bytecode::opcode::{ADD, POP, PUSH1};

    fn counted(name: &str) -> Value {
        let mut grams = Grams::by_name(name).unwrap();
        let Some(Counted::Sequences(len)) = grams.counted else { return Value::Null };
        for (opcode, depth) in [(PUSH1, 1), (PUSH1, 1), (ADD, 1), (PUSH1, 2), (POP, 2), (POP, 1)] {
            grams.note(opcode, depth, len);
        }
        let found = grams.take().unwrap();
        assert_eq!(grams.take().unwrap(), json!({}), "counts begin anew");
        found
    }

    #[test]
    fn sequences_are_counted_within_a_depth() {
        assert_eq!(counted("unigramTracer"), json!({ "ADD": 1, "POP": 2, "PUSH1": 3 }));
        assert_eq!(counted("bigramTracer"), json!({ "PUSH1-ADD": 1, "PUSH1-POP": 1, "PUSH1-PUSH1": 1 }));
        assert_eq!(counted("trigramTracer"), json!({ "PUSH1-PUSH1-ADD": 1 }));
        assert!(Grams::by_name("callTracer").is_none());
    }
}
