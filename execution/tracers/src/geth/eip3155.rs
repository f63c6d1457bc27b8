//! Traces as EIP-3155 describes and go-ethereum's `evm` prints them: a line of JSON per instruction, one at the end.
//!
//! ```text
//! {"pc":0,"op":96,"gas":"0x5208","gasCost":"0x3","memSize":0,"stack":[],"depth":1,"refund":0,"opName":"PUSH1"}
//! {"output":"","gasUsed":"0x3"}
//! ```
//! Where the two differ it is go-ethereum's form: `refund` and `memSize` are numbers, `memory` is one string, the
//! last line has `error` and no `pass`. An instruction that fails has one line, with its error; one that runs out of
//! gas shows its price (`unpaid.rs`). Gas used in the last line is that of the outermost frame.

use std::io::{self, Write};

use alloy_primitives::{Bytes, U256, hex};
use revm::{
    Inspector,
    context::{ContextTr, JournalTr},
    inspector::JournalExt,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, FrameInput, InstructionResult, Interpreter,
        InterpreterAction, InterpreterResult,
        interpreter::EthInterpreter,
        interpreter_types::{Jumps, LoopControl, MemoryTr},
    },
};
use serde::{Serialize, Serializer};

use super::unpaid::Running;
use crate::words;

/// What the lines hold beside the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TraceFields {
    /// The whole memory.
    pub memory: bool,
    /// The stack, bottom first.
    pub stack: bool,
    /// What the last call returned.
    pub return_data: bool,
}

/// Writes the trace of one transaction after another to one place after another.
#[derive(Debug)]
pub struct Eip3155Tracer<W> {
    fields: TraceFields,
    output: W,
    line: Line,
    running: Option<Running>,
    /// Of the last instruction that failed, in the frame that ends next.
    error: Option<String>,
    /// Refund counters of the running frames, outermost first.
    refunds: Vec<i64>,
    /// The first write that failed; an inspector has no way to report it.
    failed: Option<io::Error>,
}

/// The line of the instruction that is running.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    pc: usize,
    op: u8,
    #[serde(serialize_with = "hexadecimal")]
    gas: u64,
    #[serde(serialize_with = "hexadecimal")]
    gas_cost: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<String>,
    mem_size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<Vec<U256>>,
    #[serde(skip)]
    stack_len: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_data: Option<Bytes>,
    depth: usize,
    refund: i64,
    op_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    output: String,
    #[serde(serialize_with = "hexadecimal")]
    gas_used: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

fn hexadecimal<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{number:#x}"))
}

impl<W: Write> Eip3155Tracer<W> {
    /// A tracer that writes to `output`.
    pub fn new(fields: TraceFields, output: W) -> Self {
        Self {
            fields,
            output,
            line: Line::default(),
            running: None,
            error: None,
            refunds: Vec::new(),
            failed: None,
        }
    }

    /// Flushes what was written and writes to `output` from now on.
    ///
    /// # Errors
    /// The first write that failed.
    pub fn write_to(&mut self, output: W) -> io::Result<()> {
        self.flush()?;
        self.output = output;
        Ok(())
    }

    /// # Errors
    /// The first write that failed.
    pub fn flush(&mut self) -> io::Result<()> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.output.flush(),
        }
    }

    fn write(&mut self, line: &impl Serialize) {
        if self.failed.is_some() {
            return;
        }
        let written = serde_json::to_writer(&mut self.output, line).map_err(io::Error::from);
        self.failed = written.and_then(|()| self.output.write_all(b"\n")).err();
    }

    /// The transaction's refund counter: that of all running frames.
    fn refund(&mut self, depth: usize, of_frame: i64) -> i64 {
        self.refunds.resize(depth.max(1), 0);
        let last = self.refunds.len() - 1;
        self.refunds[last] = of_frame;
        self.refunds.iter().sum()
    }

    fn end<C: ContextTr>(&mut self, context: &mut C, result: &InterpreterResult) {
        let of_instruction = self.error.take();
        if context.journal().depth() > 0 {
            return;
        }
        let failed = !result.result.is_ok();
        let error = failed.then(|| of_instruction.unwrap_or_else(|| failure_text(result.result)));
        // A failed frame has lost all its gas, whatever the counter says at this point.
        let lost = result.result.is_halt();
        let gas_used = if lost { result.gas.limit() } else { result.gas.total_gas_spent() };
        self.write(&Summary { output: hex::encode(&result.output), gas_used, error });
    }
}

impl<W: Write, C: ContextTr<Journal: JournalExt>> Inspector<C, EthInterpreter> for Eip3155Tracer<W> {
    fn step(&mut self, interpreter: &mut Interpreter<EthInterpreter>, context: &mut C) {
        let depth = context.journal().depth();
        let op = interpreter.bytecode.opcode();
        let memory = &interpreter.memory;
        self.running = Some(Running::next(interpreter, context));
        self.line = Line {
            pc: interpreter.bytecode.pc(),
            op,
            gas: interpreter.gas.remaining(),
            gas_cost: 0,
            memory: self.fields.memory.then(|| hex::encode_prefixed(&*memory.slice(0..memory.size()))),
            mem_size: memory.size(),
            stack: self.fields.stack.then(|| interpreter.stack.data().to_vec()),
            stack_len: interpreter.stack.len(),
            return_data: self.fields.return_data.then(|| interpreter.return_data.0.clone()),
            depth,
            refund: self.refund(depth, interpreter.gas.refunded()),
            op_name: words::name(op),
            error: None,
        };
    }

    fn step_end(&mut self, interpreter: &mut Interpreter<EthInterpreter>, context: &mut C) {
        let mut line = std::mem::take(&mut self.line);
        line.gas_cost = line.gas.saturating_sub(interpreter.gas.remaining());
        if let Some(action) = interpreter.bytecode.action() {
            match action {
                // What a creation passes on is not its cost; what a call passes on is.
                InterpreterAction::NewFrame(FrameInput::Create(inputs)) => {
                    line.gas_cost = line.gas_cost.saturating_sub(inputs.gas_limit());
                }
                InterpreterAction::Return(result) if !result.result.is_ok() => {
                    let result = result.result;
                    let unpaid = self.running.as_ref().and_then(|running| running.cost(result, context));
                    line.gas_cost = unpaid.unwrap_or(line.gas_cost);
                    line.error = Some(instruction_text(result, line.op, line.stack_len));
                    self.error = line.error.clone();
                }
                InterpreterAction::Return(_) | InterpreterAction::NewFrame(_) => {}
            }
        }
        self.write(&line);
    }

    fn call_end(&mut self, context: &mut C, _: &CallInputs, outcome: &mut CallOutcome) {
        self.end(context, &outcome.result);
    }

    fn create_end(&mut self, context: &mut C, _: &CreateInputs, outcome: &mut CreateOutcome) {
        self.end(context, &outcome.result);
    }
}

fn is_out_of_gas(result: InstructionResult) -> bool {
    matches!(
        result,
        InstructionResult::OutOfGas
            | InstructionResult::MemoryOOG
            | InstructionResult::MemoryLimitOOG
            | InstructionResult::PrecompileOOG
            | InstructionResult::InvalidOperandOOG
            | InstructionResult::ReentrancySentryOOG
    )
}

/// go-ethereum's words for what an instruction met with `stack_len` words on the stack.
fn instruction_text(result: InstructionResult, opcode: u8, stack_len: usize) -> String {
    match result {
        InstructionResult::Revert => failure_text(result),
        result => words::of_instruction(result, opcode, stack_len),
    }
}

/// go-ethereum's words for why a frame failed, whatever instruction it was.
pub fn failure_text(result: InstructionResult) -> String {
    let text = match result {
        InstructionResult::Revert => "execution reverted",
        InstructionResult::CallTooDeep => "max call depth exceeded",
        InstructionResult::OutOfFunds => "insufficient balance for transfer",
        out_of_gas if is_out_of_gas(out_of_gas) => "out of gas",
        InstructionResult::OpcodeNotFound
        | InstructionResult::InvalidFEOpcode
        | InstructionResult::NotActivated => "invalid opcode",
        InstructionResult::CallNotAllowedInsideStatic | InstructionResult::StateChangeDuringStaticCall => {
            "write protection"
        }
        InstructionResult::InvalidJump => "invalid jump destination",
        InstructionResult::StackUnderflow => "stack underflow",
        InstructionResult::StackOverflow => "stack limit reached",
        InstructionResult::OutOfOffset => "return data out of bounds",
        InstructionResult::CreateCollision => "contract address collision",
        InstructionResult::NonceOverflow => "nonce uint64 overflow",
        InstructionResult::CreateContractSizeLimit => "max code size exceeded",
        InstructionResult::CreateContractStartingWithEF => "invalid code: must not begin with 0xef",
        InstructionResult::CreateInitCodeSizeLimit => "max initcode size exceeded",
        other => return format!("{other:?}"),
    };
    text.to_owned()
}
