//! What happened inside frames, as far as clients tell more of it than the call tracer records: why an instruction
//! failed, and for whom a contract destroyed itself.
//!
//! Frames are numbered in the order in which they begin, the outermost is 0. The call tracer's nodes have the same
//! numbers.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, Bytes, U256};
use revm::{
    Inspector,
    bytecode::opcode,
    context::{Cfg, ContextTr, JournalTr},
    inspector::JournalExt,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, InstructionResult, Interpreter,
        InterpreterAction,
        interpreter_types::{InputsTr, Jumps, LoopControl},
    },
    primitives::hardfork::SpecId,
};
use revm_inspectors::tracing::CallTraceArena;

use crate::words;

/// A contract that destroyed itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Destroyed {
    frame: usize,
    contract: Address,
    heir: Address,
    balance: U256,
}

/// Open frames by number.
#[derive(Debug, Default)]
pub(crate) struct FrameNumbers {
    open: Vec<usize>,
    begun: usize,
}

impl FrameNumbers {
    pub(crate) fn begin(&mut self) -> usize {
        let number = self.begun;
        self.begun += 1;
        self.open.push(number);
        number
    }

    pub(crate) fn end(&mut self) -> usize {
        self.open.pop().unwrap_or_default()
    }

    pub(crate) fn current(&self) -> usize {
        self.open.last().copied().unwrap_or_default()
    }
}

/// Notes on one transaction.
#[derive(Debug, Default)]
pub struct Notes {
    frames: FrameNumbers,
    opcode: u8,
    stack_len: usize,
    dying: Option<Destroyed>,
    precompiles: BTreeSet<usize>,
    returned: Bytes,
    lost_codes: BTreeMap<usize, Bytes>,
    failed_frames: BTreeMap<usize, String>,
    failed_steps: Vec<String>,
    destroyed: Vec<Destroyed>,
}

impl Notes {
    /// Why the frame failed, in go-ethereum's words, where the call tracer does not know it exactly.
    pub(crate) fn fault_of(&self, frame: usize) -> Option<&str> {
        self.failed_frames.get(&frame).map(String::as_str)
    }

    /// Why instructions failed, in go-ethereum's words, in the order in which they did.
    pub(crate) fn failed_steps(&self) -> &[String] {
        &self.failed_steps
    }

    /// Whether the frame is that of a precompiled contract.
    pub(crate) fn is_precompile(&self, frame: usize) -> bool {
        self.precompiles.contains(&frame)
    }

    /// Code that a creation returned and could not pay for, and that succeeded all the same: so it was before
    /// Homestead (EIP-2).
    pub(crate) fn lost_code(&self, frame: usize) -> Option<&Bytes> {
        self.lost_codes.get(&frame)
    }

    /// Tells the call tracer's nodes of contracts that destroyed themselves for themselves: their balance moved
    /// nowhere, and the tracer was not told.
    pub(crate) fn complete(&self, traces: &mut CallTraceArena) {
        for destroyed in &self.destroyed {
            let Some(node) = traces.nodes_mut().get_mut(destroyed.frame) else { continue };
            let trace = &mut node.trace;
            if trace.selfdestruct_address.is_none() {
                trace.selfdestruct_address = Some(destroyed.contract);
                trace.selfdestruct_refund_target = Some(destroyed.heir);
                trace.selfdestruct_transferred_value = Some(destroyed.balance);
            }
        }
    }

    fn end_frame(&mut self, fault: Option<String>) {
        let frame = self.frames.end();
        if let Some(fault) = fault {
            self.failed_frames.entry(frame).or_insert(fault);
        }
    }
}

impl<CTX: ContextTr<Journal: JournalExt>> Inspector<CTX> for Notes {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.opcode = interpreter.bytecode.opcode();
        self.stack_len = interpreter.stack.len();
        if self.opcode == opcode::SELFDESTRUCT
            && let Ok(heir) = interpreter.stack.peek(0)
        {
            let contract = interpreter.input.target_address();
            let account = context.journal_ref().evm_state().get(&contract);
            let balance = account.map(|account| account.info.balance).unwrap_or_default();
            let heir = Address::from_word(heir.into());
            self.dying = Some(Destroyed { frame: self.frames.current(), contract, heir, balance });
        }
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        let action = interpreter.bytecode.action().as_ref();
        let Some(result) = action.and_then(|action| action.instruction_result()) else { return };
        if let (InstructionResult::Return, Some(InterpreterAction::Return(returned))) = (result, action) {
            self.returned = returned.output.clone();
        }
        if result == InstructionResult::SelfDestruct {
            self.destroyed.extend(self.dying.take());
        } else if result.is_halt() {
            let fault = words::of_instruction(result, self.opcode, self.stack_len);
            self.failed_frames.insert(self.frames.current(), fault.clone());
            self.failed_steps.push(fault);
        }
    }

    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        let frame = self.frames.begin();
        if context.journal_ref().precompile_addresses().contains(&inputs.bytecode_address) {
            self.precompiles.insert(frame);
        }
        None
    }

    fn call_end(&mut self, context: &mut CTX, inputs: &CallInputs, outcome: &mut CallOutcome) {
        let fault = (outcome.result.result == InstructionResult::PrecompileError).then(|| {
            let spec: SpecId = context.cfg().spec().into();
            let input = inputs.input.as_bytes(context).to_vec();
            words::of_precompile(spec, &inputs.bytecode_address, &input, inputs.gas_limit)
        });
        self.end_frame(fault);
    }

    fn create(&mut self, _: &mut CTX, _: &mut CreateInputs) -> Option<CreateOutcome> {
        self.frames.begin();
        None
    }

    fn create_end(&mut self, _: &mut CTX, _: &CreateInputs, outcome: &mut CreateOutcome) {
        // An instruction's fault was noted before: then it is not the code that could not be paid for.
        let unpaid = outcome.result.result == InstructionResult::OutOfGas;
        let returned = std::mem::take(&mut self.returned);
        if outcome.result.result == InstructionResult::Return && outcome.result.output.is_empty() {
            self.lost_codes.insert(self.frames.current(), returned);
        }
        self.end_frame(unpaid.then(|| words::CODE_UNPAID.to_owned()));
    }
}
