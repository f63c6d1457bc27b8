//! Who calls whom, recorded by the call instructions themselves; and contracts that may not be created.
//!
//! The index of call traces needs the addresses in a block's calls. An inspector would see them, but is asked
//! before and after every instruction; wrapping the seven instructions that call, create or destroy costs nothing
//! on all the others.

use alloy_evm::{Database, EvmEnv, eth::EthEvmContext};
use alloy_primitives::{Address, Bytes};
use portico_chainspec::{AmsterdamRules, Fork};
use revm::{
    Context, MainBuilder, MainContext,
    bytecode::opcode,
    context::TxEnv,
    handler::EthPrecompiles,
    interpreter::{
        CreateScheme, FrameInput, Instruction, InstructionContext, InstructionExecResult, Interpreter,
        InterpreterAction,
        instructions::{contract, host},
        interpreter::EthInterpreter,
        interpreter_types::{InputsTr, LoopControl},
    },
};

use crate::{BlockRules, bal_devnet4, block_evm::BlockEvm, constantinople};

/// What the block's instructions ask of a database beyond what the interpreter asks.
pub trait BlockDatabase {
    /// `address` took part as the one who calls (`from`) or is called (`to`).
    fn record_trace(&mut self, address: Address, from: bool, to: bool);

    /// Whether nothing but its storage keeps a contract from being created at `address` (EIP-7610): the interpreter
    /// looks at nonce and code.
    fn collides_by_storage(&mut self, address: Address) -> bool;

    /// Adds the balances of the accounts `from` to that of `to`. All of them exist afterwards.
    fn move_balances(&mut self, from: &[Address], to: Address);
}

impl<D: BlockDatabase> BlockDatabase for &mut D {
    fn record_trace(&mut self, address: Address, from: bool, to: bool) {
        (**self).record_trace(address, from, to);
    }

    fn collides_by_storage(&mut self, address: Address) -> bool {
        (**self).collides_by_storage(address)
    }

    fn move_balances(&mut self, from: &[Address], to: Address) {
        (**self).move_balances(from, to);
    }
}

impl<D: BlockDatabase> BlockDatabase for revm::database_interface::bal::BalDatabase<D> {
    fn record_trace(&mut self, address: Address, from: bool, to: bool) {
        self.db.record_trace(address, from, to);
    }

    fn collides_by_storage(&mut self, address: Address) -> bool {
        self.db.collides_by_storage(address)
    }

    fn move_balances(&mut self, from: &[Address], to: Address) {
        self.db.move_balances(from, to);
    }
}

/// An EVM whose call instructions tell its database about calls; the inspector is there, and not in use.
pub(crate) fn recording_evm<D: Database + BlockDatabase, I>(
    database: D,
    mut environment: EvmEnv,
    rules: BlockRules<'_>,
    inspector: I,
) -> BlockEvm<D, I> {
    let fork = rules.fork();
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
    let rules = rules.amsterdam_rules();
    match rules {
        AmsterdamRules::Final => {}
        AmsterdamRules::BalDevnet4 => bal_devnet4::install(&mut evm.instruction),
    }
    BlockEvm::new(evm, rules)
}

/// Init code of a contract that collides: it takes all gas and leaves nothing, as a collision does.
pub(crate) const COLLISION_CODE: Bytes = Bytes::from_static(&[opcode::INVALID]);

/// Lets a creation by transaction fail where storage alone keeps it from its address (EIP-7610).
pub(crate) fn refuse_collision(transaction: &mut TxEnv, database: &mut impl BlockDatabase) {
    let is_create = transaction.kind.is_create();
    if is_create && database.collides_by_storage(transaction.caller.create(transaction.nonce)) {
        transaction.data = COLLISION_CODE;
    }
}

type Ictx<'a, D> = InstructionContext<'a, EthEvmContext<D>, EthInterpreter>;

pub(crate) fn call<const KIND: u8, D: Database + BlockDatabase>(
    context: Ictx<'_, D>,
) -> InstructionExecResult {
    // Gas, then the callee.
    let (host, callee) = record_caller(context.host, context.interpreter, 1);
    contract::call::<KIND, _, _>(InstructionContext { interpreter: callee, host })
}

pub(crate) fn create<const IS_CREATE2: bool, D: Database + BlockDatabase>(
    context: Ictx<'_, D>,
) -> InstructionExecResult {
    // The created address is noted when the transaction is committed.
    let (interpreter, host) = (context.interpreter, context.host);
    let from = interpreter.input.target_address();
    host.journaled_state.database.record_trace(from, true, false);
    let result = contract::create::<IS_CREATE2, _, _>(InstructionContext { interpreter, host });
    let Some(InterpreterAction::NewFrame(FrameInput::Create(inputs))) = interpreter.bytecode.action() else {
        return result;
    };
    let nonce = host.journaled_state.inner.state.get(&from).map_or(0, |account| account.info.nonce);
    let address = inputs.created_address(nonce);
    if host.journaled_state.database.collides_by_storage(address) {
        inputs.set_scheme(CreateScheme::Custom { address });
        inputs.set_init_code(COLLISION_CODE);
    }
    result
}

pub(crate) fn selfdestruct<D: Database + BlockDatabase>(context: Ictx<'_, D>) -> InstructionExecResult {
    let (host, interpreter) = record_caller(context.host, context.interpreter, 0);
    host::selfdestruct(InstructionContext { interpreter, host })
}

/// Notes the running contract and the address that lies `depth` below the top of the stack.
fn record_caller<'a, D: Database + BlockDatabase>(
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
