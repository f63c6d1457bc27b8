//! Who is told of transactions that became pending.

use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::PoolTransaction;

/// Those who listen. One that does not keep up is dropped: its receiver ends.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    senders: Mutex<Vec<Sender<Arc<PoolTransaction>>>>,
}

impl Listeners {
    pub fn add(&self, capacity: usize) -> Receiver<Arc<PoolTransaction>> {
        let (sender, receiver) = bounded(capacity.max(1));
        self.senders.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        receiver
    }

    pub fn tell(&self, transactions: &[Arc<PoolTransaction>]) {
        if transactions.is_empty() {
            return;
        }
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        senders.retain(|sender| {
            transactions.iter().all(|transaction| sender.try_send(transaction.clone()).is_ok())
        });
    }
}
