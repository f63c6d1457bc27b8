//! An inspector that stops when time is up or nobody waits for the result any more.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use alloy_primitives::{Address, Log, U256};
use revm::{
    Inspector,
    context::{ContextError, ContextTr},
    handler::FrameResult,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, FrameInput, Interpreter,
        interpreter::EthInterpreter,
    },
};

/// Instructions between two looks at the clock: some tens of microseconds.
const STEPS_BETWEEN: u32 = 1024;

/// How long a trace may work.
#[derive(Debug, Clone)]
pub struct Budget {
    /// When it must be done.
    pub deadline: Instant,
    /// Set when nobody waits any more.
    pub cancelled: Arc<AtomicBool>,
}

impl Budget {
    /// Until `deadline`.
    pub fn until(deadline: Instant) -> Self {
        Self { deadline, cancelled: Arc::default() }
    }

    /// Whether work has to end.
    pub fn is_spent(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || Instant::now() >= self.deadline
    }
}

/// Lets `inner` see everything, and halts the interpreter once the budget is spent.
#[derive(Debug)]
pub struct Bounded<I> {
    inner: I,
    budget: Budget,
    steps: u32,
    stopped: bool,
}

impl<I> Bounded<I> {
    /// `inner` within `budget`.
    pub fn new(inner: I, budget: Budget) -> Self {
        Self { inner, budget, steps: 0, stopped: false }
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
        if self.stopped || self.steps >= STEPS_BETWEEN {
            self.steps = 0;
            if self.stopped || self.budget.is_spent() {
                self.stopped = true;
                // The interpreter makes an error of a fatal halt only if it finds one here; without, it panics.
                *context.error() = Err(ContextError::Custom("stopped".to_owned()));
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
