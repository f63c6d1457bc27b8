//! Blocks as Erigon takes them, and as Otterscan sends them.

use alloy_eips::{BlockId, BlockNumberOrTag};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

/// A block by number or tag; the number may also be one as JSON has it, or decimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LenientBlockNumber(pub(crate) BlockNumberOrTag);

/// As [`LenientBlockNumber`], or by hash, or an object as in EIP-1898.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LenientBlockId(pub(crate) BlockId);

/// A number in a form that `eth_*` methods refuse.
fn decimal(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        // The text of a number has neither signs nor spaces.
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

impl<'de> Deserialize<'de> for LenientBlockNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match decimal(&value) {
            Some(number) => Ok(Self(number.into())),
            None => BlockNumberOrTag::deserialize(value).map(Self).map_err(D::Error::custom),
        }
    }
}

impl<'de> Deserialize<'de> for LenientBlockId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match decimal(&value) {
            Some(number) => Ok(Self(number.into())),
            None => BlockId::deserialize(value).map(Self).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_come_in_all_forms() {
        let number = |value| LenientBlockNumber::deserialize(value).map(|block| block.0);
        let id = |value| LenientBlockId::deserialize(value).map(|block| block.0);
        for value in [json!(100), json!("100"), json!("0x64")] {
            assert_eq!(number(value.clone()).unwrap(), BlockNumberOrTag::Number(100), "{value}");
            assert_eq!(id(value.clone()).unwrap(), BlockId::number(100), "{value}");
        }
        assert_eq!(number(json!("latest")).unwrap(), BlockNumberOrTag::Latest);
        let hash = alloy_primitives::B256::repeat_byte(7);
        assert_eq!(id(json!(hash)).unwrap(), BlockId::hash(hash));
        assert_eq!(id(json!({ "blockHash": hash })).unwrap(), BlockId::hash(hash));
        for value in [json!(-1), json!(1.5), json!(""), json!("-1"), json!("x"), json!([1]), json!(hash)] {
            assert!(number(value.clone()).is_err(), "{value}");
        }
    }
}
