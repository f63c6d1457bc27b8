//! Transactions of that time: what they pay before their first frame, and what is settled after the last.

use std::{cell::Cell, marker::PhantomData};

use alloy_evm::{
    Database,
    block::{BlockExecutionError, BlockValidationError},
    eth::EthEvmContext,
};
use alloy_primitives::{Address, U256};
use revm::{
    Inspector,
    context::{
        CfgEnv, ContextTr, TransactionType, TxEnv,
        result::{EVMError, HaltReason, InvalidTransaction, ResultGas},
    },
    context_interface::{
        Cfg, Transaction,
        cfg::{GasId, GasParams},
        context::ContextError,
    },
    handler::{
        EvmTr, FrameInitOrResult, FrameResult, Handler, ItemOrResult, post_execution, pre_execution,
        validation,
    },
    inspector::{InspectorEvmTr, InspectorHandler},
    interpreter::{
        FrameInput, GasTracker, InitialAndFloorGas, InstructionResult, interpreter::EthInterpreter,
        interpreter_action::FrameInit,
    },
    state::Account,
};

use super::{Credits, burn_log};
use crate::{
    block_evm::MainnetEvm,
    instructions::{BlockDatabase, COLLISION_CODE},
};

/// Gas of a system call: all of it regular.
pub(crate) const SYSTEM_CALL_GAS: u64 = 30_000_000;

/// Runs one transaction.
pub(crate) struct TransactionHandler<D, I> {
    /// State gas given back for authorities that were there already; the block counts it all the same.
    authorities_refund: Cell<u64>,
    /// Gas that is paid for, and counted by the block in neither dimension.
    uncounted: u64,
    evm: PhantomData<(D, I)>,
}

impl<D, I> TransactionHandler<D, I> {
    pub(crate) fn new() -> Self {
        Self { authorities_refund: Cell::new(0), uncounted: 0, evm: PhantomData }
    }

    /// Regular gas that the transaction takes of the block's, without refunds (EIP-7778).
    pub(crate) fn regular_gas_used(&self, gas: &ResultGas) -> u64 {
        let counted = gas.total_gas_spent() + self.authorities_refund.get();
        let elsewhere = gas.state_gas_spent_final() + self.uncounted;
        counted.saturating_sub(elsewhere).max(gas.floor_gas())
    }
}

/// Gas that a transaction pays before its first frame, in both dimensions.
///
/// # Errors
/// When its gas limit does not cover it.
fn intrinsic_gas(tx: &TxEnv, config: &CfgEnv) -> Result<InitialAndFloorGas, InvalidTransaction> {
    let (params, cap) = (&config.gas_params, config.tx_gas_limit_cap());
    let mut gas =
        validation::validate_initial_tx_gas_with_gas_params(tx, config.spec, params, false, true, cap, None)?;
    let authorizations = tx.authorization_list_len() as u64;
    let authorization = params.new_account_state_gas() + params.tx_eip7702_state_gas_bytecode();
    let creation = if tx.kind.is_create() { params.create_state_gas() } else { 0 };
    gas.set_initial_state_gas(creation + authorizations * authorization);
    if gas.initial_total_gas() > tx.gas_limit {
        let (gas_limit, initial_gas) = (tx.gas_limit, gas.initial_total_gas());
        return Err(InvalidTransaction::CallGasCostMoreThanGasLimit { gas_limit, initial_gas });
    }
    Ok(gas)
}

/// Gas of a block that is not used yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoomLeft {
    pub regular: u64,
    pub state: u64,
}

/// Checks that what a transaction may use at most fits what is left of the block, in each dimension (EIP-8037).
pub(crate) fn check_room(tx: &TxEnv, config: &CfgEnv, left: RoomLeft) -> Result<(), BlockExecutionError> {
    // One that cannot pay its intrinsic gas is refused for that.
    let Ok(intrinsic) = intrinsic_gas(tx, config) else { return Ok(()) };
    let regular = config.tx_gas_limit_cap().min(tx.gas_limit - intrinsic.initial_state_gas);
    let state = tx.gas_limit - intrinsic.initial_regular_gas();
    for (wanted, left) in [(regular, left.regular), (state, left.state)] {
        if wanted > left {
            let error = BlockValidationError::TransactionGasLimitMoreThanAvailableBlockGas {
                transaction_gas_limit: wanted,
                block_available_gas: left,
            };
            return Err(error.into());
        }
    }
    Ok(())
}

impl<D: Database + BlockDatabase, I> Handler for TransactionHandler<D, I> {
    type Evm = MainnetEvm<D, I>;
    type Error = EVMError<D::Error>;
    type HaltReason = HaltReason;

    /// State gas is a part of the intrinsic gas: for the account that is created, and for each authorization as if
    /// its authority were new.
    fn validate_initial_tx_gas(&self, evm: &mut Self::Evm) -> Result<InitialAndFloorGas, Self::Error> {
        Ok(intrinsic_gas(&evm.ctx.tx, &evm.ctx.cfg)?)
    }

    /// A gas limit may be above the block's, because of the two dimensions: [`check_room`] is the rule.
    fn validate_env(&self, evm: &mut Self::Evm) -> Result<(), Self::Error> {
        let gas_limit = std::mem::replace(&mut evm.ctx.block.gas_limit, u64::MAX);
        let checked = validation::validate_env(&mut evm.ctx);
        evm.ctx.block.gas_limit = gas_limit;
        checked
    }

    /// Authorities that are there already give state gas back, to the reservoir.
    fn apply_eip7702_auth_list(
        &self,
        evm: &mut Self::Evm,
        gas: &mut GasTracker,
    ) -> Result<Option<u64>, Self::Error> {
        if evm.ctx.tx.tx_type() != TransactionType::Eip7702 {
            return Ok(Some(0));
        }
        let chain_id = evm.ctx.cfg.chain_id;
        let (tx, journal) = evm.ctx.tx_journal_mut();
        let existing =
            pre_execution::apply_auth_list::<_, Self::Error>(chain_id, tx.authorization_list(), journal)?;
        let refund = existing * evm.ctx.cfg.gas_params.new_account_state_gas();
        gas.set_reservoir(gas.reservoir() + refund);
        self.authorities_refund.set(refund);
        Ok(Some(0))
    }

    fn run_exec_loop(&mut self, evm: &mut Self::Evm, first: FrameInit) -> Result<FrameResult, Self::Error> {
        let init = |evm: &mut Self::Evm, frame| Ok(result_of(evm.frame_init(frame)?));
        self.run_frames(evm, first, init, EvmTr::frame_run)
    }

    /// Gives back what destroyed contracts paid for state, then the refunds.
    fn refund(
        &self,
        evm: &mut Self::Evm,
        result: &mut FrameResult,
        authorities_refund: i64,
    ) -> Result<(), Self::Error> {
        let journal = &evm.ctx.journaled_state.inner;
        let destroyed =
            journal.selfdestructed_addresses.iter().filter_map(|address| journal.state.get(address));
        let params = &evm.ctx.cfg.gas_params;
        let paid: u64 = destroyed.map(|account| state_gas_of(account, params)).sum();
        let gas = result.gas_mut();
        let spent = u64::try_from(gas.state_gas_spent()).unwrap_or_default();
        gas.refill_reservoir(paid.min(spent));
        post_execution::refund(params, gas, authorities_refund);
        Ok(())
    }

    /// Pays the fees; then what destroyed contracts still hold is burnt, with logs in the order of addresses.
    fn reward_beneficiary(&self, evm: &mut Self::Evm, result: &mut FrameResult) -> Result<(), Self::Error> {
        post_execution::reward_beneficiary(&mut evm.ctx, result.gas())?;
        let journal = &mut evm.ctx.journaled_state.inner;
        let mut destroyed: Vec<Address> = std::mem::take(&mut journal.selfdestructed_addresses);
        destroyed.sort_unstable();
        for address in destroyed {
            let balance = journal.state.get(&address).map_or(U256::ZERO, |account| account.info.balance);
            if !balance.is_zero() {
                journal.log(burn_log(address, balance));
            }
        }
        Ok(())
    }
}

impl<D: Database + BlockDatabase, I: Inspector<EthEvmContext<D>>> InspectorHandler
    for TransactionHandler<D, I>
{
    type IT = EthInterpreter;

    fn inspect_run_exec_loop(
        &mut self,
        evm: &mut Self::Evm,
        first: FrameInit,
    ) -> Result<FrameResult, Self::Error> {
        let init = |evm: &mut Self::Evm, frame| Ok(result_of(evm.inspect_frame_init(frame)?));
        self.run_frames(evm, first, init, InspectorEvmTr::inspect_frame_run)
    }
}

/// What a contract paid for its account, code and slots.
fn state_gas_of(account: &Account, params: &GasParams) -> u64 {
    let code_length = account.info.code.as_ref().map_or(0, |code| code.len());
    let slots = account.storage.values().filter(|slot| !slot.present_value.is_zero()).count() as u64;
    params.new_account_state_gas()
        + params.code_deposit_state_gas(code_length)
        + slots * params.get(GasId::sstore_set_state_gas())
}

fn result_of<T>(item: ItemOrResult<T, FrameResult>) -> Option<FrameResult> {
    match item {
        ItemOrResult::Item(_) => None,
        ItemOrResult::Result(result) => Some(result),
    }
}

type FrameError<D> = ContextError<<D as revm::Database>::Error>;
type Frame = revm::handler::EthFrame<EthInterpreter>;

impl<D: Database + BlockDatabase, I> TransactionHandler<D, I> {
    /// The loop over frames, as the interpreter has it, with the settlement of state gas of that time.
    fn run_frames(
        &mut self,
        evm: &mut MainnetEvm<D, I>,
        mut first: FrameInit,
        init: impl Fn(&mut MainnetEvm<D, I>, FrameInit) -> Result<Option<FrameResult>, FrameError<D>>,
        run: impl Fn(&mut MainnetEvm<D, I>) -> Result<FrameInitOrResult<Frame>, FrameError<D>>,
    ) -> Result<FrameResult, EVMError<D::Error>> {
        let collision_gas = prepare_creation(evm, &mut first);
        let result = match init(evm, first)? {
            Some(result) => result,
            None => self.run_inner_frames(evm, init, run)?,
        };
        let collides = result.instruction_result() == InstructionResult::CreateCollision;
        if let Some((gas_limit, collides_by_storage)) = collision_gas
            && (collides || collides_by_storage)
        {
            // It takes all gas, but the block counts only what is paid before the first frame.
            self.uncounted += gas_limit;
        }
        Ok(result)
    }

    fn run_inner_frames(
        &mut self,
        evm: &mut MainnetEvm<D, I>,
        init: impl Fn(&mut MainnetEvm<D, I>, FrameInit) -> Result<Option<FrameResult>, FrameError<D>>,
        run: impl Fn(&mut MainnetEvm<D, I>) -> Result<FrameInitOrResult<Frame>, FrameError<D>>,
    ) -> Result<FrameResult, FrameError<D>> {
        // Of the frames that wait for a callee.
        let mut waiting: Vec<Credits> = Vec::new();
        loop {
            let stepped = run(evm)?;
            let params = &evm.ctx.cfg.gas_params;
            let credits = Credits::take(evm.frame_stack.get().interpreter.gas.tracker_mut(), params);
            let (mut result, credits) = match stepped {
                ItemOrResult::Result(result) => (result, credits),
                ItemOrResult::Item(frame) => {
                    waiting.push(credits);
                    match init(evm, frame)? {
                        Some(result) => (result, Credits::default()),
                        None => continue,
                    }
                }
            };
            let failed = !result.instruction_result().is_ok();
            let failed_creation = result.refundable_state_gas(&evm.ctx.cfg.gas_params);
            let gas = result.gas_mut().tracker_mut();
            gas.set_state_gas_spilled(0);
            if failed && !waiting.is_empty() {
                self.uncounted += credits.settle_failed(gas);
            }
            if let Some(result) = evm.frame_return_result(result)? {
                return Ok(result);
            }
            let mut caller_credits = waiting.pop().expect("a frame waits for each callee");
            let caller_gas = evm.frame_stack.get().interpreter.gas.tracker_mut();
            caller_credits.note_failed_creation(failed_creation.unwrap_or_default());
            if !failed {
                caller_credits.take_over(caller_gas, credits);
            }
            caller_credits.put(caller_gas, &evm.ctx.cfg.gas_params);
        }
    }
}

/// Sees to it that a contract is not created where there is storage (EIP-7610). Tells the frame's gas, and whether
/// there is, for a creation.
fn prepare_creation<D: Database + BlockDatabase, I>(
    evm: &mut MainnetEvm<D, I>,
    first: &mut FrameInit,
) -> Option<(u64, bool)> {
    let FrameInput::Create(inputs) = &mut first.frame_input else { return None };
    let address = inputs.created_address(evm.ctx.tx.nonce);
    let collides = evm.ctx.journaled_state.database.collides_by_storage(address);
    if collides {
        inputs.set_init_code(COLLISION_CODE);
    }
    Some((inputs.gas_limit(), collides))
}
