//! What an instruction would have cost that ran out of gas. The interpreter stops at the first part of the price that
//! cannot be paid; traces show the whole price.

use alloy_primitives::{Address, U256};
use revm::{
    Database,
    bytecode::opcode,
    context::{ContextTr, JournalTr},
    context_interface::{cfg::GasParams, context::SStoreResult},
    inspector::JournalExt,
    interpreter::{
        Interpreter,
        instructions::gas_table_spec,
        interpreter_types::{InputsTr, Jumps, MemoryTr},
    },
    primitives::hardfork::SpecId,
    state::EvmState,
};

use crate::warmth::is_cold_slot;

/// Words of the stack that an instruction's price depends on, at most.
const WORDS: usize = 7;

/// An instruction before it runs.
#[derive(Debug, Clone)]
pub(crate) struct Instruction {
    opcode: u8,
    /// From the top of the stack.
    words: [U256; WORDS],
    memory_len: usize,
    write: Option<Write>,
}

/// What a write finds in its slot.
#[derive(Debug, Clone)]
struct Write {
    change: SStoreResult,
    is_cold: bool,
}

impl Instruction {
    pub(crate) fn next<CTX: ContextTr<Journal: JournalExt>>(
        interpreter: &Interpreter,
        context: &mut CTX,
    ) -> Self {
        let mut words = [U256::ZERO; WORDS];
        for (word, from) in words.iter_mut().zip(interpreter.stack.data().iter().rev()) {
            *word = *from;
        }
        let opcode = interpreter.bytecode.opcode();
        let write = (opcode == opcode::SSTORE)
            .then(|| Write::of(interpreter.input.target_address(), words[0], words[1], context));
        Self { opcode, words, memory_len: interpreter.memory.size(), write }
    }

    pub(crate) fn opcode(&self) -> u8 {
        self.opcode
    }

    /// The word at `depth` below the top; 0 where the stack has none.
    pub(crate) fn word(&self, depth: usize) -> U256 {
        self.words[depth]
    }

    /// The word at `depth` below the top, as a size.
    pub(crate) fn size(&self, depth: usize) -> Option<usize> {
        usize::try_from(self.words[depth]).ok()
    }

    /// Memory from `offset` on, for `len` bytes.
    fn end(&self, offset: usize, len: usize) -> Option<usize> {
        match self.size(len)? {
            0 => Some(0),
            len => self.size(offset)?.checked_add(len),
        }
    }

    fn expansion(&self, end: usize, prices: &GasParams) -> Option<u64> {
        let words = |len: usize| len.div_ceil(32);
        let (now, then) = (words(self.memory_len), words(end));
        if then <= now {
            return Some(0);
        }
        prices.memory_cost(then).checked_sub(prices.memory_cost(now))
    }
}

impl Write {
    fn of<CTX: ContextTr<Journal: JournalExt>>(
        address: Address,
        slot: U256,
        new_value: U256,
        context: &mut CTX,
    ) -> Self {
        let is_cold = is_cold_slot(&address, slot, context);
        let account = context.journal_ref().evm_state().get(&address);
        if let Some(slot) = account.and_then(|account| account.storage.get(&slot)) {
            let (original_value, present_value) = (slot.original_value, slot.present_value);
            return Self { change: SStoreResult { original_value, present_value, new_value }, is_cold };
        }
        // A read that fails fails again when the instruction runs.
        let value = context.db_mut().storage(address, slot).unwrap_or_default();
        let change = SStoreResult { original_value: value, present_value: value, new_value };
        Self { change, is_cold }
    }

    fn price(&self, prices: &GasParams, spec: SpecId) -> u64 {
        let istanbul = spec.is_enabled_in(SpecId::ISTANBUL);
        prices.sstore_static_gas().saturating_add(prices.sstore_dynamic_gas(
            istanbul,
            &self.change,
            self.is_cold,
        ))
    }
}

/// The price of the memory that `instruction` needs and of its work on it; `None` where no number of this size is.
pub(crate) fn of_memory_and_work(instruction: &Instruction, prices: &GasParams, spec: SpecId) -> Option<u64> {
    let (end, work) = memory_and_work(instruction, prices, spec)?;
    instruction.expansion(end, prices)?.checked_add(work)
}

/// The price of `instruction`; `None` where no number of this size is its price, and for
/// instructions whose price is not put together here.
pub(crate) fn of(
    instruction: &Instruction,
    prices: &GasParams,
    spec: SpecId,
    state: &EvmState,
) -> Option<u64> {
    let code = instruction.opcode;
    let base = u64::from(gas_table_spec(spec)[usize::from(code)]);
    let work = of_memory_and_work(instruction, prices, spec)?;
    let access = match code {
        opcode::SSTORE => instruction.write.as_ref().map_or(0, |write| write.price(prices, spec)),
        opcode::CALL => value_transfer(instruction, prices, spec, state),
        opcode::CALLCODE if !instruction.words[2].is_zero() => prices.transfer_value_cost(),
        _ => 0,
    };
    base.checked_add(work)?.checked_add(access)
}

/// How far the instruction needs memory, and the price of its work on it.
fn memory_and_work(instruction: &Instruction, prices: &GasParams, spec: SpecId) -> Option<(usize, u64)> {
    let i = instruction;
    Some(match i.opcode {
        opcode::MLOAD | opcode::MSTORE => (i.size(0)?.checked_add(32)?, 0),
        opcode::MSTORE8 => (i.size(0)?.checked_add(1)?, 0),
        opcode::RETURN | opcode::REVERT => (i.end(0, 1)?, 0),
        opcode::KECCAK256 => (i.end(0, 1)?, prices.keccak256_cost(i.size(1)?)),
        opcode::CALLDATACOPY | opcode::CODECOPY | opcode::RETURNDATACOPY => {
            (i.end(0, 2)?, prices.copy_cost(i.size(2)?))
        }
        opcode::MCOPY => (i.end(0, 2)?.max(i.end(1, 2)?), prices.mcopy_cost(i.size(2)?)),
        opcode::EXTCODECOPY => (i.end(1, 3)?, prices.extcodecopy(i.size(3)?)),
        opcode::LOG0..=opcode::LOG4 => {
            let len = i.size(1)?;
            (i.end(0, 1)?, prices.log_cost(i.opcode - opcode::LOG0, len as u64))
        }
        opcode::CREATE | opcode::CREATE2 => {
            let len = i.size(2)?;
            let creation =
                if i.opcode == opcode::CREATE { prices.create_cost() } else { prices.create2_cost(len) };
            let init_code = if spec.is_enabled_in(SpecId::SHANGHAI) { prices.initcode_cost(len) } else { 0 };
            (i.end(1, 2)?, creation.checked_add(init_code)?)
        }
        opcode::CALL | opcode::CALLCODE => (i.end(3, 4)?.max(i.end(5, 6)?), 0),
        opcode::DELEGATECALL | opcode::STATICCALL => (i.end(2, 3)?.max(i.end(4, 5)?), 0),
        opcode::EXP => (0, prices.exp_cost(i.words[1])),
        _ => (0, 0),
    })
}

fn value_transfer(instruction: &Instruction, prices: &GasParams, spec: SpecId, state: &EvmState) -> u64 {
    let transfers = !instruction.words[2].is_zero();
    let callee = Address::from_word(instruction.words[1].into());
    let is_new = state.get(&callee).is_some_and(|account| account.is_empty());
    let transfer = if transfers { prices.transfer_value_cost() } else { 0 };
    let creation = if is_new {
        prices.new_account_cost(spec.is_enabled_in(SpecId::SPURIOUS_DRAGON), transfers)
    } else {
        0
    };
    transfer.saturating_add(creation)
}
