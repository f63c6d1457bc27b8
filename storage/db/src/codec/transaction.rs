//! Transactions, with their signatures and without blob sidecars.
//!
//! ```text
//!  head (bits 0-2 type, bit 3 y parity, bit 4 creation, bit 5 has chain id, bit 6 has access list)
//!  ‖ r 32 ‖ s 32 ‖ [chain id varint] ‖ nonce varint ‖ gas limit varint ‖ gas price or fee cap trimmed
//!  ‖ [priority fee trimmed: types 2, 3, 4] ‖ [to 20] ‖ value trimmed ‖ input (see `compress`)
//!  ‖ [access list: RLP bytes] ‖ [type 3: blob fee cap trimmed ‖ count varint ‖ hashes 32 each]
//!  ‖ [type 4: authorization list: RLP bytes]
//! ```

use alloy_consensus::{Signed, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy, TxType};
use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, ChainId, Signature, TxKind, U256};
use alloy_rlp::{Decodable, Encodable};

use super::{
    Reader,
    bytes::put_trimmed_u128,
    compress::{put_compressed, take_compressed},
    put_bytes, put_trimmed, put_varint,
};
use crate::{DecodeError, Value, models::Transaction};

const Y_PARITY: u8 = 1 << 3;
const CREATE: u8 = 1 << 4;
const CHAIN_ID: u8 = 1 << 5;
const ACCESS_LIST: u8 = 1 << 6;

/// The fields that all types have, in the order in which they are stored.
struct Common<'a> {
    tx_type: TxType,
    chain_id: Option<ChainId>,
    nonce: u64,
    gas_limit: u64,
    /// Gas price, or fee cap from type 2 on.
    price: u128,
    priority_fee: Option<u128>,
    to: TxKind,
    value: U256,
    input: &'a Bytes,
    access_list: Option<&'a AccessList>,
}

impl Common<'_> {
    fn put(&self, signature: &Signature, out: &mut Vec<u8>) {
        let access_list = self.access_list.filter(|list| !list.is_empty());
        let mut head = self.tx_type as u8;
        head |= if signature.v() { Y_PARITY } else { 0 };
        head |= if self.to.is_create() { CREATE } else { 0 };
        head |= if self.chain_id.is_some() { CHAIN_ID } else { 0 };
        head |= if access_list.is_some() { ACCESS_LIST } else { 0 };
        out.push(head);
        out.extend_from_slice(&signature.r().to_be_bytes::<32>());
        out.extend_from_slice(&signature.s().to_be_bytes::<32>());
        if let Some(chain_id) = self.chain_id {
            put_varint(out, chain_id);
        }
        put_varint(out, self.nonce);
        put_varint(out, self.gas_limit);
        put_trimmed_u128(out, self.price);
        if let Some(fee) = self.priority_fee {
            put_trimmed_u128(out, fee);
        }
        if let TxKind::Call(to) = self.to {
            out.extend_from_slice(to.as_slice());
        }
        put_trimmed(out, self.value);
        put_compressed(out, self.input);
        if let Some(list) = access_list {
            put_rlp(out, list);
        }
    }
}

fn put_rlp(out: &mut Vec<u8>, value: &impl Encodable) {
    put_bytes(out, &alloy_rlp::encode(value));
}

fn take_rlp<T: Decodable>(reader: &mut Reader<'_>, what: &'static str) -> Result<T, DecodeError> {
    alloy_rlp::decode_exact(reader.bytes(what)?).map_err(|_| DecodeError::Malformed { what })
}

impl Value for Transaction {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Legacy(tx) => put_legacy(tx, out),
            Self::Eip2930(tx) => put_eip2930(tx, out),
            Self::Eip1559(tx) => put_eip1559(tx, out),
            Self::Eip4844(tx) => put_eip4844(tx, out),
            Self::Eip7702(tx) => put_eip7702(tx, out),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let stored = Stored::take(&mut reader)?;
        let transaction = match stored.tx_type {
            TxType::Legacy => stored.legacy(),
            TxType::Eip2930 => stored.eip2930(),
            TxType::Eip1559 => stored.eip1559(),
            TxType::Eip4844 => stored.eip4844(&mut reader)?,
            TxType::Eip7702 => stored.eip7702(&mut reader)?,
        };
        reader.finish("transaction")?;
        Ok(transaction)
    }
}

fn put_legacy(signed: &Signed<TxLegacy>, out: &mut Vec<u8>) {
    let tx = signed.tx();
    let common = Common {
        tx_type: TxType::Legacy,
        chain_id: tx.chain_id,
        nonce: tx.nonce,
        gas_limit: tx.gas_limit,
        price: tx.gas_price,
        priority_fee: None,
        to: tx.to,
        value: tx.value,
        input: &tx.input,
        access_list: None,
    };
    common.put(signed.signature(), out);
}

fn put_eip2930(signed: &Signed<TxEip2930>, out: &mut Vec<u8>) {
    let tx = signed.tx();
    let common = Common {
        tx_type: TxType::Eip2930,
        chain_id: Some(tx.chain_id),
        nonce: tx.nonce,
        gas_limit: tx.gas_limit,
        price: tx.gas_price,
        priority_fee: None,
        to: tx.to,
        value: tx.value,
        input: &tx.input,
        access_list: Some(&tx.access_list),
    };
    common.put(signed.signature(), out);
}

fn put_eip1559(signed: &Signed<TxEip1559>, out: &mut Vec<u8>) {
    let tx = signed.tx();
    let common = Common {
        tx_type: TxType::Eip1559,
        chain_id: Some(tx.chain_id),
        nonce: tx.nonce,
        gas_limit: tx.gas_limit,
        price: tx.max_fee_per_gas,
        priority_fee: Some(tx.max_priority_fee_per_gas),
        to: tx.to,
        value: tx.value,
        input: &tx.input,
        access_list: Some(&tx.access_list),
    };
    common.put(signed.signature(), out);
}

fn put_eip4844(signed: &Signed<TxEip4844>, out: &mut Vec<u8>) {
    let tx = signed.tx();
    let common = Common {
        tx_type: TxType::Eip4844,
        chain_id: Some(tx.chain_id),
        nonce: tx.nonce,
        gas_limit: tx.gas_limit,
        price: tx.max_fee_per_gas,
        priority_fee: Some(tx.max_priority_fee_per_gas),
        to: TxKind::Call(tx.to),
        value: tx.value,
        input: &tx.input,
        access_list: Some(&tx.access_list),
    };
    common.put(signed.signature(), out);
    put_trimmed_u128(out, tx.max_fee_per_blob_gas);
    put_varint(out, tx.blob_versioned_hashes.len() as u64);
    for hash in &tx.blob_versioned_hashes {
        out.extend_from_slice(hash.as_slice());
    }
}

fn put_eip7702(signed: &Signed<TxEip7702>, out: &mut Vec<u8>) {
    let tx = signed.tx();
    let common = Common {
        tx_type: TxType::Eip7702,
        chain_id: Some(tx.chain_id),
        nonce: tx.nonce,
        gas_limit: tx.gas_limit,
        price: tx.max_fee_per_gas,
        priority_fee: Some(tx.max_priority_fee_per_gas),
        to: TxKind::Call(tx.to),
        value: tx.value,
        input: &tx.input,
        access_list: Some(&tx.access_list),
    };
    common.put(signed.signature(), out);
    put_rlp(out, &tx.authorization_list);
}

/// The common fields as read back.
struct Stored {
    tx_type: TxType,
    signature: Signature,
    chain_id: Option<ChainId>,
    nonce: u64,
    gas_limit: u64,
    price: u128,
    priority_fee: u128,
    to: TxKind,
    value: U256,
    input: Bytes,
    access_list: AccessList,
}

impl Stored {
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let malformed = |what| DecodeError::Malformed { what };
        let head = reader.byte("transaction head")?;
        let tx_type = TxType::try_from(head & 7).map_err(|_| malformed("transaction type"))?;
        let needs_to = matches!(tx_type, TxType::Eip4844 | TxType::Eip7702);
        let needs_chain_id = tx_type != TxType::Legacy;
        if head >> 7 != 0 || (needs_to && head & CREATE != 0) || (needs_chain_id && head & CHAIN_ID == 0) {
            return Err(malformed("transaction head"));
        }
        let r = U256::from_be_slice(reader.take(32, "r")?);
        let s = U256::from_be_slice(reader.take(32, "s")?);
        let has_priority_fee = matches!(tx_type, TxType::Eip1559 | TxType::Eip4844 | TxType::Eip7702);
        Ok(Self {
            tx_type,
            signature: Signature::new(r, s, head & Y_PARITY != 0),
            chain_id: if head & CHAIN_ID != 0 { Some(reader.varint("chain id")?) } else { None },
            nonce: reader.varint("nonce")?,
            gas_limit: reader.varint("gas limit")?,
            price: reader.trimmed_u128("gas price")?,
            priority_fee: if has_priority_fee { reader.trimmed_u128("priority fee")? } else { 0 },
            to: if head & CREATE != 0 { TxKind::Create } else { TxKind::Call(reader.address("to")?) },
            value: reader.trimmed("value")?,
            input: take_compressed(reader, "input")?.into(),
            access_list: if head & ACCESS_LIST != 0 {
                take_rlp(reader, "access list")?
            } else {
                AccessList::default()
            },
        })
    }

    fn chain_id(&self) -> ChainId {
        self.chain_id.expect("checked for typed transactions")
    }

    fn to_address(&self) -> Address {
        self.to.into_to().expect("checked for types that cannot create")
    }

    fn legacy(self) -> Transaction {
        let tx = TxLegacy {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_price: self.price,
            gas_limit: self.gas_limit,
            to: self.to,
            value: self.value,
            input: self.input,
        };
        Transaction::Legacy(Signed::new_unhashed(tx, self.signature))
    }

    fn eip2930(self) -> Transaction {
        let tx = TxEip2930 {
            chain_id: self.chain_id(),
            nonce: self.nonce,
            gas_price: self.price,
            gas_limit: self.gas_limit,
            to: self.to,
            value: self.value,
            access_list: self.access_list,
            input: self.input,
        };
        Transaction::Eip2930(Signed::new_unhashed(tx, self.signature))
    }

    fn eip1559(self) -> Transaction {
        let tx = TxEip1559 {
            chain_id: self.chain_id(),
            nonce: self.nonce,
            gas_limit: self.gas_limit,
            max_fee_per_gas: self.price,
            max_priority_fee_per_gas: self.priority_fee,
            to: self.to,
            value: self.value,
            access_list: self.access_list,
            input: self.input,
        };
        Transaction::Eip1559(Signed::new_unhashed(tx, self.signature))
    }

    fn eip4844(self, reader: &mut Reader<'_>) -> Result<Transaction, DecodeError> {
        let max_fee_per_blob_gas = reader.trimmed_u128("blob fee")?;
        let count = reader.count(32, "blob hash count")?;
        let blob_versioned_hashes =
            (0..count).map(|_| reader.b256("blob hash")).collect::<Result<Vec<B256>, _>>()?;
        let tx = TxEip4844 {
            chain_id: self.chain_id(),
            nonce: self.nonce,
            gas_limit: self.gas_limit,
            max_fee_per_gas: self.price,
            max_priority_fee_per_gas: self.priority_fee,
            to: self.to_address(),
            value: self.value,
            access_list: self.access_list,
            blob_versioned_hashes,
            max_fee_per_blob_gas,
            input: self.input,
        };
        Ok(Transaction::Eip4844(Signed::new_unhashed(tx, self.signature)))
    }

    fn eip7702(self, reader: &mut Reader<'_>) -> Result<Transaction, DecodeError> {
        let authorization_list: Vec<SignedAuthorization> = take_rlp(reader, "authorization list")?;
        let tx = TxEip7702 {
            chain_id: self.chain_id(),
            nonce: self.nonce,
            gas_limit: self.gas_limit,
            max_fee_per_gas: self.price,
            max_priority_fee_per_gas: self.priority_fee,
            to: self.to_address(),
            value: self.value,
            access_list: self.access_list,
            authorization_list,
            input: self.input,
        };
        Ok(Transaction::Eip7702(Signed::new_unhashed(tx, self.signature)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::SignableTransaction;
    use alloy_eips::{eip2930::AccessListItem, eip7702::Authorization};
    use proptest::prelude::*;

    fn encoded(transaction: &Transaction) -> Vec<u8> {
        let mut out = Vec::new();
        Value::encode(transaction, &mut out);
        out
    }

    #[derive(Debug, Clone, proptest_derive::Arbitrary)]
    struct Fields {
        #[proptest(strategy = "0u8..5")]
        kind: u8,
        parity: bool,
        create: bool,
        chain_id: Option<u64>,
        nonce: u64,
        gas_limit: u64,
        price: u128,
        fee: u128,
        to: [u8; 20],
        value: [u8; 32],
        input: Vec<u8>,
        slots: Vec<[u8; 32]>,
        r: [u8; 32],
        s: [u8; 32],
    }

    fn transaction(fields: Fields) -> Transaction {
        let signature =
            Signature::new(U256::from_be_bytes(fields.r), U256::from_be_bytes(fields.s), fields.parity);
        let kind = if fields.create { TxKind::Create } else { TxKind::Call(fields.to.into()) };
        let storage_keys: Vec<B256> = fields.slots.iter().map(B256::from).collect();
        let access_list = AccessList(
            storage_keys
                .chunks(2)
                .map(|keys| AccessListItem { address: fields.to.into(), storage_keys: keys.to_vec() })
                .collect(),
        );
        let (to, value, input) = (fields.to.into(), U256::from_be_bytes(fields.value), fields.input.into());
        let (nonce, gas_limit, chain_id) = (fields.nonce, fields.gas_limit, fields.chain_id.unwrap_or(1));
        match fields.kind {
            0 => {
                let tx = TxLegacy {
                    chain_id: fields.chain_id,
                    nonce,
                    gas_price: fields.price,
                    gas_limit,
                    to: kind,
                    value,
                    input,
                };
                Transaction::Legacy(tx.into_signed(signature))
            }
            1 => {
                let tx = TxEip2930 {
                    chain_id,
                    nonce,
                    gas_price: fields.price,
                    gas_limit,
                    to: kind,
                    value,
                    access_list,
                    input,
                };
                Transaction::Eip2930(tx.into_signed(signature))
            }
            2 => {
                let tx = TxEip1559 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: fields.price,
                    max_priority_fee_per_gas: fields.fee,
                    to: kind,
                    value,
                    access_list,
                    input,
                };
                Transaction::Eip1559(tx.into_signed(signature))
            }
            3 => {
                let tx = TxEip4844 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: fields.price,
                    max_priority_fee_per_gas: fields.fee,
                    to,
                    value,
                    access_list,
                    blob_versioned_hashes: storage_keys,
                    max_fee_per_blob_gas: fields.fee,
                    input,
                };
                Transaction::Eip4844(tx.into_signed(signature))
            }
            _ => {
                let authorization = Authorization { chain_id: U256::from(chain_id), address: to, nonce };
                let list = vec![authorization.into_signed(signature); storage_keys.len()];
                let tx = TxEip7702 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: fields.price,
                    max_priority_fee_per_gas: fields.fee,
                    to,
                    value,
                    access_list,
                    authorization_list: list,
                    input,
                };
                Transaction::Eip7702(tx.into_signed(signature))
            }
        }
    }

    proptest! {
        #[test]
        fn transactions_round_trip(fields: Fields) {
            let transaction = transaction(fields);
            prop_assert_eq!(<Transaction as Value>::decode(&encoded(&transaction)).unwrap(), transaction);
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = <Transaction as Value>::decode(&bytes);
        }
    }

    #[test]
    fn a_plain_transfer_has_its_golden_bytes() {
        let tx = TxLegacy {
            chain_id: Some(1),
            nonce: 9,
            gas_price: 20_000_000_000,
            gas_limit: 21_000,
            to: TxKind::Call([0x35; 20].into()),
            value: U256::from(10).pow(U256::from(18)),
            input: Bytes::new(),
        };
        let signature = Signature::new(U256::from(1), U256::from(2), true);
        let bytes = encoded(&Transaction::Legacy(tx.into_signed(signature)));
        let mut expected = vec![0x28];
        expected.extend_from_slice(&U256::from(1).to_be_bytes::<32>());
        expected.extend_from_slice(&U256::from(2).to_be_bytes::<32>());
        expected.extend_from_slice(&[1, 9, 0x88, 0xa4, 0x01, 5, 0x04, 0xa8, 0x17, 0xc8, 0x00]);
        expected.extend_from_slice(&[0x35; 20]);
        expected.extend_from_slice(&[8, 0x0d, 0xe0, 0xb6, 0xb3, 0xa7, 0x64, 0x00, 0x00, 0]);
        assert_eq!(bytes, expected);
    }
}
