//! The scalars of EIP-1767. All are strings of hexadecimal digits in answers; numbers may also be decimal, or JSON
//! numbers, in requests. Malformed ones are refused before anything is executed.

use alloy_primitives::{U256, hex};
use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

/// A 64 bit unsigned integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Long(pub u64);

/// A large unsigned integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BigInt(pub U256);

/// 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes32(pub alloy_primitives::B256);

/// An address of 20 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(pub alloy_primitives::Address);

/// Any number of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes(pub alloy_primitives::Bytes);

/// A 64 bit unsigned integer: 0x-prefixed hexadecimal; decimal and JSON numbers are accepted too.
#[Scalar]
impl ScalarType for Long {
    fn parse(value: Value) -> InputValueResult<Self> {
        let number = parse_number(value)?;
        u64::try_from(number).map(Self).map_err(|_| InputValueError::custom("a Long has at most 64 bits"))
    }

    fn is_valid(value: &Value) -> bool {
        Self::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(format!("{:#x}", self.0))
    }
}

/// A large integer: 0x-prefixed hexadecimal; decimal and JSON numbers are accepted too.
#[Scalar]
impl ScalarType for BigInt {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(parse_number(value)?))
    }

    fn is_valid(value: &Value) -> bool {
        Self::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(format!("{:#x}", self.0))
    }
}

/// 32 bytes as 0x-prefixed hexadecimal. Zeros may be missing in front, as Besu takes slots.
#[Scalar]
impl ScalarType for Bytes32 {
    fn parse(value: Value) -> InputValueResult<Self> {
        let bytes = parse_bytes(value)?;
        let is_word = (1..=32).contains(&bytes.len());
        is_word
            .then(|| Self(alloy_primitives::B256::left_padding_from(&bytes)))
            .ok_or_else(|| InputValueError::custom("not 1 to 32 bytes"))
    }

    fn is_valid(value: &Value) -> bool {
        Self::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(hex::encode_prefixed(self.0))
    }
}

/// 20 bytes as 0x-prefixed hexadecimal.
#[Scalar]
impl ScalarType for Address {
    fn parse(value: Value) -> InputValueResult<Self> {
        let bytes: [u8; 20] =
            parse_bytes(value)?.try_into().map_err(|_| InputValueError::custom("not 20 bytes"))?;
        Ok(Self(bytes.into()))
    }

    fn is_valid(value: &Value) -> bool {
        Self::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(hex::encode_prefixed(self.0))
    }
}

/// Bytes as 0x-prefixed hexadecimal.
#[Scalar]
impl ScalarType for Bytes {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(parse_bytes(value)?.into()))
    }

    fn is_valid(value: &Value) -> bool {
        Self::parse(value.clone()).is_ok()
    }

    fn to_value(&self) -> Value {
        Value::String(hex::encode_prefixed(&self.0))
    }
}

fn parse_number<T>(value: Value) -> Result<U256, InputValueError<T>>
where
    T: async_graphql::InputType,
{
    let malformed = || InputValueError::custom("not an unsigned decimal or 0x-prefixed hexadecimal number");
    match value {
        Value::Number(number) => number.as_u64().map(U256::from).ok_or_else(malformed),
        Value::String(text) => {
            let (digits, radix) = text.strip_prefix("0x").map_or((text.as_str(), 10), |digits| (digits, 16));
            U256::from_str_radix(digits, radix).ok().filter(|_| !digits.is_empty()).ok_or_else(malformed)
        }
        value => Err(InputValueError::expected_type(value)),
    }
}

fn parse_bytes<T>(value: Value) -> Result<Vec<u8>, InputValueError<T>>
where
    T: async_graphql::InputType,
{
    let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
    let digits =
        text.strip_prefix("0x").ok_or_else(|| InputValueError::custom("hexadecimal begins with 0x"))?;
    hex::decode(digits).map_err(InputValueError::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longs_come_in_three_forms() {
        for value in [Value::from(30), Value::from("30"), Value::from("0x1e"), Value::from("0x01E")] {
            assert_eq!(Long::parse(value).unwrap(), Long(30));
        }
        assert_eq!(Long(30).to_value(), Value::from("0x1e"));
        for value in ["", "0x", "-1", "1.5", "0xg", "0x10000000000000000"] {
            assert!(Long::parse(Value::from(value)).is_err(), "{value}");
        }
        assert!(Long::parse(Value::from(-1)).is_err());
        assert!(Long::parse(Value::from(true)).is_err());
    }

    #[test]
    fn bytes_are_prefixed_and_whole() {
        assert_eq!(Bytes::parse(Value::from("0x0102")).unwrap().to_value(), Value::from("0x0102"));
        assert_eq!(Bytes::parse(Value::from("0x")).unwrap().to_value(), Value::from("0x"));
        assert!(Bytes::parse(Value::from("0102")).is_err());
        assert!(Bytes::parse(Value::from("0x012")).is_err());
        assert!(Address::parse(Value::from("0x0102")).is_err());
        for malformed in ["0x", "0102", &format!("0x{}", "00".repeat(33))] {
            assert!(Bytes32::parse(Value::from(malformed)).is_err(), "{malformed}");
        }
        let padded = format!("0x{}0102", "00".repeat(30));
        assert_eq!(Bytes32::parse(Value::from("0x0102")).unwrap().to_value(), Value::from(padded));
    }
}
