//! Pending transactions in the order in which a block should be offered them.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc, vec};

use portico_chainspec::Fork;

use crate::{
    PoolTransaction,
    priority::{Fees, Priority, priority},
    sidecar,
};

/// The block that transactions are wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BestFor {
    /// In wei; 0 before London.
    pub base_fee: u64,
    /// Price of a unit of blob gas in wei; `None` before Cancun, or when no blob transactions are wanted.
    pub blob_fee: Option<u128>,
    /// Decides which form of sidecars is offered.
    pub fork: Fork,
}

/// Pending transactions as of one moment, best first: by what they pay the builder for a unit of gas, then by when they
/// came. Each account's come in the order of their nonces. It holds no lock.
#[derive(Debug)]
pub struct BestTransactions {
    wanted: BestFor,
    queues: Vec<vec::IntoIter<Arc<PoolTransaction>>>,
    heads: BinaryHeap<Head>,
    /// Whose transaction was given last: the next one of the same account is looked at when it is asked for.
    last: Option<usize>,
}

#[derive(Debug)]
struct Head {
    tip: u128,
    sequence: Reverse<u64>,
    queue: usize,
    transaction: Arc<PoolTransaction>,
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.tip, self.sequence).cmp(&(other.tip, other.sequence))
    }
}

impl BestTransactions {
    /// From each account's pending transactions, by nonce.
    pub(crate) fn new(wanted: BestFor, accounts: Vec<Vec<Arc<PoolTransaction>>>) -> Self {
        let queues: Vec<_> = accounts.into_iter().map(Vec::into_iter).collect();
        let mut best = Self { wanted, heads: BinaryHeap::with_capacity(queues.len()), queues, last: None };
        for queue in 0..best.queues.len() {
            best.bring_up(queue);
        }
        best
    }

    /// Leaves out the rest of the account whose transaction was given last: it cannot be in the block, so neither can
    /// those behind it.
    pub fn skip_sender(&mut self) {
        self.last = None;
    }

    /// Takes an account's next transaction up, unless it does not pay enough; then its account is done.
    fn bring_up(&mut self, queue: usize) {
        let Some(transaction) = self.queues[queue].next() else { return };
        let fees = Fees { base_fee: self.wanted.base_fee, blob_fee: self.wanted.blob_fee };
        let fits = transaction.sidecar().is_none_or(|sidecar| sidecar::fits(sidecar, self.wanted.fork));
        let Priority::Executable(tip) = priority(&transaction, fees) else { return };
        if fits {
            self.heads.push(Head { tip, sequence: Reverse(transaction.sequence()), queue, transaction });
        }
    }
}

impl Iterator for BestTransactions {
    type Item = Arc<PoolTransaction>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(queue) = self.last.take() {
            self.bring_up(queue);
        }
        let head = self.heads.pop()?;
        self.last = Some(head.queue);
        Some(head.transaction)
    }
}
