//! An inspector that stops when time is up or nobody waits for the result any more.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::TracerError;
use alloy_primitives::{Address, Log, U256};
use revm::{
    Inspector,
    bytecode::opcode,
    context_interface::{ContextError, ContextTr},
    handler::FrameResult,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, FrameInput, Interpreter,
        interpreter::EthInterpreter,
        interpreter_types::{Jumps, MemoryTr},
    },
};

/// Instructions between two looks at the clock: some tens of microseconds.
const STEPS_BETWEEN: u32 = 1024;

/// The same where a script runs at each instruction.
const SLOW_STEPS_BETWEEN: u32 = 16;

/// Bytes that one call's traces record at most, about.
pub(crate) const RECORDED_BYTES_MAX: usize = 512 << 20;

/// Bytes of an instruction's record beside its stack.
const STEP_BYTES: usize = 256;
/// Bytes of a word of the stack.
const WORD_BYTES: usize = 32;

/// What a tracer keeps of each instruction; each kind includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum StepRecord {
    /// Nothing that grows with what runs.
    #[default]
    None,
    /// Inputs of calls, init codes, logs.
    Inputs,
    /// That it ran, and what it changed.
    Effect,
    /// The stack before it.
    Stack,
    /// The memory before it.
    Memory,
}

impl StepRecord {
    /// Bytes that the next instruction adds.
    fn bytes(self, interpreter: &Interpreter) -> usize {
        let mut bytes = 0;
        if self >= Self::Inputs {
            bytes += input_len(interpreter);
        }
        if self >= Self::Effect {
            bytes += STEP_BYTES;
        }
        if self >= Self::Stack {
            bytes += WORD_BYTES * interpreter.stack.len();
        }
        if self >= Self::Memory {
            bytes += interpreter.memory.size();
        }
        bytes
    }
}

/// Bytes that a call, a creation or a log hands on; what is more than memory can hold costs more than any gas.
fn input_len(interpreter: &Interpreter) -> usize {
    let depth = match interpreter.bytecode.opcode() {
        opcode::CALL | opcode::CALLCODE => 4,
        opcode::DELEGATECALL | opcode::STATICCALL => 3,
        opcode::CREATE | opcode::CREATE2 => 2,
        opcode::LOG0..=opcode::LOG4 => 1,
        _ => return 0,
    };
    let len = interpreter.stack.peek(depth).ok().and_then(|len| u32::try_from(len).ok());
    len.map_or(0, |len| len as usize)
}

/// How long a piece of work may take, and whether anybody still waits for it.
#[derive(Debug, Clone)]
pub struct Budget {
    deadline: Instant,
    limit: Duration,
    cancelled: Arc<AtomicBool>,
    /// Set when what this is a part of has ended.
    ended: Option<Arc<AtomicBool>>,
}

impl Budget {
    /// `limit` from now on, and until somebody sets `cancelled`.
    pub fn new(limit: Duration, cancelled: Arc<AtomicBool>) -> Self {
        let now = Instant::now();
        // A limit beyond what a clock can say is no limit.
        let deadline = now.checked_add(limit).unwrap_or(now + Duration::from_secs(u64::from(u32::MAX)));
        Self { deadline, limit, cancelled, ended: None }
    }

    /// `limit` from now on.
    pub fn lasting(limit: Duration) -> Self {
        Self::new(limit, Arc::default())
    }

    /// How long it may take in all.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Whether nobody waits any more.
    pub fn is_cancelled(&self) -> bool {
        let is_set = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        is_set(&self.cancelled) || self.ended.as_deref().is_some_and(is_set)
    }

    /// The same, for a part of the work of which nothing is wanted once somebody sets `ended`.
    pub fn until(self, ended: Arc<AtomicBool>) -> Self {
        Self { ended: Some(ended), ..self }
    }

    /// The same, and no longer than `time` from now.
    pub fn at_most(self, time: Duration) -> Self {
        let shorter = Self { ended: self.ended.clone(), ..Self::new(time, self.cancelled.clone()) };
        if shorter.deadline < self.deadline { shorter } else { self }
    }

    /// Whether work has to end.
    pub fn is_spent(&self) -> bool {
        self.is_cancelled() || Instant::now() >= self.deadline
    }
}

/// Lets `inner` see everything, and halts the interpreter once the budget is spent.
#[derive(Debug)]
pub struct Bounded<I> {
    inner: I,
    budget: Budget,
    steps_between: u32,
    steps: u32,
    step_record: StepRecord,
    recorded_bytes: usize,
    stopped: bool,
}

impl<I> Bounded<I> {
    /// `inner` within `budget`.
    pub fn new(inner: I, budget: Budget) -> Self {
        Self {
            inner,
            budget,
            steps_between: STEPS_BETWEEN,
            steps: 0,
            step_record: StepRecord::None,
            recorded_bytes: 0,
            stopped: false,
        }
    }

    /// The same, for an inspector that takes long over an instruction.
    pub fn looking_often(self) -> Self {
        Self { steps_between: SLOW_STEPS_BETWEEN, ..self }
    }

    /// The same, for an inspector that keeps this of each instruction.
    pub(crate) fn recording(self, step_record: StepRecord) -> Self {
        Self { step_record, ..self }
    }

    /// Whether execution was halted because the trace became too large, and not because time was up.
    pub fn too_large(&self) -> Option<TracerError> {
        self.is_too_large().then_some(TracerError::TooLarge { limit: RECORDED_BYTES_MAX })
    }

    fn is_too_large(&self) -> bool {
        self.recorded_bytes > RECORDED_BYTES_MAX
    }

    /// Whether execution was halted: what the inspector saw is then incomplete.
    pub fn was_stopped(&self) -> bool {
        self.stopped
    }

    /// The inspector within.
    pub fn inner_mut(&mut self) -> &mut I {
        &mut self.inner
    }
}

impl<CTX: ContextTr, I: Inspector<CTX, EthInterpreter>> Inspector<CTX, EthInterpreter> for Bounded<I> {
    fn initialize_interp(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.inner.initialize_interp(interpreter, context);
    }

    fn step(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.steps += 1;
        if self.step_record != StepRecord::None {
            let bytes = self.step_record.bytes(interpreter);
            self.recorded_bytes = self.recorded_bytes.saturating_add(bytes);
        }
        if self.stopped || self.steps >= self.steps_between {
            self.steps = 0;
            if self.stopped || self.budget.is_spent() || self.is_too_large() {
                self.stopped = true;
                // Without a reason the interpreter takes this for a mistake of its own.
                *context.error() = Err(ContextError::Custom("the trace was stopped".into()));
                interpreter.halt_fatal();
                return;
            }
        }
        self.inner.step(interpreter, context);
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.inner.step_end(interpreter, context);
    }

    fn log(&mut self, context: &mut CTX, log: Log) {
        self.inner.log(context, log);
    }

    fn log_full(&mut self, interpreter: &mut Interpreter, context: &mut CTX, log: Log) {
        self.inner.log_full(interpreter, context, log);
    }

    fn frame_start(&mut self, context: &mut CTX, input: &mut FrameInput) -> Option<FrameResult> {
        self.inner.frame_start(context, input)
    }

    fn frame_end(&mut self, context: &mut CTX, input: &FrameInput, result: &mut FrameResult) {
        self.inner.frame_end(context, input, result);
    }

    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.inner.call(context, inputs)
    }

    fn call_end(&mut self, context: &mut CTX, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.inner.call_end(context, inputs, outcome);
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.inner.create(context, inputs)
    }

    fn create_end(&mut self, context: &mut CTX, inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        self.inner.create_end(context, inputs, outcome);
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        self.inner.selfdestruct(contract, target, value);
    }
}
