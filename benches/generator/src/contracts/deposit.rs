//! A deposit contract: logs what the real one does, in the same layout, so that blocks carry deposit requests
//! (EIP-6110). It does not keep the deposit tree.
//!
//! Storage: slot 0 the number of deposits.

use crate::asm::*;
use alloy_primitives::{Bytes, U256};

/// Public key (48 bytes), withdrawal credentials (32), signature (96), data root.
pub const DEPOSIT: &str = "deposit(bytes,bytes,bytes,bytes32)";
/// Public key, withdrawal credentials, amount in gwei, signature, index; numbers in 8 little-endian bytes.
pub const DEPOSIT_EVENT: &str = "DepositEvent(bytes,bytes,bytes,bytes,bytes)";

const GWEI: u64 = 1_000_000_000;

/// The runtime code.
pub fn runtime() -> Bytes {
    let mut program = Program::new();
    program.dispatch();
    program.function(DEPOSIT, |p| {
        p.require(at_most(U256::from(GWEI) * U256::from(GWEI), call_value()), "deposit value too low");
        let index = p.local(sload(0));
        for (word, at) in [0xa0, 0x100, 0x140, 0x180, 0x200].into_iter().zip((BUFFER..).step_by(32)) {
            p.mstore(at, word);
        }
        copy_bytes(p, 0, 0xa0, 48);
        copy_bytes(p, 1, 0x100, 32);
        write_little_endian(p, 0x140, div(call_value(), GWEI));
        copy_bytes(p, 2, 0x180, 96);
        write_little_endian(p, 0x200, index.clone());
        p.log(DEPOSIT_EVENT, &[], 0x240);
        p.sstore(0, add(index, 1));
        p.stop();
    });
    program.revert();
    program.finish()
}

/// Copies the `argument`-th argument, `length` bytes long, to `offset` in the log data.
fn copy_bytes(p: &mut Program, argument_index: u64, offset: u64, length: u64) {
    p.mstore(BUFFER + offset, length);
    p.calldata_copy(BUFFER + offset + 32, add(argument(argument_index), 4 + 32), length);
}

/// Writes `number` as a string of 8 little-endian bytes at `offset` in the log data.
fn write_little_endian(p: &mut Program, offset: u64, number: Expr) {
    let number = p.local(number);
    let bytes = (0..8u64).map(|index| shl(248 - 8 * index, and(shr(8 * index, &number), 0xff)));
    let word = bytes.reduce(or).expect("there are eight bytes");
    p.mstore(BUFFER + offset, 8);
    p.mstore(BUFFER + offset + 32, word);
}
