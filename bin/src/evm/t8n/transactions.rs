//! Transactions as JSON, signed or with the key to sign them, and as RLP.

use alloy_consensus::{
    SignableTransaction, Signed, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy,
    transaction::RlpEcdsaDecodableTx,
};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use alloy_rlp::{Decodable, Header as RlpHeader};
use portico_evm::Transaction;
use secp256k1::{Message, SECP256K1, SecretKey};
use serde::Deserialize;
use serde_json::Value;

use super::T8nError;
use crate::evm::number::{Number, narrow, narrow_option};

/// A transaction, or why it cannot be one: then it is rejected, and the others are not.
pub(in crate::evm) type Candidate = Result<Transaction, String>;

/// A transaction's fields as everyone writes them, all optional but nonce, gas and value.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TransactionInput {
    #[serde(default, rename = "type", deserialize_with = "narrow_option")]
    tx_type: Option<u8>,
    #[serde(default, deserialize_with = "narrow_option")]
    chain_id: Option<u64>,
    #[serde(deserialize_with = "narrow")]
    nonce: u64,
    #[serde(default, deserialize_with = "narrow_option")]
    gas_price: Option<u128>,
    #[serde(default, deserialize_with = "narrow_option")]
    max_priority_fee_per_gas: Option<u128>,
    #[serde(default, deserialize_with = "narrow_option")]
    max_fee_per_gas: Option<u128>,
    #[serde(alias = "gasLimit", deserialize_with = "narrow")]
    gas: u64,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    value: Number,
    #[serde(default, alias = "data")]
    input: Bytes,
    #[serde(default)]
    access_list: Option<Vec<AccessListInput>>,
    #[serde(default, deserialize_with = "narrow_option")]
    max_fee_per_blob_gas: Option<u128>,
    #[serde(default)]
    blob_versioned_hashes: Option<Vec<B256>>,
    #[serde(default)]
    authorization_list: Option<Vec<AuthorizationInput>>,
    #[serde(default)]
    v: Option<Number>,
    #[serde(default, alias = "y_parity")]
    y_parity: Option<Number>,
    #[serde(default)]
    r: Option<Number>,
    #[serde(default)]
    s: Option<Number>,
    #[serde(default)]
    secret_key: Option<B256>,
    #[serde(default)]
    protected: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessListInput {
    address: Address,
    storage_keys: Vec<B256>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizationInput {
    chain_id: Number,
    address: Address,
    #[serde(deserialize_with = "narrow")]
    nonce: u64,
    #[serde(default, deserialize_with = "narrow_option")]
    v: Option<u8>,
    #[serde(default, deserialize_with = "narrow_option")]
    y_parity: Option<u8>,
    r: Number,
    s: Number,
}

/// The transactions of `txs`: a list of objects, or RLP in hexadecimal.
///
/// # Errors
/// When it is neither, or a key cannot sign.
pub(super) fn parse(txs: Value, chain_id: u64) -> Result<Vec<Candidate>, T8nError> {
    match txs {
        Value::String(text) => {
            let bytes: Bytes = text.parse().map_err(|error| T8nError::input("txs", error))?;
            decode_list(&bytes)
        }
        Value::Array(list) => {
            list.into_iter().enumerate().map(|(index, tx)| one(index, tx, chain_id)).collect()
        }
        Value::Null => Ok(Vec::new()),
        _ => Err(T8nError::input("txs", "expected a list of transactions or RLP in hexadecimal")),
    }
}

/// The items of an RLP list. One that is no transaction is rejected; after damage to the list itself nothing is read.
pub(in crate::evm) fn decode_list(bytes: &[u8]) -> Result<Vec<Candidate>, T8nError> {
    let mut rest =
        RlpHeader::decode_bytes(&mut &*bytes, true).map_err(|error| T8nError::input("txs", error))?;
    let mut transactions = Vec::new();
    while !rest.is_empty() {
        let mut after = rest;
        let Ok(header) = RlpHeader::decode(&mut after) else {
            transactions.push(Err("rlp: the list is damaged".to_owned()));
            break;
        };
        let Some(after) = after.get(header.payload_length..) else {
            transactions.push(Err("rlp: value size exceeds available input length".to_owned()));
            break;
        };
        transactions.push(decode_item(&rest[..rest.len() - after.len()], header));
        rest = after;
    }
    Ok(transactions)
}

fn decode_item(mut item: &[u8], header: RlpHeader) -> Candidate {
    let tx_type = (!header.list).then(|| item.get(item.len() - header.payload_length)).flatten();
    match Transaction::decode(&mut item) {
        Ok(transaction) if item.is_empty() => Ok(transaction),
        Ok(_) => Err("rlp: bytes after the transaction".to_owned()),
        Err(alloy_rlp::Error::UnexpectedLength) => match tx_type {
            Some(3) => Err(missing_recipient("BlobTx")),
            Some(4) => Err(missing_recipient("SetCodeTx")),
            _ => Err("rlp: unexpected length".to_owned()),
        },
        Err(error) => Err(format!("rlp: {error}")),
    }
}

/// Blob and set-code transactions cannot create: without a recipient they are not RLP of their type.
fn missing_recipient(tx_type: &str) -> String {
    format!("rlp: input string too short for common.Address, decoding into (types.{tx_type}).To")
}

fn one(index: usize, json: Value, chain_id: u64) -> Result<Candidate, T8nError> {
    let what = || format!("txs[{index}]");
    let input: TransactionInput =
        serde_json::from_value(json).map_err(|error| T8nError::input(&what(), error))?;
    let key = match input.secret_key.filter(|_| input.is_unsigned()) {
        Some(key) => {
            Some(SecretKey::from_byte_array(key.0).map_err(|error| T8nError::input(&what(), error))?)
        }
        None => None,
    };
    Ok(input.into_transaction(chain_id, key.as_ref()))
}

impl TransactionInput {
    fn is_unsigned(&self) -> bool {
        [Some(self.v()), self.r, self.s].into_iter().all(|part| part.unwrap_or_default().0.is_zero())
    }

    /// `v`, or the parity that is there in its place.
    fn v(&self) -> Number {
        self.v.or(self.y_parity).unwrap_or_default()
    }

    fn kind(&self) -> Result<TxKind, String> {
        match self.to.as_deref() {
            None | Some("" | "0x") => Ok(TxKind::Create),
            Some(to) => to.parse().map(TxKind::Call).map_err(|_| format!("{to:?} is not an address")),
        }
    }

    /// The recipient of a type that cannot create.
    fn callee(&self, of: &str) -> Result<Address, String> {
        match self.kind()? {
            TxKind::Call(to) => Ok(to),
            TxKind::Create => Err(missing_recipient(of)),
        }
    }

    fn access_list(&mut self) -> AccessList {
        let items = self.access_list.take().unwrap_or_default().into_iter();
        AccessList(
            items
                .map(|item| AccessListItem { address: item.address, storage_keys: item.storage_keys })
                .collect(),
        )
    }

    fn into_transaction(mut self, chain_id: u64, key: Option<&SecretKey>) -> Candidate {
        let signature = |input: &Self| {
            Signature::new(
                input.r.unwrap_or_default().0,
                input.s.unwrap_or_default().0,
                input.v().0 == U256::ONE,
            )
        };
        let tx_chain_id = self.chain_id.unwrap_or(chain_id);
        let gas_price = self.gas_price.unwrap_or_default();
        let max_fee_per_gas = self.max_fee_per_gas.unwrap_or_default();
        let max_priority_fee_per_gas = self.max_priority_fee_per_gas.unwrap_or_default();
        let tx_type = self.tx_type.unwrap_or_default();
        if tx_type > 0 && key.is_none() && self.v().0 > U256::ONE {
            return Err("invalid transaction v, r, s values".to_owned());
        }
        let access_list = self.access_list();
        Ok(match tx_type {
            0 => return self.into_legacy(chain_id, key),
            1 => {
                let tx = TxEip2930 {
                    chain_id: tx_chain_id,
                    nonce: self.nonce,
                    gas_price,
                    gas_limit: self.gas,
                    to: self.kind()?,
                    value: self.value.0,
                    access_list,
                    input: self.input.clone(),
                };
                Transaction::Eip2930(signed(tx, signature(&self), key))
            }
            2 => {
                let tx = TxEip1559 {
                    chain_id: tx_chain_id,
                    nonce: self.nonce,
                    gas_limit: self.gas,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                    to: self.kind()?,
                    value: self.value.0,
                    access_list,
                    input: self.input.clone(),
                };
                Transaction::Eip1559(signed(tx, signature(&self), key))
            }
            3 => {
                let tx = TxEip4844 {
                    chain_id: tx_chain_id,
                    nonce: self.nonce,
                    gas_limit: self.gas,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                    to: self.callee("BlobTx")?,
                    value: self.value.0,
                    access_list,
                    blob_versioned_hashes: self.blob_versioned_hashes.take().unwrap_or_default(),
                    max_fee_per_blob_gas: self.max_fee_per_blob_gas.unwrap_or_default(),
                    input: self.input.clone(),
                };
                Transaction::Eip4844(signed(tx, signature(&self), key))
            }
            4 => {
                let authorizations = self.authorization_list.take().unwrap_or_default();
                let tx = TxEip7702 {
                    chain_id: tx_chain_id,
                    nonce: self.nonce,
                    gas_limit: self.gas,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                    to: self.callee("SetCodeTx")?,
                    value: self.value.0,
                    access_list,
                    authorization_list: authorizations.into_iter().map(Into::into).collect(),
                    input: self.input.clone(),
                };
                Transaction::Eip7702(signed(tx, signature(&self), key))
            }
            _ => return Err("transaction type not supported".to_owned()),
        })
    }

    /// `v` of a legacy transaction holds the chain id (EIP-155), or is 27 or 28.
    fn into_legacy(self, chain_id: u64, key: Option<&SecretKey>) -> Candidate {
        let v = u64::try_from(self.v().0).unwrap_or(u64::MAX);
        let signed_for = match v {
            _ if key.is_some() => self.protected.unwrap_or(true).then_some(chain_id),
            27 | 28 => None,
            35.. => Some((v - 35) / 2),
            _ => return Err("invalid transaction v, r, s values".to_owned()),
        };
        let parity = if signed_for.is_some() { v % 2 == 0 } else { v == 28 };
        let tx = TxLegacy {
            chain_id: signed_for,
            nonce: self.nonce,
            gas_price: self.gas_price.unwrap_or_default(),
            gas_limit: self.gas,
            to: self.kind()?,
            value: self.value.0,
            input: self.input.clone(),
        };
        let signature = Signature::new(self.r.unwrap_or_default().0, self.s.unwrap_or_default().0, parity);
        Ok(Transaction::Legacy(signed(tx, signature, key)))
    }
}

impl From<AuthorizationInput> for SignedAuthorization {
    fn from(input: AuthorizationInput) -> Self {
        let inner = Authorization { chain_id: input.chain_id.0, address: input.address, nonce: input.nonce };
        let parity = input.y_parity.or(input.v).unwrap_or_default();
        Self::new_unchecked(inner, parity, input.r.0, input.s.0)
    }
}

fn signed<T>(tx: T, given: Signature, key: Option<&SecretKey>) -> Signed<T>
where
    T: SignableTransaction<Signature> + RlpEcdsaDecodableTx,
{
    let signature = match key {
        Some(key) => sign(tx.signature_hash(), key),
        None => given,
    };
    tx.into_signed(signature)
}

fn sign(hash: B256, key: &SecretKey) -> Signature {
    let signature = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), key);
    let (recovery_id, bytes) = signature.serialize_compact();
    Signature::from_bytes_and_parity(&bytes, i32::from(recovery_id) == 1)
}
