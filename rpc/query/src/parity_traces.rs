//! OpenEthereum's traces: calls with their place in the chain, replays, and the search through the call indexes.

use std::io::Write;

use alloy_consensus::transaction::SignerRecoverable;
use alloy_eips::{BlockNumberOrTag, eip2718::Decodable2718};
use alloy_primitives::{Address, B256, Bytes, U256, map::HashSet};
use alloy_rpc_types_eth::TransactionInfo;
use alloy_rpc_types_trace::parity::{
    Action, LocalizedTransactionTrace, RewardAction, RewardType, TraceOutput, TraceResults,
    TraceResultsWithTransactionHash, TraceType, TransactionTrace,
};
use portico_chain::{BlockStream, Transaction, blocks_with_call_from, blocks_with_call_to};
use portico_consensus::{Engine, block_rewards};
use portico_db::RO;
use portico_evm::{Traced, inspect_call, transaction_environment};
use portico_tracers::{Executed, ParityTracer, write_results};
use revm::DatabaseCommit;

use crate::{
    CallOverrides, CallRequest, FullBlock, QueryError, Snapshot, error::unwritable, logs::BlockSpan,
    replay::Wanted,
};

/// Which results of a replay are wanted.
pub type TraceKinds = HashSet<TraceType>;

/// Which traces are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceFilter {
    /// First block; genesis when left out.
    pub from_block: Option<BlockNumberOrTag>,
    /// Last block; the head when left out.
    pub to_block: Option<BlockNumberOrTag>,
    /// Callers, creators, contracts that destroy themselves; any when there are none.
    pub from_addresses: Vec<Address>,
    /// Callees, created contracts, heirs, rewarded authors; any when there are none.
    pub to_addresses: Vec<Address>,
    /// Whether both must match, when both are given; else either.
    pub intersection: bool,
    /// Matching traces to leave out at the beginning.
    pub after: u64,
    /// Traces to give at most.
    pub count: Option<u64>,
}

impl TraceFilter {
    fn matches(&self, trace: &TransactionTrace) -> bool {
        let (from, to) = match &trace.action {
            Action::Call(call) => (Some(call.from), Some(call.to)),
            Action::Create(create) => (Some(create.from), created_address(trace)),
            Action::Selfdestruct(destroyed) => (Some(destroyed.address), Some(destroyed.refund_address)),
            Action::Reward(reward) => (None, Some(reward.author)),
        };
        let is_in = |address: Option<Address>, wanted: &[Address]| {
            address.is_some_and(|address| wanted.contains(&address))
        };
        let (by_from, by_to) = (is_in(from, &self.from_addresses), is_in(to, &self.to_addresses));
        match (self.from_addresses.is_empty(), self.to_addresses.is_empty()) {
            (true, true) => true,
            (false, true) => by_from,
            (true, false) => by_to,
            (false, false) if self.intersection => by_from && by_to,
            (false, false) => by_from || by_to,
        }
    }
}

fn created_address(trace: &TransactionTrace) -> Option<Address> {
    match trace.result.as_ref()? {
        TraceOutput::Create(created) => Some(created.address),
        TraceOutput::Call(_) => None,
    }
}

impl Snapshot<'_> {
    /// All traces of a canonical block, its rewards last; the number was resolved before.
    ///
    /// # Errors
    /// Those of [`Snapshot::state_at`] for the block before; [`QueryError::TimedOut`].
    pub fn block_traces(&self, block_number: u64) -> Result<Vec<LocalizedTransactionTrace>, QueryError> {
        let block = self.block(block_number)?.ok_or(QueryError::BlockNotFound(block_number.into()))?;
        let mut traces = self.call_traces(&block, Wanted::All)?;
        traces.extend(self.reward_traces(&block)?);
        Ok(traces)
    }

    /// The traces of a transaction; `None` when there is no such transaction up to the head.
    ///
    /// # Errors
    /// As [`Snapshot::block_traces`].
    pub fn transaction_traces(
        &self,
        hash: &B256,
    ) -> Result<Option<Vec<LocalizedTransactionTrace>>, QueryError> {
        let Some((block, tx_index)) = self.block_of(hash)? else { return Ok(None) };
        self.call_traces(&block, Wanted::One(tx_index)).map(Some)
    }

    /// Hands the traces that match to `each`, in chain order. Only blocks that the call indexes name are executed, by
    /// as many threads as help.
    ///
    /// # Errors
    /// [`QueryError::RangeReversed`] for a bad range; [`QueryError::TimedOut`] when there is too much to execute; those
    /// of `each`, which end the search.
    pub fn filter_traces(
        &self,
        filter: &TraceFilter,
        each: &mut dyn FnMut(LocalizedTransactionTrace) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let mut wanted = filter.count.unwrap_or(u64::MAX);
        let mut left_out = 0;
        if wanted == 0 {
            return Ok(());
        }
        let blocks = self.trace_candidates(filter)?.map(|number| Ok(number?));
        let kept = filter.clone();
        let matching = move |snapshot: &Snapshot<'_>, block_number: u64| {
            let mut traces = snapshot.block_traces(block_number)?;
            traces.retain(|trace| kept.matches(&trace.trace));
            Ok(traces)
        };
        self.each_block(blocks, matching, |traces| {
            for trace in traces {
                if left_out < filter.after {
                    left_out += 1;
                    continue;
                }
                each(trace)?;
                wanted -= 1;
                if wanted == 0 {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Executes a block's transactions again and writes what is wanted of each as an array of JSON, while they are
    /// executed; the number was resolved before.
    ///
    /// # Errors
    /// As [`Snapshot::block_traces`]; [`QueryError::Unwritable`] when `out` fails, which ends the replay.
    pub fn write_replayed_block(
        &self,
        block_number: u64,
        kinds: &TraceKinds,
        out: &mut dyn Write,
    ) -> Result<(), QueryError> {
        let block = self.block(block_number)?.ok_or(QueryError::BlockNotFound(block_number.into()))?;
        let mut before = "[";
        self.replay_results(&block, Wanted::All, kinds, &mut |results| {
            out.write_all(std::mem::replace(&mut before, ",").as_bytes()).map_err(unwritable)?;
            write_results(&results, out).map_err(unwritable)
        })?;
        let end = if before == "[" { "[]" } else { "]" };
        out.write_all(end.as_bytes()).map_err(unwritable)
    }

    /// What is wanted of one transaction, which is executed again; `None` when there is no such transaction up to the head.
    ///
    /// # Errors
    /// As [`Snapshot::block_traces`].
    pub fn replay_transaction(
        &self,
        hash: &B256,
        kinds: &TraceKinds,
    ) -> Result<Option<TraceResults>, QueryError> {
        let Some((block, tx_index)) = self.block_of(hash)? else { return Ok(None) };
        let mut found = None;
        self.replay_results(&block, Wanted::One(tx_index), kinds, &mut |results| {
            found = Some(results.full_trace);
            Ok(())
        })?;
        Ok(found)
    }

    /// Runs calls one after another on the state after a block, each seeing what those before it did.
    ///
    /// # Errors
    /// As [`Snapshot::run_call`].
    pub fn trace_calls(
        &self,
        calls: Vec<(CallRequest, TraceKinds)>,
        block_number: u64,
        overrides: CallOverrides,
    ) -> Result<Vec<TraceResults>, QueryError> {
        let (mut database, environment) = self.prepare_calls(block_number, overrides)?;
        let mut found = Vec::with_capacity(calls.len());
        for (request, kinds) in calls {
            self.check_deadline()?;
            let mut environment = environment.clone();
            let transaction = self.prepare_call(request, &mut environment)?;
            let block = environment.block_env.clone();
            let mut inspector = ParityTracer::inspector(&kinds, self.budget());
            let result = inspect_call(&mut database, environment, transaction.clone(), &mut inspector);
            if inspector.was_stopped() {
                return Err(self.stopped(&inspector));
            }
            let result = result?;
            let executed = Executed {
                block: &block,
                transaction: &transaction,
                result: &result,
                database: &mut database,
            };
            found.push(ParityTracer::results(&mut inspector, &kinds, executed)?);
            database.commit(result.state);
        }
        Ok(found)
    }

    /// Runs a signed transaction on the state after a block.
    ///
    /// # Errors
    /// [`QueryError::Undecodable`] for bytes that are no transaction; as [`Snapshot::run_call`] otherwise.
    pub fn trace_raw_transaction(
        &self,
        bytes: &Bytes,
        kinds: &TraceKinds,
        block_number: u64,
    ) -> Result<TraceResults, QueryError> {
        let undecodable = |reason: String| QueryError::Undecodable { what: "transaction", reason };
        let transaction = Transaction::decode_2718_exact(bytes);
        let transaction = transaction.map_err(|error| undecodable(error.to_string()))?;
        let sender = transaction.recover_signer().map_err(|error| undecodable(error.to_string()))?;
        let (mut database, environment) = self.prepare_calls(block_number, CallOverrides::default())?;
        let transaction = transaction_environment(&transaction, sender);
        let block = environment.block_env.clone();
        let mut inspector = ParityTracer::inspector(kinds, self.budget());
        let result = inspect_call(&mut database, environment, transaction.clone(), &mut inspector);
        if inspector.was_stopped() {
            return Err(self.stopped(&inspector));
        }
        let executed =
            Executed { block: &block, transaction: &transaction, result: &result?, database: &mut database };
        Ok(ParityTracer::results(&mut inspector, kinds, executed)?)
    }

    pub(crate) fn block_of(&self, hash: &B256) -> Result<Option<(FullBlock, u64)>, QueryError> {
        let Some(found) = self.find(hash)? else { return Ok(None) };
        let tx_index = found.tx_number - found.body.first_tx_number;
        Ok(self.block(found.block_number)?.map(|block| (block, tx_index)))
    }

    pub(crate) fn call_traces(
        &self,
        block: &FullBlock,
        wanted: Wanted,
    ) -> Result<Vec<LocalizedTransactionTrace>, QueryError> {
        let kinds = HashSet::from_iter([TraceType::Trace]);
        let inspector = ParityTracer::inspector(&kinds, self.budget());
        let Some(mut overlay) = self.overlay_below(block)? else { return Ok(Vec::new()) };
        let traces = self.replay(&mut overlay, block, wanted, inspector, |tx_index, traced| {
            let info = TransactionInfo {
                hash: Some(*block.parts.transactions[tx_index as usize].tx_hash()),
                index: Some(tx_index),
                block_hash: Some(block.parts.hash),
                block_number: Some(block.parts.header.number),
                ..TransactionInfo::default()
            };
            Ok(ParityTracer::localized(traced.inspector, info))
        })?;
        Ok(traces.into_iter().flatten().collect())
    }

    fn replay_results(
        &self,
        block: &FullBlock,
        wanted: Wanted,
        kinds: &TraceKinds,
        each: &mut dyn FnMut(TraceResultsWithTransactionHash) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let inspector = ParityTracer::inspector(kinds, self.budget());
        let Some(mut overlay) = self.overlay_below(block)? else { return Ok(()) };
        self.replay(&mut overlay, block, wanted, inspector, |tx_index, traced| {
            let transaction_hash = *block.parts.transactions[tx_index as usize].tx_hash();
            let Traced { inspector, database, block, transaction, result } = traced;
            let executed = Executed { block, transaction, result, database };
            let full_trace = ParityTracer::results(inspector, kinds, executed)?;
            each(TraceResultsWithTransactionHash { full_trace, transaction_hash })
        })?;
        Ok(())
    }

    /// Rewards for sealing, the block's first; none after the merge.
    fn reward_traces(&self, block: &FullBlock) -> Result<Vec<LocalizedTransactionTrace>, QueryError> {
        let header = &block.parts.header;
        if header.number == 0 {
            return Ok(Vec::new());
        }
        let context = self.block_context(header)?;
        let Ok(engine) = Engine::of(self.spec(), context) else { return Ok(Vec::new()) };
        let rewards = block_rewards(engine, self.spec().fork_at(context), header, &block.parts.ommers);
        let Some(((author, value), ommers)) = rewards.split_last() else { return Ok(Vec::new()) };
        let sealed = (*author, *value, RewardType::Block);
        let ommers = ommers.iter().map(|(author, value)| (*author, *value, RewardType::Uncle));
        let traces = std::iter::once(sealed).chain(ommers).map(|(author, value, reward_type)| {
            let action = RewardAction { author, reward_type, value: U256::from(value) };
            LocalizedTransactionTrace {
                trace: TransactionTrace {
                    action: Action::Reward(action),
                    error: None,
                    result: None,
                    subtraces: 0,
                    trace_address: Vec::new(),
                },
                block_hash: Some(block.parts.hash),
                block_number: Some(header.number),
                transaction_hash: None,
                transaction_position: None,
            }
        });
        Ok(traces.collect())
    }

    /// Blocks that may hold a match: all of the range when no address is given.
    fn trace_candidates(&self, filter: &TraceFilter) -> Result<BlockStream<'_, RO>, QueryError> {
        let number = |tag: Option<BlockNumberOrTag>, default| match tag {
            Some(tag) => self.require(tag.into()),
            None => Ok(default),
        };
        let span = BlockSpan { from: number(filter.from_block, 0)?, to: number(filter.to_block, self.head)? };
        if span.from > span.to {
            return Err(QueryError::RangeReversed { from: span.from, to: span.to });
        }
        if !filter.from_addresses.is_empty() || !filter.to_addresses.is_empty() {
            self.check_call_index(span)?;
        }
        let blocks = || span.from..=span.to;
        let from =
            filter.from_addresses.iter().map(|address| blocks_with_call_from(&self.txn, *address, blocks()));
        let to = filter.to_addresses.iter().map(|address| blocks_with_call_to(&self.txn, *address, blocks()));
        let from: Vec<_> = from.collect::<Result<_, _>>()?;
        let to: Vec<_> = to.collect::<Result<_, _>>()?;
        if filter.intersection && !from.is_empty() && !to.is_empty() {
            let parts = vec![BlockStream::union(blocks(), from), BlockStream::union(blocks(), to)];
            return Ok(BlockStream::intersection(blocks(), parts));
        }
        if from.is_empty() && to.is_empty() {
            return Ok(BlockStream::intersection(blocks(), Vec::new()));
        }
        Ok(BlockStream::union(blocks(), from.into_iter().chain(to).collect()))
    }
}
