//! Headers: a field mask, then the fields that are not at their usual value.
//!
//! ```text
//!  u32 mask (big-endian) ‖ parent hash 32 ‖ [ommers hash 32] ‖ beneficiary 20 ‖ state root 32 ‖ [transactions root 32]
//!  ‖ [receipts root 32] ‖ bloom ‖ [difficulty trimmed] ‖ number varint ‖ gas limit varint ‖ gas used varint
//!  ‖ timestamp varint ‖ extra data bytes ‖ [mix hash 32] ‖ [nonce 8] ‖ [base fee varint] ‖ [withdrawals root 32]
//!  ‖ [blob gas used varint] ‖ [excess blob gas varint] ‖ [parent beacon root 32] ‖ [requests hash 32]
//!  ‖ [block access list hash 32] ‖ [slot number varint]
//!
//!  bloom: count of non-zero bytes (1 byte, 0xff = raw 256 bytes follow), then (position, byte) pairs
//! ```
//! A bit of the mask says that the bracketed field of that position follows.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header};
use alloy_primitives::{B64, Bloom, Bytes};

use super::{Reader, put_bytes, put_trimmed, put_varint};
use crate::{DecodeError, Value};

const OMMERS: u32 = 1;
const TRANSACTIONS: u32 = 1 << 1;
const RECEIPTS: u32 = 1 << 2;
const DIFFICULTY: u32 = 1 << 3;
const MIX_HASH: u32 = 1 << 4;
const NONCE: u32 = 1 << 5;
const BASE_FEE: u32 = 1 << 6;
const WITHDRAWALS: u32 = 1 << 7;
const BLOB_GAS_USED: u32 = 1 << 8;
const EXCESS_BLOB_GAS: u32 = 1 << 9;
const BEACON_ROOT: u32 = 1 << 10;
const REQUESTS: u32 = 1 << 11;
const ACCESS_LIST: u32 = 1 << 12;
const SLOT: u32 = 1 << 13;
const KNOWN: u32 = (1 << 14) - 1;

const RAW_BLOOM: u8 = 0xff;
const SPARSE_BLOOM_MAX: usize = 120;

fn mask(header: &Header) -> u32 {
    let bit = |set: bool, bit: u32| if set { bit } else { 0 };
    bit(header.ommers_hash != EMPTY_OMMER_ROOT_HASH, OMMERS)
        | bit(header.transactions_root != EMPTY_ROOT_HASH, TRANSACTIONS)
        | bit(header.receipts_root != EMPTY_ROOT_HASH, RECEIPTS)
        | bit(!header.difficulty.is_zero(), DIFFICULTY)
        | bit(!header.mix_hash.is_zero(), MIX_HASH)
        | bit(!header.nonce.is_zero(), NONCE)
        | bit(header.base_fee_per_gas.is_some(), BASE_FEE)
        | bit(header.withdrawals_root.is_some(), WITHDRAWALS)
        | bit(header.blob_gas_used.is_some(), BLOB_GAS_USED)
        | bit(header.excess_blob_gas.is_some(), EXCESS_BLOB_GAS)
        | bit(header.parent_beacon_block_root.is_some(), BEACON_ROOT)
        | bit(header.requests_hash.is_some(), REQUESTS)
        | bit(header.block_access_list_hash.is_some(), ACCESS_LIST)
        | bit(header.slot_number.is_some(), SLOT)
}

impl Value for Header {
    fn encode(&self, out: &mut Vec<u8>) {
        let mask = mask(self);
        let has = |bit: u32| mask & bit != 0;
        out.extend_from_slice(&mask.to_be_bytes());
        out.extend_from_slice(self.parent_hash.as_slice());
        if has(OMMERS) {
            out.extend_from_slice(self.ommers_hash.as_slice());
        }
        out.extend_from_slice(self.beneficiary.as_slice());
        out.extend_from_slice(self.state_root.as_slice());
        if has(TRANSACTIONS) {
            out.extend_from_slice(self.transactions_root.as_slice());
        }
        if has(RECEIPTS) {
            out.extend_from_slice(self.receipts_root.as_slice());
        }
        put_bloom(out, &self.logs_bloom);
        if has(DIFFICULTY) {
            put_trimmed(out, self.difficulty);
        }
        for number in [self.number, self.gas_limit, self.gas_used, self.timestamp] {
            put_varint(out, number);
        }
        put_bytes(out, &self.extra_data);
        if has(MIX_HASH) {
            out.extend_from_slice(self.mix_hash.as_slice());
        }
        if has(NONCE) {
            out.extend_from_slice(self.nonce.as_slice());
        }
        put_optional_fields(self, out);
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mask = u32::from_be_bytes(reader.take(4, "header mask")?.try_into().expect("took 4 bytes"));
        if mask & !KNOWN != 0 {
            return Err(DecodeError::Malformed { what: "header mask" });
        }
        let has = |bit: u32| mask & bit != 0;
        let mut header = Self {
            parent_hash: reader.b256("parent hash")?,
            ommers_hash: if has(OMMERS) { reader.b256("ommers hash")? } else { EMPTY_OMMER_ROOT_HASH },
            beneficiary: reader.address("beneficiary")?,
            state_root: reader.b256("state root")?,
            transactions_root: if has(TRANSACTIONS) {
                reader.b256("transactions root")?
            } else {
                EMPTY_ROOT_HASH
            },
            receipts_root: if has(RECEIPTS) { reader.b256("receipts root")? } else { EMPTY_ROOT_HASH },
            logs_bloom: take_bloom(&mut reader)?,
            ..Self::default()
        };
        if has(DIFFICULTY) {
            header.difficulty = reader.trimmed("difficulty")?;
        }
        header.number = reader.varint("number")?;
        header.gas_limit = reader.varint("gas limit")?;
        header.gas_used = reader.varint("gas used")?;
        header.timestamp = reader.varint("timestamp")?;
        header.extra_data = Bytes::copy_from_slice(reader.bytes("extra data")?);
        if has(MIX_HASH) {
            header.mix_hash = reader.b256("mix hash")?;
        }
        if has(NONCE) {
            header.nonce = B64::from_slice(reader.take(8, "nonce")?);
        }
        take_optional_fields(&mut header, mask, &mut reader)?;
        reader.finish("header")?;
        Ok(header)
    }
}

fn put_optional_fields(header: &Header, out: &mut Vec<u8>) {
    if let Some(base_fee) = header.base_fee_per_gas {
        put_varint(out, base_fee);
    }
    if let Some(root) = header.withdrawals_root {
        out.extend_from_slice(root.as_slice());
    }
    for number in [header.blob_gas_used, header.excess_blob_gas].into_iter().flatten() {
        put_varint(out, number);
    }
    let hashes = [header.parent_beacon_block_root, header.requests_hash, header.block_access_list_hash];
    for hash in hashes.into_iter().flatten() {
        out.extend_from_slice(hash.as_slice());
    }
    if let Some(slot) = header.slot_number {
        put_varint(out, slot);
    }
}

fn take_optional_fields(header: &mut Header, mask: u32, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let has = |bit: u32| mask & bit != 0;
    if has(BASE_FEE) {
        header.base_fee_per_gas = Some(reader.varint("base fee")?);
    }
    if has(WITHDRAWALS) {
        header.withdrawals_root = Some(reader.b256("withdrawals root")?);
    }
    if has(BLOB_GAS_USED) {
        header.blob_gas_used = Some(reader.varint("blob gas used")?);
    }
    if has(EXCESS_BLOB_GAS) {
        header.excess_blob_gas = Some(reader.varint("excess blob gas")?);
    }
    if has(BEACON_ROOT) {
        header.parent_beacon_block_root = Some(reader.b256("parent beacon root")?);
    }
    if has(REQUESTS) {
        header.requests_hash = Some(reader.b256("requests hash")?);
    }
    if has(ACCESS_LIST) {
        header.block_access_list_hash = Some(reader.b256("block access list hash")?);
    }
    if has(SLOT) {
        header.slot_number = Some(reader.varint("slot number")?);
    }
    Ok(())
}

fn put_bloom(out: &mut Vec<u8>, bloom: &Bloom) {
    let set = bloom.iter().filter(|byte| **byte != 0).count();
    if set > SPARSE_BLOOM_MAX {
        out.push(RAW_BLOOM);
        out.extend_from_slice(bloom.as_slice());
        return;
    }
    out.push(set as u8);
    for (position, byte) in bloom.iter().enumerate().filter(|(_, byte)| **byte != 0) {
        out.extend_from_slice(&[position as u8, *byte]);
    }
}

fn take_bloom(reader: &mut Reader<'_>) -> Result<Bloom, DecodeError> {
    let count = reader.byte("bloom")?;
    if count == RAW_BLOOM {
        return Ok(Bloom::from_slice(reader.take(256, "bloom")?));
    }
    let mut bloom = Bloom::ZERO;
    for pair in reader.take(2 * usize::from(count), "bloom")?.chunks_exact(2) {
        bloom.0[usize::from(pair[0])] = pair[1];
    }
    Ok(bloom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, B256, U256};
    use proptest::prelude::*;

    fn encoded(header: &Header) -> Vec<u8> {
        let mut out = Vec::new();
        header.encode(&mut out);
        out
    }

    #[test]
    fn an_empty_header_has_its_golden_bytes() {
        let bytes =
            encoded(&Header { number: 1, gas_limit: 5000, state_root: B256::ZERO, ..Default::default() });
        let mut expected = vec![0; 4 + 32 + 20 + 32 + 1];
        expected.extend_from_slice(&[1, 0x88, 0x27, 0, 0, 0]);
        assert_eq!(bytes, expected);
    }

    fn any_header() -> impl Strategy<Value = Header> {
        let hashes = proptest::collection::vec(any::<[u8; 32]>(), 9);
        let numbers = proptest::collection::vec(any::<u64>(), 8);
        let bloom = proptest::collection::vec(prop_oneof![3 => Just(0u8), 1 => any::<u8>()], 256);
        (hashes, numbers, bloom, any::<[u8; 20]>(), any::<Vec<u8>>(), any::<u16>()).prop_map(
            |(hashes, numbers, bloom, beneficiary, extra, some)| {
                let hash = |i: usize| B256::from(hashes[i]);
                let opt = |i: u32| some >> i & 1 == 1;
                Header {
                    parent_hash: hash(0),
                    ommers_hash: if opt(0) { hash(1) } else { EMPTY_OMMER_ROOT_HASH },
                    beneficiary: Address::from(beneficiary),
                    state_root: hash(2),
                    transactions_root: if opt(1) { hash(3) } else { EMPTY_ROOT_HASH },
                    receipts_root: if opt(2) { hash(4) } else { EMPTY_ROOT_HASH },
                    logs_bloom: Bloom::from_slice(&bloom),
                    difficulty: if opt(3) { U256::from_be_bytes(hashes[5]) } else { U256::ZERO },
                    number: numbers[0],
                    gas_limit: numbers[1],
                    gas_used: numbers[2],
                    timestamp: numbers[3],
                    extra_data: extra.into(),
                    mix_hash: if opt(4) { hash(6) } else { B256::ZERO },
                    nonce: if opt(5) { B64::from(numbers[4]) } else { B64::ZERO },
                    base_fee_per_gas: opt(6).then_some(numbers[5]),
                    withdrawals_root: opt(7).then_some(hash(7)),
                    blob_gas_used: opt(8).then_some(numbers[6]),
                    excess_blob_gas: opt(9).then_some(numbers[7]),
                    parent_beacon_block_root: opt(10).then_some(hash(8)),
                    requests_hash: opt(11).then_some(hash(0)),
                    block_access_list_hash: opt(12).then_some(hash(1)),
                    slot_number: opt(13).then_some(numbers[1]),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn headers_round_trip(header in any_header()) {
            prop_assert_eq!(Header::decode(&encoded(&header)).unwrap(), header);
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = Header::decode(&bytes);
        }
    }
}
