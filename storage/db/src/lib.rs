//! The database: an MDBX environment, typed transactions and cursors, every table with its layout, the codecs of
//! what is stored, and sorted bulk loading.
//!
//! ```text
//!  Database ── begin_ro() ──> RoTxn ─┐
//!     │                              ├─ get / cursor::<T>()  typed by the table list in `tables.rs`
//!     └────── begin_rw() ──> RwTxn ──┘─ put / append / delete … commit()
//! ```
//! Both also exist on top of rows in memory ([`View`]): whoever reads and writes through them cannot tell. What such a
//! write transaction did is a [`Layer`], to be applied to the database later or to be dropped.
//!
//! This crate knows bytes, keys and rows. It does not know what a canonical chain, an unwound block or a state
//! root is: that is for `portico-chain`, `portico-state` and `portico-trie`, which are the only ones who name
//! tables.

pub mod codec;
mod cursor;
mod digest;
mod environment;
mod error;
pub mod etl;
mod layer;
mod live;
pub mod models;
mod schema;
mod table;
pub mod tables;
mod txn;

pub use cursor::{Cursor, Walk};
pub use digest::TableDigest;
pub use environment::{Database, DatabaseSettings, SyncMode, TableStats};
pub use error::{DbError, DecodeError};
pub use layer::{Layer, View};
pub use libmdbx::{RO, RW, TransactionKind};
pub use live::LiveDatabase;
pub use schema::schema_markdown;
pub use table::{DupSort, FixedKey, Key, Table, TableInfo, Value};
pub use txn::{RawRow, RoTxn, RwTxn, Txn};

/// Version of the tables and of every codec in them; any change to what is stored raises it.
pub const SCHEMA_VERSION: u32 = 2;
