//! Compression of calldata and log data.
//!
//! ```text
//!  varint(len << 2 | method) ‖ body
//!  method 0 raw     body = the bytes
//!  method 1 words   body = [4 selector bytes when len % 32 == 4] ‖ per 32-byte word: n ‖ its significant bytes ‖ tail
//!                   n = 0..=32: that many low bytes (leading zeros cut); n = 0x40 + m: m high bytes (trailing zeros cut)
//!  method 2 zstd    body = a magicless zstd frame, or when that is smaller still, of the words form (method 3)
//! ```
//!
//! ABI data is mostly 32-byte words with few significant bytes, for which cutting zeros is smaller and a hundred
//! times faster than an entropy coder; zstd is tried where there is enough text to pay for its frame.

use std::cell::RefCell;

use zstd::{
    bulk::{Compressor, Decompressor},
    zstd_safe::{CParameter, DParameter, FrameFormat},
};

use super::{Reader, put_varint};
use crate::DecodeError;

const RAW: u64 = 0;
const WORDS: u64 = 1;
const ZSTD: u64 = 2;
const ZSTD_WORDS: u64 = 3;

/// Below this a zstd frame does not pay.
const ZSTD_MIN: usize = 192;
const ZSTD_LEVEL: i32 = 1;
/// Nothing that is stored expands to more: the largest transaction is bounded by the block gas limit.
const EXPANDED_MAX: u64 = 64 << 20;
const HIGH_BYTES: u8 = 0x40;

thread_local! {
    static COMPRESSOR: RefCell<Compressor<'static>> = RefCell::new(compressor());
    static DECOMPRESSOR: RefCell<Decompressor<'static>> = RefCell::new(decompressor());
}

fn compressor() -> Compressor<'static> {
    let mut compressor = Compressor::new(ZSTD_LEVEL).expect("allocating a zstd context");
    for parameter in [
        CParameter::Format(FrameFormat::Magicless),
        CParameter::ContentSizeFlag(false),
        CParameter::ChecksumFlag(false),
        CParameter::DictIdFlag(false),
    ] {
        compressor.set_parameter(parameter).expect("a parameter that every zstd 1.5 has");
    }
    compressor
}

fn decompressor() -> Decompressor<'static> {
    let mut decompressor = Decompressor::new().expect("allocating a zstd context");
    decompressor
        .set_parameter(DParameter::Format(FrameFormat::Magicless))
        .expect("a parameter that every zstd 1.5 has");
    decompressor
}

/// Appends `data` in its smallest form.
pub fn put_compressed(out: &mut Vec<u8>, data: &[u8]) {
    let mut words = Vec::new();
    if data.len() >= 32 {
        words.reserve(data.len() / 2);
        put_words(&mut words, data);
    }
    let (mut method, mut body) =
        if !words.is_empty() && words.len() < data.len() { (WORDS, &words[..]) } else { (RAW, data) };
    let frame = (body.len() >= ZSTD_MIN).then(|| zstd_frame(body)).flatten();
    if let Some(frame) = &frame {
        method = if method == WORDS { ZSTD_WORDS } else { ZSTD };
        body = frame;
    }
    put_varint(out, (data.len() as u64) << 2 | method);
    if method == ZSTD_WORDS {
        put_varint(out, words.len() as u64);
    }
    if method >= ZSTD {
        put_varint(out, body.len() as u64);
    }
    out.extend_from_slice(body);
}

/// Takes what [`put_compressed`] wrote.
pub fn take_compressed(reader: &mut Reader<'_>, what: &'static str) -> Result<Vec<u8>, DecodeError> {
    let head = reader.varint(what)?;
    let (len, method) = (head >> 2, head & 3);
    if len > EXPANDED_MAX {
        return Err(DecodeError::Malformed { what });
    }
    let len = len as usize;
    match method {
        RAW => Ok(reader.take(len, what)?.to_vec()),
        WORDS => take_words(reader, len, what),
        ZSTD => zstd_expand(reader.bytes(what)?, len, what),
        _ => {
            let words_len = reader.varint(what)?;
            if words_len > EXPANDED_MAX {
                return Err(DecodeError::Malformed { what });
            }
            let words = zstd_expand(reader.bytes(what)?, words_len as usize, what)?;
            let mut words = Reader::new(&words);
            let data = take_words(&mut words, len, what)?;
            words.finish(what)?;
            Ok(data)
        }
    }
}

/// The frame, when it is smaller than `data` by more than its length field.
fn zstd_frame(data: &[u8]) -> Option<Vec<u8>> {
    let frame = COMPRESSOR.with_borrow_mut(|compressor| compressor.compress(data)).ok()?;
    (frame.len() + 4 < data.len()).then_some(frame)
}

fn zstd_expand(frame: &[u8], len: usize, what: &'static str) -> Result<Vec<u8>, DecodeError> {
    let data = DECOMPRESSOR
        .with_borrow_mut(|decompressor| decompressor.decompress(frame, len))
        .map_err(|_| DecodeError::Compression { what })?;
    if data.len() == len { Ok(data) } else { Err(DecodeError::Compression { what }) }
}

fn put_words(out: &mut Vec<u8>, data: &[u8]) {
    let (selector, words) = data.split_at(if data.len() % 32 == 4 { 4 } else { 0 });
    out.extend_from_slice(selector);
    let mut words = words.chunks_exact(32);
    for word in &mut words {
        put_word(out, word);
    }
    out.extend_from_slice(words.remainder());
}

/// One 32-byte word without its leading or its trailing zeros.
pub(crate) fn put_word(out: &mut Vec<u8>, word: &[u8]) {
    let leading = word.iter().take_while(|byte| **byte == 0).count();
    let trailing = word.iter().rev().take_while(|byte| **byte == 0).count();
    let len = word.len();
    if leading >= trailing {
        out.push((len - leading) as u8);
        out.extend_from_slice(&word[leading..]);
    } else {
        out.push(HIGH_BYTES + (len - trailing) as u8);
        out.extend_from_slice(&word[..len - trailing]);
    }
}

/// Takes what [`put_word`] wrote.
pub(crate) fn take_word(reader: &mut Reader<'_>, what: &'static str) -> Result<[u8; 32], DecodeError> {
    let mut word = [0; 32];
    let head = reader.byte(what)?;
    let len = usize::from(head & !HIGH_BYTES);
    if len > 32 {
        return Err(DecodeError::Malformed { what });
    }
    let bytes = reader.take(len, what)?;
    if head & HIGH_BYTES == 0 {
        word[32 - len..].copy_from_slice(bytes);
    } else {
        word[..len].copy_from_slice(bytes);
    }
    Ok(word)
}

fn take_words(reader: &mut Reader<'_>, len: usize, what: &'static str) -> Result<Vec<u8>, DecodeError> {
    if len / 32 > reader.rest().len() {
        return Err(DecodeError::TooShort { what, len: reader.rest().len() });
    }
    let mut data = Vec::with_capacity(len);
    let selector = if len % 32 == 4 { 4 } else { 0 };
    data.extend_from_slice(reader.take(selector, what)?);
    for _ in 0..(len - selector) / 32 {
        data.extend_from_slice(&take_word(reader, what)?);
    }
    data.extend_from_slice(reader.take((len - selector) % 32, what)?);
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(data: &[u8]) -> usize {
        let mut out = Vec::new();
        put_compressed(&mut out, data);
        let mut reader = Reader::new(&out);
        assert_eq!(take_compressed(&mut reader, "data").unwrap(), data);
        assert!(reader.is_empty());
        out.len()
    }

    proptest! {
        #[test]
        fn data_round_trips(data in proptest::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..2000)) {
            round_trip(&data);
        }

        #[test]
        fn expanding_never_panics(bytes: Vec<u8>) {
            let _ = take_compressed(&mut Reader::new(&bytes), "data");
        }
    }

    #[test]
    fn a_token_transfer_halves() {
        let mut data = vec![0xa9, 0x05, 0x9c, 0xbb];
        data.extend_from_slice(&[0; 12]);
        data.extend_from_slice(&[0x11; 20]);
        data.extend_from_slice(&[0; 24]);
        data.extend_from_slice(&[0x22; 8]);
        assert_eq!(round_trip(&data), 2 + 4 + 21 + 9);
    }

    #[test]
    fn text_is_packed_by_zstd() {
        let text = b"the quick brown fox jumps over the lazy dog. ".repeat(40);
        assert!(round_trip(&text) < 100);
    }

    #[test]
    fn an_absurd_length_is_refused() {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, (1 << 60) << 2 | WORDS);
        assert!(take_compressed(&mut Reader::new(&bytes), "data").is_err());
    }
}
