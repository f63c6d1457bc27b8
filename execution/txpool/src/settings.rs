//! What the pool is told about its size and its prices.

use std::path::PathBuf;

/// Limits and prices. The defaults are go-ethereum's, as far as it has the same limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Least priority fee in wei of transactions that are not local.
    pub price_limit: u128,
    /// By how many percent both fees must rise in a replacement.
    pub price_bump: u64,
    /// The same for blob transactions, whose blob fee must rise as well.
    pub blob_price_bump: u64,
    /// Slots of 32 KiB that an account's executable transactions may take when others need room.
    pub account_slots: usize,
    /// Slots of 32 KiB for all executable transactions that are neither local nor blob transactions.
    pub global_slots: usize,
    /// Slots of 32 KiB for an account's transactions that wait for a nonce or for funds.
    pub account_queue: usize,
    /// Slots of 32 KiB for all transactions that wait for a nonce or for funds.
    pub global_queue: usize,
    /// Slots of 32 KiB for transactions of accounts that are protected as local.
    pub local_slots: usize,
    /// Bytes of memory for all transactions but blob transactions and local ones.
    pub bytes_max: usize,
    /// Bytes of memory for blob transactions with their sidecars.
    pub blob_bytes_max: usize,
    /// Blob transactions of one account.
    pub account_blob_transactions: usize,
    /// Seconds after which transactions that wait, of an account that sends no others, are dropped.
    pub lifetime_seconds: u64,
    /// Blocks for which what a block included is remembered, should it be taken back.
    pub kept_blocks: u64,
    /// Bytes of sidecars that are remembered so.
    pub kept_bytes_max: usize,
    /// Whether local transactions are treated as all others.
    pub no_locals: bool,
    /// Where local transactions are written down across restarts; `None` for nowhere.
    pub journal: Option<PathBuf>,
    /// Seconds after which the journal is written anew.
    pub rejournal_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            price_limit: 1,
            price_bump: 10,
            blob_price_bump: 100,
            account_slots: 16,
            global_slots: 4096 + 1024,
            account_queue: 64,
            global_queue: 1024,
            local_slots: 2048,
            bytes_max: 128 << 20,
            blob_bytes_max: 256 << 20,
            account_blob_transactions: 16,
            lifetime_seconds: 3 * 60 * 60,
            kept_blocks: 64,
            kept_bytes_max: 128 << 20,
            no_locals: false,
            journal: None,
            rejournal_seconds: 60 * 60,
        }
    }
}

/// Bytes of one slot.
pub const SLOT_BYTES: usize = 32 * 1024;

/// Largest transaction, as sent, that is not a blob transaction, in bytes.
pub const TRANSACTION_BYTES_MAX: usize = 4 * SLOT_BYTES;

/// Largest blob transaction, as sent with its sidecar, in bytes.
pub const BLOB_TRANSACTION_BYTES_MAX: usize = 1 << 20;

/// Most blobs of one transaction, as far as its fork does not allow fewer.
pub const TRANSACTION_BLOBS_MAX: usize = 6;
