//! The prestate tracer: accounts and slots that a transaction touched as they were before it, or, in diff mode, what
//! it changed.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_trace::geth::{GethTrace, PreStateConfig};
use portico_evm::ReadError;
use revm::{
    DatabaseRef,
    context::TxEnv,
    primitives::{KECCAK_EMPTY, TxKind},
    state::{Account as TouchedAccount, AccountInfo, EvmState},
};
use serde::Serialize;

use crate::TracerError;

/// An account, as far as it is shown.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownAccount {
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<U256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code_hash: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    storage: BTreeMap<B256, B256>,
}

/// Accounts by address.
type Shown = BTreeMap<Address, ShownAccount>;

/// What changed, in diff mode.
#[derive(Debug, Default, Serialize)]
struct Difference {
    post: Shown,
    pre: Shown,
}

/// The trace of a transaction that touched `state`; `before` is the state before it.
///
/// # Errors
/// When that cannot be read.
pub(super) fn trace(
    config: &PreStateConfig,
    transaction: &TxEnv,
    state: &EvmState,
    before: &impl DatabaseRef<Error = ReadError>,
) -> Result<GethTrace, TracerError> {
    let mut difference = Difference::default();
    let fresh_delegate = fresh_delegate(transaction, state, before)?;
    for (address, touched) in state {
        if fresh_delegate == Some(*address) && !touched.is_touched() {
            continue;
        }
        let info = before.basic_ref(*address)?.unwrap_or_default();
        let code = if config.code_enabled() { code_of(before, &info)? } else { None };
        let mut pre = account_before(&info, code);
        if config.storage_enabled() {
            let slots = touched.storage.iter();
            pre.storage.extend(slots.map(|(key, slot)| (B256::from(*key), B256::from(slot.original_value))));
        }
        if !config.is_diff_mode() {
            if !info.is_empty() {
                difference.pre.insert(*address, pre);
            }
            continue;
        }
        if touched.is_selfdestructed() {
            insert_existing(&mut difference.pre, *address, pre, &info);
            continue;
        }
        let Some(post) = changes(config, touched, &info, &mut pre, before)? else { continue };
        difference.post.insert(*address, post);
        insert_existing(&mut difference.pre, *address, pre, &info);
    }
    let json = if config.is_diff_mode() {
        serde_json::to_value(difference)
    } else {
        serde_json::to_value(difference.pre)
    };
    json.map(GethTrace::JS).map_err(|error| TracerError::Failed(error.to_string()))
}

/// Whose code the recipient runs by an authorization of this same transaction (EIP-7702): go-ethereum looks for
/// delegates before it applies those.
fn fresh_delegate(
    transaction: &TxEnv,
    state: &EvmState,
    before: &impl DatabaseRef<Error = ReadError>,
) -> Result<Option<Address>, TracerError> {
    let TxKind::Call(recipient) = transaction.kind else { return Ok(None) };
    let after = state.get(&recipient).and_then(|account| account.info.code.as_ref());
    let Some(delegate) = after.and_then(|code| code.eip7702_address()) else { return Ok(None) };
    let code = before.basic_ref(recipient)?.map(|info| code_of(before, &info)).transpose()?.flatten();
    let designator = [&EIP7702_PREFIX[..], delegate.as_slice()].concat();
    Ok(code.is_none_or(|code| *code != designator).then_some(delegate))
}

/// What code that names a delegate begins with, with its version.
const EIP7702_PREFIX: [u8; 3] = [0xef, 0x01, 0x00];

/// Accounts that were empty did not exist before.
fn insert_existing(pre: &mut Shown, address: Address, account: ShownAccount, info: &AccountInfo) {
    if !info.is_empty() {
        pre.insert(address, account);
    }
}

fn account_before(info: &AccountInfo, code: Option<Bytes>) -> ShownAccount {
    ShownAccount {
        balance: Some(info.balance),
        code,
        code_hash: (info.code_hash != KECCAK_EMPTY).then_some(info.code_hash),
        nonce: (info.nonce != 0).then_some(info.nonce),
        storage: BTreeMap::new(),
    }
}

/// What a transaction changed of an account; `None` when nothing. Of the slots before, only changed ones stay, and
/// only those that held something.
fn changes(
    config: &PreStateConfig,
    touched: &TouchedAccount,
    before: &AccountInfo,
    pre: &mut ShownAccount,
    database: &impl DatabaseRef<Error = ReadError>,
) -> Result<Option<ShownAccount>, TracerError> {
    let after = &touched.info;
    let mut post = ShownAccount {
        balance: (after.balance != before.balance).then_some(after.balance),
        nonce: (after.nonce != before.nonce).then_some(after.nonce),
        ..ShownAccount::default()
    };
    if after.code_hash != before.code_hash {
        post.code_hash = Some(if after.code_hash == KECCAK_EMPTY { B256::ZERO } else { after.code_hash });
        if config.code_enabled() {
            post.code = Some(code_of(database, after)?.unwrap_or_default());
        }
    }
    let mut changed = post != ShownAccount::default();
    pre.storage.clear();
    if config.storage_enabled() {
        for (key, slot) in touched.storage.iter().filter(|(_, slot)| slot.is_changed()) {
            changed = true;
            if !slot.original_value.is_zero() {
                pre.storage.insert(B256::from(*key), B256::from(slot.original_value));
            }
            if !slot.present_value.is_zero() {
                post.storage.insert(B256::from(*key), B256::from(slot.present_value));
            }
        }
    }
    Ok(changed.then_some(post))
}

fn code_of(
    database: &impl DatabaseRef<Error = ReadError>,
    info: &AccountInfo,
) -> Result<Option<Bytes>, TracerError> {
    if info.code_hash == KECCAK_EMPTY {
        return Ok(None);
    }
    let code = match &info.code {
        Some(code) => code.clone(),
        None => database.code_by_hash_ref(info.code_hash)?,
    };
    Ok(Some(code.original_bytes()).filter(|code| !code.is_empty()))
}
