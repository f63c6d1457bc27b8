//! A collection of numbered tokens (ERC-721 without approvals) that anyone may mint.
//!
//! Storage: slot 2 owners (id → owner), slot 3 balances (owner → count), slot 6 the number of tokens minted.
//! Ids start at 1.

use super::{mapping_slot, slot};
use crate::asm::*;
use alloy_primitives::{B256, Bytes, U256};

/// The most tokens that one call mints.
pub const MINT_LIMIT: u64 = 20;

const OWNERS: u64 = 2;
const BALANCES: u64 = 3;
const MINTED: u64 = 6;

/// The runtime code.
pub fn runtime() -> Bytes {
    let mut program = Program::new();
    program.dispatch();
    program.function("mint(uint256)", mint);
    program.function("transferFrom(address,address,uint256)", transfer);
    program.function("ownerOf(uint256)", |p| p.return_words(&[sload(mapping(argument(0), OWNERS))]));
    program.function("balanceOf(address)", |p| p.return_words(&[sload(mapping(argument(0), BALANCES))]));
    program.function("totalSupply()", |p| p.return_words(&[sload(MINTED)]));
    program.revert();
    program.finish()
}

fn mint(p: &mut Program) {
    let count = argument(0);
    p.require(and(gt(&count, 0), at_most(&count, MINT_LIMIT)), "mint limit exceeded");
    let id = p.local(sload(MINTED));
    let last = p.local(add(&id, &count));
    p.while_(lt(&id, &last), |p| {
        p.set(&id, add(&id, 1));
        p.sstore(mapping(&id, OWNERS), caller());
        p.emit_event(super::erc20::TRANSFER_EVENT, &[0.into(), caller(), id.clone()], &[]);
    });
    p.sstore(MINTED, last);
    let balance = p.local(mapping(caller(), BALANCES));
    p.sstore(&balance, add(sload(&balance), count));
    p.stop();
}

fn transfer(p: &mut Program) {
    let (from, to, id) = (argument(0), argument(1), argument(2));
    let owner = p.local(mapping(&id, OWNERS));
    p.require(eq(sload(&owner), &from), "not the owner");
    p.require(eq(caller(), &from), "caller is not the owner");
    p.require(&to, "transfer to the zero address");
    p.sstore(owner, &to);
    let balance = p.local(mapping(&from, BALANCES));
    p.sstore(&balance, sub(sload(&balance), 1));
    p.set(&balance, mapping(&to, BALANCES));
    p.sstore(&balance, add(sload(&balance), 1));
    p.emit_event(super::erc20::TRANSFER_EVENT, &[from, to, id], &[]);
    p.stop();
}

/// The slot of the owner of token `id`.
pub fn owner_slot(id: u64) -> B256 {
    mapping_slot(U256::from(id).into(), slot(OWNERS as u8))
}
