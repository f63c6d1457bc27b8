//! From draft to transaction: envelope, gas limit, fees, nonce.

use super::{BlockPlan, Draft, Payload, PlannedTransaction, UnsignedTransaction};
use crate::workload::Workload;
use alloy_consensus::{TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::{eip2930::AccessList, eip4844::DATA_GAS_PER_BLOB, eip7825::MAX_TX_GAS_LIMIT_OSAKA};
use alloy_primitives::{TxKind, U256};

/// Lowest and highest tip, in wei per gas.
const TIPS: (u64, u64) = (1_000_000, 2_000_000_000);
/// Of 100 plain transactions, how many are legacy ones.
const LEGACY_PERCENT: u64 = 20;
/// Of 100 legacy transactions, how many are signed without a chain id.
const UNPROTECTED_PERCENT: u64 = 3;
/// Of 100 other transactions, how many carry an access list if there is something to name.
const ACCESS_LIST_PERCENT: u64 = 10;

/// The envelope of a transaction without special payload.
enum Style {
    /// Type 0, with or without chain id.
    Legacy { is_protected: bool },
    /// Type 1.
    AccessList,
    /// Type 2.
    DynamicFee,
}

/// What a transaction offers for being included.
struct Offer {
    nonce: u64,
    gas_limit: u64,
    /// In wei per gas, as are the next two.
    tip: u128,
    /// The most that a transaction with a dynamic fee pays.
    fee_max: u128,
    /// The price of a transaction with a fixed one.
    gas_price: u128,
    /// In wei per blob gas.
    blob_fee_max: u128,
    access_list: AccessList,
    style: Style,
}

impl Workload {
    /// Makes a transaction of `draft` and takes nonce, fees and room for it.
    ///
    /// Returns false and takes nothing when the block has no room or the sender cannot pay.
    pub(crate) fn push(&mut self, block: &mut BlockPlan, draft: Draft) -> bool {
        let offer = self.offer(block, &draft);
        let blobs = match &draft.payload {
            Payload::Blobs(hashes) => hashes.len() as u64,
            Payload::Plain | Payload::Authorizations(..) => 0,
        };
        let (gas, blob_gas) = (u128::from(offer.gas_limit), u128::from(blobs * DATA_GAS_PER_BLOB));
        let cost_max = gas * offer.fee_max.max(offer.gas_price) + blob_gas * offer.blob_fee_max + draft.value;
        let is_too_big =
            offer.gas_limit > block.gas_left.min(MAX_TX_GAS_LIMIT_OSAKA) || blobs > block.blobs_left;
        let sender = self.accounts.user_mut(draft.sender);
        if is_too_big || sender.balance < cost_max {
            return false;
        }
        // An upper bound of what is paid: both base fees are known, and unused gas comes back.
        let price = (u128::from(block.context.base_fee) + offer.tip).max(offer.gas_price);
        sender.balance -= gas * price + blob_gas * block.context.blob_base_fee + draft.value;
        sender.nonce += 1;
        block.gas_left -= offer.gas_limit;
        block.blobs_left -= blobs;
        let planned = into_planned(draft, offer, self.chain_id());
        block.transactions.push(planned);
        true
    }

    fn offer(&mut self, block: &BlockPlan, draft: &Draft) -> Offer {
        let base_fee = u128::from(block.context.base_fee);
        let tip = u128::from(self.random.magnitude_between(TIPS.0, TIPS.1));
        let has_list = !draft.touched.is_empty() && self.random.percent(ACCESS_LIST_PERCENT);
        let style = if self.random.percent(LEGACY_PERCENT) {
            Style::Legacy { is_protected: !self.random.percent(UNPROTECTED_PERCENT) }
        } else if has_list && self.random.percent(50) {
            Style::AccessList
        } else {
            Style::DynamicFee
        };
        let is_legacy = matches!(style, Style::Legacy { .. }) && matches!(draft.payload, Payload::Plain);
        let access_list: AccessList =
            if has_list && !is_legacy { draft.touched.clone() } else { Vec::new() }.into();
        Offer {
            nonce: self.accounts.user(draft.sender).nonce,
            gas_limit: gas_limit(draft, &access_list),
            tip,
            fee_max: 2 * base_fee + tip,
            gas_price: base_fee + base_fee / 8 + tip,
            blob_fee_max: 2 * block.context.blob_base_fee + 1,
            access_list,
            style,
        }
    }
}

/// Intrinsic gas plus what the draft allows for, and at least the floor of its call data.
///
/// Counted as in Osaka (EIP-2028, 2930, 3860, 7623, 7702), which is never less than in earlier forks.
fn gas_limit(draft: &Draft, access_list: &AccessList) -> u64 {
    let zeros = draft.input.iter().filter(|byte| **byte == 0).count() as u64;
    let tokens = zeros + 4 * (draft.input.len() as u64 - zeros);
    let creation = match draft.to {
        TxKind::Create => 32_000 + 2 * (draft.input.len() as u64).div_ceil(32),
        TxKind::Call(_) => 0,
    };
    let authorizations = match &draft.payload {
        Payload::Authorizations(list, _) => 25_000 * list.len() as u64,
        Payload::Plain | Payload::Blobs(_) => 0,
    };
    let list = 2_400 * access_list.len() as u64 + 1_900 * access_list.storage_keys_count() as u64;
    let intrinsic = 21_000 + 4 * tokens + creation + authorizations + list;
    (intrinsic + draft.execution_gas).max(21_000 + 10 * tokens)
}

fn into_planned(draft: Draft, offer: Offer, chain_id: u64) -> PlannedTransaction {
    let Draft { kind, sender, outcome, .. } = draft;
    let (transaction, authorities) = match draft.payload {
        Payload::Plain => (plain(draft, offer, chain_id), Vec::new()),
        Payload::Blobs(_) | Payload::Authorizations(..) => special(draft, offer, chain_id),
    };
    PlannedTransaction { transaction, sender, kind, outcome, authorities }
}

fn plain(draft: Draft, offer: Offer, chain_id: u64) -> UnsignedTransaction {
    let Draft { to, input, .. } = draft;
    let value = U256::from(draft.value);
    let Offer { nonce, gas_limit, gas_price, access_list, .. } = offer;
    match offer.style {
        Style::Legacy { is_protected } => {
            let chain_id = is_protected.then_some(chain_id);
            TxLegacy { chain_id, nonce, gas_price, gas_limit, to, value, input }.into()
        }
        Style::AccessList => {
            TxEip2930 { chain_id, nonce, gas_price, gas_limit, to, value, input, access_list }.into()
        }
        Style::DynamicFee => TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: offer.fee_max,
            max_priority_fee_per_gas: offer.tip,
            to,
            value,
            access_list,
            input,
        }
        .into(),
    }
}

/// Types 3 and 4, which are always calls.
fn special(
    draft: Draft,
    offer: Offer,
    chain_id: u64,
) -> (UnsignedTransaction, Vec<(crate::accounts::UserIndex, u64)>) {
    let to = draft.to.into_to().expect("drafts with blobs or authorizations are calls");
    let value = U256::from(draft.value);
    let Draft { input, payload, .. } = draft;
    let Offer { nonce, gas_limit, access_list, .. } = offer;
    let (max_fee_per_gas, max_priority_fee_per_gas) = (offer.fee_max, offer.tip);
    match payload {
        Payload::Plain => unreachable!("plain drafts have their own envelopes"),
        Payload::Blobs(blob_versioned_hashes) => {
            let transaction = TxEip4844 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to,
                value,
                access_list,
                blob_versioned_hashes,
                max_fee_per_blob_gas: offer.blob_fee_max,
                input,
            };
            (transaction.into(), Vec::new())
        }
        Payload::Authorizations(authorization_list, authorities) => {
            let transaction = TxEip7702 {
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
            (transaction.into(), authorities)
        }
    }
}
