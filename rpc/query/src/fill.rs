//! What a transaction lacks before it can be signed.

use alloy_primitives::Address;
use portico_chain::Transaction;

use crate::{
    CallOverrides, CallRequest, QueryError, Snapshot,
    simulate::{Defaults, TYPE_ACCESS_LIST, TYPE_LEGACY, unsigned},
};

impl Snapshot<'_> {
    /// The transaction that a request means at the head, unsigned: with the sender's nonce, a gas limit that suffices,
    /// and fees for the next blocks. It is of the type that the request names.
    ///
    /// # Errors
    /// Those of [`Snapshot::estimate_gas`]; [`QueryError::Request`] for fields that contradict each other, and
    /// [`QueryError::TransactionType`] for ones that contradict the type.
    pub fn fill_transaction(&self, mut request: CallRequest) -> Result<Transaction, QueryError> {
        let sender = request.from.unwrap_or(Address::ZERO);
        let base_fee = self.next_base_fee()?;
        settle_type(&mut request)?;
        let has_one_price = matches!(request.transaction_type, Some(TYPE_LEGACY | TYPE_ACCESS_LIST));
        if request.gas_price.is_none() {
            match base_fee {
                None => request.gas_price = Some(self.gas_price()?),
                Some(base_fee) if has_one_price => {
                    // It is tried upon the head, too, whose base fee may be the higher one.
                    let head = self.known_header(self.head())?;
                    let base_fee = base_fee.max(head.base_fee_per_gas.unwrap_or_default());
                    request.gas_price = Some(self.priority_fee()?.saturating_add(base_fee.into()));
                }
                Some(base_fee) => {
                    let tip = match request.max_priority_fee_per_gas {
                        Some(tip) => tip,
                        None => self.priority_fee()?.min(request.max_fee_per_gas.unwrap_or(u128::MAX)),
                    };
                    request.max_priority_fee_per_gas = Some(tip);
                    // Room for base fees that double.
                    request.max_fee_per_gas.get_or_insert(tip.saturating_add(2 * u128::from(base_fee)));
                }
            }
        }
        if request.blob_versioned_hashes.is_some() && request.max_fee_per_blob_gas.is_none() {
            request.max_fee_per_blob_gas = self.next_blob_base_fee()?.map(|fee| fee.saturating_mul(2));
        }
        let gas_limit = match request.gas {
            Some(gas) => gas,
            None => self.estimate_gas(request.clone(), self.head(), CallOverrides::default())?,
        };
        let defaults = Defaults {
            chain_id: self.spec().chain_id(),
            nonce: match request.nonce {
                Some(nonce) => nonce,
                None => self.pending_nonce(sender)?,
            },
            gas_limit,
            has_base_fee: base_fee.is_some(),
        };
        unsigned(request, defaults)
    }
}

/// Checks a request's type against its other fields. One without a type gets one where its fields alone would be taken
/// for less than they are: a price and an access list, which no legacy transaction has.
fn settle_type(request: &mut CallRequest) -> Result<(), QueryError> {
    let (has_blobs, has_authorizations) =
        (request.blob_versioned_hashes.is_some(), request.authorization_list.is_some());
    let Some(transaction_type) = request.transaction_type else {
        let is_plain = !has_blobs && !has_authorizations;
        if is_plain && request.gas_price.is_some() && request.access_list.is_some() {
            request.transaction_type = Some(TYPE_ACCESS_LIST);
        }
        return Ok(());
    };
    let has_tip = request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some();
    let has_access_list = request.access_list.as_ref().is_some_and(|list| !list.is_empty());
    let reason = match transaction_type {
        TYPE_LEGACY | TYPE_ACCESS_LIST if has_tip => "has one price, gasPrice",
        TYPE_LEGACY if has_access_list => "has no accessList",
        3 if !has_blobs => "needs blobVersionedHashes",
        4 if !has_authorizations => "needs an authorizationList",
        0..=2 | 4 if has_blobs => "has no blobVersionedHashes",
        0..=3 if has_authorizations => "has no authorizationList",
        0..=4 => return Ok(()),
        _ => "is not known",
    };
    Err(QueryError::TransactionType { transaction_type, reason })
}
