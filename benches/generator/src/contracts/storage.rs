//! Loops over storage: writes, clears or reads a range of slots.

use crate::asm::*;
use alloy_primitives::{Bytes, U256};

/// The runtime code.
pub fn runtime() -> Bytes {
    let mut program = Program::new();
    program.dispatch();
    program.function("write(uint256,uint256,uint256)", |p| {
        p.repeat(&argument(1), |p, index| {
            p.sstore(add(argument(0), index), or(mul(argument(2), add(index, 1)), 1));
        });
        p.stop();
    });
    program.function("clear(uint256,uint256)", |p| {
        p.repeat(&argument(1), |p, index| p.sstore(add(argument(0), index), 0));
        p.stop();
    });
    program.function("sum(uint256,uint256)", |p| {
        let sum = p.local(0);
        p.repeat(&argument(1), |p, index| {
            p.set(&sum, add(&sum, sload(add(argument(0), index))));
        });
        p.return_words(&[sum]);
    });
    program.revert();
    program.finish()
}

/// What `write` stores in the `index`-th slot of its range.
pub fn written_value(seed: U256, index: u64) -> U256 {
    seed.wrapping_mul(U256::from(index + 1)) | U256::ONE
}
