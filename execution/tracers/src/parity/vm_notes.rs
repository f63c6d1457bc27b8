//! What `vmTrace` shows beyond what the call tracer records of instructions: the memory that a call leaves where its
//! output was to go, and what an instruction costs that could not be paid for.

use std::ops::Range;

use alloy_primitives::{Bytes, map::HashMap};
use alloy_rpc_types_trace::parity::MemoryDelta;
use revm::{
    Inspector,
    bytecode::opcode,
    context::{Cfg, ContextTr, JournalTr},
    inspector::JournalExt,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, InstructionResult, Interpreter,
        interpreter_types::{LoopControl, MemoryTr},
    },
};

use crate::{
    cost::{self, Instruction},
    notes::FrameNumbers,
};

/// Bytes of memory that are noted of one transaction at most; what comes after is left out.
const NOTED_BYTES_MAX: usize = 256 << 20;

/// An instruction: its frame, and its position among those of the frame.
type Position = (usize, usize);

/// Notes on one transaction.
#[derive(Debug, Default)]
pub struct VmNotes {
    enabled: bool,
    frames: FrameNumbers,
    open: Vec<Frame>,
    memory: HashMap<Position, MemoryDelta>,
    costs: HashMap<Position, u64>,
    noted_bytes: usize,
}

/// A frame that has not ended.
#[derive(Debug, Default)]
struct Frame {
    number: usize,
    steps: usize,
    /// The call that is under way: its position and where its output goes.
    calling: Option<(usize, Range<usize>)>,
    running: Option<Instruction>,
}

impl VmNotes {
    /// Notes, unless they are not `enabled`.
    pub(super) fn new(enabled: bool) -> Self {
        Self { enabled, ..Self::default() }
    }

    /// The notes on the transaction that ended; those on the next begin.
    pub(super) fn take(&mut self) -> Self {
        let enabled = self.enabled;
        std::mem::replace(self, Self::new(enabled))
    }

    /// Memory where the output of the call at a position was to go, when it had returned.
    pub(super) fn memory_at(&self, frame: usize, step: usize) -> Option<&MemoryDelta> {
        self.memory.get(&(frame, step))
    }

    /// What the instruction at a position would have cost, which ran out of gas.
    pub(super) fn cost_at(&self, frame: usize, step: usize) -> Option<u64> {
        self.costs.get(&(frame, step)).copied()
    }

    fn begin_frame(&mut self) {
        let number = self.frames.begin();
        self.open.push(Frame { number, ..Frame::default() });
    }

    fn end_frame(&mut self) {
        self.frames.end();
        self.open.pop();
    }

    /// The call before the instruction that begins now has returned: its memory is what it left.
    fn note_returned(&mut self, interpreter: &Interpreter) {
        let Some(frame) = self.open.last_mut() else { return };
        let Some((step, range)) = frame.calling.take() else { return };
        if range.is_empty() || self.noted_bytes.saturating_add(range.len()) > NOTED_BYTES_MAX {
            return;
        }
        if range.end > interpreter.memory.len() {
            return;
        }
        let data = Bytes::copy_from_slice(&interpreter.memory.slice(range.clone()));
        self.noted_bytes += data.len();
        self.memory.insert((frame.number, step), MemoryDelta { off: range.start, data });
    }
}

impl<CTX: ContextTr<Journal: JournalExt>> Inspector<CTX> for VmNotes {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        if !self.enabled {
            return;
        }
        self.note_returned(interpreter);
        let Some(frame) = self.open.last_mut() else { return };
        let next = Instruction::next(interpreter, context);
        frame.calling = output_range(&next).map(|range| (frame.steps, range));
        frame.running = Some(next);
        frame.steps += 1;
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        if !self.enabled {
            return;
        }
        let action = interpreter.bytecode.action().as_ref();
        let Some(result) = action.and_then(|action| action.instruction_result()) else { return };
        let Some(frame) = self.open.last_mut() else { return };
        frame.calling = None;
        let Some(running) = frame.running.take() else { return };
        if !is_out_of_gas(result) {
            return;
        }
        let spec = context.cfg().spec().into();
        let full = cost::of(&running, context.cfg().gas_params(), spec, context.journal_ref().evm_state());
        if let Some(full) = full {
            self.costs.insert((frame.number, frame.steps - 1), full);
        }
    }

    fn call(&mut self, _: &mut CTX, _: &mut CallInputs) -> Option<CallOutcome> {
        self.begin_frame();
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, _: &mut CallOutcome) {
        self.end_frame();
    }

    fn create(&mut self, _: &mut CTX, _: &mut CreateInputs) -> Option<CreateOutcome> {
        self.begin_frame();
        None
    }

    fn create_end(&mut self, _: &mut CTX, _: &CreateInputs, _: &mut CreateOutcome) {
        self.end_frame();
    }
}

/// Where a call's output goes.
fn output_range(instruction: &Instruction) -> Option<Range<usize>> {
    let (offset, len) = match instruction.opcode() {
        opcode::CALL | opcode::CALLCODE => (5, 6),
        opcode::DELEGATECALL | opcode::STATICCALL => (4, 5),
        _ => return None,
    };
    let (offset, len) = (instruction.size(offset)?, instruction.size(len)?);
    Some(offset..offset.checked_add(len)?)
}

fn is_out_of_gas(result: InstructionResult) -> bool {
    use InstructionResult as R;
    matches!(result, R::OutOfGas | R::MemoryOOG | R::MemoryLimitOOG | R::ReentrancySentryOOG)
}
