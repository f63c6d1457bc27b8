//! Senders recovered from signatures, on all cores.
//!
//! Transactions are read as bytes, one chunk at a time, and decoded by the workers that recover their senders. At the
//! tip most of them are known to the transaction pool, which is asked first.

use std::sync::Arc;

use alloy_primitives::{Address, B256};
use portico_chain::{
    ChainError, Transaction, append_senders, canonical_hash, decode_row, delete_senders_from,
    iter_transaction_rows, read_body, read_header, read_total_difficulty, tx_number_limit,
};
use portico_db::{DecodeError, RwTxn};
use portico_evm::{BlockRules, SignatureRules, recover_sender};
use rayon::prelude::*;

use crate::{BlockRange, Counters, InvalidReason, Stage, StageContext, StageError, StageId, StageOutput};

/// Transactions that are recovered together; their bytes are held in memory.
const CHUNK_TRANSACTIONS: usize = 1 << 13;
/// Transactions that one worker takes at a time.
const TASK_TRANSACTIONS: usize = 32;

/// Who signed transactions, as somebody knows who has recovered their senders already: a transaction pool.
pub trait KnownSenders: Send + Sync {
    /// The sender of the transaction with this hash, if it is known. Its signature is good by the rules of the newest
    /// fork, and for this chain.
    fn sender(&self, tx_hash: &B256) -> Option<Address>;
}

/// See the module.
#[derive(Default)]
pub struct Senders {
    known: Option<Arc<dyn KnownSenders>>,
}

impl Senders {
    /// Asks `known` before it recovers a sender.
    pub fn knowing(known: Arc<dyn KnownSenders>) -> Self {
        Self { known: Some(known) }
    }
}

/// Transactions whose signatures are judged alike: the number of the first one, and how.
type RulesFrom = (u64, SignatureRules);

impl Stage for Senders {
    fn id(&self) -> StageId {
        StageId::Senders
    }

    fn forward(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        range: BlockRange,
    ) -> Result<StageOutput, StageError> {
        let first = tx_number_limit(txn, range.done)?;
        let end = tx_number_limit(txn, range.to)?;
        let rules = signature_rules(context, txn, range)?;
        let mut done = first;
        let mut counters = Counters::default();
        while done < end {
            context.stop.check()?;
            let rows = read_rows(txn, done, CHUNK_TRANSACTIONS.min((end - done) as usize))?;
            let senders = match self.recover(&rows, done, &rules) {
                Ok(senders) => senders,
                Err(Failure::Corrupt(source)) => return Err(corrupt(source)),
                Err(Failure::Signature(tx_number)) => return Err(bad_signature(txn, range, tx_number)?),
            };
            append_senders(txn, done, &senders)?;
            done += senders.len() as u64;
            counters.transactions += senders.len() as u64;
            counters.rows = counters.transactions;
            let share = (done - first) as f64 / (end - first) as f64;
            context.progress.at(range.done + (range.len() as f64 * share) as u64, counters);
        }
        Ok(StageOutput { reached: range.to, counters })
    }

    fn unwind(&mut self, _: &StageContext<'_>, txn: &RwTxn<'_>, range: BlockRange) -> Result<(), StageError> {
        Ok(delete_senders_from(txn, tx_number_limit(txn, range.done)?)?)
    }

    /// Senders are kept as long as their transactions are.
    fn prune(&mut self, _: &StageContext<'_>, _: &RwTxn<'_>, _: u64) -> Result<(), StageError> {
        Ok(())
    }
}

impl Senders {
    fn recover(&self, rows: &[Vec<u8>], first: u64, rules: &[RulesFrom]) -> Result<Vec<Address>, Failure> {
        let tasks: Vec<Result<Vec<Address>, Failure>> = rows
            .par_chunks(TASK_TRANSACTIONS)
            .enumerate()
            .map(|(task, rows)| {
                let numbers = first + (task * TASK_TRANSACTIONS) as u64..;
                numbers.zip(rows).map(|(tx_number, row)| self.recover_row(row, tx_number, rules)).collect()
            })
            .collect();
        let mut senders = Vec::with_capacity(rows.len());
        for task in tasks {
            senders.extend(task?);
        }
        Ok(senders)
    }

    fn recover_row(&self, row: &[u8], tx_number: u64, rules: &[RulesFrom]) -> Result<Address, Failure> {
        let transaction: Transaction = decode_row(row).map_err(Failure::Corrupt)?;
        let position = rules.partition_point(|(from, _)| *from <= tx_number);
        let (_, rules) = rules[position.saturating_sub(1)];
        // Who knows senders judges by today's rules, which hold for no older block.
        let is_like_today = rules.low_s && rules.chain_id.is_some();
        if let Some(known) = self.known.as_ref().filter(|_| is_like_today)
            && let Some(sender) = known.sender(transaction.hash())
        {
            return Ok(sender);
        }
        recover_sender(&transaction, rules).ok_or(Failure::Signature(tx_number))
    }
}

enum Failure {
    Corrupt(DecodeError),
    Signature(u64),
}

fn corrupt(source: DecodeError) -> StageError {
    portico_db::DbError::Corrupt { table: "Transactions", source }.into()
}

fn read_rows(txn: &RwTxn<'_>, first: u64, count: usize) -> Result<Vec<Vec<u8>>, StageError> {
    let mut rows = Vec::with_capacity(count);
    iter_transaction_rows(txn, first, |_, row| {
        rows.push(row);
        rows.len() < count
    })?;
    if rows.len() < count {
        let what = "transactions";
        return Err(ChainError::MissingTransaction { what, tx_number: first + rows.len() as u64 }.into());
    }
    Ok(rows)
}

/// How signatures are judged, by first transaction number; never empty for a range with transactions.
fn signature_rules(
    context: &StageContext<'_>,
    txn: &RwTxn<'_>,
    range: BlockRange,
) -> Result<Vec<RulesFrom>, StageError> {
    let at = |block_number: u64| -> Result<RulesFrom, StageError> {
        let missing = |what| ChainError::Missing { what, block_number };
        let header = read_header(txn, block_number)?.ok_or_else(|| missing("header"))?;
        let total =
            read_total_difficulty(txn, block_number - 1)?.ok_or_else(|| missing("total difficulty"))?;
        let block = context.spec.block_context(block_number, header.timestamp, total);
        let body = read_body(txn, block_number)?.ok_or_else(|| missing("body"))?;
        Ok((body.first_tx_number, SignatureRules::of(BlockRules::new(context.spec, block))))
    };
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let (first, last) = (at(range.first())?, at(range.to)?);
    if first.1 == last.1 {
        return Ok(vec![first]);
    }
    let mut rules: Vec<RulesFrom> = Vec::new();
    for block_number in range.blocks() {
        let next = at(block_number)?;
        if rules.last().is_none_or(|last| last.1 != next.1) {
            // A block without transactions shares its first number with the next one, which then decides.
            rules.retain(|(from, _)| *from < next.0);
            rules.push(next);
        }
    }
    Ok(rules)
}

fn bad_signature(txn: &RwTxn<'_>, range: BlockRange, tx_number: u64) -> Result<StageError, StageError> {
    let (number, body) = portico_chain::block_of_transaction(txn, tx_number, range.to)?
        .ok_or(ChainError::Missing { what: "body", block_number: range.to })?;
    let hash =
        canonical_hash(txn, number)?.ok_or(ChainError::Missing { what: "hash", block_number: number })?;
    let reason = Box::new(InvalidReason::Signature { tx_index: tx_number - body.first_tx_number });
    Ok(StageError::InvalidBlock { number, hash, reason })
}
