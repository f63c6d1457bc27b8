//! The calls of one simulated block.

use std::cmp::Ordering;

use alloy_consensus::Header;
use alloy_evm::Evm;
use alloy_primitives::{Address, B256, Bytes};
use portico_chainspec::Fork;
use portico_evm::{BlockRules, CallError, CallEvm, Receipt, Transaction};
use revm::{
    DatabaseCommit,
    context::{
        Cfg,
        result::{ExecutionResult, InvalidTransaction},
    },
};

use super::{
    logs::{CallLogs, Numbered},
    transaction::{self, Defaults},
};
use crate::{
    CallRequest, QueryError,
    call::{CallDatabase, output_of},
};

/// Gas that all calls of a simulation may use together.
#[derive(Debug, Clone, Copy)]
pub(super) struct GasPool {
    pub left: u64,
}

/// The interpreter of a simulated block.
pub(super) type SimulationEvm<'e, 's, 'q> = CallEvm<&'e mut CallDatabase<'s, 'q>, CallLogs>;

/// What the calls of a block came to.
#[derive(Debug, Default)]
pub(super) struct Executed {
    pub transactions: Vec<Transaction>,
    pub senders: Vec<Address>,
    pub receipts: Vec<Receipt>,
    /// Before Byzantium.
    pub state_roots: Vec<B256>,
    pub calls: Vec<ExecutedCall>,
    /// What the calls have paid for.
    pub gas_used: u64,
    /// Of it what the block counts, from Amsterdam on, without refunds: execution and state by themselves (EIP-7778, EIP-8037).
    pub regular_gas_used: u64,
    pub state_gas_used: u64,
    pub blob_gas_used: u64,
}

/// A call, before its logs know their block.
#[derive(Debug)]
pub(super) struct ExecutedCall {
    pub output: Bytes,
    pub logs: Vec<Numbered>,
    pub gas_used: u64,
    pub gas_used_max: u64,
    pub error: Option<QueryError>,
}

/// What calls of one block have in common.
pub(super) struct Call<'c> {
    pub header: &'c Header,
    pub rules: BlockRules<'c>,
    pub validation: bool,
}

impl Call<'_> {
    /// Runs the next call of the block and applies its changes.
    pub fn execute(
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
            gas_limit: self.gas_limit(request.gas, evm, executed)?.min(gas_pool.left),
            has_base_fee: self.header.base_fee_per_gas.is_some(),
        };
        // As in go-ethereum the fields alone decide.
        let request = CallRequest { transaction_type: None, ..request };
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
        let (regular, state) = (result.gas().block_regular_gas_used(), result.gas().block_state_gas_used());
        executed.regular_gas_used = executed.regular_gas_used.saturating_add(regular);
        executed.state_gas_used = executed.state_gas_used.saturating_add(state);
        let blob_gas = alloy_consensus::Transaction::blob_gas_used(&transaction).unwrap_or_default();
        executed.blob_gas_used = executed.blob_gas_used.saturating_add(blob_gas);
        let logs = evm.inspector_mut().take();
        executed.push(transaction, sender, result, logs);
        Ok(())
    }

    /// What is left in the block unless a limit is asked for.
    fn gas_limit(
        &self,
        wanted: Option<u64>,
        evm: &SimulationEvm<'_, '_, '_>,
        executed: &Executed,
    ) -> Result<u64, QueryError> {
        let limit = self.header.gas_limit;
        let fork = self.rules.fork();
        let gas_limit = wanted.unwrap_or(limit.saturating_sub(executed.block_gas_used(fork)));
        // Execution never gets more than the cap of the rest, which state gets alone.
        let needed = if fork >= Fork::Amsterdam {
            let execution = gas_limit.min(evm.cfg_env().tx_gas_limit_cap());
            [(executed.regular_gas_used, execution), (executed.state_gas_used, gas_limit)]
        } else {
            [(executed.gas_used, gas_limit); 2]
        };
        match needed.into_iter().find(|(used, wanted)| *wanted > limit.saturating_sub(*used)) {
            Some((used, _)) => Err(QueryError::BlockGas { used, limit }),
            None => Ok(gas_limit),
        }
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
        let executed = executed.map_err(CallError::from)?;
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
    /// Gas as the header counts it.
    pub fn block_gas_used(&self, fork: Fork) -> u64 {
        if fork >= Fork::Amsterdam { self.regular_gas_used.max(self.state_gas_used) } else { self.gas_used }
    }

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
