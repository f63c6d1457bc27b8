//! go-ethereum's traces of transactions, blocks and calls.

use std::{collections::VecDeque, io::Write};

use alloy_evm::overrides::apply_block_overrides;
use alloy_primitives::B256;
use alloy_rpc_types_eth::state::StateOverride;
use alloy_rpc_types_trace::geth::{GethDebugTracerType, GethDebugTracingOptions, GethTrace};
use portico_evm::{EvmEnv, Traced, inspect_call};
use portico_tracers::{Bounded, Executed, GethInspector, GethTracer, TransactionContext};
use revm::DatabaseCommit;

use crate::{
    CallBundle, CallOverrides, CallRequest, FullBlock, QueryError, Snapshot, StateWithin, call::CallDatabase,
    error::unwritable, overrides, replay::Wanted,
};

/// The trace of one of a block's transactions.
#[derive(Debug, Clone)]
pub struct TransactionTrace {
    /// The transaction.
    pub transaction_hash: B256,
    /// What the tracer found.
    pub trace: GethTrace,
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

    /// Writes a transaction's trace as JSON while it is executed again.
    ///
    /// # Errors
    /// As [`Snapshot::geth_transaction_trace`]; [`QueryError::Unwritable`] when `out` fails.
    pub fn write_transaction_trace(
        &self,
        hash: &B256,
        options: GethDebugTracingOptions,
        out: &mut dyn Write,
    ) -> Result<(), QueryError> {
        let found = self.find(hash)?.ok_or(QueryError::TransactionNotFound(*hash))?;
        let tx_index = found.tx_number - found.body.first_tx_number;
        let block = self.block(found.block_number)?.ok_or(QueryError::TransactionNotFound(*hash))?;
        self.write_traces(&block, Wanted::One(tx_index), options, ["".to_owned()].into(), "", out)
    }

    /// Writes the traces of all transactions of a block as JSON while they are executed again. The block's parent must be
    /// canonical.
    ///
    /// # Errors
    /// As [`Snapshot::write_transaction_trace`].
    pub fn write_block_traces(
        &self,
        block: &FullBlock,
        options: GethDebugTracingOptions,
        out: &mut dyn Write,
    ) -> Result<(), QueryError> {
        out.write_all(b"[").map_err(unwritable)?;
        self.write_members(block, options, out)?;
        out.write_all(b"]").map_err(unwritable)
    }

    /// The members of the list that [`Snapshot::write_block_traces`] writes.
    pub(crate) fn write_members(
        &self,
        block: &FullBlock,
        options: GethDebugTracingOptions,
        out: &mut dyn Write,
    ) -> Result<(), QueryError> {
        let hashes = block.parts.transactions.iter().map(|transaction| transaction.tx_hash());
        let heads = hashes.enumerate().map(|(index, hash)| {
            let comma = if index == 0 { "" } else { "," };
            format!("{comma}{{\"txHash\":\"{hash}\",\"result\":")
        });
        self.write_traces(block, Wanted::All, options, heads.collect(), "}", out)
    }

    /// Each trace stands between its head and `tail`.
    fn write_traces(
        &self,
        block: &FullBlock,
        wanted: Wanted,
        options: GethDebugTracingOptions,
        mut heads: VecDeque<String>,
        tail: &str,
        out: &mut dyn Write,
    ) -> Result<(), QueryError> {
        if options.tracer.is_some() {
            return self.each_geth_trace(block, wanted, options, |found| {
                let head = heads.pop_front().unwrap_or_default();
                out.write_all(head.as_bytes()).map_err(unwritable)?;
                serde_json::to_writer(&mut *out, &found.trace).map_err(|error| unwritable(error.into()))?;
                out.write_all(tail.as_bytes()).map_err(unwritable)
            });
        }
        let writer = GethTracer::step_writer(&options, heads, out, self.budget())?;
        let mut overlay = self.overlay_below(block)?.ok_or(QueryError::GenesisNotTraceable)?;
        self.replay(&mut overlay, block, wanted, writer, |_, traced| {
            traced.inspector.inner_mut().finish(&traced.result.result, tail).map_err(unwritable)
        })?;
        Ok(())
    }

    fn geth_traces(
        &self,
        block: &FullBlock,
        wanted: Wanted,
        options: GethDebugTracingOptions,
    ) -> Result<Vec<TransactionTrace>, QueryError> {
        let mut found = Vec::new();
        self.each_geth_trace(block, wanted, options, |trace| {
            found.push(trace);
            Ok(())
        })?;
        Ok(found)
    }

    fn geth_inspector(&self, options: GethDebugTracingOptions) -> Result<Bounded<GethInspector>, QueryError> {
        if !self.settings().scripts_allowed
            && matches!(options.tracer, Some(GethDebugTracerType::JsTracer(_)))
        {
            return Err(QueryError::ScriptsRefused);
        }
        Ok(GethTracer::inspector(options, self.budget())?)
    }

    fn each_geth_trace(
        &self,
        block: &FullBlock,
        wanted: Wanted,
        options: GethDebugTracingOptions,
        mut each: impl FnMut(TransactionTrace) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let inspector = self.geth_inspector(options)?;
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
            each(TransactionTrace { transaction_hash, trace })
        })?;
        Ok(())
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
        let at = StateWithin::new(block_number, tx_index);
        let bundle = CallBundle { calls: vec![request], block: overrides.block.map(|block| *block) };
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
        at: StateWithin,
        state: Option<StateOverride>,
        options: GethDebugTracingOptions,
    ) -> Result<Vec<Vec<GethTrace>>, QueryError> {
        let mut inspector = self.geth_inspector(options)?;
        let (mut database, environment) = self.prepare_within(at)?;
        if let Some(state) = state {
            overrides::apply(state, environment.cfg_env.spec, &mut database)?;
        }
        let mut found = Vec::with_capacity(bundles.len());
        for bundle in bundles {
            let mut environment = environment.clone();
            if let Some(block) = bundle.block {
                apply_block_overrides(block, &mut database, &mut environment.block_env);
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

    fn trace_call_on(
        &self,
        database: &mut CallDatabase<'_, '_>,
        mut environment: EvmEnv,
        request: CallRequest,
        inspector: &mut Bounded<GethInspector>,
    ) -> Result<GethTrace, QueryError> {
        let transaction = self.prepare_call(request, &mut environment)?;
        let block = environment.block_env.clone();
        let result = inspect_call(&mut *database, environment, transaction.clone(), inspector);
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
}
