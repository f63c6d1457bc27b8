//! A factory of small children, made with `CREATE` or `CREATE2`, that can destroy themselves.
//!
//! A child keeps its maker in slot 0, its birth block in slot 1 and what it is poked with from slot 2 on.
//! Destroying it removes it before Cancun; from Cancun on only in the transaction that made it (EIP-6780),
//! else it keeps code and storage and loses its balance alone. Either way a destroyed address can be made
//! again from the same salt.

use super::init_code;
use crate::asm::*;
use alloy_primitives::{B256, Bytes, keccak256};

/// `Created(address indexed child, address indexed creator)`.
pub const CREATED_EVENT: &str = "Created(address,address)";

/// Init code of a child, without arguments.
pub fn child_init() -> Bytes {
    init_code(&child_runtime(), |p| {
        p.sstore(0, caller());
        p.sstore(1, number());
    })
}

/// Hash of [`child_init`], which `CREATE2` addresses depend on.
pub fn child_init_hash() -> B256 {
    keccak256(child_init())
}

/// Runtime code of a child.
pub fn child_runtime() -> Bytes {
    let mut program = Program::new();
    program.if_(is_zero(calldata_size()), Program::stop);
    program.dispatch();
    program.function("poke(uint256)", |p| {
        p.repeat(&argument(0), |p, index| p.sstore(add(index, 2), add(add(number(), index), 1)));
        p.stop();
    });
    program.function("destroy(address)", |p| p.self_destruct(argument(0)));
    program.revert();
    program.finish()
}

/// The runtime code of the factory.
pub fn runtime() -> Bytes {
    let mut program = Program::new();
    let child = program.assembler().label();
    let init = child_init();
    let length = init.len() as u64;
    program.dispatch();
    program.function("create()", |p| {
        p.code_copy(BUFFER, Expr::Position(child), length);
        let address = announce(p, create(call_value(), BUFFER, length));
        p.return_words(&[address]);
    });
    program.function("create2(bytes32)", |p| {
        p.code_copy(BUFFER, Expr::Position(child), length);
        let address = announce(p, create2(call_value(), BUFFER, length, argument(0)));
        p.return_words(&[address]);
    });
    program.function("createAndDestroy(bytes32,uint256,address)", |p| {
        p.code_copy(BUFFER, Expr::Position(child), length);
        let address = announce(p, create2(call_value(), BUFFER, length, argument(0)));
        p.call_function(&address, "poke(uint256)", &[argument(1)]);
        p.call_function(&address, "destroy(address)", &[argument(2)]);
        p.return_words(&[address]);
    });
    program.revert();
    program.assembler().place_data(child).data(&init);
    program.finish()
}

/// Runs the creation, insists that it worked, and logs it.
fn announce(p: &mut Program, creation: Expr) -> Expr {
    let address = p.local(creation);
    p.require(&address, "creation failed");
    p.emit_event(CREATED_EVENT, &[address.clone(), caller()], &[]);
    address
}
