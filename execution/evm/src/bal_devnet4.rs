//! Amsterdam as of April 2026 ([`AmsterdamRules::BalDevnet4`]), on top of the interpreter's Amsterdam.
//!
//! What was different then:
//!
//! - No repricing of transactions and of state access (EIP-2780, EIP-8038): [`adjust`] starts from Osaka's prices.
//! - State gas (EIP-8037) at a price that grew with the block's gas limit, for smaller sizes. What spilled over from
//!   the reservoir into regular gas came back to the *reservoir* when it was given back, see [`state_gas`].
//! - A creation paid for the account before it looked at its address; a call that failed did not get back what it had
//!   paid for a new account.
//! - Destroying a contract for its own benefit burnt its balance (no EIP-8246), with a log (EIP-7708).
//! - Code up to 32 KiB (EIP-7954).
//!
//! What a transaction pays before and after its frames is in [`handler`].
//!
//! [`AmsterdamRules::BalDevnet4`]: portico_chainspec::AmsterdamRules::BalDevnet4

mod handler;
mod state_gas;

use alloy_evm::{Database, EvmEnv, eth::EthEvmContext};
use alloy_primitives::{Address, B256, Log, LogData, U256};
use revm::{
    bytecode::opcode,
    context::JournalEntry,
    context_interface::{
        cfg::{GasId, GasParams},
        journaled_state::entry::JournalEntryTr,
    },
    handler::instructions::EthInstructions,
    interpreter::{
        FrameInput, Instruction, InstructionContext, InstructionExecResult, InstructionResult,
        InterpreterAction,
        instructions::host::sstore_with_gas_accounting,
        interpreter::EthInterpreter,
        interpreter_types::{InputsTr, LoopControl},
    },
    primitives::{
        eip7708::{BURN_LOG_TOPIC, ETH_TRANSFER_LOG_ADDRESS},
        hardfork::SpecId,
    },
};

use crate::instructions::{self, BlockDatabase};
pub(crate) use handler::{RoomLeft, SYSTEM_CALL_GAS, TransactionHandler, check_room};
use state_gas::{Credits, keep_credits};

/// Bytes of state that are charged for a new account, a new slot, and a delegation (EIP-8037).
const NEW_ACCOUNT_BYTES: u64 = 112;
const NEW_SLOT_BYTES: u64 = 32;
const NEW_DELEGATION_BYTES: u64 = 23;
/// Largest code (EIP-7954), in bytes; init code may have twice that.
const CODE_SIZE_MAX: usize = 0x8000;
/// Gas of an account-access instruction without what depends on the account (EIP-2929).
const WARM_ACCESS: u16 = 100;

/// Sets prices and limits.
pub(crate) fn adjust(environment: &mut EvmEnv) {
    let config = &mut environment.cfg_env;
    config.enable_amsterdam_eip2780 = false;
    config.limit_contract_code_size.get_or_insert(CODE_SIZE_MAX);
    config.gas_params = gas_params(state_byte_price(environment.block_env.gas_limit));
}

/// State gas of a byte of state, by the block's gas limit (EIP-8037 of that time).
///
/// It lets state grow by 100 GiB a year when half of all gas pays for state in blocks of 12 seconds. So that it does
/// not change with every step of the gas limit, five significant bits are kept after an offset.
fn state_byte_price(gas_limit: u64) -> u64 {
    const BLOCKS_PER_YEAR: u128 = 2_628_000;
    const BYTES_PER_YEAR: u128 = 100 << 30;
    const SIGNIFICANT_BITS: u32 = 5;
    const OFFSET: u128 = 9_578;
    let exact = (u128::from(gas_limit) * BLOCKS_PER_YEAR).div_ceil(2 * BYTES_PER_YEAR);
    let shifted = exact + OFFSET;
    let dropped_bits = (u128::BITS - shifted.leading_zeros()).saturating_sub(SIGNIFICANT_BITS);
    let price = ((shifted >> dropped_bits) << dropped_bits).saturating_sub(OFFSET).max(1);
    u64::try_from(price).expect("less than the gas limit")
}

/// Osaka's prices with those of EIP-7976, EIP-7981 and EIP-8037 as they were.
fn gas_params(state_byte: u64) -> GasParams {
    let new_account = NEW_ACCOUNT_BYTES * state_byte;
    let mut params = GasParams::new_spec(SpecId::OSAKA);
    params.override_gas([
        // EIP-8037: what was one price is now state gas and a smaller regular part.
        (GasId::create(), 9_000),
        (GasId::tx_create_cost(), 9_000),
        (GasId::create_state_gas(), new_account),
        (GasId::new_account_cost(), 0),
        (GasId::new_account_cost_for_selfdestruct(), 0),
        (GasId::new_account_state_gas(), new_account),
        (GasId::sstore_set_without_load_cost(), 2_800),
        (GasId::sstore_set_refund(), 2_800),
        (GasId::sstore_set_state_gas(), NEW_SLOT_BYTES * state_byte),
        (GasId::code_deposit_cost(), 0),
        (GasId::code_deposit_state_gas(), state_byte),
        (GasId::tx_eip7702_regular_gas(), 7_500),
        (GasId::tx_eip7702_regular_refund(), 0),
        (GasId::tx_eip7702_state_gas_bytecode(), NEW_DELEGATION_BYTES * state_byte),
        // EIP-7976: 16 a token, four tokens a byte, zero or not.
        (GasId::tx_floor_cost_per_token(), 16),
        (GasId::tx_floor_token_zero_byte_multiplier(), 4),
        // EIP-7981: the same for the bytes of access lists, on top of their prices.
        (GasId::tx_access_list_floor_byte_multiplier(), 4),
        (GasId::tx_access_list_address_cost(), 2_400 + 20 * 64),
        (GasId::tx_access_list_storage_key_cost(), 1_900 + 32 * 64),
    ]);
    params
}

/// Puts the instructions of that time into the table, in place of those of [`instructions`].
pub(crate) fn install<D: Database + BlockDatabase>(
    instructions: &mut EthInstructions<EthInterpreter, EthEvmContext<D>>,
) {
    instructions.insert_gas(opcode::EXTCODESIZE, WARM_ACCESS);
    instructions.insert_gas(opcode::EXTCODECOPY, WARM_ACCESS);
    let table = instructions.instruction_table_mut();
    table[opcode::SSTORE as usize] = Instruction::new(sstore::<D>);
    table[opcode::CALL as usize] = Instruction::new(call::<{ opcode::CALL }, D>);
    table[opcode::CALLCODE as usize] = Instruction::new(call::<{ opcode::CALLCODE }, D>);
    table[opcode::CREATE as usize] = Instruction::new(create::<false, D>);
    table[opcode::CREATE2 as usize] = Instruction::new(create::<true, D>);
    table[opcode::SELFDESTRUCT as usize] = Instruction::new(selfdestruct::<D>);
}

type Ictx<'a, D> = InstructionContext<'a, EthEvmContext<D>, EthInterpreter>;

fn sstore<D: Database>(context: Ictx<'_, D>) -> InstructionExecResult {
    sstore_with_gas_accounting(context, |context, _, write| {
        let params = &context.host.cfg.gas_params;
        let gas = &mut context.interpreter.gas;
        if !gas.record_regular_cost(params.sstore_dynamic_gas(true, &write.data, write.is_cold))
            || !keep_credits(gas, |gas| gas.record_state_cost(params.sstore_state_gas(&write.data)))
        {
            return Err(InstructionResult::OutOfGas);
        }
        let back = params.sstore_state_gas_refill(&write.data);
        if back > 0 {
            let mut credits = Credits::of(gas.tracker(), params);
            credits.give_back(gas.tracker_mut(), back);
            credits.put(gas.tracker_mut(), params);
        }
        gas.record_refund(params.sstore_refund(true, &write.data));
        Ok(())
    })
}

fn call<const KIND: u8, D: Database + BlockDatabase>(context: Ictx<'_, D>) -> InstructionExecResult {
    let (interpreter, host) = (context.interpreter, context.host);
    let credits = interpreter.gas.tracker().state_gas_spilled();
    let result = instructions::call::<KIND, D>(InstructionContext { interpreter, host });
    interpreter.gas.tracker_mut().set_state_gas_spilled(credits);
    if let Some(InterpreterAction::NewFrame(FrameInput::Call(inputs))) = interpreter.bytecode.action() {
        inputs.charged_new_account_state_gas = false;
    }
    result
}

fn create<const IS_CREATE2: bool, D: Database + BlockDatabase>(
    context: Ictx<'_, D>,
) -> InstructionExecResult {
    let (interpreter, host) = (context.interpreter, context.host);
    // Without state gas, whose rules at this place are newer ones; it is charged below.
    host.cfg.enable_amsterdam_eip8037 = false;
    let result = instructions::create::<IS_CREATE2, D>(InstructionContext { interpreter, host });
    host.cfg.enable_amsterdam_eip8037 = true;
    let gas = &mut interpreter.gas;
    if let Some(InterpreterAction::NewFrame(FrameInput::Create(inputs))) = interpreter.bytecode.action() {
        gas.erase_cost(inputs.gas_limit());
        if keep_credits(gas, |gas| gas.record_state_cost(host.cfg.gas_params.create_state_gas())) {
            let forwarded = host.cfg.gas_params.call_stipend_reduction(gas.remaining());
            let is_covered = gas.record_regular_cost(forwarded);
            debug_assert!(is_covered, "a part of what remains");
            inputs.set_gas_limit(forwarded);
            inputs.set_reservoir(gas.reservoir());
            inputs.set_charged_create_state_gas(true);
        } else {
            *interpreter.bytecode.action() = None;
            interpreter.bytecode.reset_action();
            return Err(InstructionResult::OutOfGas);
        }
    }
    result
}

/// A contract that is created and destroyed in one transaction, and names itself, burns its balance.
fn selfdestruct<D: Database + BlockDatabase>(context: Ictx<'_, D>) -> InstructionExecResult {
    let (interpreter, host) = (context.interpreter, context.host);
    let address = interpreter.input.target_address();
    let target = interpreter.stack.peek(0).map(|word| Address::from_word(word.into()));
    let credits = interpreter.gas.tracker().state_gas_spilled();
    let result = instructions::selfdestruct(InstructionContext { interpreter, host });
    interpreter.gas.tracker_mut().set_state_gas_spilled(credits);
    if result == Err(InstructionResult::SelfDestruct) && target == Ok(address) {
        let journal = &mut host.journaled_state.inner;
        let account = journal.state.get_mut(&address).expect("the running contract is loaded");
        let balance = account.info.balance;
        if account.is_selfdestructed_locally() && !balance.is_zero() {
            account.info.balance = U256::ZERO;
            journal.journal.push(JournalEntry::balance_changed(address, balance));
            journal.log(burn_log(address, balance));
        }
    }
    result
}

/// The log of ether that goes with its account (EIP-7708 of that time).
fn burn_log(address: Address, balance: U256) -> Log {
    let topics = vec![BURN_LOG_TOPIC, B256::left_padding_from(address.as_slice())];
    let data = LogData::new_unchecked(topics, B256::from(balance).into());
    Log { address: ETH_TRANSFER_LOG_ADDRESS, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that the EIP lists, and what the formula gives at its ends.
    #[test]
    fn the_price_of_a_state_byte_grows_with_the_gas_limit() {
        for (gas_limit, price) in [
            (0, 1),
            (1_000_000, 1),
            (60_000_000, 662),
            (100_000_000, 1_174),
            (120_000_000, 1_174),
            (200_000_000, 2_198),
            (300_000_000, 3_222),
            (500_000_000, 5_782),
            (1_000_000_000, 11_926),
        ] {
            assert_eq!(state_byte_price(gas_limit), price, "{gas_limit}");
        }
        assert!(state_byte_price(u64::MAX) < u64::MAX);
    }
}
