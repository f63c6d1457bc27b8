//! Uses what Cancun brought: transient storage (EIP-1153), `BLOBHASH` (EIP-4844), `BLOBBASEFEE` (EIP-7516).
//!
//! Storage: slot 0 mapping of block number → first blob hash of the last call in it, slot 1 the last sum.

use super::{mapping_slot, slot};
use crate::asm::*;
use alloy_primitives::{B256, Bytes, U256};

/// `Fees(uint256 indexed number, uint256 baseFee, uint256 blobBaseFee, bytes32 blobHash)`.
pub const FEES_EVENT: &str = "Fees(uint256,uint256,uint256,bytes32)";

/// The runtime code. `record(n)` fills n transient slots under a transient lock, adds them up and logs the
/// fees.
pub fn runtime() -> Bytes {
    let mut program = Program::new();
    program.dispatch();
    program.function("record(uint256)", |p| {
        p.require(is_zero(tload(0)), "locked");
        p.tstore(0, 1);
        let sum = p.local(0);
        p.repeat(&argument(0), |p, index| {
            p.tstore(add(index, 1), add(number(), index));
            p.set(&sum, add(&sum, tload(add(index, 1))));
        });
        p.sstore(1, sum);
        p.sstore(mapping(number(), 0), blob_hash(0));
        p.emit_event(FEES_EVENT, &[number()], &[base_fee(), blob_base_fee(), blob_hash(0)]);
        p.tstore(0, 0);
        p.stop();
    });
    program.revert();
    program.finish()
}

/// The slot of the blob hash recorded in block `number`.
pub fn blob_hash_slot(number: u64) -> B256 {
    mapping_slot(U256::from(number).into(), slot(0))
}
