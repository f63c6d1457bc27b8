//! Who is told of transactions that became pending.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::B256;
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::PoolTransaction;

/// Hashes that are remembered for those who poll.
const REMEMBERED: usize = 16_384;

/// Hashes of transactions in the order in which they became pending: the last ones, and who is told of each.
#[derive(Debug, Default)]
pub(crate) struct Announcements {
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    /// The last hashes, oldest first.
    last: VecDeque<B256>,
    /// How many there were in all.
    count: u64,
    /// One that does not keep up is dropped: its receiver ends.
    listeners: Vec<Sender<B256>>,
}

impl Announcements {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn listen(&self, capacity: usize) -> Receiver<B256> {
        let (sender, receiver) = bounded(capacity.max(1));
        self.lock().listeners.push(sender);
        receiver
    }

    pub fn tell(&self, transactions: &[Arc<PoolTransaction>]) {
        if transactions.is_empty() {
            return;
        }
        let hashes: Vec<B256> = transactions.iter().map(|transaction| transaction.hash()).collect();
        let mut told = self.lock();
        told.listeners.retain(|listener| hashes.iter().all(|hash| listener.try_send(*hash).is_ok()));
        told.count += hashes.len() as u64;
        told.last.extend(hashes);
        let surplus = told.last.len().saturating_sub(REMEMBERED);
        told.last.drain(..surplus);
    }

    pub fn count(&self) -> u64 {
        self.lock().count
    }

    pub fn since(&self, count: u64) -> (Vec<B256>, u64) {
        let told = self.lock();
        let fresh = usize::try_from(told.count.saturating_sub(count)).unwrap_or(usize::MAX);
        let skipped = told.last.len().saturating_sub(fresh);
        (told.last.iter().skip(skipped).copied().collect(), told.count)
    }
}
