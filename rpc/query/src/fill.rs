//! What a transaction lacks before it can be signed.

use alloy_primitives::Address;
use portico_chain::Transaction;

use crate::{
    CallOverrides, CallRequest, QueryError, Snapshot,
    simulate::{Defaults, unsigned},
};

impl Snapshot<'_> {
    /// The transaction that a request means at the head, unsigned: with the sender's nonce, a gas limit that suffices,
    /// and fees for the next blocks.
    ///
    /// # Errors
    /// Those of [`Snapshot::estimate_gas`]; [`QueryError::Request`] for fields that contradict each other.
    pub fn fill_transaction(&self, mut request: CallRequest) -> Result<Transaction, QueryError> {
        let sender = request.from.unwrap_or(Address::ZERO);
        let base_fee = self.next_base_fee()?;
        if request.gas_price.is_none() {
            match base_fee {
                None => request.gas_price = Some(self.gas_price()?),
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
