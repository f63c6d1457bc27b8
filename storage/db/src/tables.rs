//! Every table: name, key, value, byte layout and an example. `docs/schema.md` is generated from this list.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, U256};

use crate::{
    DupSort, FixedKey, Table, TableInfo,
    models::{
        Account, AccountChangeSet, AccountHistoryKey, BlockChunkKey, BlockHashKey, BlockSet, BranchNode,
        IndexAddressKey, IndexTopicKey, Nibbles, Receipt, StageCheckpoint, StorageChangeSet, StorageEntry,
        StorageHistoryKey, StorageTrieKey, StoredBody, StoredChunk, TraceAddressSet, Transaction,
        TransactionHashPrefix, TxNumber,
    },
};

/// Declares the tables: a type each, and the list of them all.
macro_rules! tables {
    (@one $index:expr, $name:ident, $key:ty, $value:ty) => {
        impl Table for $name {
            const INDEX: usize = $index;
            const NAME: &'static str = stringify!($name);
            type Key = $key;
            type Value = $value;
        }
    };
    (@dup) => { false };
    (@dup $sub:ty) => { true };
    (@len) => { 0 };
    (@len $sub:ty) => { <$sub as FixedKey>::LEN };
    ($( [$group:literal] $( $(#[doc = $doc:literal])+ $name:ident : $key:ty => $value:ty $(, sorted by $sub:ty = $sub_of:expr)? ;)+ )+) => {
        #[derive(Clone, Copy)]
        enum Position { $($($name,)+)+ }

        $($(
            $(#[doc = $doc])+
            #[derive(Debug, Clone, Copy)]
            pub struct $name;

            tables!(@one Position::$name as usize, $name, $key, $value);

            $(
                impl DupSort for $name {
                    type SubKey = $sub;

                    fn sub_key(value: &$value) -> $sub {
                        let sub_of: fn(&$value) -> $sub = $sub_of;
                        sub_of(value)
                    }
                }
            )?
        )+)+

        /// All tables, in the order of their handles.
        pub const TABLES: &[TableInfo] = &[
            $($(TableInfo {
                name: stringify!($name),
                group: $group,
                dup_sort: tables!(@dup $($sub)?),
                sub_key_len: tables!(@len $($sub)?),
                types: (stringify!($key), stringify!($value)),
                doc: concat!($($doc, "\n"),+),
            },)+)+
        ];
    };
}

tables! {
    ["chain"]

    /// Hash of the canonical block at a number.
    /// key: block number, 8 bytes big-endian; value: 32 bytes.
    /// Example: `0000000000000000` → `d4e56740…8fa3` (mainnet's genesis).
    CanonicalHeaders: u64 => B256;

    /// Number of a canonical block or of one in `SideBlocks`.
    /// key: block hash, 32 bytes; value: big-endian without leading zeros.
    /// Example: `88e96d45…63d6` → `01`.
    HeaderNumbers: B256 => u64;

    /// Canonical headers.
    /// key: block number, 8 bytes big-endian; value: field mask, then the fields that are not at their usual value.
    /// Example: `0000000000000001` → about 180 bytes.
    Headers: u64 => Header;

    /// Sum of the difficulties from genesis to a canonical block.
    /// key: block number, 8 bytes big-endian; value: big-endian without leading zeros.
    /// Example: `0000000000000000` → `0400000000`.
    TotalDifficulties: u64 => U256;

    /// What else a canonical block holds: transaction numbers, ommers, withdrawals.
    /// key: block number, 8 bytes big-endian; value: first transaction number, count, head, ommers, withdrawals.
    /// Example: `000000000000b443` → `00 01 00` (block 46147: transaction 0, one of them).
    BlockBodies: u64 => StoredBody;

    /// Canonical transactions by running number over the chain.
    /// key: transaction number, 8 bytes big-endian; value: head, signature, fields without leading zeros, input compressed.
    /// Example: `0000000000000000` → 115 bytes.
    Transactions: u64 => Transaction;

    /// Senders, recovered from the signatures.
    /// key: transaction number, 8 bytes big-endian; value: 20 bytes.
    /// Example: `0000000000000000` → `a1e4380a…89d4`.
    TransactionSenders: u64 => Address;

    /// Receipts, without blooms.
    /// key: transaction number, 8 bytes big-endian; value: head, cumulative gas, logs.
    /// Example: `0000000000000000` → `08 88a401 00` (success, 21000 gas, no logs).
    Receipts: u64 => Receipt;

    /// State roots after single transactions, to which receipts before Byzantium commit.
    /// key: transaction number, 8 bytes big-endian; value: 32 bytes.
    /// Example: `0000000000000000` → `96a8e009…94f` (mainnet's first transaction).
    ReceiptStateRoots: u64 => B256;

    /// Transactions by hash.
    /// key: first 8 bytes of the hash; value: transaction numbers, 6 bytes big-endian, sorted duplicates (a reader
    /// compares the whole hash with that of the transaction).
    /// Example: `5c504ed432cb5113` → `000000000000`.
    TransactionLookup: TransactionHashPrefix => TxNumber, sorted by TxNumber = |value| *value;

    /// Blocks of forks that lost.
    /// key: number 8 ‖ hash 32; value: RLP of the block.
    /// Example: `00000000000000ff‖9c2d…` → `f9…`.
    SideBlocks: BlockHashKey => Vec<u8>;

    /// Block access lists (EIP-7928) of canonical blocks.
    /// key: block number, 8 bytes big-endian; value: RLP of the list.
    /// Example: `0000000000000001` → `c0` (empty).
    BlockAccessLists: u64 => Vec<u8>;

    ["plain state"]

    /// Accounts of the newest executed state.
    /// key: address, 20 bytes; value: head, nonce varint, balance without leading zeros, code hash.
    /// Example: `00…dead` → `01 05` (5 wei).
    PlainAccounts: Address => Account;

    /// Storage of the newest executed state; zero slots have no row.
    /// key: address, 20 bytes; value: slot 32 ‖ value without leading zeros, sorted duplicates.
    /// Example: `a0b8…eb48` → `00…01 ‖ 2a`.
    PlainStorage: Address => StorageEntry, sorted by B256 = |value| value.slot;

    /// Contract code. Rows stay when no account refers to them any more.
    /// key: keccak of the code, 32 bytes; value: the code.
    /// Example: `bb8f…` → `6080604052…`.
    Bytecodes: B256 => Vec<u8>;

    ["hashed state"]

    /// `PlainAccounts` with hashed keys, the leaves of the state trie.
    /// key: keccak(address), 32 bytes; value: as in `PlainAccounts`.
    /// Example: `5380c7b7…` → `01 05`.
    HashedAccounts: B256 => Account;

    /// `PlainStorage` with hashed keys, the leaves of the storage tries.
    /// key: keccak(address), 32 bytes; value: keccak(slot) 32 ‖ value without leading zeros, sorted duplicates.
    /// Example: `5380c7b7…` → `290decd9… ‖ 2a`.
    HashedStorage: B256 => StorageEntry, sorted by B256 = |value| value.slot;

    ["trie"]

    /// Branch nodes of the state trie that have a branch below them.
    /// key: path, one byte per nibble, at most 64; value: three masks, 2 bytes each, then the hashes.
    /// Example: `0a 03` → `ffff 0000 0010 ‖ hash`.
    AccountsTrie: Nibbles => BranchNode;

    /// Branch nodes of the storage tries.
    /// key: keccak(address) 32 ‖ path, one byte per nibble; value: as in `AccountsTrie`.
    /// Example: `5380c7b7… ‖ 0a` → `ffff 0000 0010 ‖ hash`.
    StoragesTrie: StorageTrieKey => BranchNode;

    ["changes"]

    /// Accounts before each block that changed them, as far back as unwinding needs.
    /// key: block number 8 ‖ position of the row 8; value: columns of addresses, lengths, accounts before.
    /// Example: `…01‖…00` → `01 ‖ address ‖ 00` (one account, which did not exist).
    AccountChanges: BlockChunkKey => AccountChangeSet;

    /// Storage slots before each block that changed them, as far back as unwinding needs.
    /// key: block number 8 ‖ position of the row 8; value: per account its slots, lengths, values before.
    /// Example: `…01‖…00` → `address ‖ 01 ‖ 01 03 ‖ 01 ‖ 07` (slot 3 was 7).
    StorageChanges: BlockChunkKey => StorageChangeSet;

    /// Addresses that took part in a block's calls, as far back as unwinding needs.
    /// key: block number 8 ‖ position of the row 8; value: columns of addresses and flags (1 from, 2 to).
    /// Example: `…01‖…00` → `01 ‖ address ‖ 03`.
    CallTraces: BlockChunkKey => TraceAddressSet;

    ["history"]

    /// Accounts before each block that changed them, by account.
    /// key: address 20 ‖ last block of the chunk 8 (`ff…` for the open one); value: columns of blocks, lengths, accounts before.
    /// Example: `address‖ff…` → `01 05 00` (did not exist before block 5).
    AccountHistory: AccountHistoryKey => StoredChunk;

    /// Storage slots before each block that changed them, by slot.
    /// key: address 20 ‖ slot 32 ‖ last block of the chunk 8 (`ff…` for the open one); value: columns of blocks, lengths, values before.
    /// Example: `address‖slot‖ff…` → `02 05 04 00 01 2a` (zero before block 5, 0x2a before block 9).
    StorageHistory: StorageHistoryKey => StoredChunk;

    ["indexes"]

    /// Blocks in which an address logged.
    /// key: address 20 ‖ last block of the shard 8 (`ff…` for the open one); value: block numbers.
    /// Example: `address‖ff…` → `00 05 04` (blocks 5 and 9).
    LogAddressIndex: IndexAddressKey => BlockSet;

    /// Blocks in which a log has a topic, at whatever position.
    /// key: topic 32 ‖ last block of the shard 8 (`ff…` for the open one); value: block numbers.
    /// Example: `ddf252ad…‖ff…` → `00 05 04`.
    LogTopicIndex: IndexTopicKey => BlockSet;

    /// Blocks in which an address called, created or destroyed itself.
    /// key: address 20 ‖ last block of the shard 8 (`ff…` for the open one); value: block numbers.
    /// Example: `address‖ff…` → `00 05 04`.
    CallFromIndex: IndexAddressKey => BlockSet;

    /// Blocks in which an address was called, created, or received a reward or a destroyed contract's balance.
    /// key: address 20 ‖ last block of the shard 8 (`ff…` for the open one); value: block numbers.
    /// Example: `address‖ff…` → `00 05 04`.
    CallToIndex: IndexAddressKey => BlockSet;

    ["node"]

    /// How far each stage got, committed with what it wrote.
    /// key: stage name; value: block number, 8 bytes big-endian.
    /// Example: `Execution` → `0000000000001fff`.
    StageCheckpoints: String => StageCheckpoint;

    /// How far each stage's data has been pruned.
    /// key: stage name; value: block number, 8 bytes big-endian.
    /// Example: `History` → `0000000000001000`.
    PruneCheckpoints: String => StageCheckpoint;

    /// Facts about the database: schema version, chain id, genesis hash, settings, versions that wrote here.
    /// key: name; value: bytes as the name asks for.
    /// Example: `schema_version` → `00000001`.
    Metadata: String => Vec<u8>;
}
