//! Whether an access would be the transaction's first (EIP-2929).

use alloy_primitives::{Address, B256, U256};
use revm::{
    context::{Block, Cfg, ContextTr, JournalTr, Transaction, transaction::AccessListItemTr},
    inspector::JournalExt,
    primitives::hardfork::SpecId,
    state::AccountStatus,
};

/// Whether nothing has touched the account yet.
pub(crate) fn is_cold_account<CTX: ContextTr<Journal: JournalExt>>(address: &Address, context: &CTX) -> bool {
    let journal = context.journal_ref();
    if let Some(account) = journal.evm_state().get(address) {
        return account.status.contains(AccountStatus::Cold) && !is_listed(address, None, context);
    }
    let warms_beneficiary = context.cfg().spec().into().is_enabled_in(SpecId::SHANGHAI);
    let is_beneficiary = warms_beneficiary && context.block().beneficiary() == *address;
    !is_beneficiary && !journal.precompile_addresses().contains(address) && !is_listed(address, None, context)
}

/// Whether nothing has read or written the slot yet.
pub(crate) fn is_cold_slot<CTX: ContextTr<Journal: JournalExt>>(
    address: &Address,
    slot: U256,
    context: &CTX,
) -> bool {
    let account = context.journal_ref().evm_state().get(address);
    let known = account.and_then(|account| account.storage.get(&slot));
    known.is_none_or(|slot| slot.is_cold) && !is_listed(address, Some(slot.into()), context)
}

/// Whether the transaction's access list has the account, or one of its slots.
fn is_listed<CTX: ContextTr>(address: &Address, slot: Option<B256>, context: &CTX) -> bool {
    let Some(mut list) = context.tx().access_list() else { return false };
    list.any(|item| {
        item.address() == address
            && slot.is_none_or(|slot| item.storage_slots().any(|listed| *listed == slot))
    })
}
