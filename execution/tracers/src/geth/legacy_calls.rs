//! The call tracer as it was when it was a script: `callTracerLegacy`.
//!
//! It saw instructions only. A call that runs no code has no gas, a precompiled contract is no call, and what goes
//! wrong between instructions is an "internal failure".

use std::ops::Range;

use alloy_primitives::{Address, Bytes, U64, U256};
use revm::{
    Inspector,
    bytecode::opcode::{self, OpCode},
    context::{
        ContextTr, JournalTr, TxEnv,
        result::{ExecutionResult, HaltReason},
    },
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, InstructionResult, Interpreter,
        interpreter_types::{InputsTr, Jumps, LoopControl, MemoryTr},
    },
};
use serde::Serialize;

use crate::words;

/// Its name among the tracers.
pub(super) const NAME: &str = "callTracerLegacy";

/// What failed where no instruction did.
const INTERNAL_FAILURE: &str = "internal failure";

/// What an instruction says that gives up.
const REVERTED: &str = "execution reverted";

/// Calls of one transaction.
#[derive(Debug, Default)]
pub struct LegacyCalls {
    enabled: bool,
    /// Frames that have not ended, outermost first.
    open: Vec<Frame>,
    /// Stack size before the instruction that runs.
    stack_len: usize,
    /// The same instruction.
    opcode: u8,
    outermost: Option<Shown>,
}

/// A frame that has not ended, or has and waits for its caller to go on.
#[derive(Debug, Default)]
struct Frame {
    shown: Shown,
    is_creation: bool,
    /// Left out of the answer, with its calls: a precompiled contract.
    hidden: bool,
    /// Its caller's gas without what was passed on.
    caller_gas: u64,
    /// Its own, while a callee runs.
    gas_left: u64,
    /// Where in the caller's memory its output goes.
    output: Range<usize>,
    /// It has ended, and its caller has not gone on yet.
    ended: bool,
    failed: bool,
}

/// A call as it is shown.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(rename = "type")]
    kind: String,
    from: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<U256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gas: Option<U64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gas_used: Option<U64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    calls: Vec<Shown>,
}

impl LegacyCalls {
    pub(super) fn enabled() -> Self {
        Self { enabled: true, ..Self::default() }
    }

    /// What was found of the transaction that ended, as JSON; `None` when nobody asked.
    pub(super) fn take(
        &mut self,
        transaction: &TxEnv,
        result: &ExecutionResult<HaltReason>,
    ) -> Option<serde_json::Value> {
        if !self.enabled {
            return None;
        }
        let mut outermost = std::mem::replace(self, Self::enabled()).outermost.unwrap_or_default();
        outermost.gas = Some(U64::from(transaction.gas_limit));
        outermost.gas_used = Some(U64::from(result.tx_gas_used()));
        let output = result.output().cloned().unwrap_or_default();
        let shows_output = match outermost.error.as_deref() {
            None => true,
            Some(error) => error == REVERTED && !output.is_empty(),
        };
        outermost.output = shows_output.then_some(output);
        serde_json::to_value(outermost).ok()
    }

    fn begin(&mut self, frame: Frame) {
        self.open.push(frame);
    }

    /// The innermost frame's code has ended; its caller decides what becomes of it when it goes on.
    fn end(&mut self, result: InstructionResult, created: Option<Bytes>) {
        if self.open.len() > 1 {
            if let Some(frame) = self.open.iter_mut().rev().find(|frame| !frame.ended) {
                frame.ended = true;
                frame.shown.output = created;
            }
            return;
        }
        if let Some(mut frame) = self.open.pop() {
            if !result.is_ok() && frame.shown.error.is_none() {
                let reason = words::of_instruction(result, self.opcode, self.stack_len);
                frame.shown.error =
                    Some(if result == InstructionResult::Revert { REVERTED.into() } else { reason });
            }
            self.outermost = Some(frame.shown);
        }
    }

    /// The caller of a frame that ended goes on.
    fn settle(&mut self, interpreter: &Interpreter) {
        if !self.open.last().is_some_and(|frame| frame.ended) {
            return;
        }
        let Some(mut frame) = self.open.pop() else { return };
        if frame.hidden {
            return;
        }
        let returned = interpreter.stack.peek(0).unwrap_or_default();
        let shown = &mut frame.shown;
        let created = shown.output.take();
        if frame.failed {
            // All its gas is gone.
            shown.gas_used = shown.gas;
        } else {
            // Nothing is known of what a call used, or gave, that ran no code.
            if let Some(passed) = shown.gas {
                let had = frame.caller_gas.saturating_add(passed.saturating_to());
                shown.gas_used = Some(U64::from(had.saturating_sub(interpreter.gas.remaining())));
            }
            if returned.is_zero() {
                shown.error.get_or_insert_with(|| INTERNAL_FAILURE.to_owned());
            } else if frame.is_creation {
                shown.to = Some(Address::from_word(returned.into()));
                shown.output = created;
            } else if shown.gas.is_some() {
                shown.output = Some(slice(interpreter, frame.output.clone()));
            }
        }
        self.show(frame.shown);
    }

    fn show(&mut self, shown: Shown) {
        if let Some(caller) = self.open.last_mut() {
            caller.shown.calls.push(shown);
        }
    }
}

fn slice(interpreter: &Interpreter, range: Range<usize>) -> Bytes {
    if range.end > interpreter.memory.size() {
        return Bytes::new();
    }
    Bytes::copy_from_slice(&interpreter.memory.slice(range))
}

impl<CTX: ContextTr> Inspector<CTX> for LegacyCalls {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        if !self.enabled {
            return;
        }
        self.settle(interpreter);
        self.opcode = interpreter.bytecode.opcode();
        self.stack_len = interpreter.stack.len();
        let Some(frame) = self.open.last_mut() else { return };
        if frame.shown.gas.is_none() {
            frame.shown.gas = Some(U64::from(interpreter.gas.remaining()));
        }
        match self.opcode {
            opcode::REVERT => frame.shown.error = Some(REVERTED.to_owned()),
            opcode::SELFDESTRUCT => {
                let contract = interpreter.input.target_address();
                let heir = interpreter.stack.peek(0).ok().map(|word| Address::from_word(word.into()));
                let balance =
                    context.journal_mut().load_account(contract).map(|account| account.info.balance);
                frame.shown.calls.push(Shown {
                    kind: "SELFDESTRUCT".to_owned(),
                    from: contract,
                    to: heir,
                    value: balance.ok(),
                    ..Shown::default()
                });
            }
            _ => {}
        }
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        if !self.enabled {
            return;
        }
        let Some(frame) = self.open.last_mut() else { return };
        let action = interpreter.bytecode.action().as_ref();
        if let Some(result) = action.and_then(|action| action.instruction_result())
            && result.is_halt()
        {
            frame.failed = true;
            frame.shown.error = Some(words::of_instruction(result, self.opcode, self.stack_len));
        }
        // What is left to the caller while its callee runs.
        frame.gas_left = interpreter.gas.remaining();
    }

    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        if self.enabled {
            let caller = self.open.last();
            let is_precompile =
                context.journal_ref().precompile_addresses().contains(&inputs.bytecode_address);
            let passes_value = matches!(self.opcode, opcode::CALL | opcode::CALLCODE) || caller.is_none();
            let kind = if caller.is_none() { "CALL" } else { name(self.opcode) };
            let shown = Shown {
                kind: kind.to_owned(),
                from: if caller.is_none() { inputs.caller } else { caller_address(self.opcode, inputs) },
                to: Some(inputs.bytecode_address),
                value: passes_value.then(|| inputs.call_value()),
                input: Some(inputs.input.bytes(context)),
                ..Shown::default()
            };
            let frame = Frame {
                shown,
                hidden: is_precompile && caller.is_some(),
                caller_gas: caller.map_or(0, |caller| caller.gas_left),
                output: inputs.return_memory_offset.clone(),
                ..Frame::default()
            };
            self.begin(frame);
        }
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, outcome: &mut CallOutcome) {
        if self.enabled {
            self.end(outcome.result.result, None);
        }
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        if self.enabled {
            let caller = self.open.last();
            let nonce = context.journal_mut().load_account(inputs.caller()).map(|account| account.info.nonce);
            let created = nonce.map(|nonce| inputs.created_address(nonce)).ok();
            let shown = Shown {
                kind: if caller.is_none() { "CREATE" } else { name(self.opcode) }.to_owned(),
                from: inputs.caller(),
                to: created.filter(|_| caller.is_none()),
                value: Some(inputs.value()),
                input: Some(inputs.init_code().clone()),
                ..Shown::default()
            };
            let caller_gas = caller.map_or(0, |caller| caller.gas_left);
            self.begin(Frame { shown, is_creation: true, caller_gas, ..Frame::default() });
        }
        None
    }

    fn create_end(&mut self, _: &mut CTX, _: &CreateInputs, outcome: &mut CreateOutcome) {
        if self.enabled {
            self.end(outcome.result.result, Some(outcome.result.output.clone()));
        }
    }
}

fn name(opcode: u8) -> &'static str {
    OpCode::new(opcode).map_or("CALL", |opcode| opcode.as_str())
}

/// Who runs the instruction: a delegate call hands its own caller on.
fn caller_address(opcode: u8, inputs: &CallInputs) -> Address {
    match opcode {
        opcode::DELEGATECALL | opcode::CALLCODE => inputs.target_address,
        _ => inputs.caller,
    }
}
