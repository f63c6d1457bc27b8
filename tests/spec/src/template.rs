//! The transaction of a state test: a template of which each expectation chooses data, gas and value.

use std::fmt;

use alloy_consensus::Transaction as _;
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U8, U64, U256};
use portico_evm::{Transaction, TxEnv, transaction_environment};
use secp256k1::{SECP256K1, SecretKey};
use serde::Deserialize;

use crate::Difference;

/// A transaction of which data, gas and value are chosen by each expectation.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TransactionTemplate {
    data: Vec<Bytes>,
    gas_limit: Vec<U256>,
    value: Vec<String>,
    nonce: U256,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    gas_price: Option<U256>,
    #[serde(default)]
    max_fee_per_gas: Option<U256>,
    #[serde(default)]
    max_priority_fee_per_gas: Option<U256>,
    #[serde(default)]
    access_lists: Option<Vec<Option<Vec<AccessListEntry>>>>,
    #[serde(default)]
    max_fee_per_blob_gas: Option<U256>,
    #[serde(default)]
    blob_versioned_hashes: Option<Vec<B256>>,
    #[serde(default)]
    authorization_list: Option<Vec<AuthorizationEntry>>,
    #[serde(default)]
    sender: Option<Address>,
    #[serde(default)]
    secret_key: Option<B256>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessListEntry {
    address: Address,
    storage_keys: Vec<B256>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizationEntry {
    chain_id: U256,
    address: Address,
    nonce: U64,
    #[serde(default)]
    v: Option<U8>,
    #[serde(default)]
    y_parity: Option<U8>,
    r: U256,
    s: U256,
}

/// Which data, gas and value of the template.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Indexes {
    data: usize,
    gas: usize,
    value: usize,
}

/// Why a template makes no transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TemplateFault {
    /// The fixture is at fault.
    Fixture(String),
    /// A number is larger than any transaction can have: it must be refused, if the fixture says so.
    TooLarge(String),
}

impl TransactionTemplate {
    /// The transaction without its signature.
    pub(crate) fn environment(&self, indexes: Indexes, chain_id: u64) -> Result<TxEnv, TemplateFault> {
        use TemplateFault::{Fixture, TooLarge};
        let out_of_range = |what: &str| Fixture(format!("the index into {what} is out of range"));
        let value = self.value.get(indexes.value).ok_or_else(|| out_of_range("value"))?;
        let value = parse_value(value).ok_or_else(|| TooLarge(format!("value {value} is too large")))?;
        let narrow = |what: &str, value: U256| -> Result<u128, TemplateFault> {
            u128::try_from(value).map_err(|_| TooLarge(format!("{what} {value} is too large")))
        };
        let access_list = match &self.access_lists {
            Some(lists) => lists.get(indexes.data).ok_or_else(|| out_of_range("accessLists"))?.as_deref(),
            None => None,
        };
        let tx_type = if self.authorization_list.is_some() {
            4
        } else if self.blob_versioned_hashes.is_some() || self.max_fee_per_blob_gas.is_some() {
            3
        } else if self.max_fee_per_gas.is_some() {
            2
        } else {
            u8::from(access_list.is_some())
        };
        let gas_limit = *self.gas_limit.get(indexes.gas).ok_or_else(|| out_of_range("gasLimit"))?;
        let mut environment = TxEnv {
            tx_type,
            caller: self.sender()?,
            gas_limit: u64::try_from(gas_limit)
                .map_err(|_| TooLarge(format!("gas limit {gas_limit} is too large")))?,
            gas_price: narrow("gas price", self.max_fee_per_gas.or(self.gas_price).unwrap_or_default())?,
            kind: self.kind()?,
            value,
            data: self.data.get(indexes.data).ok_or_else(|| out_of_range("data"))?.clone(),
            nonce: u64::try_from(self.nonce)
                .map_err(|_| TooLarge(format!("nonce {} is too large", self.nonce)))?,
            chain_id: Some(chain_id),
            access_list: AccessList(access_list.into_iter().flatten().map(AccessListEntry::item).collect()),
            gas_priority_fee: match self.max_priority_fee_per_gas {
                Some(fee) => Some(narrow("priority fee", fee)?),
                None => None,
            },
            blob_hashes: self.blob_versioned_hashes.clone().unwrap_or_default(),
            max_fee_per_blob_gas: narrow("blob fee", self.max_fee_per_blob_gas.unwrap_or_default())?,
            ..TxEnv::default()
        };
        environment.set_signed_authorization(self.authorizations());
        Ok(environment)
    }

    /// Whose transaction it is: the key's, which must be `sender` where both are given.
    fn sender(&self) -> Result<Address, TemplateFault> {
        let fault = |message: String| TemplateFault::Fixture(message);
        let Some(key) = self.secret_key else {
            return self.sender.ok_or_else(|| fault("neither sender nor secretKey".to_owned()));
        };
        let key = SecretKey::from_byte_array(key.0).map_err(|error| fault(format!("secretKey: {error}")))?;
        let public = key.public_key(SECP256K1).serialize_uncompressed();
        let of_key = Address::from_raw_public_key(&public[1..]);
        match self.sender {
            Some(sender) if sender != of_key => {
                Err(fault(format!("sender is {sender}, secretKey is that of {of_key}")))
            }
            _ => Ok(of_key),
        }
    }

    fn kind(&self) -> Result<TxKind, TemplateFault> {
        match self.to.as_deref() {
            None | Some("") => Ok(TxKind::Create),
            Some(to) => {
                let fault = |_| TemplateFault::Fixture(format!("{to:?} is no address"));
                to.parse().map(TxKind::Call).map_err(fault)
            }
        }
    }

    fn authorizations(&self) -> Vec<SignedAuthorization> {
        self.authorization_list.iter().flatten().map(AuthorizationEntry::signed).collect()
    }

    /// The first field in which the signed transaction is not the one that the template makes.
    pub(crate) fn difference(
        &self,
        indexes: Indexes,
        signed: &Transaction,
        sender: Address,
        chain_id: u64,
    ) -> Option<Difference> {
        let made = match self.environment(indexes, chain_id) {
            Ok(made) => made,
            Err(TemplateFault::Fixture(fault) | TemplateFault::TooLarge(fault)) => {
                return Some(Difference::new("transaction", "its JSON is that of txbytes", fault));
            }
        };
        // Whether it names its chain is not in the template; a wrong chain is refused with the signature.
        let in_bytes = transaction_environment(signed, sender);
        let in_bytes_authorizations = signed.authorization_list().unwrap_or_default();
        [
            differing("type", &made.tx_type, &in_bytes.tx_type),
            differing("sender", &made.caller, &in_bytes.caller),
            differing("nonce", &made.nonce, &in_bytes.nonce),
            differing("to", &made.kind, &in_bytes.kind),
            differing("value", &made.value, &in_bytes.value),
            differing("data", &made.data, &in_bytes.data),
            differing("gasLimit", &made.gas_limit, &in_bytes.gas_limit),
            differing("gasPrice or maxFeePerGas", &made.gas_price, &in_bytes.gas_price),
            differing("maxPriorityFeePerGas", &made.gas_priority_fee, &in_bytes.gas_priority_fee),
            differing("accessLists", &made.access_list, &in_bytes.access_list),
            differing("blobVersionedHashes", &made.blob_hashes, &in_bytes.blob_hashes),
            differing("maxFeePerBlobGas", &made.max_fee_per_blob_gas, &in_bytes.max_fee_per_blob_gas),
            differing("authorizationList", &*self.authorizations(), in_bytes_authorizations),
        ]
        .into_iter()
        .flatten()
        .next()
    }
}

fn differing<T: PartialEq + fmt::Debug + ?Sized>(name: &str, json: &T, in_bytes: &T) -> Option<Difference> {
    let what = || format!("transaction: {name} in JSON and in txbytes");
    (json != in_bytes).then(|| Difference::new(what(), format!("{json:?}"), format!("{in_bytes:?}")))
}

/// Values are hexadecimal; some that do not fit 256 bits are marked as big integers.
fn parse_value(text: &str) -> Option<U256> {
    let digits = text.strip_prefix("0x:bigint ").unwrap_or(text);
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    if digits.is_empty() { Some(U256::ZERO) } else { U256::from_str_radix(digits, 16).ok() }
}

impl AccessListEntry {
    fn item(&self) -> AccessListItem {
        AccessListItem { address: self.address, storage_keys: self.storage_keys.clone() }
    }
}

impl AuthorizationEntry {
    fn signed(&self) -> SignedAuthorization {
        let authorization =
            Authorization { chain_id: self.chain_id, address: self.address, nonce: self.nonce.to() };
        let parity = self.y_parity.or(self.v).unwrap_or_default().to();
        SignedAuthorization::new_unchecked(authorization, parity, self.r, self.s)
    }
}
