//! One simulated block: its header, its calls, and what they leave.

use std::collections::BTreeMap;

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header, constants::EMPTY_WITHDRAWALS};
use alloy_eips::{eip4895::Withdrawal, eip6110::DEPOSIT_REQUEST_TYPE, eip7685::Requests};
use alloy_evm::{
    Evm,
    block::{BlockExecutionError, SystemCaller},
    eth::eip6110::accumulate_deposits_from_receipts,
    overrides::OverrideBlockHashes,
};
use alloy_primitives::{Address, Sealed, U256, keccak256};
use alloy_rlp::BufMut;
use alloy_trie::root::ordered_trie_root_with_encoder;
use portico_chain::BlockParts;
use portico_chainspec::{AmsterdamRules, BlockContext, Fork};
use portico_consensus::{
    Engine, block_rewards, next_base_fee, next_excess_blob_gas, receipts_root_and_bloom,
    receipts_root_with_states,
};
use portico_evm::{BlockRules, CallError, EvmEnv, Inspect, PrecompileChanges, block_environment, call_evm};

use revm::database_interface::DatabaseCommitExt;

use super::{
    BlockRequest, SimulatedBlock, SimulatedCall,
    calls::{Call, Executed, GasPool},
    logs::CallLogs,
    plan::Planned,
    state_root::StateRoots,
    transaction,
};
use crate::{
    BlockPosition, CallRequest, FullBlock, LogAt, QueryError, Snapshot, call::CallDatabase, overrides,
};

/// The simulated blocks so far, and the state after them.
pub(super) struct Chain<'s, 'q> {
    pub snapshot: &'s Snapshot<'q>,
    /// Of the parent.
    pub total_difficulty: U256,
    pub parent: Sealed<Header>,
    pub database: CallDatabase<'s, 'q>,
    pub roots: StateRoots<'s, 'q>,
    pub gas_pool: GasPool,
    pub trace_transfers: bool,
    pub validation: bool,
}

impl<'s, 'q> Chain<'s, 'q> {
    /// Simulates the next block.
    pub fn simulate(&mut self, planned: Planned) -> Result<SimulatedBlock, QueryError> {
        let spec = self.snapshot.spec();
        let context = spec.block_context(planned.number, planned.timestamp, self.total_difficulty);
        let rules = BlockRules::new(spec, context);
        if rules.amsterdam_rules() != AmsterdamRules::Final {
            // The interpreter of calls has the final ones only.
            let (fork, block_number) = (rules.fork(), planned.number);
            return Err(QueryError::ForkNotSimulated { fork, rules: rules.amsterdam_rules(), block_number });
        }
        let mut header = self.header(&planned, rules);
        let Planned { request, .. } = planned;
        let environment = self.environment(rules, &header, &request);
        let BlockRequest { overrides: wanted, withdrawals, state, calls, slot_number: _ } = request;
        self.roots.begin(self.database.overlay_mut());
        *self.database.precompile_changes_mut() = PrecompileChanges::default();
        self.database.override_block_hashes(wanted.block_hash.unwrap_or_default());
        overrides::apply(state.unwrap_or_default(), environment.cfg_env.spec, &mut self.database)?;
        if rules.fork() >= Fork::Amsterdam {
            self.database.begin_access_list();
        }
        let withdrawals = withdrawals.unwrap_or_default();
        let (executed, requests) = self.execute(rules, &header, environment, calls)?;
        self.settle(context, &header, &withdrawals)?;
        let access_list = self.database.take_access_list();
        header.block_access_list_hash = access_list.map(|list| keccak256(alloy_rlp::encode(list)));
        header.state_root = self.roots.advance(self.database.overlay_mut())?;
        seal(&mut header, rules.fork(), &executed, requests, &withdrawals);
        self.total_difficulty = self.total_difficulty.saturating_add(header.difficulty);
        let header = Sealed::new(header);
        self.database.set_block_hash(header.number, header.hash());
        let withdrawals = (rules.fork() >= Fork::Shanghai).then_some(withdrawals);
        let block = finish(&header, executed, withdrawals);
        self.parent = header;
        Ok(block)
    }

    /// The header as far as it is known before the calls.
    fn header(&self, planned: &Planned, rules: BlockRules<'_>) -> Header {
        let (parent, wanted, fork) = (&self.parent, &planned.request.overrides, rules.fork());
        let spec = self.snapshot.spec();
        let difficulty = if rules.block().merged { U256::ZERO } else { parent.difficulty };
        let base_fee = || match wanted.base_fee {
            Some(base_fee) => base_fee.saturating_to(),
            // A call without a price must not be below the base fee.
            None if !self.validation => 0,
            None => next_base_fee(spec, parent).unwrap_or_default(),
        };
        let excess_blob_gas = spec.blob_params_at(planned.timestamp).filter(|_| fork >= Fork::Cancun);
        let excess_blob_gas = excess_blob_gas.map(|params| match parent.excess_blob_gas {
            Some(_) => next_excess_blob_gas(&params, parent),
            None => 0,
        });
        Header {
            parent_hash: parent.hash(),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: wanted.coinbase.unwrap_or(parent.beneficiary),
            difficulty: wanted.difficulty.unwrap_or(difficulty),
            number: planned.number,
            gas_limit: wanted.gas_limit.unwrap_or(parent.gas_limit),
            timestamp: planned.timestamp,
            mix_hash: wanted.random.unwrap_or_default(),
            base_fee_per_gas: (fork >= Fork::London).then(base_fee),
            excess_blob_gas,
            parent_beacon_block_root: (fork >= Fork::Cancun).then(|| wanted.beacon_root.unwrap_or_default()),
            slot_number: (fork >= Fork::Amsterdam).then(|| self.slot_number(&planned.request)),
            ..Header::default()
        }
    }

    /// The slot after the parent's, which has none where it is from before Amsterdam, unless another one is wanted.
    fn slot_number(&self, request: &BlockRequest) -> u64 {
        let next = || self.parent.slot_number.map_or(0, |slot| slot.saturating_add(1));
        request.slot_number.unwrap_or_else(next)
    }

    /// The block as the interpreter takes it, without the checks that are not made here.
    fn environment(&self, rules: BlockRules<'_>, header: &Header, request: &BlockRequest) -> EvmEnv {
        let mut environment = block_environment(rules, header, header.beneficiary);
        let checks = &mut environment.cfg_env;
        checks.disable_nonce_check = !self.validation;
        checks.disable_eip3607 = true;
        checks.disable_block_gas_limit = true;
        if rules.fork() < Fork::Amsterdam {
            checks.tx_gas_limit_cap = Some(u64::MAX);
        } // From then on it refuses nothing: it divides gas into that of execution and that of state (EIP-8037).
        if let Some(wanted) = request.overrides.blob_base_fee
            && let Some(blob) = &mut environment.block_env.blob_excess_gas_and_price
        {
            blob.blob_gasprice = wanted.saturating_to();
        }
        environment
    }

    /// Runs system calls and calls; the requests are there from Prague on.
    fn execute(
        &mut self,
        rules: BlockRules<'_>,
        header: &Header,
        environment: EvmEnv,
        calls: Vec<CallRequest>,
    ) -> Result<(Executed, Option<Requests>), QueryError> {
        let Self { snapshot, database, roots, gas_pool, validation, .. } = self;
        let logs = CallLogs::new(self.trace_transfers);
        let mut evm = call_evm(&mut *database, environment, logs, Inspect::Yes);
        let mut system = SystemCaller::new(rules);
        system.apply_pre_execution_changes(header, &mut evm).map_err(system_error)?;
        let mut executed = Executed::default();
        for (request, index) in calls.into_iter().zip(1..) {
            snapshot.check_deadline()?;
            evm.db_mut().set_access_index(index);
            let call = Call { header, rules, validation: *validation };
            call.execute(request, &mut evm, gas_pool, &mut executed)?;
            if rules.fork() < Fork::Byzantium {
                executed.state_roots.push(roots.advance(evm.db_mut().overlay_mut())?);
            }
        }
        evm.db_mut().set_access_index(executed.calls.len() as u64 + 1);
        if rules.fork() < Fork::Prague {
            return Ok((executed, None));
        }
        let mut requests = Requests::default();
        if let Some(contract) = rules.spec().deposit_contract() {
            let mut deposits = Vec::new();
            accumulate_deposits_from_receipts(contract, &executed.receipts, &mut deposits)
                .map_err(|error| system_error(error.into()))?;
            if !deposits.is_empty() {
                requests.push_request_with_type(DEPOSIT_REQUEST_TYPE, deposits);
            }
        }
        system.append_post_execution_changes(&mut evm, &mut requests).map_err(system_error)?;
        Ok((executed, Some(requests)))
    }

    /// Pays rewards and withdrawals.
    fn settle(
        &mut self,
        context: BlockContext,
        header: &Header,
        withdrawals: &[Withdrawal],
    ) -> Result<(), QueryError> {
        let spec = self.snapshot.spec();
        let rewards = match Engine::of(spec, context) {
            Ok(engine) => block_rewards(engine, spec.fork_at(context), header, &[]),
            // Other engines pay none.
            Err(_) => Vec::new(),
        };
        let withdrawals = withdrawals.iter().filter(|_| spec.is_active(Fork::Shanghai, context));
        let withdrawals = withdrawals.map(|withdrawal| (withdrawal.address, withdrawal.amount_wei().to()));
        let mut paid: BTreeMap<Address, u128> = BTreeMap::new();
        for (address, wei) in rewards.into_iter().chain(withdrawals) {
            let sum = paid.entry(address).or_default();
            *sum = sum.saturating_add(wei);
        }
        // Those who get nothing are in the access list too.
        Ok(self.database.increment_balances(paid).map_err(CallError::from)?)
    }
}

/// Fills in what the calls decided.
fn seal(
    header: &mut Header,
    fork: Fork,
    executed: &Executed,
    requests: Option<Requests>,
    withdrawals: &[Withdrawal],
) {
    let (receipts_root, logs_bloom) = receipts_root_and_bloom(&executed.receipts);
    header.receipts_root = if fork >= Fork::Byzantium {
        receipts_root
    } else {
        receipts_root_with_states(&executed.receipts, &executed.state_roots)
    };
    header.logs_bloom = logs_bloom;
    header.gas_used = executed.block_gas_used(fork);
    header.transactions_root = ordered_trie_root_with_encoder(&executed.transactions, |transaction, out| {
        out.put_slice(&transaction::encode_unsigned(transaction));
    });
    header.blob_gas_used = (fork >= Fork::Cancun).then_some(executed.blob_gas_used);
    header.withdrawals_root = (fork >= Fork::Shanghai).then(|| match withdrawals {
        [] => EMPTY_WITHDRAWALS,
        withdrawals => alloy_consensus::proofs::calculate_withdrawals_root(withdrawals),
    });
    header.requests_hash = requests.map(|requests| requests.requests_hash());
}

/// Tells logs their block.
fn finish(
    header: &Sealed<Header>,
    executed: Executed,
    withdrawals: Option<Vec<Withdrawal>>,
) -> SimulatedBlock {
    let block = BlockPosition::from(header);
    let calls = executed.calls.into_iter().zip(&executed.transactions).zip(0..);
    let calls = calls.map(|((call, transaction), tx_index)| {
        let transaction_hash = *transaction.tx_hash();
        let logs = call.logs.into_iter().map(|(log_index, log)| LogAt {
            log,
            block,
            transaction_hash,
            tx_index,
            log_index,
        });
        SimulatedCall {
            logs: logs.collect(),
            output: call.output,
            gas_used: call.gas_used,
            gas_used_max: call.gas_used_max,
            error: call.error,
        }
    });
    let calls = calls.collect();
    let parts = BlockParts {
        hash: header.hash(),
        header: header.inner().clone(),
        transactions: executed.transactions,
        ommers: Vec::new(),
        withdrawals,
    };
    SimulatedBlock { block: FullBlock { parts, senders: executed.senders }, calls }
}

/// System calls fail where the chain has no contract for them.
fn system_error(error: BlockExecutionError) -> QueryError {
    CallError::Block(error.to_string()).into()
}
