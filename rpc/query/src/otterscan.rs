//! What the Otterscan explorer asks: by address, by sender and nonce, by the contract that was created.

use std::{collections::BTreeSet, ops::RangeInclusive};

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_trace::{
    otterscan::InternalOperation,
    parity::{Action, LocalizedTransactionTrace, TraceOutput},
};
use portico_chain::{BlockStream, blocks_with_call_from, blocks_with_call_to};
use portico_consensus::{Engine, block_rewards};
use portico_tracers::{Bounded, InternalOperationsInspector};
use revm::{context::result::ExecutionResult, inspector::NoOpInspector};

use crate::{FullBlock, QueryError, ReceiptAt, Snapshot, logs::BlockSpan, replay::Wanted};

/// Blocks in the first window of a search backwards; each further one is larger.
const WINDOW_FIRST: u64 = 1_000;
/// How much larger.
const WINDOW_GROWTH: u64 = 8;

/// Where a search for an address begins, and which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchFrom {
    /// Before this block, backwards.
    Before(u64),
    /// After this block, forwards.
    After(u64),
}

/// Transactions that an address took part in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TouchingTransactions {
    /// In the order of the search: whole blocks, newest first when it goes backwards.
    pub receipts: Vec<ReceiptAt>,
    /// Whether there may be more in the same direction.
    pub has_more: bool,
}

/// What sealing a block gave, in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Issuance {
    /// To the block's author.
    pub block_reward: U256,
    /// To the authors of its ommers.
    pub uncle_reward: U256,
}

impl Snapshot<'_> {
    /// Transfers, creations and destructions within a transaction, whether or not they were taken back.
    ///
    /// # Errors
    /// [`QueryError::TransactionNotFound`]; those of [`Snapshot::state_at`] for the block before.
    pub fn internal_operations(&self, hash: &B256) -> Result<Vec<InternalOperation>, QueryError> {
        let (block, tx_index) = self.block_of(hash)?.ok_or(QueryError::TransactionNotFound(*hash))?;
        let inspector = Bounded::new(InternalOperationsInspector::default(), self.budget());
        let mut overlay = self.overlay_below(&block)?.ok_or(QueryError::GenesisNotTraceable)?;
        let found = self.replay(&mut overlay, &block, Wanted::One(tx_index), inspector, |_, traced| {
            Ok(std::mem::take(traced.inspector.inner_mut()).into_operations())
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    /// What a transaction that reverted returned; empty for any other.
    ///
    /// # Errors
    /// As [`Snapshot::internal_operations`].
    pub fn transaction_error(&self, hash: &B256) -> Result<Bytes, QueryError> {
        let (block, tx_index) = self.block_of(hash)?.ok_or(QueryError::TransactionNotFound(*hash))?;
        let inspector = Bounded::new(NoOpInspector, self.budget());
        let mut overlay = self.overlay_below(&block)?.ok_or(QueryError::GenesisNotTraceable)?;
        let found = self.replay(&mut overlay, &block, Wanted::One(tx_index), inspector, |_, traced| {
            Ok(match &traced.result.result {
                ExecutionResult::Revert { output, .. } => output.clone(),
                ExecutionResult::Success { .. } | ExecutionResult::Halt { .. } => Bytes::new(),
            })
        })?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// Hash of the transaction that `sender` signed with this nonce.
    ///
    /// # Errors
    /// Those of [`Snapshot::state_at`].
    pub fn transaction_by_nonce(&self, sender: &Address, nonce: u64) -> Result<Option<B256>, QueryError> {
        let is_used = |block_number| -> Result<bool, QueryError> {
            Ok(self.account(sender, block_number)?.is_some_and(|account| account.nonce > nonce))
        };
        let Some(block_number) = self.first_block_where(is_used)? else { return Ok(None) };
        let Some(block) = self.block(block_number)? else { return Ok(None) };
        let mut signed = block.senders.iter().zip(&block.parts.transactions);
        let found = signed.find(|(by, transaction)| {
            **by == *sender && alloy_consensus::Transaction::nonce(*transaction) == nonce
        });
        Ok(found.map(|(_, transaction)| *transaction.tx_hash()))
    }

    /// The transaction that created a contract, and who created it there; `None` for what no transaction created.
    ///
    /// # Errors
    /// Those of [`Snapshot::state_at`]; [`QueryError::TimedOut`].
    pub fn contract_creator(&self, address: &Address) -> Result<Option<(B256, Address)>, QueryError> {
        let has_code = |block_number| -> Result<bool, QueryError> {
            Ok(self.account(address, block_number)?.is_some_and(|account| account.has_code()))
        };
        let Some(block_number) = self.first_block_where(has_code)? else { return Ok(None) };
        let Some(block) = self.block(block_number)? else { return Ok(None) };
        let created = self.call_traces(&block, Wanted::All)?.into_iter().rev().find_map(|trace| {
            let (Action::Create(action), Some(TraceOutput::Create(output))) =
                (&trace.trace.action, &trace.trace.result)
            else {
                return None;
            };
            let is_it = output.address == *address && trace.trace.error.is_none();
            is_it.then_some((trace.transaction_hash?, action.from))
        });
        Ok(created)
    }

    /// The first block after which `holds`, which once it holds must hold up to the head.
    fn first_block_where(
        &self,
        holds: impl Fn(u64) -> Result<bool, QueryError>,
    ) -> Result<Option<u64>, QueryError> {
        if !holds(self.head)? {
            return Ok(None);
        }
        let (mut low, mut high) = (0, self.head);
        while low < high {
            self.check_deadline()?;
            let middle = low + (high - low) / 2;
            if holds(middle)? {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(Some(low))
    }

    /// At least `count` transactions that an address took part in, where there are as many: whole blocks.
    ///
    /// Only blocks that the call indexes name are executed.
    ///
    /// # Errors
    /// As [`Snapshot::filter_traces`].
    pub fn transactions_touching(
        &self,
        address: Address,
        from: SearchFrom,
        count: usize,
    ) -> Result<TouchingTransactions, QueryError> {
        let mut found = TouchingTransactions::default();
        match from {
            SearchFrom::After(block_number) => {
                let Some(first) = block_number.checked_add(1).filter(|first| *first <= self.head) else {
                    return Ok(found);
                };
                for block_number in self.blocks_touching(address, first..=self.head)? {
                    let block_number = block_number?;
                    if found.receipts.len() >= count {
                        found.has_more = true;
                        break;
                    }
                    found.receipts.extend(self.receipts_touching(address, block_number)?);
                }
            }
            SearchFrom::Before(block_number) => {
                let mut end = block_number.min(self.head.saturating_add(1));
                let mut window = WINDOW_FIRST;
                while end > 0 && !found.has_more {
                    let start = end.saturating_sub(window);
                    let blocks = self.blocks_touching(address, start..=end - 1)?;
                    let blocks: Vec<u64> = blocks.collect::<Result<_, _>>()?;
                    for block_number in blocks.into_iter().rev() {
                        if found.receipts.len() >= count {
                            found.has_more = true;
                            break;
                        }
                        let newest_first = self.receipts_touching(address, block_number)?.into_iter().rev();
                        found.receipts.extend(newest_first);
                    }
                    (end, window) = (start, window.saturating_mul(WINDOW_GROWTH));
                }
            }
        }
        Ok(found)
    }

    fn blocks_touching(
        &self,
        address: Address,
        blocks: RangeInclusive<u64>,
    ) -> Result<BlockStream<'_, portico_db::RO>, QueryError> {
        self.check_call_index(BlockSpan { from: *blocks.start(), to: *blocks.end() })?;
        let parts = vec![
            blocks_with_call_from(&self.txn, address, blocks.clone())?,
            blocks_with_call_to(&self.txn, address, blocks.clone())?,
        ];
        Ok(BlockStream::union(blocks, parts))
    }

    fn receipts_touching(&self, address: Address, block_number: u64) -> Result<Vec<ReceiptAt>, QueryError> {
        let Some(block) = self.block(block_number)? else { return Ok(Vec::new()) };
        let traces = self.call_traces(&block, Wanted::All)?;
        let touching = traces.iter().filter(|trace| touches(trace, &address));
        let positions: BTreeSet<u64> = touching.filter_map(|trace| trace.transaction_position).collect();
        let receipts = self.block_receipts(block_number)?.into_iter();
        Ok(receipts.filter(|receipt| positions.contains(&receipt.transaction.tx_index)).collect())
    }

    /// What sealing a block gave; nothing after the merge.
    ///
    /// # Errors
    /// When the database fails.
    pub fn issuance(&self, block: &FullBlock) -> Result<Issuance, QueryError> {
        let header = &block.parts.header;
        let context = self.block_context(header)?;
        let Ok(engine) = Engine::of(self.spec(), context) else { return Ok(Issuance::default()) };
        if header.number == 0 {
            return Ok(Issuance::default());
        }
        let rewards = block_rewards(engine, self.spec().fork_at(context), header, &block.parts.ommers);
        let Some(((_, sealed), ommers)) = rewards.split_last() else { return Ok(Issuance::default()) };
        let uncle_reward = ommers.iter().map(|(_, value)| U256::from(*value)).sum();
        Ok(Issuance { block_reward: U256::from(*sealed), uncle_reward })
    }
}

fn touches(trace: &LocalizedTransactionTrace, address: &Address) -> bool {
    match &trace.trace.action {
        Action::Call(call) => call.from == *address || call.to == *address,
        Action::Create(create) => {
            let created = trace.trace.result.as_ref().is_some_and(
                |result| matches!(result, TraceOutput::Create(output) if output.address == *address),
            );
            create.from == *address || created
        }
        Action::Selfdestruct(destroyed) => {
            destroyed.address == *address || destroyed.refund_address == *address
        }
        Action::Reward(_) => false,
    }
}
