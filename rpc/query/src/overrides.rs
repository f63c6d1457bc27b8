//! What a caller wants to find changed: accounts, code, storage, precompiled contracts.

use alloy_primitives::{Address, U256, keccak256};
use alloy_rpc_types_eth::{
    BlockOverrides,
    state::{AccountOverride, StateOverride},
};
use portico_evm::{CallError, is_precompile};
use portico_state::Account;
use revm::{bytecode::Bytecode, primitives::hardfork::SpecId};

use crate::{QueryError, call::CallDatabase};

/// What a call is to find changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallOverrides {
    /// Accounts, code and storage.
    pub state: Option<StateOverride>,
    /// Fields of the block.
    pub block: Option<Box<BlockOverrides>>,
}

/// Puts `overrides` on top of the state; `spec` says which precompiled contracts there are.
///
/// An account that is named at the address of a precompiled contract takes its place, whatever about it is named.
///
/// # Errors
/// [`QueryError::StateAndDiff`], [`QueryError::NotPrecompile`], [`QueryError::AlreadyOverridden`].
pub(crate) fn apply(
    overrides: StateOverride,
    spec: SpecId,
    database: &mut CallDatabase<'_, '_>,
) -> Result<(), QueryError> {
    move_precompiles(&overrides, spec, database)?;
    for (address, account) in overrides {
        apply_account(address, account, database)?;
    }
    Ok(())
}

fn move_precompiles(
    overrides: &StateOverride,
    spec: SpecId,
    database: &mut CallDatabase<'_, '_>,
) -> Result<(), QueryError> {
    let changes = database.precompile_changes_mut();
    // Two may go to the same place: the higher address wins, whatever the order of the map.
    let mut addresses: Vec<&Address> = overrides.keys().collect();
    addresses.sort_unstable();
    for address in addresses {
        if let Some(target) = overrides[address].move_precompile_to {
            if !is_precompile(spec, address) {
                return Err(QueryError::NotPrecompile { address: *address });
            }
            if overrides.contains_key(&target) {
                return Err(QueryError::AlreadyOverridden { address: target });
            }
            changes.relocate(*address, target);
        }
        if is_precompile(spec, address) {
            changes.remove(*address);
        }
    }
    Ok(())
}

fn apply_account(
    address: Address,
    wanted: AccountOverride,
    database: &mut CallDatabase<'_, '_>,
) -> Result<(), QueryError> {
    let AccountOverride { balance, nonce, code, state, state_diff, move_precompile_to: _ } = wanted;
    if state.is_some() && state_diff.is_some() {
        return Err(QueryError::StateAndDiff { address });
    }
    let overlay = database.overlay_mut();
    if balance.is_some() || nonce.is_some() || code.is_some() {
        let known = overlay.known_account(address).map_err(CallError::from)?.unwrap_or_default();
        let code_hash = code.as_ref().map_or(known.code_hash, keccak256);
        let account = Account {
            nonce: nonce.unwrap_or(known.nonce),
            balance: balance.unwrap_or(known.balance),
            code_hash,
        };
        let code = code.map(|code| {
            Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code))
        });
        overlay.replace_account(address, account, code).map_err(CallError::from)?;
    }
    if state.is_some() {
        overlay.wipe_storage(address).map_err(CallError::from)?;
    }
    for (slot, value) in state.or(state_diff).into_iter().flatten() {
        overlay.replace_slot(address, slot.into(), U256::from_be_bytes(value.0)).map_err(CallError::from)?;
    }
    Ok(())
}
