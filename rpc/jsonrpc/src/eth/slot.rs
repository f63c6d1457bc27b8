//! A storage slot as an argument.

use alloy_primitives::{B256, hex};
use serde::{Deserialize, Deserializer, de::Error};

/// A storage slot: at most 32 bytes in hex, with or without leading zeros, an odd digit included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotArgument {
    /// The slot.
    pub slot: B256,
    /// Whether it was given as all of its 32 bytes.
    pub is_whole: bool,
}

impl<'de> Deserialize<'de> for SlotArgument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map_err(D::Error::custom)
    }
}

fn parse(text: &str) -> Result<SlotArgument, String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    if digits.len() > 64 {
        return Err(format!("storage key too long (want at most 32 bytes): {text:?}"));
    }
    let mut slot = B256::ZERO;
    let padded = format!("{digits:0>64}");
    hex::decode_to_slice(padded, &mut slot[..])
        .map_err(|_| format!("invalid hex in storage key: {text:?}"))?;
    // An odd digit stands for a byte.
    Ok(SlotArgument { slot, is_whole: digits.len() >= 63 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::b256;

    #[test]
    fn short_and_odd_slots_are_filled_up() {
        let slot = b256!("0000000000000000000000000000000000000000000000000000000000000abc");
        for text in ["0xabc", "0xABC", "0x0abc", "abc"] {
            assert_eq!(parse(text), Ok(SlotArgument { slot, is_whole: false }), "{text}");
        }
        assert_eq!(parse("0x"), Ok(SlotArgument { slot: B256::ZERO, is_whole: false }));
        let whole = SlotArgument { slot: B256::repeat_byte(0xff), is_whole: true };
        assert_eq!(parse(&format!("0x{}", "f".repeat(64))), Ok(whole));
    }

    #[test]
    fn long_and_other_slots_are_refused() {
        assert!(parse(&format!("0x{}", "0".repeat(65))).unwrap_err().starts_with("storage key too long"));
        assert_eq!(parse("0xasdf").unwrap_err(), "invalid hex in storage key: \"0xasdf\"");
        assert!(parse("0xé").is_err());
    }
}
