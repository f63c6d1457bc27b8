//! Accounts and storage slots of the plain and the hashed state.

use alloy_consensus::constants::KECCAK_EMPTY;
use alloy_primitives::{B256, U256};

use crate::{
    DecodeError, Key, Value,
    codec::{
        Reader,
        bytes::{put_varint, trim, u256_from_trimmed},
    },
};

/// An account without its storage root, which the trie tables have.
///
/// Bytes: head (bits 0-5 length of the balance, bit 6 nonce is not 0, bit 7 has code) ‖ [nonce varint] ‖
/// balance trimmed ‖ [code hash 32]. Never empty, so that empty bytes can say "no account".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Transactions sent, or for a contract: contracts created plus one.
    pub nonce: u64,
    /// In wei.
    pub balance: U256,
    /// Keccak of the code; that of nothing ([`KECCAK_EMPTY`]) without code.
    pub code_hash: B256,
}

const HAS_NONCE: u8 = 1 << 6;
const HAS_CODE: u8 = 1 << 7;

impl Default for Account {
    fn default() -> Self {
        Self { nonce: 0, balance: U256::ZERO, code_hash: KECCAK_EMPTY }
    }
}

impl Account {
    /// Whether the code is not empty.
    pub fn has_code(&self) -> bool {
        self.code_hash != KECCAK_EMPTY
    }
}

impl Value for Account {
    fn encode(&self, out: &mut Vec<u8>) {
        let balance = self.balance.to_be_bytes::<32>();
        let balance = trim(&balance);
        let nonce = if self.nonce != 0 { HAS_NONCE } else { 0 };
        let code = if self.has_code() { HAS_CODE } else { 0 };
        out.push(balance.len() as u8 | nonce | code);
        if self.nonce != 0 {
            put_varint(out, self.nonce);
        }
        out.extend_from_slice(balance);
        if self.has_code() {
            out.extend_from_slice(self.code_hash.as_slice());
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let head = reader.byte("account head")?;
        let nonce = if head & HAS_NONCE != 0 { reader.varint("nonce")? } else { 0 };
        let balance = u256_from_trimmed(reader.take(usize::from(head & 0x3f), "balance")?)?;
        let code_hash = if head & HAS_CODE != 0 { reader.b256("code hash")? } else { KECCAK_EMPTY };
        reader.finish("account")?;
        Ok(Self { nonce, balance, code_hash })
    }
}

/// `None` is empty bytes.
impl Value for Option<Account> {
    fn encode(&self, out: &mut Vec<u8>) {
        if let Some(account) = self {
            account.encode(out);
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() { Ok(None) } else { Account::decode(bytes).map(Some) }
    }
}

/// Big-endian without leading zeros; empty for 0.
impl Value for U256 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(trim(&self.to_be_bytes::<32>()));
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        u256_from_trimmed(bytes)
    }
}

/// A slot and its value, as a duplicate of the account's key: slot 32 ‖ value trimmed. Zero values have no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageEntry {
    /// The slot, or in the hashed state its keccak.
    pub slot: B256,
    /// What it holds.
    pub value: U256,
}

impl Value for StorageEntry {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.slot.as_slice());
        self.value.encode(out);
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some((slot, value)) = bytes.split_at_checked(32) else {
            return Err(DecodeError::TooShort { what: "slot", len: bytes.len() });
        };
        Ok(Self { slot: Key::decode(slot)?, value: U256::decode(value)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accounts_have_their_golden_bytes() {
        let bytes = |account: Account| {
            let mut out = Vec::new();
            account.encode(&mut out);
            out
        };
        assert_eq!(bytes(Account::default()), [0]);
        assert_eq!(
            bytes(Account { nonce: 3, balance: U256::from(256), ..Default::default() }),
            [0x42, 3, 1, 0]
        );
        let code = Account { nonce: 0, balance: U256::ZERO, code_hash: B256::repeat_byte(7) };
        assert_eq!(bytes(code)[..2], [0x80, 7]);
    }

    proptest! {
        #[test]
        fn accounts_round_trip(nonce: u64, balance: [u8; 32], code: Option<[u8; 32]>) {
            let account = Account {
                nonce,
                balance: U256::from_be_bytes(balance),
                code_hash: code.map_or(KECCAK_EMPTY, B256::from),
            };
            let mut out = Vec::new();
            account.encode(&mut out);
            prop_assert_eq!(Option::<Account>::decode(&out).unwrap(), Some(account));
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = Account::decode(&bytes);
            let _ = StorageEntry::decode(&bytes);
        }
    }
}
