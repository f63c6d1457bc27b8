//! One simulated block: its header, its calls, and what they leave.

use std::cmp::Ordering;

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header, constants::EMPTY_WITHDRAWALS};
use alloy_eips::{eip4895::Withdrawal, eip6110::DEPOSIT_REQUEST_TYPE, eip7685::Requests};
use alloy_evm::{
    Evm,
    block::{BlockExecutionError, SystemCaller},
    eth::eip6110::accumulate_deposits_from_receipts,
    overrides::OverrideBlockHashes,
};
use alloy_primitives::{Address, B256, Bytes, Sealed, U256};
use alloy_rlp::BufMut;
use alloy_trie::root::ordered_trie_root_with_encoder;
use portico_chain::BlockParts;
use portico_chainspec::{BlockContext, Fork};
use portico_consensus::{
    Engine, block_rewards, next_base_fee, next_excess_blob_gas, receipts_root_and_bloom,
    receipts_root_with_states,
};
use portico_evm::{
    BlockRules, CallError, CallEvm, EvmEnv, Inspect, PrecompileChanges, Receipt, Transaction,
    block_environment, call_evm,
};
use revm::{
    DatabaseCommit,
    context::result::{ExecutionResult, InvalidTransaction},
};

use super::{
    BlockRequest, SimulatedBlock, SimulatedCall,
    logs::{CallLogs, Numbered},
    plan::Planned,
    state_root::StateRoots,
    transaction::{self, Defaults},
};
use crate::{
    BlockPosition, CallRequest, FullBlock, LogAt, QueryError, Snapshot,
    call::{CallDatabase, output_of},
    overrides,
};

/// Gas that all calls of a simulation may use together.
#[derive(Debug, Clone, Copy)]
pub(super) struct GasPool {
    pub left: u64,
}

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

type SimulationEvm<'e, 's, 'q> = CallEvm<&'e mut CallDatabase<'s, 'q>, CallLogs>;

/// What the calls of a block came to.
#[derive(Debug, Default)]
struct Executed {
    transactions: Vec<Transaction>,
    senders: Vec<Address>,
    receipts: Vec<Receipt>,
    /// Before Byzantium.
    state_roots: Vec<B256>,
    calls: Vec<ExecutedCall>,
    gas_used: u64,
    blob_gas_used: u64,
}

/// A call, before its logs know their block.
#[derive(Debug)]
struct ExecutedCall {
    output: Bytes,
    logs: Vec<Numbered>,
    gas_used: u64,
    gas_used_max: u64,
    error: Option<QueryError>,
}

impl<'s, 'q> Chain<'s, 'q> {
    /// Simulates the next block.
    pub fn simulate(&mut self, planned: Planned) -> Result<SimulatedBlock, QueryError> {
        let spec = self.snapshot.spec();
        let context = spec.block_context(planned.number, planned.timestamp, self.total_difficulty);
        let rules = BlockRules::new(spec, context);
        let mut header = self.header(&planned, rules);
        let Planned { request, .. } = planned;
        let environment = self.environment(rules, &header, &request);
        let BlockRequest { overrides: wanted, withdrawals, state, calls } = request;
        self.roots.begin(self.database.overlay_mut());
        *self.database.precompile_changes_mut() = PrecompileChanges::default();
        self.database.override_block_hashes(wanted.block_hash.unwrap_or_default());
        overrides::apply(state.unwrap_or_default(), environment.cfg_env.spec, &mut self.database)?;
        let withdrawals = withdrawals.unwrap_or_default();
        let (executed, requests) = self.execute(rules, &header, environment, calls)?;
        self.settle(context, &header, &withdrawals)?;
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
            ..Header::default()
        }
    }

    /// The block as the interpreter takes it, without the checks that are not made here.
    fn environment(&self, rules: BlockRules<'_>, header: &Header, request: &BlockRequest) -> EvmEnv {
        let mut environment = block_environment(rules, header, header.beneficiary);
        let checks = &mut environment.cfg_env;
        checks.disable_nonce_check = !self.validation;
        checks.disable_eip3607 = true;
        checks.disable_block_gas_limit = true;
        checks.tx_gas_limit_cap = Some(u64::MAX);
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
        for request in calls {
            snapshot.check_deadline()?;
            let call = Call { snapshot, header, rules, validation: *validation };
            call.execute(request, &mut evm, gas_pool, &mut executed)?;
            if rules.fork() < Fork::Byzantium {
                executed.state_roots.push(roots.advance(evm.db_mut().overlay_mut())?);
            }
        }
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
        let rewards = rewards.into_iter().map(|(address, wei)| (address, U256::from(wei)));
        let withdrawals = withdrawals.iter().filter(|_| spec.is_active(Fork::Shanghai, context));
        let withdrawals = withdrawals.map(|withdrawal| (withdrawal.address, withdrawal.amount_wei()));
        let overlay = self.database.overlay_mut();
        for (address, wei) in rewards.chain(withdrawals).filter(|(_, wei)| !wei.is_zero()) {
            let mut account = overlay.known_account(address).map_err(CallError::from)?.unwrap_or_default();
            account.balance = account.balance.saturating_add(wei);
            overlay.replace_account(address, account, None).map_err(CallError::from)?;
        }
        Ok(())
    }
}

/// What calls of one block have in common.
struct Call<'c, 'q> {
    snapshot: &'c Snapshot<'q>,
    header: &'c Header,
    rules: BlockRules<'c>,
    validation: bool,
}

impl Call<'_, '_> {
    fn execute(
        &self,
        request: CallRequest,
        evm: &mut SimulationEvm<'_, '_, '_>,
        gas_pool: &mut GasPool,
        executed: &mut Executed,
    ) -> Result<(), QueryError> {
        let sender = request.from.unwrap_or_default();
        let known = evm.db_mut().overlay_mut().known_account(sender).map_err(CallError::from)?;
        let nonce = known.unwrap_or_default().nonce;
        let defaults = Defaults {
            chain_id: self.rules.spec().chain_id(),
            nonce: request.nonce.unwrap_or(nonce),
            gas_limit: self.gas_limit(request.gas, executed.gas_used)?.min(gas_pool.left),
            has_base_fee: self.header.base_fee_per_gas.is_some(),
        };
        let transaction = transaction::unsigned(request, defaults)?;
        if self.validation {
            check_nonce(defaults.nonce, nonce)?;
        }
        let result = self.transact(evm, &transaction, sender)?;
        if nonce == u64::MAX {
            self.wrap_nonce(evm, sender)?;
        }
        let gas_used = result.tx_gas_used();
        gas_pool.left = gas_pool.left.saturating_sub(gas_used);
        executed.gas_used = executed.gas_used.saturating_add(gas_used);
        let blob_gas = alloy_consensus::Transaction::blob_gas_used(&transaction).unwrap_or_default();
        executed.blob_gas_used = executed.blob_gas_used.saturating_add(blob_gas);
        let mut logs = evm.inspector_mut().take();
        if self.rules.fork() >= Fork::Amsterdam && result.is_success() {
            // Transfers are logs of the protocol (EIP-7708), which no instruction makes.
            let first = executed.calls.iter().map(|call| call.logs.len() as u64).sum::<u64>();
            logs = (first..).zip(result.logs().to_vec()).collect();
        }
        executed.push(transaction, sender, result, logs);
        Ok(())
    }

    /// What is left in the block unless a limit is asked for.
    fn gas_limit(&self, wanted: Option<u64>, used: u64) -> Result<u64, QueryError> {
        let limit = self.header.gas_limit;
        let left = limit.saturating_sub(used);
        let gas_limit = wanted.unwrap_or(left);
        if gas_limit > left { Err(QueryError::BlockGas { used, limit }) } else { Ok(gas_limit) }
    }

    fn transact(
        &self,
        evm: &mut SimulationEvm<'_, '_, '_>,
        transaction: &Transaction,
        sender: Address,
    ) -> Result<ExecutionResult, QueryError> {
        let mut environment = portico_evm::transaction_environment(transaction, sender);
        let is_free = environment.gas_price == 0 && environment.gas_priority_fee.unwrap_or_default() == 0;
        let blobs = evm.block().blob_excess_gas_and_price;
        let context = evm.ctx_mut();
        context.cfg.disable_base_fee = is_free && !self.validation;
        if !self.validation {
            // The interpreter refuses the last nonce even where nonces are not looked at.
            environment.nonce = environment.nonce.min(u64::MAX - 1);
            if environment.max_fee_per_blob_gas == 0
                && let Some(blob) = &mut context.block.blob_excess_gas_and_price
            {
                blob.blob_gasprice = 0;
            }
        }
        let executed = evm.transact_raw(environment);
        evm.ctx_mut().block.blob_excess_gas_and_price = blobs;
        let executed = executed.map_err(|error| self.snapshot.unless_out_of_time(error.into()))?;
        evm.db_mut().commit(executed.state);
        Ok(executed.result)
    }

    /// After the last nonce comes the first; with validation no call gets here.
    fn wrap_nonce(&self, evm: &mut SimulationEvm<'_, '_, '_>, sender: Address) -> Result<(), QueryError> {
        let overlay = evm.db_mut().overlay_mut();
        let mut account = overlay.known_account(sender).map_err(CallError::from)?.unwrap_or_default();
        account.nonce = 0;
        Ok(overlay.replace_account(sender, account, None).map_err(CallError::from)?)
    }
}

impl Executed {
    /// Adds a call; `shown` are its logs, perhaps with transfers.
    fn push(
        &mut self,
        transaction: Transaction,
        sender: Address,
        result: ExecutionResult,
        shown: Vec<Numbered>,
    ) {
        let success = result.is_success();
        let logs = if success { result.logs().to_vec() } else { Vec::new() };
        let gas_used = result.tx_gas_used();
        let gas_used_max = result.gas().total_gas_spent().max(gas_used);
        // What a revert returns is in its error.
        let (output, error) = match output_of(result) {
            Ok(output) => (output, None),
            Err(error) => (Bytes::new(), Some(error)),
        };
        self.calls.push(ExecutedCall { output, logs: shown, gas_used, gas_used_max, error });
        self.receipts.push(Receipt {
            tx_type: transaction.tx_type(),
            success,
            cumulative_gas_used: self.gas_used,
            logs,
        });
        self.transactions.push(transaction);
        self.senders.push(sender);
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
    header.gas_used = executed.gas_used;
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

/// The nonce comes before everything else about a transaction.
fn check_nonce(tx: u64, state: u64) -> Result<(), QueryError> {
    let invalid = match tx.cmp(&state) {
        Ordering::Less => InvalidTransaction::NonceTooLow { tx, state },
        Ordering::Greater => InvalidTransaction::NonceTooHigh { tx, state },
        Ordering::Equal if state == u64::MAX => InvalidTransaction::NonceOverflowInTransaction,
        Ordering::Equal => return Ok(()),
    };
    Err(CallError::from(invalid).into())
}

/// System calls fail where the chain has no contract for them.
fn system_error(error: BlockExecutionError) -> QueryError {
    CallError::Block(error.to_string()).into()
}
