//! The code that accounts delegate to (EIP-7702): runs a batch of calls in the account's own name.

use crate::asm::*;
use alloy_primitives::Bytes;

/// The batch: receiver, value and call data of each call.
pub const EXECUTE: &str = "execute((address,uint256,bytes)[])";

/// The runtime code. Ether without call data is accepted; only the account itself may run a batch.
pub fn runtime() -> Bytes {
    let mut program = Program::new();
    program.if_(is_zero(calldata_size()), Program::stop);
    program.dispatch();
    program.function(EXECUTE, |p| {
        p.require(eq(caller(), this()), "only the account itself");
        let list = p.local(add(argument(0), 4));
        let count = p.local(calldata_load(&list));
        p.set(&list, add(&list, 32));
        p.repeat(&count, |p, index| {
            let item = p.local(add(&list, calldata_load(add(&list, shl(5, index)))));
            let data = p.local(add(&item, calldata_load(add(&item, 64))));
            let length = p.local(calldata_load(&data));
            p.calldata_copy(BUFFER, add(&data, 32), &length);
            let (to, value) = (calldata_load(&item), calldata_load(add(&item, 32)));
            p.require_forwarded(call(gas(), to, value, BUFFER, length, 0, 0));
        });
        p.stop();
    });
    program.revert();
    program.finish()
}
