//! Who calls whom, recorded by the call instructions themselves.
//!
//! The index of call traces needs the addresses in a block's calls. An inspector would see them, but is asked
//! before and after every instruction; wrapping the seven instructions that call, create or destroy costs nothing
//! on all the others.

use alloy_evm::{
    Database, EvmEnv,
    eth::{EthEvm, EthEvmContext},
};
use alloy_primitives::Address;
use portico_chainspec::Fork;
use revm::{
    Context, MainBuilder, MainContext,
    bytecode::opcode,
    handler::EthPrecompiles,
    interpreter::{
        Instruction, InstructionContext, InstructionExecResult, Interpreter,
        instructions::{contract, host},
        interpreter::EthInterpreter,
        interpreter_types::InputsTr,
    },
};

use crate::constantinople;

/// A database that wants to know the addresses in calls.
pub trait CallRecorder {
    /// `address` took part as the one who calls (`from`) or is called (`to`).
    fn record_trace(&mut self, address: Address, from: bool, to: bool);
}

impl<D: CallRecorder> CallRecorder for &mut D {
    fn record_trace(&mut self, address: Address, from: bool, to: bool) {
        (**self).record_trace(address, from, to);
    }
}

impl<D: CallRecorder> CallRecorder for revm::database_interface::bal::BalDatabase<D> {
    fn record_trace(&mut self, address: Address, from: bool, to: bool) {
        self.db.record_trace(address, from, to);
    }
}

/// An EVM whose call instructions tell its database about calls; the inspector is there, and not in use.
pub(crate) fn recording_evm<D: Database + CallRecorder, I>(
    database: D,
    mut environment: EvmEnv,
    fork: Fork,
    inspector: I,
) -> EthEvm<D, I, EthPrecompiles> {
    if fork == Fork::Constantinople {
        constantinople::adjust(&mut environment);
    }
    let spec = environment.cfg_env.spec;
    let mut evm = Context::mainnet()
        .with_block(environment.block_env)
        .with_cfg(environment.cfg_env)
        .with_db(database)
        .build_mainnet_with_inspector(inspector)
        .with_precompiles(EthPrecompiles::new(spec));
    let table = evm.instruction.instruction_table_mut();
    table[opcode::CALL as usize] = Instruction::new(call::<{ opcode::CALL }, D>);
    table[opcode::CALLCODE as usize] = Instruction::new(call::<{ opcode::CALLCODE }, D>);
    table[opcode::DELEGATECALL as usize] = Instruction::new(call::<{ opcode::DELEGATECALL }, D>);
    table[opcode::STATICCALL as usize] = Instruction::new(call::<{ opcode::STATICCALL }, D>);
    table[opcode::CREATE as usize] = Instruction::new(create::<false, D>);
    table[opcode::CREATE2 as usize] = Instruction::new(create::<true, D>);
    table[opcode::SELFDESTRUCT as usize] = Instruction::new(selfdestruct::<D>);
    if fork == Fork::Constantinople {
        constantinople::install(&mut evm.instruction);
    }
    EthEvm::new(evm, false)
}

type Ictx<'a, D> = InstructionContext<'a, EthEvmContext<D>, EthInterpreter>;

fn call<const KIND: u8, D: Database + CallRecorder>(context: Ictx<'_, D>) -> InstructionExecResult {
    // Gas, then the callee.
    let (host, callee) = record_caller(context.host, context.interpreter, 1);
    contract::call::<KIND, _, _>(InstructionContext { interpreter: callee, host })
}

fn create<const IS_CREATE2: bool, D: Database + CallRecorder>(context: Ictx<'_, D>) -> InstructionExecResult {
    // The created address is noted when the transaction is committed.
    let from = context.interpreter.input.target_address();
    context.host.journaled_state.database.record_trace(from, true, false);
    contract::create::<IS_CREATE2, _, _>(context)
}

fn selfdestruct<D: Database + CallRecorder>(context: Ictx<'_, D>) -> InstructionExecResult {
    let (host, interpreter) = record_caller(context.host, context.interpreter, 0);
    host::selfdestruct(InstructionContext { interpreter, host })
}

/// Notes the running contract and the address that lies `depth` below the top of the stack.
fn record_caller<'a, D: Database + CallRecorder>(
    host: &'a mut EthEvmContext<D>,
    interpreter: &'a mut Interpreter<EthInterpreter>,
    depth: usize,
) -> (&'a mut EthEvmContext<D>, &'a mut Interpreter<EthInterpreter>) {
    let database = &mut host.journaled_state.database;
    database.record_trace(interpreter.input.target_address(), true, false);
    if let Ok(word) = interpreter.stack.peek(depth) {
        database.record_trace(Address::from_word(word.into()), false, true);
    }
    (host, interpreter)
}
