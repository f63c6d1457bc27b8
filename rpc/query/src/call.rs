//! Calls that change nothing, on the state after any block.

use std::collections::BTreeMap;

use alloy_consensus::{Header, constants::KECCAK_EMPTY};
use alloy_eip7928::{BlockAccessIndex, BlockAccessList};
use alloy_evm::{
    overrides::{OverrideBlockHashes, apply_block_overrides},
    rpc::TryIntoTxEnv,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_eth::BlockOverrides;
use portico_evm::{
    Beneficiary, BlockRules, CallOutcome, CallState, EvmEnv, Overlay, PrecompileChanges, ReadError, TxEnv,
    block_environment, call,
};
use revm::{
    Database, DatabaseCommit,
    bytecode::Bytecode,
    context::result::{ExecutionResult, HaltReason, ResultAndState},
    database_interface::bal::BalState,
    primitives::AddressMap,
    state::{Account as EvmAccount, AccountId, AccountInfo},
};

use crate::{CallOverrides, QueryError, Snapshot, overrides, replay::StateBelow, revert::revert_reason};

pub use alloy_rpc_types_eth::TransactionRequest as CallRequest;

impl<'q> Snapshot<'q> {
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
            CallOutcome::Revert { output, .. } => Err(QueryError::reverted(output)),
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
        let (mut database, mut environment) = self.prepare_calls(block_number, overrides)?;
        let request = self.prepare_call(request, &mut environment)?;
        Ok(self.execute(&mut database, environment, request)?.result.into())
    }

    /// Runs a prepared call; the state does not change.
    ///
    /// # Errors
    /// [`QueryError::TimedOut`]; [`QueryError::Call`].
    pub(crate) fn execute(
        &self,
        database: &mut CallDatabase<'_, '_>,
        environment: EvmEnv,
        request: TxEnv,
    ) -> Result<ResultAndState<HaltReason>, QueryError> {
        Ok(call(database, environment, request)?)
    }

    /// State and block for calls, with what the caller wants changed.
    pub(crate) fn prepare_calls(
        &self,
        block_number: u64,
        wanted: CallOverrides,
    ) -> Result<(CallDatabase<'_, 'q>, EvmEnv), QueryError> {
        let mut database = CallDatabase::new(self, block_number)?;
        let header = self.known_header(block_number)?;
        let mut environment = self.call_environment(&header, wanted.block.as_deref())?;
        if let Some(block) = wanted.block {
            apply_block_overrides(*block, &mut database, &mut environment.block_env);
        }
        if let Some(state) = wanted.state {
            overrides::apply(state, environment.cfg_env.spec, &mut database)?;
        }
        Ok((database, environment))
    }

    /// A request as the interpreter takes it; the environment is made fit for it.
    pub(crate) fn prepare_call(
        &self,
        mut request: CallRequest,
        environment: &mut EvmEnv,
    ) -> Result<TxEnv, QueryError> {
        let needs_recipient = request.blob_versioned_hashes.is_some() || request.authorization_list.is_some();
        if needs_recipient && !request.to.is_some_and(|to| to.is_call()) {
            return Err(QueryError::NoRecipient);
        }
        let has_other_fee =
            request.max_priority_fee_per_gas.is_some() || request.max_fee_per_blob_gas.is_some();
        if has_other_fee && request.gas_price.is_none() {
            // Calls pay nothing unless they say so, also when they say only what else they would pay.
            request.max_fee_per_gas.get_or_insert_default();
        }
        let request = self.bounded(request).try_into_tx_env(environment)?;
        settle_fees(environment, &request);
        Ok(request)
    }

    /// The block's environment without the checks that only transactions in blocks must pass. A block that is wanted
    /// at another number or time has the rules of that.
    fn call_environment(
        &self,
        header: &Header,
        wanted: Option<&BlockOverrides>,
    ) -> Result<EvmEnv, QueryError> {
        let mut context = self.block_context(header)?;
        let rules = BlockRules::new(self.spec(), context);
        let beneficiary = Beneficiary::of(rules, header)?.address(header);
        context.number =
            wanted.and_then(|block| block.number).map_or(context.number, |it| it.saturating_to());
        context.timestamp = wanted.and_then(|block| block.time).unwrap_or(context.timestamp);
        let rules = BlockRules::new(self.spec(), context);
        let mut environment = if (context.number, context.timestamp) == (header.number, header.timestamp) {
            block_environment(rules, header, beneficiary)
        } else {
            let header = Header { number: context.number, timestamp: context.timestamp, ..header.clone() };
            block_environment(rules, &header, beneficiary)
        };
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

impl QueryError {
    /// The called code reverted with this.
    pub(crate) fn reverted(output: Bytes) -> Self {
        Self::Reverted { reason: revert_reason(&output), output }
    }
}

/// What a call returned.
///
/// # Errors
/// [`QueryError::Reverted`] and [`QueryError::Halted`].
pub(crate) fn output_of(result: ExecutionResult) -> Result<Bytes, QueryError> {
    match result {
        ExecutionResult::Success { output, .. } => Ok(output.into_data()),
        ExecutionResult::Revert { output, .. } => Err(QueryError::reverted(output)),
        ExecutionResult::Halt { reason, .. } => Err(QueryError::Halted { reason }),
    }
}

/// A free call does not see the base fee, so that contracts do not trip over a gas price below it.
pub(crate) fn settle_fees(environment: &mut EvmEnv, request: &TxEnv) {
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

/// State under a call, the hashes of the blocks before it, and where precompiled contracts are.
#[derive(Debug)]
pub(crate) struct CallDatabase<'s, 'q> {
    overlay: Overlay<StateBelow<'s, 'q>>,
    /// Hashes that the caller wants instead of the canonical ones.
    block_hashes: BTreeMap<u64, B256>,
    /// From this block on the canonical chain does not count.
    block_number: u64,
    precompiles: PrecompileChanges,
    /// Notes what is read and changed, while somebody wants to know.
    access: BalState,
    snapshot: &'s Snapshot<'q>,
    ticks: u32,
}

/// How often a call asks whether to go on before it looks at the clock.
const TICKS_BETWEEN: u32 = 64;

impl<'s, 'q> CallDatabase<'s, 'q> {
    /// The state after a block.
    pub fn new(snapshot: &'s Snapshot<'q>, block_number: u64) -> Result<Self, QueryError> {
        Ok(Self {
            overlay: Overlay::new(snapshot.state_below(block_number)?),
            block_hashes: BTreeMap::new(),
            block_number,
            precompiles: PrecompileChanges::default(),
            access: BalState::default(),
            snapshot,
            ticks: 0,
        })
    }

    /// The state.
    pub fn overlay_mut(&mut self) -> &mut Overlay<StateBelow<'s, 'q>> {
        &mut self.overlay
    }

    /// Makes a block's hash known that the chain does not have.
    pub fn set_block_hash(&mut self, block_number: u64, hash: B256) {
        self.block_hashes.insert(block_number, hash);
    }

    /// Where precompiled contracts are.
    pub fn precompile_changes_mut(&mut self) -> &mut PrecompileChanges {
        &mut self.precompiles
    }

    /// From now on an access list is made of what is read and changed (EIP-7928), as before the first transaction.
    pub fn begin_access_list(&mut self) {
        self.access = BalState::default().with_bal_builder();
    }

    /// What comes is the transaction with this number, beginning with one, or what follows the last one.
    pub fn set_access_index(&mut self, index: u64) {
        self.access.bal_index = BlockAccessIndex::new(index);
    }

    /// The access list since it was begun, if it was.
    pub fn take_access_list(&mut self) -> Option<BlockAccessList> {
        self.access.take_built_alloy_bal()
    }
}

impl CallState for CallDatabase<'_, '_> {
    fn precompile_changes(&self) -> &PrecompileChanges {
        &self.precompiles
    }

    fn tick(&mut self) -> Result<(), ReadError> {
        self.ticks = self.ticks.wrapping_add(1);
        if !self.ticks.is_multiple_of(TICKS_BETWEEN) {
            return Ok(());
        }
        self.snapshot.check_deadline().map_err(ReadError::new)
    }
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
        self.tick()?;
        self.overlay.storage(address, slot)
    }

    fn storage_by_account_id(
        &mut self,
        address: Address,
        id: AccountId,
        slot: U256,
    ) -> Result<U256, ReadError> {
        self.tick()?;
        self.overlay.storage_by_account_id(address, id, slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, ReadError> {
        if let Some(hash) = self.block_hashes.get(&number) {
            return Ok(*hash);
        }
        if number >= self.block_number {
            return Ok(B256::ZERO);
        }
        self.overlay.block_hash(number)
    }
}

impl DatabaseCommit for CallDatabase<'_, '_> {
    fn commit(&mut self, changes: AddressMap<EvmAccount>) {
        self.access.commit(&changes);
        self.overlay.commit(changes);
    }
}

impl OverrideBlockHashes for CallDatabase<'_, '_> {
    fn override_block_hashes(&mut self, block_hashes: BTreeMap<u64, B256>) {
        self.block_hashes.extend(block_hashes);
    }
}
