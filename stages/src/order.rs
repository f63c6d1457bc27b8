//! The order of the stages, forward and back.

use crate::StageId::{self, *};

/// Order in which blocks go through the stages.
pub const FORWARD: [StageId; 13] = [
    Headers,
    Bodies,
    Senders,
    Execution,
    AccountHashing,
    StorageHashing,
    Trie,
    History,
    LogIndex,
    CallTraceIndex,
    TxLookup,
    Prune,
    Finish,
];

/// The stages after which a block is known to be valid, and those that make it findable.
pub fn validating_and_indexing() -> (&'static [StageId], &'static [StageId]) {
    const VALIDATING: usize = 7;
    FORWARD.split_at(VALIDATING)
}

/// Order in which blocks are taken back. It is not quite the reverse: the trie is recomputed from the hashed state
/// as it was, so hashing goes first; and all that reads changes or receipts goes before execution deletes them.
pub const UNWIND: [StageId; 13] = [
    Finish,
    Prune,
    TxLookup,
    CallTraceIndex,
    LogIndex,
    History,
    StorageHashing,
    AccountHashing,
    Trie,
    Execution,
    Senders,
    Bodies,
    Headers,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_valid_when_its_state_root_was_compared() {
        let (validating, indexing) = validating_and_indexing();
        assert_eq!((validating.last(), indexing.first()), (Some(&Trie), Some(&History)));
    }

    #[test]
    fn both_orders_hold_every_stage_once() {
        let sorted = |mut order: [StageId; 13]| {
            order.sort();
            order
        };
        assert_eq!(sorted(FORWARD), sorted(UNWIND));
        assert!(sorted(FORWARD).windows(2).all(|pair| pair[0] != pair[1]));
    }
}
