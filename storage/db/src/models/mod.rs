//! Types that exist only in the database: composite keys, accounts, branch nodes, chunks.

mod account;
mod block;
mod changes;
mod history;
mod index;
mod keys;
mod node;
mod trie;

pub use account::{Account, StorageEntry};
pub use block::{Receipt, StoredBody, Transaction};
pub use changes::{
    AccountChange, AccountChangeSet, ChangeChunks, StorageChange, StorageChangeSet, TraceAddress,
    TraceAddressSet,
};
pub use history::{HistoryChunk, HistoryChunkBuilder, MAX_CHUNK_BYTES, StoredChunk};
pub use index::{BlockSet, SHARD_BLOCKS};
pub use keys::{
    AccountHistoryKey, BlockChunkKey, BlockHashKey, IndexAddressKey, IndexTopicKey, StorageHistoryKey,
    TransactionHashPrefix, TxNumber,
};
pub use node::StageCheckpoint;
pub use trie::{BranchNode, Nibbles, StorageTrieKey};

/// The block number in the key of a key's last chunk or shard, which still grows.
pub const OPEN: u64 = u64::MAX;
