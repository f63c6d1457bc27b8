//! The text in what reverting code returns.

use alloy_primitives::{U256, hex};

/// Selector of `Error(string)`.
const ERROR: [u8; 4] = hex!("08c379a0");
/// Selector of `Panic(uint256)`.
const PANIC: [u8; 4] = hex!("4e487b71");

/// The text of an ABI-coded `Error(string)`, or what Solidity means by a `Panic(uint256)`.
pub(crate) fn revert_reason(output: &[u8]) -> Option<String> {
    let (selector, arguments) = output.split_first_chunk::<4>()?;
    match *selector {
        ERROR => {
            let start = word(arguments, 0)?;
            let length = word(arguments, start)?;
            let text = arguments.get(start.checked_add(32)?..)?.get(..length)?;
            String::from_utf8(text.to_vec()).ok()
        }
        PANIC => Some(panic_reason(word(arguments, 0)?)),
        _ => None,
    }
}

/// The 32-byte number at `position`, if it can be a length.
fn word(bytes: &[u8], position: usize) -> Option<usize> {
    let word = bytes.get(position..)?.first_chunk::<32>()?;
    usize::try_from(U256::from_be_bytes(*word)).ok()
}

/// The cases of the Solidity manual.
fn panic_reason(code: usize) -> String {
    let text = match code {
        0x00 => "generic panic",
        0x01 => "assert(false)",
        0x11 => "arithmetic underflow or overflow",
        0x12 => "division or modulo by zero",
        0x21 => "enum overflow",
        0x22 => "invalid encoded storage byte array accessed",
        0x31 => "out-of-bounds array access; popping on an empty array",
        0x32 => "out-of-bounds access of an array or bytesN",
        0x41 => "out of memory",
        0x51 => "uninitialized function",
        code => return format!("unknown panic code: {code:#x}"),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_text_is_found() {
        let output = hex!(
            "08c379a0"
            "0000000000000000000000000000000000000000000000000000000000000020"
            "000000000000000000000000000000000000000000000000000000000000000a"
            "75736572206572726f7200000000000000000000000000000000000000000000"
        );
        assert_eq!(revert_reason(&output).as_deref(), Some("user error"));
    }

    #[test]
    fn panic_code_is_named() {
        let output = hex!("4e487b710000000000000000000000000000000000000000000000000000000000000001");
        assert_eq!(revert_reason(&output).as_deref(), Some("assert(false)"));
    }

    #[test]
    fn other_bytes_have_no_text() {
        for output in [&hex!("")[..], &hex!("08c379a0"), &hex!("08c379a0ff"), &[0xff; 100]] {
            assert_eq!(revert_reason(output), None);
        }
        let mut huge = hex!("08c379a0").to_vec();
        huge.extend([0xff; 64]);
        assert_eq!(revert_reason(&huge), None);
    }
}
