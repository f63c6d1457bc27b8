//! Loops that compute: a chain of hashes (result in slot 0), a chain of modular products (result in slot 1).

use crate::asm::*;
use alloy_primitives::{Bytes, U256};

/// 2^255 - 19.
pub const MODULUS: U256 = U256::from_limbs([u64::MAX - 18, u64::MAX, u64::MAX, u64::MAX >> 1]);

/// The runtime code.
pub fn runtime() -> Bytes {
    let mut program = Program::new();
    program.dispatch();
    program.function("hash(uint256,uint256)", |p| {
        p.mstore(0, argument(1));
        p.repeat(&argument(0), |p, _| p.mstore(0, keccak256(0, 32)));
        p.sstore(0, mload(0));
        p.stop();
    });
    program.function("multiply(uint256,uint256)", |p| {
        let product = p.local(argument(1));
        p.repeat(&argument(0), |p, index| {
            p.set(&product, add(mulmod(&product, &product, MODULUS), index));
        });
        p.sstore(1, product);
        p.stop();
    });
    program.revert();
    program.finish()
}
