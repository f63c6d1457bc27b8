//! Rows of the database: keys and values of every table.

use std::hint::black_box;

use portico_db::{
    Key, Table, Value,
    models::{HistoryChunk, HistoryChunkBuilder},
    tables::*,
};

/// What decodes encodes to something that decodes to the same again.
fn value<V: Value>(bytes: &[u8]) {
    let Ok(decoded) = V::decode(bytes) else { return };
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    decoded.encode(&mut once);
    let again = V::decode(&once).unwrap_or_else(|error| panic!("what was encoded does not decode: {error}"));
    again.encode(&mut twice);
    assert_eq!(once, twice, "encoding is not stable");
}

fn key<K: Key>(bytes: &[u8]) {
    if let Ok(decoded) = K::decode(bytes) {
        assert_eq!(decoded.encode().as_ref(), bytes, "a key has one form");
    }
}

fn of_table<T: Table>(is_key: bool, bytes: &[u8]) {
    if is_key { key::<T::Key>(bytes) } else { value::<T::Value>(bytes) }
}

macro_rules! decoders {
    ($($table:ident)+) => {
        const DECODERS: &[fn(bool, &[u8])] = &[$(of_table::<$table>),+];
        const INDEXES: &[usize] = &[$($table::INDEX),+];
    };
}

decoders! {
    CanonicalHeaders HeaderNumbers Headers TotalDifficulties BlockBodies Transactions TransactionSenders Receipts
    ReceiptStateRoots TransactionLookup SideBlocks BlockAccessLists PlainAccounts PlainStorage Bytecodes
    HashedAccounts HashedStorage AccountsTrie StoragesTrie AccountChanges StorageChanges CallTraces AccountHistory
    StorageHistory LogAddressIndex LogTopicIndex CallFromIndex CallToIndex StageCheckpoints PruneCheckpoints Metadata
}

/// A key or a value; the first two bytes say of which table, and which of them.
pub fn row(bytes: &[u8]) {
    let [table, part, rest @ ..] = bytes else { return };
    assert_eq!(DECODERS.len(), TABLES.len(), "every table is here");
    let position = usize::from(*table) % DECODERS.len();
    let Some(position) = INDEXES.iter().position(|index| *index == position) else { return };
    DECODERS[position](part % 2 == 0, rest);
}

/// A chunk of history; the first eight bytes are the block that is asked for.
pub fn chunk(bytes: &[u8]) {
    let Some((block, rest)) = bytes.split_first_chunk::<8>() else { return };
    let block = u64::from_be_bytes(*block);
    let chunk = HistoryChunk::new(rest);
    let after = chunk.value_after(block);
    let Ok(entries) = chunk.entries() else {
        let _ = black_box(after);
        return;
    };
    let expected = entries.iter().find(|(changed, _)| *changed > block).map(|(_, value)| *value);
    assert_eq!(after, Ok(expected));
    let mut builder = HistoryChunkBuilder::reopen(chunk).expect("its entries were read");
    let again = builder.take();
    assert_eq!(HistoryChunk::new(&again).entries().as_ref(), Ok(&entries));
}
