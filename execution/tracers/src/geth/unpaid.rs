//! What go-ethereum shows as the cost of an instruction that could not be paid.
//!
//! It takes an instruction's price in two parts, a constant one first. When gas does not reach for that, it is shown
//! alone; otherwise both together are, however little gas there was. A part that has no number, because the memory
//! would be too large, is not shown.

use alloy_primitives::{Address, U256};
use revm::{
    Database,
    bytecode::opcode,
    context::{Cfg, ContextTr, JournalTr},
    context_interface::cfg::GasParams,
    inspector::JournalExt,
    interpreter::{
        InstructionResult, Interpreter, instructions::gas_table_spec, interpreter_types::InputsTr,
    },
    primitives::hardfork::SpecId,
};

use crate::{
    cost::{self, Instruction},
    warmth::{is_cold_account, is_cold_slot},
};

/// An instruction before it runs, with what its price depends on.
#[derive(Debug, Clone)]
pub(super) struct Running {
    instruction: Instruction,
    gas: u64,
    /// It reads an account, or a slot, that nothing has touched.
    is_cold: bool,
    /// It moves value to an account that is not there.
    creates_account: bool,
}

impl Running {
    pub(super) fn next<CTX: ContextTr<Journal: JournalExt>>(
        interpreter: &Interpreter,
        context: &mut CTX,
    ) -> Self {
        let instruction = Instruction::next(interpreter, context);
        let spec: SpecId = context.cfg().spec().into();
        let from = interpreter.input.target_address();
        let account = touched_account(&instruction);
        let is_cold = spec.is_enabled_in(SpecId::BERLIN)
            && match (instruction.opcode(), account) {
                (opcode::SLOAD, _) => is_cold_slot(&from, instruction.word(0), context),
                (_, Some(address)) => is_cold_account(&address, context),
                (_, None) => false,
            };
        let moves_value = match instruction.opcode() {
            opcode::CALL => !spec.is_enabled_in(SpecId::SPURIOUS_DRAGON) || !instruction.word(2).is_zero(),
            opcode::SELFDESTRUCT => {
                !spec.is_enabled_in(SpecId::SPURIOUS_DRAGON) || !balance(&from, context).is_zero()
            }
            _ => false,
        };
        let creates_account = moves_value && account.is_some_and(|address| is_absent(&address, context));
        Self { instruction, gas: interpreter.gas.remaining(), is_cold, creates_account }
    }

    /// The cost that is shown when the instruction ended with `result`; `None` for a result that shows what was taken.
    pub(super) fn cost<CTX: ContextTr<Journal: JournalExt>>(
        &self,
        result: InstructionResult,
        context: &CTX,
    ) -> Option<u64> {
        use InstructionResult as R;
        let spec: SpecId = context.cfg().spec().into();
        let prices = context.cfg().gas_params();
        let constant = constant(self.instruction.opcode(), prices, spec);
        match result {
            R::StackUnderflow | R::StackOverflow | R::ReentrancySentryOOG | R::InvalidOperandOOG => {
                Some(constant)
            }
            R::OutOfGas | R::MemoryOOG | R::MemoryLimitOOG if self.gas < constant => Some(constant),
            R::OutOfGas | R::MemoryOOG | R::MemoryLimitOOG => {
                Some(self.full(constant, prices, spec, context).unwrap_or(constant))
            }
            _ => None,
        }
    }

    /// Both parts of the price.
    fn full<CTX: ContextTr<Journal: JournalExt>>(
        &self,
        constant: u64,
        prices: &GasParams,
        spec: SpecId,
        context: &CTX,
    ) -> Option<u64> {
        let cold = |price: u64| if self.is_cold { price } else { 0 };
        let state = context.journal_ref().evm_state();
        let i = &self.instruction;
        match i.opcode() {
            opcode::CALL | opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL => {
                self.call(constant, cold(prices.cold_account_additional_cost()), prices, spec)
            }
            opcode::SELFDESTRUCT => {
                let base = u64::from(gas_table_spec(spec)[usize::from(opcode::SELFDESTRUCT)]);
                base.checked_add(prices.selfdestruct_cost(self.creates_account, self.is_cold))
            }
            opcode::SLOAD => {
                cost::of(i, prices, spec, state)?.checked_add(cold(prices.cold_storage_additional_cost()))
            }
            opcode::BALANCE | opcode::EXTCODESIZE | opcode::EXTCODECOPY | opcode::EXTCODEHASH => {
                cost::of(i, prices, spec, state)?.checked_add(cold(prices.cold_account_additional_cost()))
            }
            _ => cost::of(i, prices, spec, state),
        }
    }

    /// A call's price with the gas that it passes on. Where the price itself is more than what there is, the gas that
    /// is left wraps round, so that all the gas asked for is counted.
    fn call(&self, constant: u64, cold: u64, prices: &GasParams, spec: SpecId) -> Option<u64> {
        let i = &self.instruction;
        let available = (self.gas - constant).checked_sub(cold)?;
        let has_value = matches!(i.opcode(), opcode::CALL | opcode::CALLCODE);
        let transfer = if has_value && !i.word(2).is_zero() { prices.transfer_value_cost() } else { 0 };
        let creation = if self.creates_account { prices.new_account_cost(false, true) } else { 0 };
        let base = cost::of_memory_and_work(i, prices, spec)?.checked_add(transfer)?.checked_add(creation)?;
        let asked = u64::try_from(i.word(0)).ok();
        let passed = if spec.is_enabled_in(SpecId::TANGERINE) {
            let left = available.wrapping_sub(base);
            let most = left - left / 64;
            asked.map_or(most, |asked| asked.min(most))
        } else {
            asked?
        };
        constant.checked_add(cold)?.checked_add(base)?.checked_add(passed)
    }
}

/// The part of an instruction's price that is the same every time.
fn constant(code: u8, prices: &GasParams, spec: SpecId) -> u64 {
    match code {
        opcode::SLOAD if spec.is_enabled_in(SpecId::BERLIN) => 0,
        opcode::EXP | opcode::SSTORE | opcode::RETURN | opcode::REVERT | opcode::LOG0..=opcode::LOG4 => 0,
        opcode::CREATE | opcode::CREATE2 => prices.create_cost(),
        code => u64::from(gas_table_spec(spec)[usize::from(code)]),
    }
}

/// The account that an instruction reads beside its own.
fn touched_account(instruction: &Instruction) -> Option<Address> {
    let depth = match instruction.opcode() {
        opcode::BALANCE
        | opcode::EXTCODESIZE
        | opcode::EXTCODECOPY
        | opcode::EXTCODEHASH
        | opcode::SELFDESTRUCT => 0,
        opcode::CALL | opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL => 1,
        _ => return None,
    };
    Some(Address::from_word(instruction.word(depth).into()))
}

fn balance<CTX: ContextTr<Journal: JournalExt>>(address: &Address, context: &CTX) -> U256 {
    context.journal_ref().evm_state().get(address).map_or(U256::ZERO, |account| account.info.balance)
}

/// Whether an account is empty, as nothing but what was written says.
fn is_absent<CTX: ContextTr<Journal: JournalExt>>(address: &Address, context: &mut CTX) -> bool {
    if let Some(account) = context.journal_ref().evm_state().get(address) {
        return account.is_empty();
    }
    // A read that fails fails again when the instruction runs.
    let account = context.db_mut().basic(*address).ok().flatten();
    account.is_none_or(|account| account.is_empty())
}
