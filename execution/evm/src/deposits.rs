//! Deposits in logs, strictly (EIP-6110): a log of the deposit contract that is not laid out as its event is makes
//! the block invalid.

use alloy_primitives::{Address, B256, Log, b256};

/// Keccak of `DepositEvent(bytes,bytes,bytes,bytes,bytes)`.
const DEPOSIT_EVENT_SIGNATURE: B256 =
    b256!("0x649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5");

/// Bytes of the event's data.
const DATA_BYTES: usize = 576;

/// Offset of each of the five fields in the data, and its length: public key, withdrawal credentials, amount,
/// signature, index.
const FIELDS: [(usize, usize); 5] = [(160, 48), (256, 32), (320, 8), (384, 96), (512, 8)];

/// Whether `log` is no deposit, or one that is laid out as it must be.
pub(crate) fn is_well_formed(log: &Log, deposit_contract: Address) -> bool {
    if log.address != deposit_contract || log.topics().first() != Some(&DEPOSIT_EVENT_SIGNATURE) {
        return true;
    }
    let data = &log.data.data;
    let word = |offset: usize| data.get(offset..offset + 32).and_then(as_usize);
    data.len() == DATA_BYTES
        && FIELDS.iter().enumerate().all(|(index, (offset, length))| {
            word(index * 32) == Some(*offset) && word(*offset) == Some(*length)
        })
}

/// A word as a length; `None` when it is none that could be right.
fn as_usize(word: &[u8]) -> Option<usize> {
    let (high, low) = word.split_at(28);
    let low = low.try_into().map(u32::from_be_bytes).ok()?;
    high.iter().all(|byte| *byte == 0).then_some(low as usize)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, LogData, U256, keccak256};

    use super::*;

    fn deposit() -> Vec<u8> {
        let mut data = vec![0; DATA_BYTES];
        for (index, (offset, length)) in FIELDS.into_iter().enumerate() {
            data[index * 32..][..32].copy_from_slice(&U256::from(offset).to_be_bytes::<32>());
            data[offset..][..32].copy_from_slice(&U256::from(length).to_be_bytes::<32>());
        }
        data
    }

    fn log(data: Vec<u8>, topic: B256) -> Log {
        Log { address: Address::ZERO, data: LogData::new_unchecked(vec![topic], Bytes::from(data)) }
    }

    #[test]
    fn every_word_of_the_layout_counts() {
        let topic = DEPOSIT_EVENT_SIGNATURE;
        assert!(is_well_formed(&log(deposit(), topic), Address::ZERO));
        for word in (0..5).map(|index| index * 32).chain(FIELDS.map(|(offset, _)| offset)) {
            for byte in [0, 31] {
                let mut data = deposit();
                data[word + byte] ^= 1;
                assert!(!is_well_formed(&log(data, topic), Address::ZERO), "byte {byte} of word {word}");
            }
        }
        let mut long = deposit();
        long.push(0);
        assert!(!is_well_formed(&log(long, topic), Address::ZERO));
        assert!(!is_well_formed(&log(Vec::new(), topic), Address::ZERO));
    }

    #[test]
    fn the_signature_is_that_of_the_event() {
        assert_eq!(keccak256("DepositEvent(bytes,bytes,bytes,bytes,bytes)"), DEPOSIT_EVENT_SIGNATURE);
    }

    #[test]
    fn other_logs_are_no_deposits() {
        assert!(is_well_formed(&log(Vec::new(), B256::ZERO), Address::ZERO));
        assert!(is_well_formed(&log(Vec::new(), DEPOSIT_EVENT_SIGNATURE), Address::repeat_byte(1)));
    }
}
