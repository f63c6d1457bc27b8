//! Numbers as test files write them: JSON numbers, or strings of decimal or `0x`-prefixed digits.

use std::fmt;

use alloy_primitives::{B256, U256};
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

/// An unsigned number of at most 256 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Number(pub U256);

impl Number {
    /// From text; an empty `0x` is 0.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some("") => Some(U256::ZERO),
            Some(digits) => U256::from_str_radix(digits, 16).ok(),
            None if text.is_empty() => None,
            None => U256::from_str_radix(text, 10).ok(),
        };
        parsed.map(Self)
    }

    /// As a word, big-endian.
    pub(crate) fn word(self) -> B256 {
        B256::from(self.0)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;

        impl Visitor<'_> for NumberVisitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of at most 256 bits, decimal or 0x-prefixed")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(U256::from(number)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                Number::parse(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(NumberVisitor)
    }
}

/// For `#[serde(deserialize_with)]`: a number that must fit a smaller type.
pub(crate) fn narrow<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<U256>,
{
    let Number(number) = Number::deserialize(deserializer)?;
    T::try_from(number).map_err(|_| D::Error::custom(format_args!("the number {number} is too large")))
}

/// As [`narrow`], for a field that may be absent or `null`.
pub(crate) fn narrow_option<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<U256>,
{
    let Some(Number(number)) = Option::<Number>::deserialize(deserializer)? else { return Ok(None) };
    let narrowed = T::try_from(number);
    narrowed.map(Some).map_err(|_| D::Error::custom(format_args!("the number {number} is too large")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<U256> {
        serde_json::from_str::<Number>(json).ok().map(|number| number.0)
    }

    #[test]
    fn numbers_are_read_in_every_spelling() {
        for (json, expected) in [("12", 12), ("\"12\"", 12), ("\"0x0c\"", 12), ("\"0XC\"", 12), ("\"0x\"", 0)]
        {
            assert_eq!(read(json), Some(U256::from(expected)), "{json}");
        }
        assert_eq!(read(&format!("\"0x{}\"", "f".repeat(64))), Some(U256::MAX));
        for json in ["\"\"", "-1", "1.5", "\"0xg\"", "null", "1e99", &format!("\"0x1{}\"", "0".repeat(64))] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
