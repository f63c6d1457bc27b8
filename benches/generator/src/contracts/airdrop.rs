//! Sends to many receivers in one transaction: its own tokens, or the ether that comes with the call.

use crate::asm::*;
use alloy_primitives::Bytes;

/// Sends `amount` of a token that this contract owns to each receiver.
pub const AIRDROP: &str = "airdrop(address,uint256,address[])";
/// Splits the ether of the call between the receivers.
pub const DISPERSE: &str = "disperse(address[])";

/// The runtime code.
pub fn runtime() -> Bytes {
    let mut program = Program::new();
    program.dispatch();
    program.function(AIRDROP, |p| {
        let list = p.local(add(argument(2), 4));
        let count = p.local(calldata_load(&list));
        p.repeat(&count, |p, index| {
            let receiver = calldata_load(add(add(&list, 32), shl(5, index)));
            p.call_function(argument(0), "transfer(address,uint256)", &[receiver, argument(1)]);
        });
        p.stop();
    });
    program.function(DISPERSE, |p| {
        let list = p.local(add(argument(0), 4));
        let count = p.local(calldata_load(&list));
        let share = p.local(div(call_value(), &count));
        p.repeat(&count, |p, index| {
            let receiver = calldata_load(add(add(&list, 32), shl(5, index)));
            p.require_forwarded(call(gas(), receiver, &share, 0, 0, 0, 0));
        });
        p.stop();
    });
    program.revert();
    program.finish()
}
