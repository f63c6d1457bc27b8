//! An ERC-20 token.
//!
//! Storage: slot 0 balances (owner → amount), slot 1 allowances (owner → spender → amount), slot 2 total
//! supply.

use super::{constructor_argument, init_code, mapping_slot, slot};
use crate::asm::*;
use alloy_primitives::{Address, B256, Bytes, U256};

/// `Transfer(address indexed from, address indexed to, uint256 amount)`.
pub const TRANSFER_EVENT: &str = "Transfer(address,address,uint256)";
/// `Approval(address indexed owner, address indexed spender, uint256 amount)`.
pub const APPROVAL_EVENT: &str = "Approval(address,address,uint256)";

const BALANCES: u64 = 0;
const ALLOWANCES: u64 = 1;
const TOTAL_SUPPLY: u64 = 2;

/// The runtime code.
pub fn runtime() -> Bytes {
    let mut program = Program::new();
    program.dispatch();
    program.function("transfer(address,uint256)", |p| {
        move_tokens(p, caller(), argument(0), argument(1));
        p.return_words(&[1.into()]);
    });
    program.function("transferFrom(address,address,uint256)", |p| {
        spend_allowance(p, argument(0), argument(2));
        move_tokens(p, argument(0), argument(1), argument(2));
        p.return_words(&[1.into()]);
    });
    program.function("approve(address,uint256)", |p| {
        p.sstore(mapping(argument(0), mapping(caller(), ALLOWANCES)), argument(1));
        p.emit_event(APPROVAL_EVENT, &[caller(), argument(0)], &[argument(1)]);
        p.return_words(&[1.into()]);
    });
    program.function("balanceOf(address)", |p| p.return_words(&[sload(mapping(argument(0), BALANCES))]));
    program.function("allowance(address,address)", |p| {
        p.return_words(&[sload(mapping(argument(1), mapping(argument(0), ALLOWANCES)))]);
    });
    program.function("totalSupply()", |p| p.return_words(&[sload(TOTAL_SUPPLY)]));
    program.function("decimals()", |p| p.return_words(&[18.into()]));
    program.revert();
    program.finish()
}

/// Init code with its arguments: mints `supply` to the creator.
pub fn init(supply: U256) -> Bytes {
    let code = init_code(&runtime(), |p| {
        let supply = constructor_argument(p, 0, 1);
        p.sstore(TOTAL_SUPPLY, &supply);
        p.sstore(mapping(caller(), BALANCES), &supply);
        p.emit_event(TRANSFER_EVENT, &[0.into(), caller()], &[supply]);
    });
    [&code[..], &supply.to_be_bytes::<32>()].concat().into()
}

/// Takes `amount` off what the caller may spend of `owner`'s tokens; an unlimited allowance stays.
fn spend_allowance(p: &mut Program, owner: Expr, amount: Expr) {
    let slot = p.local(mapping(caller(), mapping(owner, ALLOWANCES)));
    let allowed = p.local(sload(&slot));
    p.require(at_most(&amount, &allowed), "insufficient allowance");
    p.if_(lt(&allowed, U256::MAX), |p| p.sstore(&slot, sub(&allowed, &amount)));
}

fn move_tokens(p: &mut Program, from: Expr, to: Expr, amount: Expr) {
    p.require(&to, "transfer to the zero address");
    let slot = p.local(mapping(&from, BALANCES));
    let balance = p.local(sload(&slot));
    p.require(at_most(&amount, &balance), "transfer amount exceeds balance");
    p.sstore(&slot, sub(&balance, &amount));
    p.set(&slot, mapping(&to, BALANCES));
    p.sstore(&slot, add(sload(&slot), &amount));
    p.emit_event(TRANSFER_EVENT, &[from, to], &[amount]);
}

/// The slot of `owner`'s balance.
pub fn balance_slot(owner: Address) -> B256 {
    mapping_slot(owner.into_word(), slot(BALANCES as u8))
}

/// The slot of what `spender` may take from `owner`.
pub fn allowance_slot(owner: Address, spender: Address) -> B256 {
    mapping_slot(spender.into_word(), mapping_slot(owner.into_word(), slot(ALLOWANCES as u8)))
}

/// The slot of the total supply.
pub const TOTAL_SUPPLY_SLOT: B256 = slot(TOTAL_SUPPLY as u8);
