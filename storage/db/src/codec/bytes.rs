//! Building blocks of the value codecs.
//!
//! - varint: unsigned LEB128, at most 10 bytes.
//! - trimmed: big-endian bytes without leading zeros; its length is stored beside it.
//! - bytes: varint length, then that many bytes.

use alloy_primitives::{Address, B256, U256};

use crate::DecodeError;

/// Appends `value` as a varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes that [`put_varint`] takes for `value`.
pub fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends a varint length and the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// `bytes` without its leading zeros.
pub fn trim(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

/// Appends a length byte and the trimmed value.
pub fn put_trimmed(out: &mut Vec<u8>, value: U256) {
    let bytes = value.to_be_bytes::<32>();
    let bytes = trim(&bytes);
    out.push(bytes.len() as u8);
    out.extend_from_slice(bytes);
}

/// Appends a trimmed `u128` behind its length byte.
pub fn put_trimmed_u128(out: &mut Vec<u8>, value: u128) {
    let bytes = value.to_be_bytes();
    let bytes = trim(&bytes);
    out.push(bytes.len() as u8);
    out.extend_from_slice(bytes);
}

/// The number in at most 32 big-endian bytes without leading zeros.
pub fn u256_from_trimmed(bytes: &[u8]) -> Result<U256, DecodeError> {
    if bytes.len() > 32 || bytes.first() == Some(&0) {
        return Err(DecodeError::Malformed { what: "integer" });
    }
    Ok(U256::from_be_slice(bytes))
}

/// Takes a value's fields from its bytes, front to back.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes that were not taken yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything was taken.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Ends the reading of `what`.
    pub fn finish(self, what: &'static str) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Malformed { what }) }
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let Some((head, rest)) = self.rest.split_at_checked(len) else {
            return Err(DecodeError::TooShort { what, len: self.rest.len() });
        };
        self.rest = rest;
        Ok(head)
    }

    /// The next byte.
    pub fn byte(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        Ok(self.take(1, what)?[0])
    }

    /// A varint.
    pub fn varint(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Malformed { what })
    }

    /// A varint that counts things of at least `size` bytes each, so that it cannot exceed what is there.
    pub fn count(&mut self, size: usize, what: &'static str) -> Result<usize, DecodeError> {
        let count = self.varint(what)?;
        if count > (self.rest.len() / size.max(1)) as u64 {
            return Err(DecodeError::TooShort { what, len: self.rest.len() });
        }
        Ok(count as usize)
    }

    /// A varint length and that many bytes.
    pub fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = self.count(1, what)?;
        self.take(len, what)
    }

    /// A 32-byte word.
    pub fn b256(&mut self, what: &'static str) -> Result<B256, DecodeError> {
        Ok(B256::from_slice(self.take(32, what)?))
    }

    /// A 20-byte address.
    pub fn address(&mut self, what: &'static str) -> Result<Address, DecodeError> {
        Ok(Address::from_slice(self.take(20, what)?))
    }

    /// A length byte and a trimmed integer.
    pub fn trimmed(&mut self, what: &'static str) -> Result<U256, DecodeError> {
        let len = usize::from(self.byte(what)?);
        u256_from_trimmed(self.take(len, what)?)
    }

    /// [`Reader::trimmed`], at most 16 bytes.
    pub fn trimmed_u128(&mut self, what: &'static str) -> Result<u128, DecodeError> {
        u128::try_from(self.trimmed(what)?).map_err(|_| DecodeError::Malformed { what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_round_trip(value: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(out.len(), varint_len(value));
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint("v").unwrap(), value);
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn readers_never_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            let _ = reader.varint("v");
            let _ = reader.bytes("b");
            let _ = reader.trimmed("t");
            let _ = reader.count(32, "c");
        }
    }

    #[test]
    fn varints_have_their_golden_bytes() {
        let bytes = |value| {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            out
        };
        assert_eq!(bytes(0), [0]);
        assert_eq!(bytes(300), [0xac, 0x02]);
        assert_eq!(bytes(u64::MAX), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    }

    #[test]
    fn an_overlong_varint_is_refused() {
        assert!(Reader::new(&[0xff; 10]).varint("v").is_err());
        assert!(Reader::new(&[0x80; 11]).varint("v").is_err());
    }

    #[test]
    fn a_trimmed_integer_has_no_leading_zero() {
        assert_eq!(Reader::new(&[2, 0, 1]).trimmed("t"), Err(DecodeError::Malformed { what: "integer" }));
        assert_eq!(Reader::new(&[1, 7]).trimmed("t"), Ok(U256::from(7)));
        assert_eq!(Reader::new(&[0]).trimmed("t"), Ok(U256::ZERO));
    }
}
