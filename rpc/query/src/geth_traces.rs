//! go-ethereum's traces of transactions, blocks and calls.

use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_trace::geth::{GethDebugTracingOptions, GethTrace};
use portico_evm::{Traced, inspect_call};
use portico_tracers::{Executed, GethTracer, TransactionContext};

use crate::{CallOverrides, CallRequest, FullBlock, QueryError, Snapshot, replay::Wanted};

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

    /// Traces a call on the state after a block.
    ///
    /// # Errors
    /// As [`Snapshot::run_call`], and [`QueryError::Tracer`].
    pub fn geth_call_trace(
        &self,
        request: CallRequest,
        block_number: u64,
        overrides: CallOverrides,
        options: GethDebugTracingOptions,
    ) -> Result<GethTrace, QueryError> {
        let (mut database, mut environment) = self.prepare_calls(block_number, overrides)?;
        let transaction = self.prepare_call(request, &mut environment)?;
        let block = environment.block_env.clone();
        let mut inspector = GethTracer::inspector(options, self.budget())?;
        let result = inspect_call(&mut database, environment, transaction.clone(), &mut inspector);
        if inspector.was_stopped() {
            return Err(self.timed_out());
        }
        let executed =
            Executed { block: &block, transaction: &transaction, result: &result?, database: &mut database };
        Ok(GethTracer::finish(&mut inspector, TransactionContext::default(), executed)?)
    }
}
