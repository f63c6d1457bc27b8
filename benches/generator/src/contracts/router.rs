//! Swaps along a path of [pairs](super::pair), with Uniswap V2's selector.
//!
//! Storage: slot 0 mapping of token → token → pair, filled for both orders.

use super::{mapping_slot, slot};
use crate::asm::*;
use alloy_primitives::{Address, B256, Bytes};

/// The swap: amount in, least amount out, path, receiver, deadline.
pub const SWAP: &str = "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)";

/// The runtime code.
pub fn runtime() -> Bytes {
    let mut program = Program::new();
    program.dispatch();
    program.function(SWAP, swap);
    program.function("pairFor(address,address)", |p| p.return_words(&[pair_of(argument(0), argument(1))]));
    program.revert();
    program.finish()
}

fn swap(p: &mut Program) {
    p.require(at_most(timestamp(), argument(4)), "EXPIRED");
    let amount = p.local(argument(0));
    let path = p.local(add(argument(2), 4));
    let hops = p.local(sub(calldata_load(&path), 1));
    let input = p.local(path_item(&path, 0));
    let pair = p.local(pair_of(&input, path_item(&path, 1)));
    p.require(&pair, "NO_PAIR");
    p.call_function(
        &input,
        "transferFrom(address,address,uint256)",
        &[caller(), pair.clone(), amount.clone()],
    );
    p.repeat(&hops, |p, hop| {
        let output = p.local(path_item(&path, add(hop, 1)));
        let (next_pair, receiver) = (p.local(0), p.local(argument(3)));
        p.if_(lt(add(hop, 1), &hops), |p| {
            p.set(&next_pair, pair_of(&output, path_item(&path, add(hop, 2))));
            p.require(&next_pair, "NO_PAIR");
            p.set(&receiver, &next_pair);
        });
        swap_in_pair(p, &pair, lt(&input, &output), &amount, &receiver);
        p.set(&input, output);
        p.set(&pair, next_pair);
    });
    p.require(at_most(argument(1), &amount), "INSUFFICIENT_OUTPUT_AMOUNT");
    p.return_words(&[0x20.into(), 2.into(), argument(0), amount]);
}

/// Swaps `amount`, which the pair already has, and leaves in it what comes out.
fn swap_in_pair(p: &mut Program, pair: &Expr, is_forward: Expr, amount: &Expr, receiver: &Expr) {
    p.call_view(pair, "getReserves()", &[]);
    let (reserve_in, reserve_out) = (p.local(mload(BUFFER + 32)), p.local(mload(BUFFER)));
    p.if_(&is_forward, |p| {
        p.set(&reserve_in, mload(BUFFER));
        p.set(&reserve_out, mload(BUFFER + 32));
    });
    p.set(amount, mul(amount, 997));
    p.set(amount, div(mul(amount, &reserve_out), add(mul(&reserve_in, 1000), amount)));
    let outputs = [mul(is_zero(&is_forward), amount), mul(is_forward, amount)];
    let [out0, out1] = outputs;
    p.call_function(
        pair,
        "swap(uint256,uint256,address,bytes)",
        &[out0, out1, receiver.clone(), 0x80.into(), 0.into()],
    );
}

fn path_item(path: &Expr, index: impl Into<Expr>) -> Expr {
    calldata_load(add(add(path, 32), shl(5, index)))
}

fn pair_of(input: impl Into<Expr>, output: impl Into<Expr>) -> Expr {
    sload(mapping(output, mapping(input, 0)))
}

/// The slot that names the pair for swaps from `input` to `output`.
pub fn pair_slot(input: Address, output: Address) -> B256 {
    mapping_slot(output.into_word(), mapping_slot(input.into_word(), slot(0)))
}
