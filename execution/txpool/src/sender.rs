//! One account's transactions, by nonce.
//!
//! ```text
//!  account.nonce
//!       v
//!       5  6  7  8     10 11
//!      [pending....]   [queued]     pending: one after the other from the account's nonce, and paid for together
//! ```

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::U256;

use crate::{
    Origin, PoolAccount, PoolTransaction,
    priority::{Fees, Priority, priority},
};

/// What decides which of an account's transactions are pending.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub fees: Fees,
    /// Most gas that one transaction may have.
    pub gas_limit: u64,
}

#[derive(Debug)]
struct Place {
    transaction: Arc<PoolTransaction>,
    /// Cost of this one and all in front of it; only of pending ones.
    cost_through: U256,
    /// Slots of this one and all in front of it; only of pending ones.
    slots_through: usize,
    /// The least of this one's priority and of those in front of it: it cannot be in a block without them.
    worst: Priority,
    /// Whether it was told as pending.
    announced: bool,
}

/// One account's transactions. Never empty while it is in the pool.
#[derive(Debug)]
pub(crate) struct Sender {
    account: PoolAccount,
    places: BTreeMap<u64, Place>,
    pending: u64,
    slots: usize,
    footprint: usize,
    blobs: usize,
    locals: usize,
    /// When the last transaction came or was held back, in seconds.
    pub seen: u64,
}

impl Sender {
    pub fn new(account: PoolAccount, now: u64) -> Self {
        Self {
            account,
            places: BTreeMap::new(),
            pending: 0,
            slots: 0,
            footprint: 0,
            blobs: 0,
            locals: 0,
            seen: now,
        }
    }

    pub fn account(&self) -> &PoolAccount {
        &self.account
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn get(&self, nonce: u64) -> Option<&Arc<PoolTransaction>> {
        self.places.get(&nonce).map(|place| &place.transaction)
    }

    /// How many are pending.
    pub fn pending_len(&self) -> usize {
        // As many as there are places, so it fits.
        self.pending as usize
    }

    /// The first nonce that is not pending.
    pub fn next_nonce(&self) -> u64 {
        self.account.nonce.saturating_add(self.pending)
    }

    pub fn is_pending(&self, nonce: u64) -> bool {
        (self.account.nonce..self.next_nonce()).contains(&nonce)
    }

    /// The first nonce from the account's on that no transaction has.
    pub fn first_gap(&self) -> u64 {
        let mut nonce = self.next_nonce();
        while self.places.contains_key(&nonce) {
            nonce = nonce.saturating_add(1);
        }
        nonce
    }

    pub fn pending(&self) -> impl Iterator<Item = &Arc<PoolTransaction>> {
        self.places.range(..self.next_nonce()).map(|(_, place)| &place.transaction)
    }

    pub fn queued(&self) -> impl Iterator<Item = &Arc<PoolTransaction>> {
        self.places.range(self.next_nonce()..).map(|(_, place)| &place.transaction)
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<PoolTransaction>> {
        self.places.values().map(|place| &place.transaction)
    }

    pub fn slots(&self) -> usize {
        self.slots
    }

    pub fn footprint(&self) -> usize {
        self.footprint
    }

    pub fn blobs(&self) -> usize {
        self.blobs
    }

    /// Whether it has a local transaction.
    pub fn is_local(&self) -> bool {
        self.locals > 0
    }

    fn last_pending(&self) -> Option<&Place> {
        let last = self.next_nonce().checked_sub(1).filter(|_| self.pending > 0)?;
        self.places.get(&last)
    }

    pub fn pending_slots(&self) -> usize {
        self.last_pending().map_or(0, |place| place.slots_through)
    }

    /// The last pending transaction, and the least priority of all pending ones.
    pub fn pending_tail(&self) -> Option<(&Arc<PoolTransaction>, Priority)> {
        self.last_pending().map(|place| (&place.transaction, place.worst))
    }

    /// The last transaction that is not pending, and its priority.
    pub fn queued_tail(&self, fees: Fees) -> Option<(&Arc<PoolTransaction>, Priority)> {
        let (_, place) = self.places.range(self.next_nonce()..).next_back()?;
        Some((&place.transaction, priority(&place.transaction, fees)))
    }

    /// What is to be paid before a transaction with `nonce`: all pending ones, and queued ones in front of it; not what
    /// it would replace.
    pub fn cost_beside(&self, nonce: u64) -> U256 {
        let pending = self.last_pending().map_or(U256::ZERO, |place| place.cost_through);
        let queued = if nonce > self.next_nonce() {
            let places = self.places.range(self.next_nonce()..nonce);
            places.fold(U256::ZERO, |sum, (_, place)| sum.saturating_add(place.transaction.cost()))
        } else {
            U256::ZERO
        };
        let replaced = self.get(nonce).filter(|_| self.is_pending(nonce));
        pending.saturating_add(queued).saturating_sub(replaced.map_or(U256::ZERO, |old| old.cost()))
    }

    /// Puts a transaction in its place; gives the one that was there.
    pub fn insert(
        &mut self,
        transaction: Arc<PoolTransaction>,
        bounds: Bounds,
    ) -> Option<Arc<PoolTransaction>> {
        let nonce = transaction.nonce();
        self.count(&transaction);
        let place = Place {
            transaction,
            cost_through: U256::ZERO,
            slots_through: 0,
            worst: Priority::Waiting(0),
            announced: false,
        };
        let old = self.places.insert(nonce, place).map(|place| place.transaction);
        if let Some(old) = &old {
            self.uncount(old);
        }
        self.classify_from(nonce, bounds);
        old
    }

    /// Takes a transaction out; those behind it wait from now on.
    pub fn remove(&mut self, nonce: u64) -> Option<Arc<PoolTransaction>> {
        let place = self.places.remove(&nonce)?;
        if self.is_pending(nonce) {
            self.pending = nonce - self.account.nonce;
        }
        self.uncount(&place.transaction);
        Some(place.transaction)
    }

    /// Goes on from another state of the account; gives what was done or cannot be paid for alone.
    pub fn reset(&mut self, account: PoolAccount, bounds: Bounds) -> Vec<Arc<PoolTransaction>> {
        self.account = account;
        self.pending = 0;
        let is_useless = |nonce: u64, transaction: &PoolTransaction| {
            nonce < account.nonce
                || transaction.cost() > account.balance
                || transaction.gas_limit() > bounds.gas_limit
        };
        let useless: Vec<u64> = self
            .places
            .iter()
            .filter(|(nonce, place)| is_useless(**nonce, &place.transaction))
            .map(|(nonce, _)| *nonce)
            .collect();
        let dropped = useless.into_iter().filter_map(|nonce| self.remove(nonce)).collect();
        self.classify_from(account.nonce, bounds);
        dropped
    }

    /// Finds out anew which are pending, from a nonce on.
    fn classify_from(&mut self, nonce: u64, bounds: Bounds) {
        let first = nonce.max(self.account.nonce);
        if first > self.next_nonce() {
            return;
        }
        let front = first.checked_sub(1).filter(|before| *before >= self.account.nonce);
        let front = front.and_then(|before| self.places.get(&before));
        let (mut cost, mut slots, mut worst) = match front {
            Some(place) => (place.cost_through, place.slots_through, place.worst),
            None => (U256::ZERO, 0, Priority::Executable(u128::MAX)),
        };
        let mut next = first;
        for (nonce, place) in self.places.range_mut(first..) {
            let transaction = &place.transaction;
            cost = cost.saturating_add(transaction.cost());
            let is_too_large = transaction.gas_limit() > bounds.gas_limit;
            if *nonce != next || cost > self.account.balance || is_too_large {
                break;
            }
            slots += transaction.slots();
            worst = worst.min(priority(transaction, bounds.fees));
            (place.cost_through, place.slots_through, place.worst) = (cost, slots, worst);
            next = next.saturating_add(1);
        }
        self.pending = next - self.account.nonce;
    }

    /// Pending transactions from a nonce on that were not told yet; they count as told from now on.
    pub fn announce_from(&mut self, nonce: u64) -> Vec<Arc<PoolTransaction>> {
        let end = self.next_nonce();
        let first = nonce.max(self.account.nonce);
        if first >= end {
            return Vec::new();
        }
        let fresh = self.places.range_mut(first..end).filter(|(_, place)| !place.announced);
        fresh
            .map(|(_, place)| {
                place.announced = true;
                place.transaction.clone()
            })
            .collect()
    }

    fn count(&mut self, transaction: &PoolTransaction) {
        self.slots += transaction.slots();
        self.footprint += transaction.footprint();
        self.blobs += usize::from(transaction.is_blob());
        self.locals += usize::from(transaction.origin() == Origin::Local);
    }

    fn uncount(&mut self, transaction: &PoolTransaction) {
        self.slots -= transaction.slots();
        self.footprint -= transaction.footprint();
        self.blobs -= usize::from(transaction.is_blob());
        self.locals -= usize::from(transaction.origin() == Origin::Local);
    }
}
