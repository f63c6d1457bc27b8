//! Net gas metering of storage writes as Constantinople had it (EIP-1283).
//!
//! The interpreter does not know Constantinople: mainnet removed this rule (EIP-1716) before it became active. Test
//! networks and chains that schedule Constantinople without Petersburg have blocks under it, so the rule is put on
//! top of Petersburg's.

use alloy_evm::{Database, EvmEnv, eth::EthEvmContext};
use revm::{
    bytecode::opcode,
    context_interface::{cfg::GasId, context::SStoreResult},
    handler::instructions::EthInstructions,
    interpreter::{
        Instruction, InstructionContext, InstructionExecResult, InstructionResult,
        instructions::host::sstore_with_gas_accounting, interpreter::EthInterpreter,
    },
};

const NO_CHANGE: u64 = 200;
const SET: u64 = 20_000;
const RESET: u64 = 5_000;
const CLEAR_REFUND: i64 = 15_000;

/// Charges every storage write what one without effect costs; the rest is charged by [`install`]'s instruction.
pub(crate) fn adjust(environment: &mut EvmEnv) {
    environment.cfg_env.gas_params.override_gas([(GasId::sstore_static(), NO_CHANGE)]);
}

/// Puts the storage write with net metering into the instruction table.
pub(crate) fn install<D: Database>(instructions: &mut EthInstructions<EthInterpreter, EthEvmContext<D>>) {
    instructions.instruction_table_mut()[opcode::SSTORE as usize] = Instruction::new(sstore::<D>);
}

fn sstore<D: Database>(
    context: InstructionContext<'_, EthEvmContext<D>, EthInterpreter>,
) -> InstructionExecResult {
    sstore_with_gas_accounting(context, |context, _, write| {
        let gas = &mut context.interpreter.gas;
        if !gas.record_regular_cost(cost(&write.data) - NO_CHANGE) {
            return Err(InstructionResult::OutOfGas);
        }
        gas.record_refund(refund(&write.data));
        Ok(())
    })
}

/// Gas of a write, by the original, present and new value of its slot.
fn cost(write: &SStoreResult) -> u64 {
    if write.new_value == write.present_value || write.original_value != write.present_value {
        NO_CHANGE
    } else if write.original_value.is_zero() {
        SET
    } else {
        RESET
    }
}

/// Gas that a write gives back, or takes back when it is negative.
fn refund(write: &SStoreResult) -> i64 {
    let (original, present, new) = (write.original_value, write.present_value, write.new_value);
    if new == present {
        return 0;
    }
    if original == present {
        return if !original.is_zero() && new.is_zero() { CLEAR_REFUND } else { 0 };
    }
    let mut refund = 0;
    if !original.is_zero() {
        if present.is_zero() {
            refund -= CLEAR_REFUND;
        } else if new.is_zero() {
            refund += CLEAR_REFUND;
        }
    }
    if original == new {
        refund += if original.is_zero() { SET - NO_CHANGE } else { RESET - NO_CHANGE } as i64;
    }
    refund
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;

    /// The test cases of EIP-1283: original value, values written, gas of the writes alone, refund.
    #[test]
    fn the_cases_of_the_eip() {
        let cases: [(u64, &[u64], u64, i64); 17] = [
            (0, &[0, 0], 400, 0),
            (0, &[0, 1], 20_200, 0),
            (0, &[1, 0], 20_200, 19_800),
            (0, &[1, 2], 20_200, 0),
            (0, &[1, 1], 20_200, 0),
            (1, &[0, 0], 5_200, 15_000),
            (1, &[0, 1], 5_200, 4_800),
            (1, &[0, 2], 5_200, 0),
            (1, &[2, 0], 5_200, 15_000),
            (1, &[2, 3], 5_200, 0),
            (1, &[2, 1], 5_200, 4_800),
            (1, &[2, 2], 5_200, 0),
            (1, &[1, 0], 5_200, 15_000),
            (1, &[1, 2], 5_200, 0),
            (1, &[1, 1], 400, 0),
            (0, &[1, 0, 1], 40_200, 19_800),
            (1, &[0, 1, 0], 10_200, 19_800),
        ];
        for (original, writes, gas, back) in cases {
            let mut present = original;
            let (mut used, mut refunded) = (0, 0);
            for new in writes {
                let write = SStoreResult {
                    original_value: U256::from(original),
                    present_value: U256::from(present),
                    new_value: U256::from(*new),
                };
                used += cost(&write);
                refunded += refund(&write);
                present = *new;
            }
            assert_eq!((used, refunded), (gas, back), "{original} then {writes:?}");
        }
    }
}
