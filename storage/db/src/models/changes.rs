//! What a block changed, as columns: one list per block, cut into rows of at most [`ROW_BYTES`].
//!
//! ```text
//!  account changes   count varint ‖ addresses 20 each ‖ lengths of the accounts before, 1 byte each ‖ accounts before
//!  storage changes   per account: address 20 ‖ count varint ‖ slots: length byte, bytes without leading zeros ‖
//!                    lengths of the values before, 1 byte each ‖ values before
//!  trace addresses   count varint ‖ addresses 20 each ‖ flags 1 byte each
//! ```
//! Lists are sorted by address (and slot) and hold each at most once.

use alloy_primitives::{Address, B256, U256};

use super::Account;
use crate::{
    DecodeError, Value,
    codec::{
        Reader,
        bytes::{put_bytes, put_varint, trim},
    },
};

/// Rows are closed before they grow beyond this many bytes, so that two fit a page.
pub const ROW_BYTES: usize = 1900;

/// An account as it was before a block that changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountChange {
    /// Whose.
    pub address: Address,
    /// `None` when there was no account.
    pub before: Option<Account>,
}

/// A storage slot as it was before a block that changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageChange {
    /// Whose.
    pub address: Address,
    /// Which slot.
    pub slot: B256,
    /// Zero when it was not set.
    pub before: U256,
}

/// An address that took part in a block's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceAddress {
    /// Whose.
    pub address: Address,
    /// It called, created or destroyed itself.
    pub from: bool,
    /// It was called, created or received a destroyed contract's balance or a reward.
    pub to: bool,
}

/// A list that is cut into rows.
pub trait ChangeChunks: Sized {
    /// One entry of the list.
    type Change: Copy;

    /// Bytes that an entry takes at most, behind `previous` in the same row.
    fn len_max(previous: Option<&Self::Change>, change: &Self::Change) -> usize;

    /// The entries of one row.
    fn from_changes(changes: Vec<Self::Change>) -> Self;

    /// The entries of this row.
    fn changes(&self) -> &[Self::Change];

    /// Cuts a block's list into rows.
    fn rows(changes: &[Self::Change]) -> Vec<Self> {
        let mut rows = Vec::new();
        let mut row = Vec::new();
        let mut len = 0;
        for change in changes {
            let grown = len + Self::len_max(row.last(), change);
            if grown > ROW_BYTES && !row.is_empty() {
                rows.push(Self::from_changes(std::mem::take(&mut row)));
                len = Self::len_max(None, change);
            } else {
                len = grown;
            }
            row.push(*change);
        }
        if !row.is_empty() {
            rows.push(Self::from_changes(row));
        }
        rows
    }
}

/// A row of a block's account changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountChangeSet(pub Vec<AccountChange>);

impl ChangeChunks for AccountChangeSet {
    type Change = AccountChange;

    fn len_max(_: Option<&AccountChange>, change: &AccountChange) -> usize {
        match change.before {
            None => 21,
            Some(account) => {
                21 + 1 + 10 + account.balance.byte_len() + if account.has_code() { 32 } else { 0 }
            }
        }
    }

    fn from_changes(changes: Vec<AccountChange>) -> Self {
        Self(changes)
    }

    fn changes(&self) -> &[AccountChange] {
        &self.0
    }
}

impl Value for AccountChangeSet {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.0.len() as u64);
        for change in &self.0 {
            out.extend_from_slice(change.address.as_slice());
        }
        let mut values = Vec::new();
        for change in &self.0 {
            let start = values.len();
            change.before.encode(&mut values);
            out.push((values.len() - start) as u8);
        }
        out.extend_from_slice(&values);
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let count = reader.count(21, "change count")?;
        let addresses = reader.take(20 * count, "changed addresses")?;
        let lengths = reader.take(count, "change lengths")?;
        let mut changes = Vec::with_capacity(count);
        for (address, len) in addresses.chunks_exact(20).zip(lengths) {
            let before = Option::<Account>::decode(reader.take(usize::from(*len), "account before")?)?;
            changes.push(AccountChange { address: Address::from_slice(address), before });
        }
        reader.finish("account changes")?;
        Ok(Self(changes))
    }
}

/// A row of a block's storage changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageChangeSet(pub Vec<StorageChange>);

impl ChangeChunks for StorageChangeSet {
    type Change = StorageChange;

    fn len_max(previous: Option<&StorageChange>, change: &StorageChange) -> usize {
        let group = if previous.is_some_and(|previous| previous.address == change.address) { 0 } else { 22 };
        group + 2 + trim(change.slot.as_slice()).len() + change.before.byte_len()
    }

    fn from_changes(changes: Vec<StorageChange>) -> Self {
        Self(changes)
    }

    fn changes(&self) -> &[StorageChange] {
        &self.0
    }
}

impl Value for StorageChangeSet {
    fn encode(&self, out: &mut Vec<u8>) {
        for group in self.0.chunk_by(|a, b| a.address == b.address) {
            out.extend_from_slice(group[0].address.as_slice());
            put_varint(out, group.len() as u64);
            for change in group {
                put_bytes(out, trim(change.slot.as_slice()));
            }
            let mut values = Vec::new();
            for change in group {
                let start = values.len();
                change.before.encode(&mut values);
                out.push((values.len() - start) as u8);
            }
            out.extend_from_slice(&values);
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut changes = Vec::new();
        while !reader.is_empty() {
            let address = reader.address("changed address")?;
            let count = reader.count(2, "slot count")?;
            let first = changes.len();
            for _ in 0..count {
                let slot = reader.bytes("changed slot")?;
                if slot.len() > 32 {
                    return Err(DecodeError::Malformed { what: "changed slot" });
                }
                changes.push(StorageChange {
                    address,
                    slot: B256::left_padding_from(slot),
                    before: U256::ZERO,
                });
            }
            let lengths = reader.take(count, "change lengths")?;
            for (change, len) in changes[first..].iter_mut().zip(lengths) {
                change.before = U256::decode(reader.take(usize::from(*len), "value before")?)?;
            }
        }
        Ok(Self(changes))
    }
}

/// A row of a block's trace addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceAddressSet(pub Vec<TraceAddress>);

const FROM: u8 = 1;
const TO: u8 = 1 << 1;

impl ChangeChunks for TraceAddressSet {
    type Change = TraceAddress;

    fn len_max(_: Option<&TraceAddress>, _: &TraceAddress) -> usize {
        21
    }

    fn from_changes(changes: Vec<TraceAddress>) -> Self {
        Self(changes)
    }

    fn changes(&self) -> &[TraceAddress] {
        &self.0
    }
}

impl Value for TraceAddressSet {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.0.len() as u64);
        for entry in &self.0 {
            out.extend_from_slice(entry.address.as_slice());
        }
        for entry in &self.0 {
            out.push(if entry.from { FROM } else { 0 } | if entry.to { TO } else { 0 });
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let count = reader.count(21, "trace count")?;
        let addresses = reader.take(20 * count, "trace addresses")?;
        let flags = reader.take(count, "trace flags")?;
        reader.finish("trace addresses")?;
        let entries = addresses.chunks_exact(20).zip(flags).map(|(address, flags)| TraceAddress {
            address: Address::from_slice(address),
            from: flags & FROM != 0,
            to: flags & TO != 0,
        });
        Ok(Self(entries.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded<V: Value>(value: &V) -> Vec<u8> {
        let mut out = Vec::new();
        value.encode(&mut out);
        out
    }

    #[test]
    fn changes_have_their_golden_bytes() {
        let address = Address::repeat_byte(9);
        let accounts = AccountChangeSet(vec![AccountChange { address, before: None }]);
        assert_eq!(encoded(&accounts), [&[1][..], &[9; 20], &[0]].concat());
        let slot = B256::left_padding_from(&[3]);
        let storage = StorageChangeSet(vec![StorageChange { address, slot, before: U256::from(7) }]);
        assert_eq!(encoded(&storage), [&[9; 20][..], &[1, 1, 3, 1, 7]].concat());
        let traces = TraceAddressSet(vec![TraceAddress { address, from: true, to: false }]);
        assert_eq!(encoded(&traces), [&[1][..], &[9; 20], &[1]].concat());
    }

    proptest! {
        #[test]
        fn storage_rows_hold_the_list_and_stay_small(list in proptest::collection::btree_map((0u8..4, any::<[u8; 32]>()), any::<[u8; 32]>(), 0..300)) {
            let changes: Vec<_> = list
                .into_iter()
                .map(|((who, slot), before)| StorageChange {
                    address: Address::repeat_byte(who),
                    slot: slot.into(),
                    before: U256::from_be_bytes(before),
                })
                .collect();
            let mut read = Vec::new();
            for row in StorageChangeSet::rows(&changes) {
                let bytes = encoded(&row);
                prop_assert!(bytes.len() <= ROW_BYTES);
                read.extend(StorageChangeSet::decode(&bytes).unwrap().0);
            }
            prop_assert_eq!(read, changes);
        }

        #[test]
        fn account_rows_hold_the_list_and_stay_small(list in proptest::collection::btree_map(any::<[u8; 20]>(), proptest::option::of((any::<u64>(), any::<[u8; 32]>())), 0..300)) {
            let changes: Vec<_> = list
                .into_iter()
                .map(|(address, before)| AccountChange {
                    address: address.into(),
                    before: before.map(|(nonce, word)| Account { nonce, balance: U256::from_be_bytes(word), code_hash: word.into() }),
                })
                .collect();
            let mut read = Vec::new();
            for row in AccountChangeSet::rows(&changes) {
                let bytes = encoded(&row);
                prop_assert!(bytes.len() <= ROW_BYTES + 4);
                read.extend(AccountChangeSet::decode(&bytes).unwrap().0);
            }
            prop_assert_eq!(read, changes);
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = AccountChangeSet::decode(&bytes);
            let _ = StorageChangeSet::decode(&bytes);
            let _ = TraceAddressSet::decode(&bytes);
        }
    }
}
