//! A proxy that runs another contract's code on its own storage (EIP-1967).

use super::{constructor_argument, init_code};
use crate::asm::*;
use alloy_primitives::{Address, B256, Bytes, b256};

/// Where the implementation's address is: keccak256("eip1967.proxy.implementation") - 1.
pub const IMPLEMENTATION_SLOT: B256 =
    b256!("0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");

/// The runtime code.
pub fn runtime() -> Bytes {
    let mut program = Program::new();
    program.calldata_copy(0, 0, calldata_size());
    let end = program.assembler().label();
    program.assembler().push(delegate_call(gas(), sload(IMPLEMENTATION_SLOT), 0, calldata_size(), 0, 0));
    program.return_data_copy(0);
    program.assembler().jump_if(end).push(return_data_size()).push(0).op(op::REVERT);
    program.assembler().place(end);
    program.return_memory(0, return_data_size());
    program.finish()
}

/// Init code with its argument, the implementation.
pub fn init(implementation: Address) -> Bytes {
    let code = init_code(&runtime(), |p| {
        let implementation = constructor_argument(p, 0, 1);
        p.sstore(IMPLEMENTATION_SLOT, implementation);
    });
    [&code[..], implementation.into_word().as_slice()].concat().into()
}
