//! Bare code: one call or creation as a transaction's outermost frame, without the transaction round it.
//!
//! There is no intrinsic gas, no fee, no refund and no nonce but a creator's, as in go-ethereum's `evm run`.

use std::marker::PhantomData;

use alloy_consensus::Header;
use alloy_evm::eth::EthEvmContext;
use alloy_primitives::{Address, Bytes, TxKind, U256};
use portico_chainspec::AmsterdamRules;
use revm::{
    Database, DatabaseCommit, Inspector,
    context::{
        ContextSetters, ContextTr, Evm, JournalTr, TxEnv,
        result::{EVMError, HaltReason, ResultGas},
    },
    handler::{
        EthFrame, EthPrecompiles, FrameResult, Handler, MainnetHandler, instructions::EthInstructions,
        post_execution,
    },
    inspector::{InspectorHandler, NoOpInspector},
    interpreter::{InitialAndFloorGas, interpreter::EthInterpreter, interpreter_action::FrameInit},
};

use crate::{
    BlockRules, CallError, CallOutcome, Overlay, ReadError, StateReader, bal_devnet4::TransactionHandler,
    block_environment, instructions::recording_evm,
};

/// What is run, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRun {
    /// Who calls; also `ORIGIN`.
    pub caller: Address,
    /// The contract called, or a creation.
    pub to: TxKind,
    /// Input of the call, or init code.
    pub input: Bytes,
    /// Value sent, in wei; the caller must have it.
    pub value: U256,
    /// What `GASPRICE` says, in wei; nobody pays it.
    pub gas_price: u128,
    /// Gas of the outermost frame.
    pub gas_limit: u64,
}

/// Runs code in the block that `header` begins, and leaves the state after it in `overlay`. Gas used is that of the
/// outermost frame.
///
/// # Errors
/// [`CallError::Invalid`] when the header lacks what the fork asks for.
pub fn run_code<R, I>(
    overlay: &mut Overlay<R>,
    rules: BlockRules<'_>,
    header: &Header,
    run: CodeRun,
    inspector: Option<I>,
) -> Result<CallOutcome, CallError>
where
    R: StateReader,
    for<'o> I: Inspector<EthEvmContext<&'o mut Overlay<R>>>,
{
    let nonce = overlay.basic(run.caller)?.map_or(0, |account| account.nonce);
    let request = TxEnv {
        caller: run.caller,
        kind: run.to,
        data: run.input,
        value: run.value,
        gas_price: run.gas_price,
        gas_limit: run.gas_limit,
        nonce,
        chain_id: None,
        ..TxEnv::default()
    };
    let mut environment = block_environment(rules, header, header.beneficiary);
    environment.cfg_env.tx_gas_limit_cap = Some(u64::MAX);
    let amsterdam = rules.amsterdam_rules();
    let outcome = match inspector {
        Some(inspector) => {
            let evm = recording_evm(&mut *overlay, environment, rules, inspector).into_inner();
            execute(evm, request, amsterdam, |handler, evm| handler.inspect_run(evm))
        }
        None => {
            let evm = recording_evm(&mut *overlay, environment, rules, NoOpInspector).into_inner();
            execute(evm, request, amsterdam, |handler, evm| handler.run(evm))
        }
    }?;
    overlay.check()?;
    Ok(outcome)
}

type CodeEvm<'o, R, I> = Evm<
    EthEvmContext<&'o mut Overlay<R>>,
    I,
    EthInstructions<EthInterpreter, EthEvmContext<&'o mut Overlay<R>>>,
    EthPrecompiles,
    EthFrame,
>;

type EvmResult = Result<revm::context::result::ExecutionResult, EVMError<ReadError>>;

fn execute<'o, R: StateReader, I>(
    mut evm: CodeEvm<'o, R, I>,
    request: TxEnv,
    rules: AmsterdamRules,
    run: impl FnOnce(&mut CodeHandler<CodeEvm<'o, R, I>>, &mut CodeEvm<'o, R, I>) -> EvmResult,
) -> Result<CallOutcome, CallError> {
    evm.ctx.set_tx(request);
    let result = match run(&mut CodeHandler { rules, evm: PhantomData }, &mut evm) {
        Ok(result) => result,
        Err(EVMError::Database(error)) => return Err(CallError::Read(error)),
        Err(error) => return Err(error.into()),
    };
    let changes = evm.ctx.journal_mut().finalize();
    evm.ctx.db_mut().commit(changes);
    Ok(result.into())
}

/// Mainnet's handler without what comes before and after the outermost frame.
struct CodeHandler<E> {
    rules: AmsterdamRules,
    evm: PhantomData<E>,
}

impl<'o, R: StateReader, I> Handler for CodeHandler<CodeEvm<'o, R, I>> {
    type Evm = CodeEvm<'o, R, I>;
    type Error = EVMError<ReadError>;
    type HaltReason = HaltReason;

    fn validate(&self, evm: &mut Self::Evm) -> Result<InitialAndFloorGas, Self::Error> {
        let caller = evm.ctx.tx().caller;
        evm.ctx.journal_mut().load_account_with_code_mut(caller)?;
        Ok(InitialAndFloorGas::new(0, 0))
    }

    fn run_exec_loop(&mut self, evm: &mut Self::Evm, first: FrameInit) -> Result<FrameResult, Self::Error> {
        match self.rules {
            AmsterdamRules::Final => MainnetHandler::default().run_exec_loop(evm, first),
            AmsterdamRules::BalDevnet4 => TransactionHandler::new().run_exec_loop(evm, first),
        }
    }

    fn post_execution(
        &self,
        _: &mut Self::Evm,
        result: &mut FrameResult,
        initial: InitialAndFloorGas,
        _: i64,
    ) -> Result<ResultGas, Self::Error> {
        result.gas_mut().set_refund(0);
        Ok(post_execution::build_result_gas(result.instruction_result().is_halt(), result.gas(), initial))
    }
}

impl<'o, R, I> InspectorHandler for CodeHandler<CodeEvm<'o, R, I>>
where
    R: StateReader,
    I: Inspector<EthEvmContext<&'o mut Overlay<R>>>,
{
    type IT = EthInterpreter;

    fn inspect_run_exec_loop(
        &mut self,
        evm: &mut Self::Evm,
        first: FrameInit,
    ) -> Result<FrameResult, Self::Error> {
        match self.rules {
            AmsterdamRules::Final => MainnetHandler::default().inspect_run_exec_loop(evm, first),
            AmsterdamRules::BalDevnet4 => TransactionHandler::new().inspect_run_exec_loop(evm, first),
        }
    }
}
