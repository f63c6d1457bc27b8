//! Looks at a block or header without decoding it: how long it is, which number it has.

use alloy_primitives::{B256, U256, b256};
use alloy_rlp::{Decodable, Header};

/// Bytes from the start of a block within which its number always ends: two list headers of up to 9 bytes, five
/// hashes of 33, an address of 21, a bloom of 259, a difficulty of 33 and the number's 9.
pub(crate) const PEEK_BYTES: usize = 2 * LIST_HEADER_BYTES_MAX + 5 * 33 + 21 + 259 + 33 + 9;

/// The longest header of an RLP list.
pub(crate) const LIST_HEADER_BYTES_MAX: usize = 9;

/// What ordering and linking blocks needs of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeaderPeek {
    pub(crate) parent_hash: B256,
    pub(crate) difficulty: U256,
    pub(crate) number: u64,
}

impl HeaderPeek {
    /// Reads the fields from a header's RLP, of which the end may be missing.
    pub(crate) fn of_header(mut rlp: &[u8]) -> alloy_rlp::Result<Self> {
        enter_list(&mut rlp)?;
        let parent_hash = B256::decode(&mut rlp)?;
        for _ in OMMERS_HASH_TO_BLOOM {
            Header::decode_bytes(&mut rlp, false)?;
        }
        Ok(Self { parent_hash, difficulty: U256::decode(&mut rlp)?, number: u64::decode(&mut rlp)? })
    }

    /// Reads the fields from a block's RLP, of which everything after [`PEEK_BYTES`] may be missing.
    pub(crate) fn of_block(mut rlp: &[u8]) -> alloy_rlp::Result<Self> {
        enter_list(&mut rlp)?;
        Self::of_header(rlp)
    }
}

/// Whether a header, given whole, is one of IBFT or QBFT. The hash of such a block leaves out its seals, so it is not
/// the hash of the header's bytes.
pub(crate) fn is_bft_header(mut rlp: &[u8]) -> alloy_rlp::Result<bool> {
    enter_list(&mut rlp)?;
    for _ in 0..FIELDS_BEFORE_MIX_HASH {
        Header::decode_bytes(&mut rlp, false)?;
    }
    Ok(B256::decode(&mut rlp)? == ISTANBUL_DIGEST)
}

/// Parent hash to extra data.
const FIELDS_BEFORE_MIX_HASH: usize = 13;

/// The mix hash that marks headers of IBFT and QBFT.
const ISTANBUL_DIGEST: B256 = b256!("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365");

/// The fields between the parent hash and the difficulty.
const OMMERS_HASH_TO_BLOOM: [&str; 6] =
    ["ommers_hash", "beneficiary", "state_root", "transactions_root", "receipts_root", "logs_bloom"];

/// Steps over a list's header; the list may go on after the end of `rlp`.
fn enter_list(rlp: &mut &[u8]) -> alloy_rlp::Result<()> {
    let length = list_length(rlp)?;
    *rlp = &rlp[length.header..];
    Ok(())
}

/// The length of an RLP list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListLength {
    /// Bytes of the list's header, 1 to 9.
    pub(crate) header: usize,
    /// Bytes of its payload, not necessarily present.
    pub(crate) payload: u64,
}

impl ListLength {
    /// Bytes of header and payload.
    pub(crate) fn total(self) -> u64 {
        self.payload.saturating_add(self.header as u64)
    }
}

/// Reads the length of the list that starts at `rlp`, whose payload need not be there.
pub(crate) fn list_length(rlp: &[u8]) -> alloy_rlp::Result<ListLength> {
    let Some(&first) = rlp.first() else { return Err(alloy_rlp::Error::InputTooShort) };
    match first {
        0x00..=0xbf => Err(alloy_rlp::Error::UnexpectedString),
        0xc0..=0xf7 => Ok(ListLength { header: 1, payload: u64::from(first - 0xc0) }),
        0xf8..=0xff => {
            let length_bytes = usize::from(first - 0xf7);
            let Some(bytes) = rlp.get(1..=length_bytes) else { return Err(alloy_rlp::Error::InputTooShort) };
            let payload = bytes.iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
            match (bytes[0], payload) {
                (0, _) => Err(alloy_rlp::Error::LeadingZero),
                (_, 0..=55) => Err(alloy_rlp::Error::NonCanonicalSize),
                _ => Ok(ListLength { header: 1 + length_bytes, payload }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_rlp::Encodable;

    #[test]
    fn peek_reads_the_fields_of_the_largest_header_from_the_first_bytes() {
        let header = alloy_consensus::Header {
            parent_hash: B256::repeat_byte(7),
            difficulty: U256::MAX,
            number: u64::MAX,
            extra_data: vec![1; 70_000].into(),
            ..Default::default()
        };
        let block = alloy_consensus::Block::<crate::Transaction>::uncle(header.clone());
        let rlp = alloy_rlp::encode(&block);
        let expected = HeaderPeek {
            parent_hash: header.parent_hash,
            difficulty: header.difficulty,
            number: header.number,
        };
        assert_eq!(HeaderPeek::of_block(&rlp[..PEEK_BYTES]), Ok(expected));
        assert_eq!(list_length(&rlp[..9]).unwrap().total(), block.length() as u64);
        assert!(HeaderPeek::of_block(&rlp[..100]).is_err());
    }

    #[test]
    fn bft_headers_are_told_by_their_mix_hash() {
        let header = alloy_consensus::Header { mix_hash: ISTANBUL_DIGEST, ..Default::default() };
        assert_eq!(is_bft_header(&alloy_rlp::encode(&header)), Ok(true));
        assert_eq!(is_bft_header(&alloy_rlp::encode(alloy_consensus::Header::default())), Ok(false));
        assert!(is_bft_header(&alloy_rlp::encode(&header)[..300]).is_err());
    }

    #[test]
    fn lengths_are_canonical() {
        assert_eq!(list_length(&[0xc3]), Ok(ListLength { header: 1, payload: 3 }));
        assert_eq!(list_length(&[0xf9, 1, 0]), Ok(ListLength { header: 3, payload: 256 }));
        assert_eq!(list_length(&[0xf9, 0, 200]), Err(alloy_rlp::Error::LeadingZero));
        assert_eq!(list_length(&[0xf8, 55]), Err(alloy_rlp::Error::NonCanonicalSize));
        assert_eq!(list_length(&[0xff; 9]).unwrap().total(), u64::MAX);
        assert_eq!(list_length(&[0xff; 8]), Err(alloy_rlp::Error::InputTooShort));
        assert_eq!(list_length(&[0x80]), Err(alloy_rlp::Error::UnexpectedString));
    }
}
