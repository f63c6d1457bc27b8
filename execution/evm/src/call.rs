//! Calls that change nothing: `eth_call`.
//!
//! A call may run for as long as its gas lasts, which is longer than anyone waits: the instructions by which code can
//! repeat itself ask the state under the call whether to go on. That costs nothing on all the others.

use alloy_evm::{
    Database, Evm, EvmEnv,
    eth::{EthEvm, EthEvmContext},
};
use alloy_primitives::{Bytes, Log};
use revm::{
    Context, Inspector, MainBuilder, MainContext,
    bytecode::opcode,
    context::{
        ContextError, TxEnv,
        result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction, ResultAndState},
    },
    inspector::NoOpInspector,
    interpreter::{
        Instruction, InstructionContext, InstructionExecResult, InstructionResult,
        instructions::{contract, control},
        interpreter::EthInterpreter,
    },
};

use crate::{CallPrecompiles, Overlay, PrecompileChanges, ReadError, StateReader};

/// State under calls, and what is special about the calls.
pub trait CallState: Database<Error = ReadError> {
    /// Precompiled contracts that are not where the fork has them.
    fn precompile_changes(&self) -> &PrecompileChanges;

    /// Asked again and again while code runs, every few microseconds.
    ///
    /// # Errors
    /// Any error ends the call, which then fails with it.
    fn tick(&mut self) -> Result<(), ReadError>;
}

impl<S: CallState> CallState for &mut S {
    fn precompile_changes(&self) -> &PrecompileChanges {
        (**self).precompile_changes()
    }

    fn tick(&mut self) -> Result<(), ReadError> {
        (**self).tick()
    }
}

/// Calls on a state that nobody bounds and nothing is special about.
impl<S: StateReader> CallState for Overlay<S> {
    fn precompile_changes(&self) -> &PrecompileChanges {
        PrecompileChanges::NONE
    }

    fn tick(&mut self) -> Result<(), ReadError> {
        Ok(())
    }
}

/// What a call gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutcome {
    /// It returned.
    Success {
        /// Returned bytes.
        output: Bytes,
        /// Gas used, after refunds.
        gas_used: u64,
        /// Logs.
        logs: Vec<Log>,
    },
    /// It reverted.
    Revert {
        /// Reason, ABI-encoded by convention.
        output: Bytes,
        /// Gas used.
        gas_used: u64,
    },
    /// It ran into an exception.
    Halt {
        /// Which one.
        reason: HaltReason,
        /// Gas used.
        gas_used: u64,
    },
}

impl CallOutcome {
    /// Gas used, after refunds.
    pub fn gas_used(&self) -> u64 {
        match self {
            Self::Success { gas_used, .. } | Self::Revert { gas_used, .. } | Self::Halt { gas_used, .. } => {
                *gas_used
            }
        }
    }

    /// Logs; none unless it returned.
    pub fn logs(&self) -> &[Log] {
        match self {
            Self::Success { logs, .. } => logs,
            Self::Revert { .. } | Self::Halt { .. } => &[],
        }
    }
}

impl From<ExecutionResult> for CallOutcome {
    fn from(result: ExecutionResult) -> Self {
        let gas_used = result.tx_gas_used();
        match result {
            ExecutionResult::Success { output, logs, .. } => {
                Self::Success { output: output.into_data(), gas_used, logs }
            }
            ExecutionResult::Revert { output, .. } => Self::Revert { output, gas_used },
            ExecutionResult::Halt { reason, .. } => Self::Halt { reason, gas_used },
        }
    }
}

/// A call could not be run.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The request breaks a rule, such as a balance that does not cover its value.
    #[error(transparent)]
    Invalid(#[from] InvalidTransaction),
    /// The block that the request is to run in lacks something.
    #[error("{0}")]
    Block(String),
    /// State could not be read, or the call was stopped.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<EVMError<ReadError>> for CallError {
    fn from(error: EVMError<ReadError>) -> Self {
        match error {
            EVMError::Transaction(error) => Self::Invalid(error),
            EVMError::Database(error) => Self::Read(error),
            error => Self::Block(error.to_string()),
        }
    }
}

/// Runs a call on `state`. The caller has set the environment's checks (balance, nonce, base fee) as it likes.
///
/// # Errors
/// [`CallError::Invalid`] for a request that no block could hold.
pub fn call<S: CallState>(
    state: S,
    environment: EvmEnv,
    request: TxEnv,
) -> Result<ResultAndState<HaltReason>, CallError> {
    Ok(call_evm(state, environment, NoOpInspector, Inspect::No).transact(request)?)
}

/// Runs a call under an inspector; the state does not change.
///
/// # Errors
/// As [`call`].
pub fn inspect_call<'d, S, I>(
    state: &'d mut S,
    environment: EvmEnv,
    request: TxEnv,
    inspector: &'d mut I,
) -> Result<ResultAndState<HaltReason>, CallError>
where
    S: CallState,
    &'d mut I: Inspector<EthEvmContext<&'d mut S>>,
{
    Ok(call_evm(state, environment, inspector, Inspect::Yes).transact(request)?)
}

/// Whether an inspector sees the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inspect {
    /// It does.
    Yes,
    /// It does not.
    No,
}

/// The interpreter for calls.
pub type CallEvm<S, I> = EthEvm<S, I, CallPrecompiles>;

/// An interpreter for any number of calls and system calls on `state`.
pub fn call_evm<S: CallState, I: Inspector<EthEvmContext<S>>>(
    state: S,
    environment: EvmEnv,
    inspector: I,
    inspect: Inspect,
) -> CallEvm<S, I> {
    let precompiles = state.precompile_changes().apply(environment.cfg_env.spec);
    let mut evm = Context::mainnet()
        .with_block(environment.block_env)
        .with_cfg(environment.cfg_env)
        .with_db(state)
        .build_mainnet_with_inspector(inspector)
        .with_precompiles(precompiles);
    let table = evm.instruction.instruction_table_mut();
    table[opcode::JUMP as usize] = Instruction::new(jump::<S>);
    table[opcode::JUMPI as usize] = Instruction::new(jumpi::<S>);
    table[opcode::CALL as usize] = Instruction::new(run::<{ opcode::CALL }, S>);
    table[opcode::CALLCODE as usize] = Instruction::new(run::<{ opcode::CALLCODE }, S>);
    table[opcode::DELEGATECALL as usize] = Instruction::new(run::<{ opcode::DELEGATECALL }, S>);
    table[opcode::STATICCALL as usize] = Instruction::new(run::<{ opcode::STATICCALL }, S>);
    table[opcode::CREATE as usize] = Instruction::new(create::<false, S>);
    table[opcode::CREATE2 as usize] = Instruction::new(create::<true, S>);
    EthEvm::new(evm, inspect == Inspect::Yes)
}

type Ictx<'a, S> = InstructionContext<'a, EthEvmContext<S>, EthInterpreter>;

fn jump<S: CallState>(context: Ictx<'_, S>) -> InstructionExecResult {
    tick(context.host)?;
    control::jump(context)
}

fn jumpi<S: CallState>(context: Ictx<'_, S>) -> InstructionExecResult {
    tick(context.host)?;
    control::jumpi(context)
}

fn run<const KIND: u8, S: CallState>(context: Ictx<'_, S>) -> InstructionExecResult {
    tick(context.host)?;
    contract::call::<KIND, _, _>(context)
}

fn create<const IS_CREATE2: bool, S: CallState>(context: Ictx<'_, S>) -> InstructionExecResult {
    tick(context.host)?;
    contract::create::<IS_CREATE2, _, _>(context)
}

fn tick<S: CallState>(host: &mut EthEvmContext<S>) -> InstructionExecResult {
    let Err(error) = host.journaled_state.database.tick() else { return Ok(()) };
    // The interpreter looks here before it makes anything of the halt.
    host.error = Err(ContextError::Db(error));
    Err(InstructionResult::FatalExternalError)
}
