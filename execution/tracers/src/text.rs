//! Numbers and bytes as JSON, for traces that are written instruction by instruction.

use std::io::{self, Write};

use alloy_primitives::{U256, hex};

/// A decimal number.
pub(crate) fn write_number(text: &mut Vec<u8>, mut number: u64) {
    // The largest has 20 digits.
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[first..]);
}

/// The shortest hexadecimal form.
pub(crate) fn write_word(text: &mut Vec<u8>, word: &U256) {
    text.extend_from_slice(b"\"0x");
    let bytes = word.to_be_bytes::<32>();
    let mut digits = [0; 64];
    hex::encode_to_slice(bytes, &mut digits).expect("two digits for each byte");
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count().min(63);
    text.extend_from_slice(&digits[zeros..]);
    text.push(b'"');
}

/// Bytes in hexadecimal.
pub(crate) fn write_bytes(out: &mut (impl Write + ?Sized), bytes: &[u8]) -> io::Result<()> {
    out.write_all(b"\"0x")?;
    let mut digits = [0; 512];
    for part in bytes.chunks(256) {
        let digits = &mut digits[..2 * part.len()];
        hex::encode_to_slice(part, digits).expect("two digits for each byte");
        out.write_all(digits)?;
    }
    out.write_all(b"\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_all_their_digits_and_no_more() {
        for number in [0, 9, 10, 909, u64::from(u32::MAX), u64::MAX] {
            let mut text = Vec::new();
            write_number(&mut text, number);
            assert_eq!(text, number.to_string().as_bytes());
        }
    }
}
