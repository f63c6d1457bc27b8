//! go-ethereum's traces of transactions, blocks and calls.

use alloy_evm::overrides::{apply_block_overrides, apply_state_overrides};
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_eth::{BlockOverrides, state::StateOverride};
use alloy_rpc_types_trace::geth::{GethDebugTracingOptions, GethTrace};
use portico_evm::{EvmEnv, Traced, inspect_call};
use portico_tracers::{Bounded, Budget, Executed, GethInspector, GethTracer, TransactionContext};
use revm::DatabaseCommit;

use crate::{
    CallOverrides, CallRequest, FullBlock, QueryError, Snapshot, mid_block::ScratchState, replay::Wanted,
};

/// The trace of one of a block's transactions.
#[derive(Debug, Clone)]
pub struct TransactionTrace {
    /// The transaction.
    pub transaction_hash: B256,
    /// What the tracer found.
    pub trace: GethTrace,
}

/// Calls in one block.
#[derive(Debug, Clone, Default)]
pub struct CallBundle {
    /// The calls, in order.
    pub calls: Vec<CallRequest>,
    /// Fields of the block that are to be otherwise.
    pub block: Option<Box<BlockOverrides>>,
}

/// State on which calls are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallPosition {
    /// A canonical block; its number was resolved before.
    pub block_number: u64,
    /// Before this transaction of the block; after the block when left out.
    pub tx_index: Option<u64>,
}

impl Snapshot<'_> {
    /// Traces a transaction by executing its block up to it again.
    ///
    /// # Errors
    /// [`QueryError::TransactionNotFound`]; [`QueryError::Tracer`] for options that make no sense; those of
    /// [`Snapshot::state_at`] for the block before.
    pub fn geth_transaction_trace(
        &self,
        hash: &B256,
        options: GethDebugTracingOptions,
    ) -> Result<GethTrace, QueryError> {
        let found = self.find(hash)?.ok_or(QueryError::TransactionNotFound(*hash))?;
        let tx_index = found.tx_number - found.body.first_tx_number;
        let block = self.block(found.block_number)?.ok_or(QueryError::TransactionNotFound(*hash))?;
        let traces = self.geth_traces(&block, Wanted::One(tx_index), options)?;
        let trace = traces.into_iter().next().ok_or(QueryError::TransactionNotFound(*hash))?;
        Ok(trace.trace)
    }

    /// Traces all transactions of a canonical block; the number was resolved before.
    ///
    /// # Errors
    /// As [`Snapshot::geth_transaction_trace`].
    pub fn geth_block_traces(
        &self,
        block_number: u64,
        options: GethDebugTracingOptions,
    ) -> Result<Vec<TransactionTrace>, QueryError> {
        let block = self.block(block_number)?.ok_or(QueryError::BlockNotFound(block_number.into()))?;
        self.geth_traces(&block, Wanted::All, options)
    }

    /// Traces all transactions of any block whose parent is canonical.
    ///
    /// # Errors
    /// Also [`QueryError::Undecodable`] for bytes that are no block.
    pub fn geth_raw_block_traces(
        &self,
        rlp: &Bytes,
        options: GethDebugTracingOptions,
    ) -> Result<Vec<TransactionTrace>, QueryError> {
        let block = self.decode_block(rlp)?;
        self.geth_traces(&block, Wanted::All, options)
    }

    fn geth_traces(
        &self,
        block: &FullBlock,
        wanted: Wanted,
        options: GethDebugTracingOptions,
    ) -> Result<Vec<TransactionTrace>, QueryError> {
        let inspector = GethTracer::inspector(options, self.budget())?;
        let mut overlay = self.overlay_below(block)?.ok_or(QueryError::GenesisNotTraceable)?;
        self.replay(&mut overlay, block, wanted, inspector, |tx_index, traced| {
            let transaction_hash = *block.parts.transactions[tx_index as usize].tx_hash();
            let context = TransactionContext {
                block_hash: Some(block.parts.hash),
                tx_index: Some(tx_index as usize),
                tx_hash: Some(transaction_hash),
            };
            let Traced { inspector, database, block, transaction, result } = traced;
            let executed = Executed { block, transaction, result, database };
            let trace = GethTracer::finish(inspector, context, executed)?;
            Ok(TransactionTrace { transaction_hash, trace })
        })
    }

    /// Traces a call on the state after a block, or, with `tx_index`, on the state before that transaction of it.
    ///
    /// # Errors
    /// As [`Snapshot::run_call`], and [`QueryError::Tracer`].
    pub fn geth_call_trace(
        &self,
        request: CallRequest,
        block_number: u64,
        tx_index: Option<u64>,
        overrides: CallOverrides,
        options: GethDebugTracingOptions,
    ) -> Result<GethTrace, QueryError> {
        let at = CallPosition { block_number, tx_index };
        let bundle = CallBundle { calls: vec![request], block: overrides.block };
        let mut traces = self.geth_call_traces(vec![bundle], at, overrides.state, options)?;
        Ok(traces.pop().and_then(|mut bundle| bundle.pop()).unwrap_or_default())
    }

    /// Traces bundles of calls, each call on what those before it left.
    ///
    /// # Errors
    /// As [`Snapshot::geth_call_trace`].
    pub fn geth_call_traces(
        &self,
        bundles: Vec<CallBundle>,
        at: CallPosition,
        state: Option<StateOverride>,
        options: GethDebugTracingOptions,
    ) -> Result<Vec<Vec<GethTrace>>, QueryError> {
        let mut inspector = GethTracer::inspector(options, self.budget())?;
        let mut database = self.scratch_at(at)?;
        if let Some(state) = state {
            if state.values().any(|account| account.move_precompile_to.is_some()) {
                return Err(QueryError::UnsupportedOverride("movePrecompileToAddress"));
            }
            apply_state_overrides(state, &mut database).map_err(QueryError::Override)?;
        }
        let mut found = Vec::with_capacity(bundles.len());
        for bundle in bundles {
            // The block's environment; its own state is not used.
            let overrides = CallOverrides { state: None, block: None };
            let (_, mut environment) = self.prepare_calls(at.block_number, overrides)?;
            if let Some(block) = bundle.block {
                apply_block_overrides(*block, &mut database, &mut environment.block_env);
            }
            let mut traces = Vec::with_capacity(bundle.calls.len());
            for request in bundle.calls {
                self.check_deadline()?;
                traces.push(self.trace_call_on(
                    &mut database,
                    environment.clone(),
                    request,
                    &mut inspector,
                )?);
            }
            found.push(traces);
        }
        Ok(found)
    }

    fn scratch_at(&self, at: CallPosition) -> Result<ScratchState<'_, '_>, QueryError> {
        let Some(tx_index) = at.tx_index else { return self.scratch_after(at.block_number) };
        let block = self.block(at.block_number)?.ok_or(QueryError::BlockNotFound(at.block_number.into()))?;
        self.scratch_within(&block, tx_index)
    }

    fn trace_call_on(
        &self,
        database: &mut ScratchState<'_, '_>,
        mut environment: EvmEnv,
        request: CallRequest,
        inspector: &mut Bounded<GethInspector>,
    ) -> Result<GethTrace, QueryError> {
        let transaction = self.prepare_call(request, &mut environment)?;
        let block = environment.block_env.clone();
        let result = inspect_call(database, environment, transaction.clone(), inspector);
        if inspector.was_stopped() {
            return Err(self.stopped(inspector));
        }
        let result = result?;
        let executed = Executed { block: &block, transaction: &transaction, result: &result, database };
        let trace = GethTracer::finish(inspector, TransactionContext::default(), executed)?;
        database.commit(result.state);
        Ok(trace)
    }

    /// Why a trace was stopped.
    pub(crate) fn stopped<I>(&self, inspector: &Bounded<I>) -> QueryError {
        match inspector.too_large() {
            Some(error) => error.into(),
            None => self.timed_out(),
        }
    }

    /// As long as this call may work.
    pub(crate) fn budget(&self) -> Budget {
        Budget::until(self.deadline())
    }
}
