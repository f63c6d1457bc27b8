//! Keys of one part, and of several parts one behind the other.

use alloy_primitives::{Address, B256};

use crate::{DecodeError, FixedKey, Key, Value};

pub(crate) fn exact<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N], DecodeError> {
    bytes.try_into().map_err(|_| {
        if bytes.len() < N {
            DecodeError::TooShort { what, len: bytes.len() }
        } else {
            DecodeError::Malformed { what }
        }
    })
}

/// 8 bytes, big-endian.
impl Key for u64 {
    type Encoded = [u8; 8];

    fn encode(&self) -> [u8; 8] {
        self.to_be_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        exact(bytes, "u64 key").map(Self::from_be_bytes)
    }
}

/// 20 bytes.
impl Key for Address {
    type Encoded = [u8; 20];

    fn encode(&self) -> [u8; 20] {
        self.0.0
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        exact::<20>(bytes, "address key").map(Self::from)
    }
}

/// 32 bytes.
impl Key for B256 {
    type Encoded = [u8; 32];

    fn encode(&self) -> [u8; 32] {
        self.0
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        exact::<32>(bytes, "32-byte key").map(Self::from)
    }
}

impl FixedKey for B256 {
    const LEN: usize = 32;
}

/// UTF-8.
impl Key for String {
    type Encoded = Vec<u8>;

    fn encode(&self) -> Vec<u8> {
        self.clone().into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_utf8(bytes.to_vec()).map_err(|_| DecodeError::Malformed { what: "name key" })
    }
}

/// Raw bytes, as they are.
impl Key for Vec<u8> {
    type Encoded = Self;

    fn encode(&self) -> Self {
        self.clone()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(bytes.to_vec())
    }
}

/// Raw bytes, as they are.
impl Value for Vec<u8> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(bytes.to_vec())
    }
}

/// 32 bytes.
impl Value for B256 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        exact::<32>(bytes, "32-byte value").map(Self::from)
    }
}

/// 20 bytes.
impl Value for Address {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.0);
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        exact::<20>(bytes, "address").map(Self::from)
    }
}

/// Big-endian without leading zeros; empty for 0.
impl Value for u64 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(super::bytes::trim(&self.to_be_bytes()));
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > 8 || bytes.first() == Some(&0) {
            return Err(DecodeError::Malformed { what: "number" });
        }
        Ok(bytes.iter().fold(0, |value, byte| value << 8 | Self::from(*byte)))
    }
}

/// A key of fixed-size parts, one behind the other.
macro_rules! compound_key {
    ($(#[$doc:meta])* $name:ident, $len:literal { $($(#[$field_doc:meta])* $field:ident : $type:ty [$from:literal..$to:literal]),+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type),+ }

        impl Key for $name {
            type Encoded = [u8; $len];

            fn encode(&self) -> [u8; $len] {
                let mut bytes = [0; $len];
                $(bytes[$from..$to].copy_from_slice(Key::encode(&self.$field).as_ref());)+
                bytes
            }

            fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                let bytes = exact::<$len>(bytes, stringify!($name))?;
                Ok(Self { $($field: Key::decode(&bytes[$from..$to])?),+ })
            }
        }
    };
}
pub(crate) use compound_key;
