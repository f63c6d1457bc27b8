//! What a table is: a name, a key type, a value type, and perhaps sorted duplicates.

use crate::DecodeError;

/// A key, or the leading part of a duplicate value, whose bytes sort as its values do.
pub trait Key: Sized {
    /// The encoded form, usually an array.
    type Encoded: AsRef<[u8]>;

    /// Bytes with `a < b` exactly when `a.encode() < b.encode()`.
    fn encode(&self) -> Self::Encoded;

    /// Inverse of [`Key::encode`].
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;
}

/// What a row holds.
pub trait Value: Sized {
    /// Appends the stored form to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// Inverse of [`Value::encode`]; takes all of `bytes`.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;
}

/// One table of the list in [`crate::tables`].
pub trait Table: 'static {
    /// Position in the list, and in the handles of an open database.
    const INDEX: usize;
    /// Name in the database.
    const NAME: &'static str;
    /// Row key.
    type Key: Key;
    /// Row value; for a [`DupSort`] table it begins with the sub-key.
    type Value: Value;
}

/// A key of a fixed number of bytes.
pub trait FixedKey: Key {
    /// Bytes of its encoded form.
    const LEN: usize;
}

/// A table whose key has many values, kept sorted by a sub-key that each value begins with.
pub trait DupSort: Table {
    /// Leading part of the value; a key has at most one value with it.
    type SubKey: FixedKey;

    /// The sub-key of a value.
    fn sub_key(value: &Self::Value) -> Self::SubKey;
}

/// A table as data, for tools that walk over all of them.
#[derive(Debug, Clone, Copy)]
pub struct TableInfo {
    /// Name in the database.
    pub name: &'static str,
    /// Heading under which the schema page lists it.
    pub group: &'static str,
    /// Whether keys have sorted duplicates.
    pub dup_sort: bool,
    /// Bytes of the sub-key that a duplicate begins with; 0 without duplicates.
    pub sub_key_len: usize,
    /// Type names of key and value.
    pub types: (&'static str, &'static str),
    /// Byte layout, meaning and an example, from the table's documentation.
    pub doc: &'static str,
}
