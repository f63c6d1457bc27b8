//! Call data in the contract ABI: selector, then arguments as head and tail.

use crate::asm::selector;
use alloy_primitives::{Address, B256, Bytes, U256};

/// An argument of a call.
#[derive(Debug, Clone)]
pub enum Argument {
    /// A number, address, flag or fixed bytes: one word in place.
    Word(U256),
    /// A string of bytes: length, then the bytes padded to whole words.
    Bytes(Vec<u8>),
    /// An array: length, then its items.
    Array(Vec<Argument>),
    /// Several arguments as one.
    Tuple(Vec<Argument>),
}

impl From<u64> for Argument {
    fn from(number: u64) -> Self {
        Self::Word(U256::from(number))
    }
}

impl From<u128> for Argument {
    fn from(number: u128) -> Self {
        Self::Word(U256::from(number))
    }
}

impl From<U256> for Argument {
    fn from(number: U256) -> Self {
        Self::Word(number)
    }
}

impl From<B256> for Argument {
    fn from(word: B256) -> Self {
        Self::Word(word.into())
    }
}

impl From<Address> for Argument {
    fn from(address: Address) -> Self {
        address.into_word().into()
    }
}

impl FromIterator<Address> for Argument {
    fn from_iter<I: IntoIterator<Item = Address>>(addresses: I) -> Self {
        Self::Array(addresses.into_iter().map(Self::from).collect())
    }
}

/// Encodes a call of the function `signature`.
pub fn call_data(signature: &str, arguments: &[Argument]) -> Bytes {
    let mut data = selector(signature).to_be_bytes().to_vec();
    encode_sequence(arguments, &mut data);
    data.into()
}

/// Writes the heads of all arguments, then the tails of the dynamic ones; offsets count from the first head.
fn encode_sequence(arguments: &[Argument], out: &mut Vec<u8>) {
    let mut tails = Vec::new();
    let heads_length: usize = arguments.iter().map(head_length).sum();
    for argument in arguments {
        match argument {
            Argument::Word(word) => out.extend_from_slice(&word.to_be_bytes::<32>()),
            Argument::Tuple(items) if !is_dynamic(argument) => encode_sequence(items, out),
            Argument::Bytes(_) | Argument::Array(_) | Argument::Tuple(_) => {
                encode_length(heads_length + tails.len(), out);
                encode_tail(argument, &mut tails);
            }
        }
    }
    out.append(&mut tails);
}

fn encode_tail(argument: &Argument, out: &mut Vec<u8>) {
    match argument {
        Argument::Bytes(bytes) => {
            encode_length(bytes.len(), out);
            out.extend_from_slice(bytes);
            out.resize(out.len().next_multiple_of(32), 0);
        }
        Argument::Array(items) => {
            encode_length(items.len(), out);
            encode_sequence(items, out);
        }
        Argument::Tuple(items) => encode_sequence(items, out),
        Argument::Word(_) => unreachable!("words have no tail"),
    }
}

fn encode_length(length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&U256::from(length).to_be_bytes::<32>());
}

fn head_length(argument: &Argument) -> usize {
    match argument {
        Argument::Tuple(items) if !is_dynamic(argument) => items.iter().map(head_length).sum(),
        Argument::Word(_) | Argument::Bytes(_) | Argument::Array(_) | Argument::Tuple(_) => 32,
    }
}

fn is_dynamic(argument: &Argument) -> bool {
    match argument {
        Argument::Word(_) => false,
        Argument::Bytes(_) | Argument::Array(_) => true,
        Argument::Tuple(items) => items.iter().any(is_dynamic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    #[test]
    fn static_arguments_follow_the_selector() {
        let data = call_data("transfer(address,uint256)", &[Address::repeat_byte(0x11).into(), 5u64.into()]);
        let expected = hex!(
            "a9059cbb"
            "0000000000000000000000001111111111111111111111111111111111111111"
            "0000000000000000000000000000000000000000000000000000000000000005"
        );
        assert_eq!(data[..], expected);
    }

    /// The example of the ABI specification, `f(uint256,uint32[],bytes10,bytes)`.
    #[test]
    fn dynamic_arguments_are_in_the_tail() {
        let mut fixed = [0; 32];
        fixed[..10].copy_from_slice(b"1234567890");
        let data = call_data(
            "f(uint256,uint32[],bytes10,bytes)",
            &[
                0x123u64.into(),
                Argument::Array(vec![0x456u64.into(), 0x789u64.into()]),
                B256::from(fixed).into(),
                Argument::Bytes(b"Hello, world!".to_vec()),
            ],
        );
        let expected = hex!(
            "8be65246"
            "0000000000000000000000000000000000000000000000000000000000000123"
            "0000000000000000000000000000000000000000000000000000000000000080"
            "3132333435363738393000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000e0"
            "0000000000000000000000000000000000000000000000000000000000000002"
            "0000000000000000000000000000000000000000000000000000000000000456"
            "0000000000000000000000000000000000000000000000000000000000000789"
            "000000000000000000000000000000000000000000000000000000000000000d"
            "48656c6c6f2c20776f726c642100000000000000000000000000000000000000"
        );
        assert_eq!(data[..], expected);
    }
}
