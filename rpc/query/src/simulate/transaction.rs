//! Calls as the transactions of a block, which nobody signed.

use alloy_consensus::{SignableTransaction, Signed, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Signature, TxKind, U256, keccak256};
use alloy_rlp::{Encodable, Header as RlpHeader};
use portico_evm::Transaction;

use crate::{CallRequest, QueryError};

/// A signature of zeros.
const UNSIGNED: Signature = Signature::new(U256::ZERO, U256::ZERO, false);

/// The transaction from before there were types.
pub(crate) const TYPE_LEGACY: u8 = 0;
/// EIP-2930.
pub(crate) const TYPE_ACCESS_LIST: u8 = 1;

/// What a call is filled up with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Defaults {
    pub chain_id: u64,
    pub nonce: u64,
    pub gas_limit: u64,
    /// Whether the block has a base fee: without one, a call that names no price is a legacy transaction.
    pub has_base_fee: bool,
}

/// The transaction that a call is: of the type that it names, else of the one that its fields ask for, or with a tip. A
/// named type must go with the fields.
///
/// # Errors
/// [`QueryError::Request`] for fields that contradict each other.
pub(crate) fn unsigned(request: CallRequest, defaults: Defaults) -> Result<Transaction, QueryError> {
    let has_tip = request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some();
    if request.gas_price.is_some() && has_tip {
        return Err(QueryError::Request(alloy_evm::rpc::CallFeesError::ConflictingFeeFieldsInRequest.into()));
    }
    let input = request.input.try_into_unique_input().map_err(|error| QueryError::Request(error.into()))?;
    let input = input.unwrap_or_default();
    let Defaults { nonce, gas_limit, .. } = defaults;
    let to = request.to.unwrap_or(TxKind::Create);
    let value = request.value.unwrap_or_default();
    let chain_id = request.chain_id.unwrap_or(defaults.chain_id);
    if request.transaction_type == Some(TYPE_ACCESS_LIST) {
        let tx = TxEip2930 {
            chain_id,
            nonce,
            gas_price: request.gas_price.unwrap_or_default(),
            gas_limit,
            to,
            value,
            input,
            access_list: request.access_list.unwrap_or_default(),
        };
        return Ok(tx.into_signed(UNSIGNED).into());
    }
    let is_legacy = match request.transaction_type {
        Some(transaction_type) => transaction_type == TYPE_LEGACY,
        None => request.gas_price.is_some() || !defaults.has_base_fee,
    };
    if is_legacy && request.authorization_list.is_none() && request.blob_versioned_hashes.is_none() {
        let gas_price = request.gas_price.unwrap_or_default();
        let tx = TxLegacy { chain_id: None, nonce, gas_price, gas_limit, to, value, input };
        return Ok(unsigned_legacy(tx));
    }
    let max_fee_per_gas = request.max_fee_per_gas.or(request.gas_price).unwrap_or_default();
    let max_priority_fee_per_gas = request.max_priority_fee_per_gas.or(request.gas_price).unwrap_or_default();
    let access_list = request.access_list.unwrap_or_default();
    let callee = to.to().copied();
    if let Some(authorization_list) = request.authorization_list {
        let to = callee.ok_or(QueryError::NoRecipient)?;
        let tx = TxEip7702 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list,
            authorization_list,
            input,
        };
        return Ok(tx.into_signed(UNSIGNED).into());
    }
    if let Some(blob_versioned_hashes) = request.blob_versioned_hashes {
        let to = callee.ok_or(QueryError::NoRecipient)?;
        let tx = TxEip4844 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list,
            blob_versioned_hashes,
            max_fee_per_blob_gas: request.max_fee_per_blob_gas.unwrap_or_default(),
            input,
        };
        return Ok(tx.into_signed(UNSIGNED).into());
    }
    let tx = TxEip1559 {
        chain_id,
        nonce,
        gas_limit,
        max_fee_per_gas,
        max_priority_fee_per_gas,
        to,
        value,
        access_list,
        input,
    };
    Ok(tx.into_signed(UNSIGNED).into())
}

/// A legacy transaction without a signature has `v` = 0, which no signed one has.
fn unsigned_legacy(tx: TxLegacy) -> Transaction {
    let hash = keccak256(encode_legacy(&tx));
    Transaction::Legacy(Signed::new_unchecked(tx, UNSIGNED, hash))
}

fn encode_legacy(tx: &TxLegacy) -> Vec<u8> {
    let fields = [&tx.nonce as &dyn Encodable, &tx.gas_price, &tx.gas_limit, &tx.to, &tx.value, &tx.input];
    let signature = [&0u8 as &dyn Encodable; 3];
    let parts = || fields.iter().chain(&signature);
    let payload_length = parts().map(|part| part.length()).sum();
    let mut rlp = Vec::new();
    RlpHeader { list: true, payload_length }.encode(&mut rlp);
    parts().for_each(|part| part.encode(&mut rlp));
    rlp
}

/// A transaction that nobody signed, as a block would hold it.
pub fn encode_unsigned(transaction: &Transaction) -> Vec<u8> {
    match transaction {
        Transaction::Legacy(tx) => encode_legacy(tx.tx()),
        typed => typed.encoded_2718(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, b256};

    const DEFAULTS: Defaults =
        Defaults { chain_id: 0xc72dd9d5e883e, nonce: 0, gas_limit: 0x2faf080, has_base_fee: true };

    #[test]
    fn a_call_is_a_transaction_with_a_tip() {
        let request = CallRequest {
            from: Some(Address::with_last_byte(1)),
            to: Some(TxKind::Call("0xc100000000000000000000000000000000000000".parse().unwrap())),
            value: Some(U256::from(0x2540be400u64)),
            max_fee_per_gas: Some(0x10),
            ..CallRequest::default()
        };
        let transaction = unsigned(request, DEFAULTS).unwrap();
        let expected = b256!("c2df7444d2b0604cdfaa20cad5855422b575d8d2ec02868ed9eb45eb20490f66");
        assert_eq!(*transaction.tx_hash(), expected, "as recorded from go-ethereum");
    }

    #[test]
    fn a_gas_price_asks_for_a_legacy_transaction_without_a_signature() {
        let request = CallRequest { gas_price: Some(7), ..CallRequest::default() };
        let transaction = unsigned(request, DEFAULTS).unwrap();
        assert!(transaction.is_legacy());
        let rlp = encode_unsigned(&transaction);
        assert_eq!(&rlp[rlp.len() - 3..], [0x80; 3]);
        assert_eq!(*transaction.tx_hash(), keccak256(rlp));
        let without_base_fee = Defaults { has_base_fee: false, ..DEFAULTS };
        assert!(unsigned(CallRequest::default(), without_base_fee).unwrap().is_legacy());
    }

    #[test]
    fn prices_do_not_mix() {
        let request = CallRequest { gas_price: Some(7), max_fee_per_gas: Some(7), ..CallRequest::default() };
        assert!(matches!(unsigned(request, DEFAULTS), Err(QueryError::Request(_))));
    }
}
