//! An inspector that stops when time is up or nobody waits for the result any more.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_primitives::{Address, Log, U256};
use revm::{
    Inspector,
    handler::FrameResult,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, FrameInput, Interpreter,
        interpreter::EthInterpreter,
    },
};

/// Instructions between two looks at the clock: some tens of microseconds.
const STEPS_BETWEEN: u32 = 1024;

/// The same where a script runs at each instruction.
const SLOW_STEPS_BETWEEN: u32 = 16;

/// How long a piece of work may take, and whether anybody still waits for it.
#[derive(Debug, Clone)]
pub struct Budget {
    deadline: Instant,
    limit: Duration,
    cancelled: Arc<AtomicBool>,
}

impl Budget {
    /// `limit` from now on, and until somebody sets `cancelled`.
    pub fn new(limit: Duration, cancelled: Arc<AtomicBool>) -> Self {
        let now = Instant::now();
        // A limit beyond what a clock can say is no limit.
        let deadline = now.checked_add(limit).unwrap_or(now + Duration::from_secs(u64::from(u32::MAX)));
        Self { deadline, limit, cancelled }
    }

    /// `limit` from now on.
    pub fn lasting(limit: Duration) -> Self {
        Self::new(limit, Arc::default())
    }

    /// When the work must be done.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How long it may take in all.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Whether nobody waits any more.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// The same, and no longer than `time` from now.
    pub fn at_most(self, time: Duration) -> Self {
        let shorter = Self::new(time, self.cancelled.clone());
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
    stopped: bool,
}

impl<I> Bounded<I> {
    /// `inner` within `budget`.
    pub fn new(inner: I, budget: Budget) -> Self {
        Self { inner, budget, steps_between: STEPS_BETWEEN, steps: 0, stopped: false }
    }

    /// The same, for an inspector that takes long over an instruction.
    pub fn looking_often(self) -> Self {
        Self { steps_between: SLOW_STEPS_BETWEEN, ..self }
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

impl<CTX, I: Inspector<CTX, EthInterpreter>> Inspector<CTX, EthInterpreter> for Bounded<I> {
    fn initialize_interp(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.inner.initialize_interp(interpreter, context);
    }

    fn step(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        self.steps += 1;
        if self.stopped || self.steps >= self.steps_between {
            self.steps = 0;
            if self.stopped || self.budget.is_spent() {
                self.stopped = true;
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
