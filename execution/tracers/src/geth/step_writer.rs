//! The struct logger, written as JSON while the code runs: no list of steps is kept.
//!
//! A step's text begins before its instruction (stack, memory, gas) and is finished after it (cost, fault, storage).
//! The members that describe the whole transaction come last.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io::{self, Write},
};

use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_trace::geth::GethDefaultTracingOptions;
use revm::{
    Inspector,
    bytecode::opcode::{self, OpCode},
    context::{Cfg, ContextTr, result::ExecutionResult},
    context_interface::ContextError,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter,
        interpreter_types::{InputsTr, Jumps, LoopControl, MemoryTr, ReturnData},
    },
    primitives::hardfork::SpecId,
};

use crate::{
    Bounded, Budget,
    text::{write_bytes, write_word},
    words,
};

/// Writes the struct logger's form of one transaction after another.
pub struct StepWriter<'w> {
    options: GethDefaultTracingOptions,
    out: &'w mut dyn Write,
    /// What stands before each transaction's trace.
    heads: VecDeque<String>,
    has_begun: bool,
    failure: Option<io::Error>,
    /// Calls and creations that are open.
    depth: u64,
    steps: u64,
    /// Whether gas of state is counted by itself (EIP-8037).
    has_state_gas: bool,
    step: Step,
    storage: HashMap<Address, BTreeMap<B256, B256>>,
}

/// The instruction that runs now.
#[derive(Debug, Default)]
struct Step {
    is_open: bool,
    text: Vec<u8>,
    opcode: u8,
    stack_len: usize,
    gas: u64,
    /// Gas of state that was spent before it; less than nothing after more was given back than was spent.
    state_gas_spent: i64,
    /// Slot that it reads or writes, and the value if it writes.
    slot: Option<(U256, Option<U256>)>,
}

impl std::fmt::Debug for StepWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StepWriter")
            .field("options", &self.options)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

impl<'w> StepWriter<'w> {
    /// Writes to `out`; before each transaction's trace comes the next of `heads`.
    pub fn inspector(
        options: GethDefaultTracingOptions,
        heads: VecDeque<String>,
        out: &'w mut dyn Write,
        budget: Budget,
    ) -> Bounded<Self> {
        let options =
            GethDefaultTracingOptions { limit: options.limit.filter(|limit| *limit != 0), ..options };
        let writer = Self {
            options,
            out,
            heads,
            has_begun: false,
            failure: None,
            depth: 0,
            steps: 0,
            has_state_gas: false,
            step: Step::default(),
            storage: HashMap::new(),
        };
        Bounded::new(writer, budget)
    }

    /// Ends a transaction's trace; `tail` comes after it.
    ///
    /// # Errors
    /// Of the writer, also of earlier steps.
    pub fn finish<H>(&mut self, result: &ExecutionResult<H>, tail: &str) -> io::Result<()> {
        self.begin();
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        let returned = result.output().cloned().unwrap_or_default();
        let gas = result.tx_gas_used();
        let failed = !result.is_success();
        write!(self.out, "],\"gas\":{gas},\"failed\":{failed}")?;
        if self.has_state_gas {
            let gas = result.gas();
            let (execution, state) = (gas.block_regular_gas_used(), gas.block_state_gas_used());
            let refund = gas.final_refunded();
            write!(
                self.out,
                ",\"executionGasUsed\":\"{execution:#x}\",\"stateGasUsed\":\"{state:#x}\",\"gasRefund\":\"{refund:#x}\""
            )?;
        }
        self.out.write_all(b",\"returnValue\":")?;
        write_bytes(self.out, &returned)?;
        write!(self.out, "}}{tail}")?;
        self.has_begun = false;
        self.steps = 0;
        self.depth = 0;
        self.storage.clear();
        Ok(())
    }

    /// Writes what comes before the steps.
    fn begin(&mut self) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let head = self.heads.pop_front().unwrap_or_default();
        let result = write!(self.out, "{head}{{\"structLogs\":[");
        self.note(result);
    }

    fn note_fork(&mut self, context: &impl ContextTr) {
        self.has_state_gas = context.cfg().spec().into().is_enabled_in(SpecId::AMSTERDAM);
    }

    fn note(&mut self, result: io::Result<()>) {
        if let (Err(error), None) = (result, &self.failure) {
            self.failure = Some(error);
        }
    }

    fn describe(&mut self, interpreter: &Interpreter) -> io::Result<()> {
        let step = &mut self.step;
        let text = &mut step.text;
        text.clear();
        if self.steps > 0 {
            text.push(b',');
        }
        write!(text, "{{\"pc\":{},\"gas\":{},\"depth\":{}", interpreter.bytecode.pc(), step.gas, self.depth)?;
        let refund = interpreter.gas.refunded();
        if refund != 0 {
            write!(text, ",\"refund\":{}", refund as u64)?;
        }
        if self.has_state_gas {
            write!(text, ",\"stateGasReservoir\":{}", interpreter.gas.reservoir())?;
        }
        if self.options.is_stack_enabled() {
            text.extend_from_slice(b",\"stack\":[");
            for (index, word) in interpreter.stack.data().iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                write_word(text, word);
            }
            text.push(b']');
        }
        if self.options.is_memory_enabled() {
            let memory = interpreter.memory.slice(0..interpreter.memory.size());
            if !memory.is_empty() {
                text.extend_from_slice(b",\"memory\":[");
                for (index, chunk) in memory.chunks(32).enumerate() {
                    if index > 0 {
                        text.push(b',');
                    }
                    write_bytes(text, chunk)?;
                }
                text.push(b']');
            }
        }
        if self.options.is_return_data_enabled() {
            let returned = interpreter.return_data.buffer();
            if !returned.is_empty() {
                text.extend_from_slice(b",\"returnData\":");
                write_bytes(text, returned)?;
            }
        }
        Ok(())
    }

    fn complete(&mut self, interpreter: &mut Interpreter) -> io::Result<()> {
        let result = interpreter.bytecode.action().as_ref().and_then(|action| action.instruction_result());
        let fault = result.filter(|result| result.is_halt());
        let fault = fault.map(|result| words::of_instruction(result, self.step.opcode, self.step.stack_len));
        let name = OpCode::new(self.step.opcode)
            .map_or_else(|| words::name(self.step.opcode), |known| known.as_str().to_owned());
        let cost = self.step.gas.saturating_sub(interpreter.gas.remaining());
        let text = &mut self.step.text;
        write!(text, ",\"op\":\"{name}\",\"gasCost\":{cost}")?;
        let state_cost = interpreter.gas.state_gas_spent().saturating_sub(self.step.state_gas_spent);
        if self.has_state_gas && state_cost != 0 {
            write!(text, ",\"stateGasCost\":{state_cost}")?;
        }
        if let Some(fault) = &fault {
            write!(text, ",\"error\":{}", serde_json::Value::from(fault.as_str()))?;
        }
        if let Some((slot, written)) = self.step.slot.take() {
            let contract = self.storage.entry(interpreter.input.target_address()).or_default();
            // go-ethereum takes a write for done, also when it fails; what a failed read would have found is not known.
            let read = || fault.is_none().then(|| interpreter.stack.peek(0).unwrap_or_default());
            if let Some(value) = written.or_else(read) {
                contract.insert(slot.into(), value.into());
            }
            text.extend_from_slice(b",\"storage\":{");
            for (index, (slot, value)) in contract.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                write!(text, "\"{slot:?}\":\"{value:?}\"")?;
            }
            text.push(b'}');
        }
        text.push(b'}');
        self.steps += 1;
        self.out.write_all(text)
    }
}

impl<CTX: ContextTr> Inspector<CTX> for StepWriter<'_> {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        if self.failure.is_some() {
            // Nobody reads what would come. Without a reason the interpreter takes this for a mistake of its own.
            *context.error() = Err(ContextError::Custom("the trace cannot be written".into()));
            interpreter.halt_fatal();
            return;
        }
        let is_enough = self.options.limit.is_some_and(|limit| self.steps >= limit);
        self.step.is_open = !is_enough;
        if is_enough {
            return;
        }
        self.step.opcode = interpreter.bytecode.opcode();
        self.step.stack_len = interpreter.stack.len();
        self.step.gas = interpreter.gas.remaining();
        self.step.state_gas_spent = interpreter.gas.state_gas_spent();
        let word = |depth| interpreter.stack.peek(depth).ok();
        self.step.slot = match self.step.opcode {
            _ if !self.options.is_storage_enabled() => None,
            opcode::SLOAD => word(0).map(|slot| (slot, None)),
            opcode::SSTORE => word(0).zip(word(1)).map(|(slot, value)| (slot, Some(value))),
            _ => None,
        };
        let result = self.describe(interpreter);
        self.note(result);
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        if self.failure.is_none() && std::mem::take(&mut self.step.is_open) {
            let result = self.complete(interpreter);
            self.note(result);
        }
    }

    fn call(&mut self, context: &mut CTX, _: &mut CallInputs) -> Option<CallOutcome> {
        self.note_fork(context);
        self.begin();
        self.depth += 1;
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, _: &mut CallOutcome) {
        self.depth -= 1;
    }

    fn create(&mut self, context: &mut CTX, _: &mut CreateInputs) -> Option<CreateOutcome> {
        self.note_fork(context);
        self.begin();
        self.depth += 1;
        None
    }

    fn create_end(&mut self, _: &mut CTX, _: &CreateInputs, _: &mut CreateOutcome) {
        self.depth -= 1;
    }
}
