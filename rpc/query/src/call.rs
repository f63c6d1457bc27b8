//! Calls that change nothing, on the state after any block.

use std::collections::BTreeMap;

use alloy_consensus::{Header, constants::KECCAK_EMPTY};
use alloy_evm::{
    overrides::{OverrideBlockHashes, StateOverrideError, apply_block_overrides, apply_state_overrides},
    rpc::TryIntoTxEnv,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_eth::{BlockOverrides, state::StateOverride};
use portico_chain::canonical_hash;
use portico_db::RO;
use portico_evm::{
    Beneficiary, BlockRules, CallOutcome, EvmEnv, Overlay, ReadError, TxEnv, block_environment, call,
};
use portico_state::StateAt;
use revm::{
    Database, DatabaseCommit,
    bytecode::Bytecode,
    primitives::AddressMap,
    state::{Account as EvmAccount, AccountId, AccountInfo},
};

use crate::{QueryError, Snapshot, revert::revert_reason};

pub use alloy_rpc_types_eth::TransactionRequest as CallRequest;

/// What a call is to find changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallOverrides {
    /// Accounts, code and storage.
    pub state: Option<StateOverride>,
    /// Fields of the block.
    pub block: Option<Box<BlockOverrides>>,
}

impl Snapshot<'_> {
    /// [`Snapshot::run_call`] where only what the call returns counts.
    ///
    /// # Errors
    /// Also [`QueryError::Reverted`] and [`QueryError::Halted`] for what the code does.
    pub fn call(
        &self,
        request: CallRequest,
        block_number: u64,
        overrides: CallOverrides,
    ) -> Result<Bytes, QueryError> {
        match self.run_call(request, block_number, overrides)? {
            CallOutcome::Success { output, .. } => Ok(output),
            CallOutcome::Revert { output, .. } => {
                Err(QueryError::Reverted { reason: revert_reason(&output), output })
            }
            CallOutcome::Halt { reason, .. } => Err(QueryError::Halted { reason }),
        }
    }

    /// Runs a call on the state after a block, as if it were in that block. Without fee fields it is free; the sender
    /// may be a contract; nonces do not count; the gas is bounded by a setting.
    ///
    /// # Errors
    /// [`QueryError::Call`] for a request that cannot be run; those of [`Snapshot::state_at`].
    pub fn run_call(
        &self,
        request: CallRequest,
        block_number: u64,
        overrides: CallOverrides,
    ) -> Result<CallOutcome, QueryError> {
        let (database, mut environment) = self.prepare_calls(block_number, overrides)?;
        let request = self.prepare_call(request, &mut environment)?;
        Ok(call(database, environment, request)?)
    }

    /// State and block for calls, with what the caller wants changed.
    pub(crate) fn prepare_calls(
        &self,
        block_number: u64,
        overrides: CallOverrides,
    ) -> Result<(CallDatabase<'_, '_>, EvmEnv), QueryError> {
        let mut database = CallDatabase {
            overlay: Overlay::new(self.state_at(block_number)?),
            snapshot: self,
            block_hashes: BTreeMap::new(),
        };
        let mut environment = self.call_environment(&*self.known_header(block_number)?)?;
        if let Some(block) = overrides.block {
            apply_block_overrides(*block, &mut database, &mut environment.block_env);
        }
        if let Some(state) = overrides.state {
            check_supported(&state)?;
            apply_state_overrides(state, &mut database).map_err(override_error)?;
        }
        Ok((database, environment))
    }

    /// A request as the interpreter takes it; the environment is made fit for it.
    pub(crate) fn prepare_call(
        &self,
        request: CallRequest,
        environment: &mut EvmEnv,
    ) -> Result<TxEnv, QueryError> {
        let request = self.bounded(request).try_into_tx_env(environment)?;
        settle_fees(environment, &request);
        Ok(request)
    }

    /// The block's environment without the checks that only transactions in blocks must pass.
    fn call_environment(&self, header: &Header) -> Result<EvmEnv, QueryError> {
        let rules = BlockRules::new(self.spec(), self.block_context(header)?);
        let beneficiary = Beneficiary::of(rules, header)?.address(header);
        let mut environment = block_environment(rules, header, beneficiary);
        let checks = &mut environment.cfg_env;
        checks.disable_nonce_check = true;
        checks.disable_eip3607 = true;
        checks.disable_block_gas_limit = true;
        checks.tx_gas_limit_cap = Some(u64::MAX);
        Ok(environment)
    }

    fn bounded(&self, mut request: CallRequest) -> CallRequest {
        let limit = self.settings().call_gas_max;
        request.gas = Some(request.gas.map_or(limit, |gas| gas.min(limit)));
        request
    }
}

/// A free call does not see the base fee, so that contracts do not trip over a gas price below it.
fn settle_fees(environment: &mut EvmEnv, request: &TxEnv) {
    if request.gas_price == 0 && request.gas_priority_fee.unwrap_or_default() == 0 {
        environment.cfg_env.disable_base_fee = true;
        environment.block_env.basefee = 0;
    }
    if request.max_fee_per_blob_gas == 0
        && let Some(blob) = &mut environment.block_env.blob_excess_gas_and_price
    {
        blob.blob_gasprice = 0;
    }
}

fn check_supported(overrides: &StateOverride) -> Result<(), QueryError> {
    if overrides.values().any(|account| account.move_precompile_to.is_some()) {
        return Err(QueryError::UnsupportedOverride("movePrecompileToAddress"));
    }
    Ok(())
}

fn override_error(error: StateOverrideError<ReadError>) -> QueryError {
    match error {
        StateOverrideError::Database(error) => QueryError::Call(error.into()),
        error => QueryError::Override(error),
    }
}

/// State under a call, and the hashes of the blocks before it.
#[derive(Debug)]
pub(crate) struct CallDatabase<'s, 'q> {
    overlay: Overlay<StateAt<'s, 'q, RO>>,
    snapshot: &'s Snapshot<'q>,
    /// Hashes that the caller wants instead of the canonical ones.
    block_hashes: BTreeMap<u64, B256>,
}

impl Database for CallDatabase<'_, '_> {
    type Error = ReadError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, ReadError> {
        self.overlay.basic(address)
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, ReadError> {
        if code_hash == KECCAK_EMPTY { Ok(Bytecode::default()) } else { self.overlay.code_by_hash(code_hash) }
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, ReadError> {
        self.overlay.storage(address, slot)
    }

    fn storage_by_account_id(
        &mut self,
        address: Address,
        id: AccountId,
        slot: U256,
    ) -> Result<U256, ReadError> {
        self.overlay.storage_by_account_id(address, id, slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, ReadError> {
        if let Some(hash) = self.block_hashes.get(&number) {
            return Ok(*hash);
        }
        let hash = canonical_hash(&self.snapshot.txn, number).map_err(ReadError::new)?;
        Ok(hash.unwrap_or_default())
    }
}

impl DatabaseCommit for CallDatabase<'_, '_> {
    fn commit(&mut self, changes: AddressMap<EvmAccount>) {
        self.overlay.commit(changes);
    }
}

impl OverrideBlockHashes for CallDatabase<'_, '_> {
    fn override_block_hashes(&mut self, block_hashes: BTreeMap<u64, B256>) {
        self.block_hashes.extend(block_hashes);
    }
}
