//! A constant-product pair of two tokens, after Uniswap V2.
//!
//! Storage: slot 6 `token0`, slot 7 `token1`, slot 8 reserves (`reserve0` in the low 112 bits, `reserve1` in
//! the next 112, time of the last change in the top 32), slots 9 and 10 cumulative prices, slot 12 the lock
//! (1 = free). `token0 < token1`. Who swaps has sent the input before the call; the fee is 0.3 %.

use super::slot;
use crate::asm::*;
use alloy_primitives::{Address, B256, Bytes, U256};

/// `Swap(sender, amount0In, amount1In, amount0Out, amount1Out, to)`.
pub const SWAP_EVENT: &str = "Swap(address,uint256,uint256,uint256,uint256,address)";
/// `Sync(reserve0, reserve1)`.
pub const SYNC_EVENT: &str = "Sync(uint112,uint112)";

const TOKEN0: u64 = 6;
const TOKEN1: u64 = 7;
const RESERVES: u64 = 8;
const PRICE0: u64 = 9;
const PRICE1: u64 = 10;
const LOCK: u64 = 12;

/// The runtime code.
pub fn runtime() -> Bytes {
    let mut program = Program::new();
    program.dispatch();
    program.function("swap(uint256,uint256,address,bytes)", swap);
    program.function("getReserves()", |p| {
        let packed = p.local(sload(RESERVES));
        p.return_words(&[low_112(&packed), low_112(shr(112, &packed)), shr(224, &packed)]);
    });
    program.function("token0()", |p| p.return_words(&[sload(TOKEN0)]));
    program.function("token1()", |p| p.return_words(&[sload(TOKEN1)]));
    program.revert();
    program.finish()
}

fn swap(p: &mut Program) {
    let (out0, out1, to) = (argument(0), argument(1), argument(2));
    p.require(sload(LOCK), "LOCKED");
    p.sstore(LOCK, 0);
    let packed = p.local(sload(RESERVES));
    let reserve0 = p.local(low_112(&packed));
    let reserve1 = p.local(low_112(shr(112, &packed)));
    p.require(or(&out0, &out1), "INSUFFICIENT_OUTPUT_AMOUNT");
    p.require(and(lt(&out0, &reserve0), lt(&out1, &reserve1)), "INSUFFICIENT_LIQUIDITY");

    let balance0 = pay_out_and_read_balance(p, TOKEN0, &out0, &to);
    let balance1 = pay_out_and_read_balance(p, TOKEN1, &out1, &to);
    let in0 = excess(p, &balance0, sub(&reserve0, &out0));
    let in1 = excess(p, &balance1, sub(&reserve1, &out1));
    p.require(or(&in0, &in1), "INSUFFICIENT_INPUT_AMOUNT");
    let adjusted = mul(less_fee(&balance0, &in0), less_fee(&balance1, &in1));
    p.require(at_most(mul(mul(&reserve0, &reserve1), 1_000_000), adjusted), "K");

    accumulate_prices(p, &packed, &reserve0, &reserve1);
    let now = shl(224, timestamp());
    p.sstore(RESERVES, or(or(&balance0, shl(112, &balance1)), now));
    p.emit_event(SYNC_EVENT, &[], &[balance0, balance1]);
    p.emit_event(SWAP_EVENT, &[caller(), to], &[in0, in1, out0, out1]);
    p.sstore(LOCK, 1);
    p.stop();
}

/// Sends `amount` of the token in `token_slot` to `to` and returns what the pair has left of it.
fn pay_out_and_read_balance(p: &mut Program, token_slot: u64, amount: &Expr, to: &Expr) -> Expr {
    let token = p.local(sload(token_slot));
    p.if_(amount, |p| p.call_function(&token, "transfer(address,uint256)", &[to.clone(), amount.clone()]));
    p.call_view(&token, "balanceOf(address)", &[this()]);
    p.local(mload(BUFFER))
}

/// `a - b`, or 0 if that is negative.
fn excess(p: &mut Program, a: &Expr, b: Expr) -> Expr {
    let difference = p.local(0);
    p.if_(gt(a, &b), |p| p.set(&difference, sub(a, b)));
    difference
}

/// A thousandfold balance less three thousandths of what came in.
fn less_fee(balance: &Expr, amount_in: &Expr) -> Expr {
    sub(mul(balance, 1000), mul(amount_in, 3))
}

/// Adds price × seconds to the cumulative prices, as fixed-point numbers with 112 fractional bits.
fn accumulate_prices(p: &mut Program, packed: &Expr, reserve0: &Expr, reserve1: &Expr) {
    let elapsed = p.local(sub(timestamp(), shr(224, packed)));
    p.if_(&elapsed, |p| {
        p.sstore(PRICE0, add(sload(PRICE0), mul(div(shl(112, reserve1), reserve0), &elapsed)));
        p.sstore(PRICE1, add(sload(PRICE1), mul(div(shl(112, reserve0), reserve1), &elapsed)));
    });
}

fn low_112(word: impl Into<Expr>) -> Expr {
    and(word, (U256::ONE << 112) - U256::ONE)
}

/// What a swap of `amount_in` pays out at these reserves.
pub fn amount_out(amount_in: u128, reserve_in: u128, reserve_out: u128) -> u128 {
    let with_fee = U256::from(amount_in) * U256::from(997);
    let out = with_fee * U256::from(reserve_out) / (U256::from(reserve_in) * U256::from(1000) + with_fee);
    out.saturating_to()
}

/// The storage of a pair with these reserves that was last used at `timestamp`.
pub fn storage(
    tokens: [Address; 2],
    reserves: [u128; 2],
    timestamp: u64,
) -> impl Iterator<Item = (B256, B256)> {
    let packed: U256 =
        U256::from(reserves[0]) | U256::from(reserves[1]) << 112 | U256::from(timestamp as u32) << 224;
    [
        (slot(TOKEN0 as u8), tokens[0].into_word()),
        (slot(TOKEN1 as u8), tokens[1].into_word()),
        (slot(RESERVES as u8), packed.into()),
        (slot(LOCK as u8), B256::with_last_byte(1)),
    ]
    .into_iter()
}
