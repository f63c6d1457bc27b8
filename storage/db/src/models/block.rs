//! Blocks as they are stored.

use alloy_consensus::{EthereumReceipt, EthereumTxEnvelope, Header, TxEip4844};
use alloy_eips::eip4895::Withdrawal;

use crate::{
    DecodeError, Value,
    codec::{Reader, put_bytes, put_varint},
};

/// A signed transaction as blocks hold it: no blob sidecar.
pub type Transaction = EthereumTxEnvelope<TxEip4844>;

/// A receipt without its bloom.
pub type Receipt = EthereumReceipt;

/// What a block holds besides its header and the transactions themselves.
///
/// Bytes: first transaction number varint ‖ transaction count varint ‖ head (bit 0 has ommers, bit 1 has a
/// withdrawals list) ‖ [ommers: RLP list as bytes] ‖ [withdrawals: count varint, then per withdrawal index,
/// validator, amount in gwei as varints and address 20].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredBody {
    /// Running number, over the canonical chain, of the first transaction; of the next one when there is none.
    pub first_tx_number: u64,
    /// How many transactions.
    pub tx_count: u64,
    /// Ommers, of blocks before the merge.
    pub ommers: Vec<Header>,
    /// Withdrawals, from Shanghai on.
    pub withdrawals: Option<Vec<Withdrawal>>,
}

const HAS_OMMERS: u8 = 1;
const HAS_WITHDRAWALS: u8 = 1 << 1;

impl StoredBody {
    /// Running numbers of the block's transactions.
    pub fn tx_numbers(&self) -> std::ops::Range<u64> {
        self.first_tx_number..self.first_tx_number + self.tx_count
    }
}

impl Value for StoredBody {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.first_tx_number);
        put_varint(out, self.tx_count);
        let ommers = if self.ommers.is_empty() { 0 } else { HAS_OMMERS };
        let withdrawals = if self.withdrawals.is_some() { HAS_WITHDRAWALS } else { 0 };
        out.push(ommers | withdrawals);
        if !self.ommers.is_empty() {
            put_bytes(out, &alloy_rlp::encode(&self.ommers));
        }
        let Some(withdrawals) = &self.withdrawals else { return };
        put_varint(out, withdrawals.len() as u64);
        for withdrawal in withdrawals {
            put_varint(out, withdrawal.index);
            put_varint(out, withdrawal.validator_index);
            put_varint(out, withdrawal.amount);
            out.extend_from_slice(withdrawal.address.as_slice());
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let first_tx_number = reader.varint("first transaction number")?;
        let tx_count = reader.varint("transaction count")?;
        if first_tx_number.checked_add(tx_count).is_none() {
            return Err(DecodeError::Malformed { what: "transaction count" });
        }
        let head = reader.byte("body head")?;
        let ommers = if head & HAS_OMMERS != 0 {
            alloy_rlp::decode_exact(reader.bytes("ommers")?)
                .map_err(|_| DecodeError::Malformed { what: "ommers" })?
        } else {
            Vec::new()
        };
        let withdrawals =
            if head & HAS_WITHDRAWALS != 0 { Some(take_withdrawals(&mut reader)?) } else { None };
        reader.finish("body")?;
        Ok(Self { first_tx_number, tx_count, ommers, withdrawals })
    }
}

fn take_withdrawals(reader: &mut Reader<'_>) -> Result<Vec<Withdrawal>, DecodeError> {
    let count = reader.count(23, "withdrawal count")?;
    let withdrawals = (0..count).map(|_| {
        Ok(Withdrawal {
            index: reader.varint("withdrawal index")?,
            validator_index: reader.varint("validator index")?,
            amount: reader.varint("withdrawal amount")?,
            address: reader.address("withdrawal address")?,
        })
    });
    withdrawals.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bodies_round_trip(first in 0..u64::MAX / 2, count in 0..u64::MAX / 2, ommers in 0usize..3, withdrawals: Option<Vec<(u64, u64, u64, [u8; 20])>>) {
            let withdrawal = |(index, validator_index, amount, address): (u64, u64, u64, [u8; 20])| {
                Withdrawal { index, validator_index, amount, address: address.into() }
            };
            let body = StoredBody {
                first_tx_number: first,
                tx_count: count,
                ommers: vec![Header::default(); ommers],
                withdrawals: withdrawals.map(|list| list.into_iter().map(withdrawal).collect()),
            };
            let mut out = Vec::new();
            body.encode(&mut out);
            prop_assert_eq!(StoredBody::decode(&out).unwrap(), body);
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = StoredBody::decode(&bytes);
        }
    }

    #[test]
    fn an_empty_body_has_its_golden_bytes() {
        let mut out = Vec::new();
        StoredBody { first_tx_number: 300, ..Default::default() }.encode(&mut out);
        assert_eq!(out, [0xac, 0x02, 0, 0]);
    }
}
