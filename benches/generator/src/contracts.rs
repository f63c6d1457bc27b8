//! The contracts of generated chains, written with [`crate::asm`].
//!
//! Each module gives the runtime code, the init code where transactions deploy it, and the storage slots that
//! the genesis allocation fills. Layouts, selectors and events are those of the contracts that mainnet is
//! full of, so that tries, logs and traces look alike.

pub mod account;
pub mod airdrop;
pub mod compute;
pub mod deposit;
pub mod erc20;
pub mod factory;
pub mod nft;
pub mod pair;
pub mod proxy;
pub mod router;
pub mod storage;
pub mod transient;

#[cfg(test)]
mod tests;

use crate::asm::{BUFFER, Expr, Program, code_size, mload, sub};
use alloy_primitives::{B256, Bytes, U256, keccak256};

/// The largest Solidity integer: an allowance that is never used up.
pub const UNLIMITED: U256 = U256::MAX;

/// Init code that runs `constructor` and then returns `runtime`.
///
/// Constructor arguments are appended to it, one word each.
pub fn init_code(runtime: &[u8], constructor: impl FnOnce(&mut Program)) -> Bytes {
    let mut program = Program::new();
    constructor(&mut program);
    let start = program.assembler().label();
    let length = runtime.len() as u64;
    program.code_copy(0, Expr::Position(start), length);
    program.return_memory(0, length);
    program.assembler().place_data(start).data(runtime);
    program.finish()
}

/// Reads constructor argument `index` of `count` from the end of the code.
pub(crate) fn constructor_argument(program: &mut Program, index: u64, count: u64) -> Expr {
    program.code_copy(BUFFER, sub(code_size(), 32 * (count - index)), 32);
    program.local(mload(BUFFER))
}

/// The storage slot of `key` in the mapping at `slot`, as Solidity lays it out.
pub fn mapping_slot(key: B256, slot: B256) -> B256 {
    let mut preimage = [0; 64];
    preimage[..32].copy_from_slice(key.as_slice());
    preimage[32..].copy_from_slice(slot.as_slice());
    keccak256(preimage)
}

/// A slot number as a storage key.
pub(crate) const fn slot(number: u8) -> B256 {
    B256::with_last_byte(number)
}
