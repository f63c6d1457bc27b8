//! How often each instruction ran.

use std::collections::BTreeMap;

use revm::{
    Inspector,
    bytecode::opcode::OpCode,
    context::ContextTr,
    interpreter::{Interpreter, interpreter::EthInterpreter, interpreter_types::Jumps},
};

/// Counts by instruction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OpcodeCount {
    counts: BTreeMap<u8, u64>,
}

impl OpcodeCount {
    /// Counts by name; those that have none are named by their number in hexadecimal.
    pub(crate) fn by_name(&self) -> BTreeMap<String, u64> {
        let named = |opcode: u8| match OpCode::new(opcode) {
            Some(known) => known.as_str().to_owned(),
            None => format!("{opcode:#04x}"),
        };
        self.counts.iter().map(|(opcode, count)| (named(*opcode), *count)).collect()
    }
}

impl<C: ContextTr> Inspector<C, EthInterpreter> for OpcodeCount {
    fn step(&mut self, interpreter: &mut Interpreter<EthInterpreter>, _: &mut C) {
        *self.counts.entry(interpreter.bytecode.opcode()).or_default() += 1;
    }
}
