//! Calls one after another, each on the state that the one before left: `eth_callMany`, `eth_callBundle`.

use alloy_evm::overrides::apply_block_overrides;
use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_rpc_types_eth::{BlockOverrides, state::StateOverride};
use portico_evm::{EvmEnv, TxEnv, transaction_environment};
use revm::{DatabaseCommit, context::result::ExecutionResult};

use crate::{
    CallOverrides, CallRequest, QueryError, Snapshot,
    call::{CallDatabase, output_of},
    overrides,
};

/// Calls that see the same block.
#[derive(Debug, Clone, Default)]
pub struct CallBundle {
    /// Calls in order.
    pub calls: Vec<CallRequest>,
    /// The block's fields that are to be others.
    pub block: Option<BlockOverrides>,
}

/// State that calls begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateWithin {
    /// After all of the block.
    After(u64),
    /// In a block, after so many of its transactions.
    Amid {
        /// The block.
        block_number: u64,
        /// Transactions that were executed.
        transactions: u64,
    },
}

impl StateWithin {
    /// After a block, or before the transaction at `tx_index` of it.
    pub fn new(block_number: u64, tx_index: Option<u64>) -> Self {
        match tx_index {
            None => Self::After(block_number),
            Some(transactions) => Self::Amid { block_number, transactions },
        }
    }
}

/// A known transaction that was executed again somewhere else.
#[derive(Debug)]
pub struct BundledTransaction {
    /// The transaction.
    pub tx_hash: B256,
    /// After refunds.
    pub gas_used: u64,
    /// What it returned, or [`QueryError::Reverted`] or [`QueryError::Halted`].
    pub output: Result<Bytes, QueryError>,
}

/// Known transactions that were executed one after another.
#[derive(Debug)]
pub struct ExecutedBundle {
    /// Keccak of the transactions' hashes.
    pub bundle_hash: B256,
    /// In order.
    pub transactions: Vec<BundledTransaction>,
}

impl Snapshot<'_> {
    /// Runs bundles of calls, and gives what each call returned or how it failed. From one bundle to the next, number
    /// and time of the block go up by one.
    ///
    /// # Errors
    /// Those of [`Snapshot::run_call`]; [`QueryError::TransactionIndex`].
    pub fn call_many(
        &self,
        bundles: Vec<CallBundle>,
        at: StateWithin,
        state: Option<StateOverride>,
    ) -> Result<Vec<Vec<Result<Bytes, QueryError>>>, QueryError> {
        let (mut database, mut environment) = self.prepare_within(at)?;
        let spec = environment.cfg_env.spec;
        overrides::apply(state.unwrap_or_default(), spec, &mut database)?;
        let mut gas_left = self.settings().call_gas_max;
        let mut results = Vec::with_capacity(bundles.len());
        for bundle in bundles {
            if let Some(block) = bundle.block {
                apply_block_overrides(block, &mut database, &mut environment.block_env);
            }
            let mut outputs = Vec::with_capacity(bundle.calls.len());
            for request in bundle.calls {
                self.check_deadline()?;
                let mut environment = environment.clone();
                let request = CallRequest {
                    gas: Some(request.gas.map_or(gas_left, |gas| gas.min(gas_left))),
                    ..request
                };
                let request = self.prepare_call(request, &mut environment)?;
                let result = self.commit_call(&mut database, environment, request)?;
                gas_left = gas_left.saturating_sub(result.tx_gas_used());
                outputs.push(output_of(result));
            }
            results.push(outputs);
            let block = &mut environment.block_env;
            block.number = block.number.saturating_add(U256::ONE);
            block.timestamp = block.timestamp.saturating_add(U256::ONE);
        }
        Ok(results)
    }

    /// Executes transactions of the chain again, as if they were the first ones of the block after this one. Nonces and
    /// the base fee do not count.
    ///
    /// # Errors
    /// [`QueryError::TransactionNotFound`]; those of [`Snapshot::run_call`].
    pub fn call_bundle(&self, hashes: &[B256], block_number: u64) -> Result<ExecutedBundle, QueryError> {
        let (mut database, mut environment) = self.prepare_within(StateWithin::After(block_number))?;
        let block = &mut environment.block_env;
        block.number = block.number.saturating_add(U256::ONE);
        block.basefee = 0;
        environment.cfg_env.disable_base_fee = true;
        let hash = self.known_header(block_number)?.hash();
        database.set_block_hash(block_number, hash);
        let mut transactions = Vec::with_capacity(hashes.len());
        for tx_hash in hashes {
            self.check_deadline()?;
            let found = self.transaction(tx_hash)?.ok_or(QueryError::TransactionNotFound(*tx_hash))?;
            let request = transaction_environment(&found.transaction, found.sender);
            let result = self.commit_call(&mut database, environment.clone(), request)?;
            transactions.push(BundledTransaction {
                tx_hash: *tx_hash,
                gas_used: result.tx_gas_used(),
                output: output_of(result),
            });
        }
        let bundle_hash = keccak256(hashes.concat());
        Ok(ExecutedBundle { bundle_hash, transactions })
    }

    fn commit_call(
        &self,
        database: &mut CallDatabase<'_, '_>,
        environment: EvmEnv,
        request: TxEnv,
    ) -> Result<ExecutionResult, QueryError> {
        let executed = self.execute(database, environment, request)?;
        database.commit(executed.state);
        Ok(executed.result)
    }
}

impl<'q> Snapshot<'q> {
    /// State and block for calls on the state after or within a block.
    pub(crate) fn prepare_within(
        &self,
        at: StateWithin,
    ) -> Result<(CallDatabase<'_, 'q>, EvmEnv), QueryError> {
        match at {
            StateWithin::After(block_number) => self.prepare_calls(block_number, CallOverrides::default()),
            StateWithin::Amid { block_number, transactions } => {
                let block = self.block(block_number)?;
                let block = block.ok_or(QueryError::BlockNotFound(block_number.into()))?;
                let overlay = self.overlay_within(&block, transactions)?;
                let (mut database, environment) =
                    self.prepare_calls(block_number, CallOverrides::default())?;
                *database.overlay_mut() = overlay;
                Ok((database, environment))
            }
        }
    }
}
