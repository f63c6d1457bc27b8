//! Which blocks concern an address or a topic, and which transaction has a hash.
//!
//! ```text
//!  LogAddressIndex  LogTopicIndex  CallFromIndex  CallToIndex       subject ‖ last block → blocks
//!
//!    subject ‖ 1_730     512 blocks, the last one 1_730      closed: never touched by later blocks
//!    subject ‖ 2_901     512 blocks, the last one 2_901
//!    subject ‖ u64::MAX  1 to 512 blocks                     open: blocks are added here
//! ```
//! A full shard is closed only when the next block arrives, so that the shards of the first blocks never depend on
//! later ones: blocks that are cut off leave exactly what was there before they came. Pruning thins the first shard
//! of a subject and leaves the bounds of the others.
//!
//! Writing goes through a [`BlockCollector`], which takes (subject, block) pairs in the order of the chain and then
//! appends, cuts off or prunes; reading through a [`BlockStream`].

mod chunks;
mod collector;
mod lookup;
mod shards;
mod stream;

#[cfg(test)]
mod tests;

use std::hash::Hash;

use alloy_primitives::{Address, B256};
use portico_db::{
    Key, Table,
    models::{BlockSet, IndexAddressKey, IndexTopicKey},
};

pub use chunks::{TxChunk, decode_receipt, decode_transaction, iter_receipt_chunks, iter_tx_chunks};
pub use collector::BlockCollector;
pub use lookup::{LookupCollector, clear_lookup, prune_lookup};
pub use portico_db::tables::{CallFromIndex, CallToIndex, LogAddressIndex, LogTopicIndex};
pub use shards::{clear_index, cut_index_above, prune_index};
pub use stream::{
    BlockStream, blocks_with_call_from, blocks_with_call_to, blocks_with_log_address, blocks_with_log_topic,
};

/// One of the block indexes: its table and how the keys are built.
pub trait BlockIndex: Table<Value = BlockSet> {
    /// What is indexed: an address or a topic.
    type Subject: Key + Copy + Ord + Hash + Send + Sync;

    /// Key of the shard of `subject` whose last block is `last_block`; `u64::MAX` for the open one.
    fn shard_key(subject: &Self::Subject, last_block: u64) -> Self::Key;

    /// Subject and last block of a shard.
    fn key_parts(key: &Self::Key) -> (Self::Subject, u64);
}

macro_rules! block_index {
    ($($index:ident: $subject:ty => $key:ident, $field:ident;)+) => {$(
        impl BlockIndex for $index {
            type Subject = $subject;

            fn shard_key(subject: &$subject, last_block: u64) -> $key {
                $key { $field: *subject, last_block }
            }

            fn key_parts(key: &$key) -> ($subject, u64) {
                (key.$field, key.last_block)
            }
        }
    )+};
}

block_index! {
    LogAddressIndex: Address => IndexAddressKey, address;
    LogTopicIndex: B256 => IndexTopicKey, topic;
    CallFromIndex: Address => IndexAddressKey, address;
    CallToIndex: Address => IndexAddressKey, address;
}

/// Suffix of a subject's open shard.
const OPEN: u64 = u64::MAX;
