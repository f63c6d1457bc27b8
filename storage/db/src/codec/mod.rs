//! How values become bytes: integers, lists, headers, transactions, receipts, compression.
//!
//! Keys are big-endian so that bytes sort as numbers do. Values are dense: leading zeros are trimmed, common
//! values are a bit in a flag field, calldata and logs are compressed when that makes them smaller.

pub mod bytes;
pub mod compress;
mod header;
pub(crate) mod keys;
mod receipt;
mod transaction;

pub use bytes::{Reader, put_bytes, put_trimmed, put_varint};
