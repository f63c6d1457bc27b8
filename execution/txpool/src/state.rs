//! Everything in the pool, under one lock: putting in, taking out, and keeping within the limits.

use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, map::HashMap};
use portico_chainspec::Fork;
use portico_evm::Transaction;

use crate::{
    AccountCode, Origin, PoolAccount, PoolError, PoolTransaction, Settings,
    blobs::BlobIndex,
    head::Head,
    kept::Kept,
    metrics::{self, Removal},
    priority::priority,
    sender::{Bounds, Sender},
    standing::{Crowding, Part, Standing},
    transaction::cost,
};

/// Everything in the pool.
#[derive(Debug)]
pub(crate) struct State {
    pub settings: Arc<Settings>,
    pub head: Head,
    /// Of the next block, when the transactions were last judged.
    pub fork: Fork,
    pub by_hash: HashMap<B256, Arc<PoolTransaction>>,
    pub senders: HashMap<Address, Sender>,
    pub standing: Standing,
    pub blobs: BlobIndex,
    pub kept: Kept,
    /// How many transactions in the pool delegate for an account.
    authorities: HashMap<Address, usize>,
}

/// A transaction that wants to come in, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub transaction: &'a Transaction,
    pub sender: Address,
    pub authorities: &'a [Address],
    /// Whether its sender would be protected.
    pub origin: Origin,
    pub slots: usize,
}

/// A transaction that came in.
#[derive(Debug)]
pub(crate) struct Inserted {
    pub replaced: Option<B256>,
    pub is_pending: bool,
    /// What became pending by it.
    pub announced: Vec<Arc<PoolTransaction>>,
}

/// A transaction that went, and what is needed to put it back.
struct Removed {
    transaction: Arc<PoolTransaction>,
    account: PoolAccount,
    why: Crowding,
}

impl State {
    pub fn new(settings: Arc<Settings>, head: Head, fork: Fork) -> Self {
        Self {
            settings,
            head,
            fork,
            by_hash: HashMap::default(),
            senders: HashMap::default(),
            standing: Standing::default(),
            blobs: BlobIndex::default(),
            kept: Kept::default(),
            authorities: HashMap::default(),
        }
    }

    pub fn bounds(&self) -> Bounds {
        Bounds { fees: self.head.fees, gas_limit: self.head.gas_limit }
    }

    /// Whether a local transaction gets its sender protected: as long as there is room for that.
    pub fn protects(&self, sender: Address, slots: usize) -> bool {
        let known = self.senders.get(&sender);
        if self.settings.no_locals || known.is_some_and(Sender::is_local) {
            return !self.settings.no_locals;
        }
        let of_sender = known.map_or(0, Sender::slots);
        self.standing.totals.protected_slots + of_sender + slots <= self.settings.local_slots
    }

    /// Judges a transaction by what is in the pool. Nothing changes.
    pub fn check(&self, candidate: Candidate<'_>, account: &PoolAccount) -> Result<(), PoolError> {
        let Candidate { transaction, sender: address, .. } = candidate;
        if self.by_hash.contains_key(transaction.tx_hash()) {
            return Err(PoolError::AlreadyKnown);
        }
        let nonce = transaction.nonce();
        let sender = self.senders.get(&address);
        // The pool's own view counts: it is the one that was compared with the head.
        let account = sender.map_or(account, Sender::account);
        if nonce < account.nonce {
            return Err(PoolError::NonceTooLow { next: account.nonce, nonce });
        }
        self.check_funds(candidate, sender, account)?;
        self.check_delegations(candidate, sender, account)?;
        if transaction.is_eip4844() {
            self.check_blob_account(nonce, sender, account)?;
        } else if sender.is_some_and(|sender| sender.blobs() > 0) {
            return Err(PoolError::Reserved);
        }
        if let Some(old) = sender.and_then(|sender| sender.get(nonce)) {
            let is_blob = transaction.is_eip4844();
            let percent = if is_blob { self.settings.blob_price_bump } else { self.settings.price_bump };
            if !replaces(transaction, old, percent) {
                return Err(PoolError::ReplacementUnderpriced);
            }
        }
        self.check_local_room(candidate, sender)
    }

    fn check_funds(
        &self,
        candidate: Candidate<'_>,
        sender: Option<&Sender>,
        account: &PoolAccount,
    ) -> Result<(), PoolError> {
        let (balance, cost) = (account.balance, cost(candidate.transaction));
        if cost > balance {
            return Err(PoolError::InsufficientFunds { balance, cost });
        }
        let Some(sender) = sender else { return Ok(()) };
        let queued = sender.cost_beside(candidate.transaction.nonce());
        if queued.saturating_add(cost) > balance {
            return Err(PoolError::InsufficientFundsBesideOthers { balance, queued, cost });
        }
        Ok(())
    }

    /// A delegated account's balance can go at any time: it has one transaction in the pool at most (EIP-7702).
    fn check_delegations(
        &self,
        candidate: Candidate<'_>,
        sender: Option<&Sender>,
        account: &PoolAccount,
    ) -> Result<(), PoolError> {
        let nonce = candidate.transaction.nonce();
        let is_delegated =
            account.code == AccountCode::Delegation || self.authorities.contains_key(&candidate.sender);
        if is_delegated {
            match sender {
                Some(sender) if sender.get(nonce).is_some() => {}
                Some(sender) if sender.pending_len() > 0 => return Err(PoolError::InFlightLimit),
                _ if nonce != account.nonce => return Err(PoolError::GappedFromDelegated),
                _ => {}
            }
        }
        let has_several =
            |authority| self.senders.get(authority).is_some_and(|sender: &Sender| sender.len() > 1);
        if candidate.authorities.iter().any(has_several) {
            return Err(PoolError::AuthorityReserved);
        }
        Ok(())
    }

    fn check_blob_account(
        &self,
        nonce: u64,
        sender: Option<&Sender>,
        account: &PoolAccount,
    ) -> Result<(), PoolError> {
        let gapped = sender.map_or(account.nonce, Sender::first_gap);
        if nonce > gapped {
            return Err(PoolError::NonceTooHigh { nonce, gapped });
        }
        let Some(sender) = sender else { return Ok(()) };
        if sender.blobs() < sender.len() {
            return Err(PoolError::Reserved);
        }
        if nonce == gapped && sender.len() >= self.settings.account_blob_transactions {
            return Err(PoolError::AccountLimit { pooled: sender.len() });
        }
        Ok(())
    }

    fn check_local_room(&self, candidate: Candidate<'_>, sender: Option<&Sender>) -> Result<(), PoolError> {
        let was_local = sender.is_some_and(Sender::is_local);
        if candidate.origin == Origin::External && !was_local {
            return Ok(());
        }
        let joins = if was_local { 0 } else { sender.map_or(0, Sender::slots) };
        let replaced = sender.and_then(|sender| sender.get(candidate.transaction.nonce()));
        let slots = self.standing.totals.protected_slots + joins + candidate.slots;
        let slots = slots.saturating_sub(replaced.map_or(0, |old| old.slots()));
        if slots > self.settings.local_slots { Err(PoolError::Full) } else { Ok(()) }
    }

    /// Whether a full pool would drop the transaction at once: a new account's that pays less than all others.
    pub fn check_price(&self, transaction: &PoolTransaction, account: &PoolAccount) -> Result<(), PoolError> {
        let is_alone = !self.senders.contains_key(&transaction.sender());
        let would_wait = transaction.nonce() != account.nonce;
        if !is_alone || would_wait || transaction.origin() == Origin::Local {
            return Ok(());
        }
        let (slots, bytes) = (transaction.slots(), transaction.footprint());
        let price = self.standing.entry_price(&self.settings, transaction.is_blob(), slots, bytes);
        match price {
            Some(price) if priority(transaction, self.head.fees) <= price => Err(PoolError::Underpriced),
            _ => Ok(()),
        }
    }

    /// Puts in a transaction that was judged in all other ways. When it is refused, nothing has changed.
    pub fn insert(
        &mut self,
        transaction: Arc<PoolTransaction>,
        account: &PoolAccount,
        now: u64,
    ) -> Result<Inserted, PoolError> {
        let candidate = Candidate {
            transaction: transaction.transaction(),
            sender: transaction.sender(),
            authorities: transaction.authorities(),
            origin: transaction.origin(),
            slots: transaction.slots(),
        };
        self.check(candidate, account)?;
        self.insert_unchecked(transaction, account, now)
    }

    /// Puts in a transaction unless there is no room for it.
    pub fn insert_unchecked(
        &mut self,
        transaction: Arc<PoolTransaction>,
        account: &PoolAccount,
        now: u64,
    ) -> Result<Inserted, PoolError> {
        let (address, nonce, hash) = (transaction.sender(), transaction.nonce(), transaction.hash());
        let old = self.put(transaction, account, now);
        let dropped = self.make_room(Some(address));
        if let Some(refused) = dropped.iter().find(|removed| removed.transaction.hash() == hash) {
            let error = match refused.why {
                Crowding::Price => PoolError::Underpriced,
                Crowding::Share => PoolError::Full,
            };
            let others = dropped.into_iter().filter(|removed| removed.transaction.hash() != hash);
            for removed in others {
                self.put(removed.transaction, &removed.account, now);
            }
            if let Some(old) = old {
                self.put(old, account, now);
            }
            return Err(error);
        }
        for removed in &dropped {
            metrics::removed(Removal::Crowded(removed.why));
        }
        if old.is_some() {
            metrics::removed(Removal::Replaced);
        }
        let sender = self.senders.get_mut(&address).expect("its transaction was just put in");
        Ok(Inserted {
            replaced: old.map(|old| old.hash()),
            is_pending: sender.is_pending(nonce),
            announced: sender.announce_from(nonce),
        })
    }

    /// Puts a transaction in its place, whatever the limits; gives the one that was there.
    fn put(
        &mut self,
        transaction: Arc<PoolTransaction>,
        account: &PoolAccount,
        now: u64,
    ) -> Option<Arc<PoolTransaction>> {
        let address = transaction.sender();
        let bounds = self.bounds();
        self.by_hash.insert(transaction.hash(), transaction.clone());
        self.index(&transaction);
        let sender = match self.senders.get(&address) {
            Some(sender) => {
                self.standing.leave(address, sender, &self.settings, bounds.fees);
                self.senders.get_mut(&address).expect("it was there")
            }
            None => self.senders.entry(address).or_insert_with(|| Sender::new(*account, now)),
        };
        sender.seen = now;
        let old = sender.insert(transaction, bounds);
        self.standing.enter(address, sender, &self.settings, bounds.fees);
        if let Some(old) = &old {
            self.forget(old);
        }
        old
    }

    /// Takes a transaction out. Those behind it wait from now on.
    pub fn take(&mut self, address: Address, nonce: u64) -> Option<Arc<PoolTransaction>> {
        let fees = self.head.fees;
        let sender = self.senders.get_mut(&address)?;
        self.standing.leave(address, sender, &self.settings, fees);
        let taken = sender.remove(nonce);
        if sender.is_empty() {
            self.senders.remove(&address);
        } else {
            self.standing.enter(address, sender, &self.settings, fees);
        }
        let taken = taken?;
        self.forget(&taken);
        Some(taken)
    }

    /// Takes a transaction out of all maps but its sender's.
    pub fn forget(&mut self, transaction: &PoolTransaction) {
        self.by_hash.remove(&transaction.hash());
        self.unindex(transaction);
    }

    /// Drops transactions until all limits hold. `joined` is the account that got one.
    fn make_room(&mut self, joined: Option<Address>) -> Vec<Removed> {
        let mut dropped = Vec::new();
        while let Some(sender) = joined.and_then(|address| self.senders.get(&address)) {
            let waits = sender.slots() - sender.pending_slots();
            if sender.is_local() || sender.blobs() > 0 || waits <= self.settings.account_queue {
                break;
            }
            let Some(address) = joined else { break };
            dropped.extend(self.drop_part(address, Part::Last, Crowding::Share));
        }
        while let Some(victim) = self.standing.crowded_out(&self.settings) {
            let Some(removed) = self.drop_part(victim.sender, victim.part, victim.why) else {
                debug_assert!(false, "{victim:?} stands in the order without a transaction");
                break;
            };
            dropped.push(removed);
        }
        dropped
    }

    /// [`Self::make_room`] after the head has changed.
    pub fn enforce_limits(&mut self) {
        for removed in self.make_room(None) {
            metrics::removed(Removal::Crowded(removed.why));
        }
    }

    fn drop_part(&mut self, address: Address, part: Part, why: Crowding) -> Option<Removed> {
        let sender = self.senders.get(&address)?;
        let account = *sender.account();
        let tail = match part {
            Part::Last => sender.all().last(),
            Part::LastPending => sender.pending_tail().map(|(tail, _)| tail),
        };
        let nonce = tail?.nonce();
        let transaction = self.take(address, nonce)?;
        Some(Removed { transaction, account, why })
    }

    fn index(&mut self, transaction: &PoolTransaction) {
        for authority in transaction.authorities() {
            *self.authorities.entry(*authority).or_default() += 1;
        }
        if let Some((sidecar, hashes)) = blobs_of(transaction)
            && self.kept.get(&transaction.hash()).is_none()
        {
            self.blobs.insert(sidecar, hashes);
        }
    }

    fn unindex(&mut self, transaction: &PoolTransaction) {
        for authority in transaction.authorities() {
            let Some(count) = self.authorities.get_mut(authority) else { continue };
            *count -= 1;
            if *count == 0 {
                self.authorities.remove(authority);
            }
        }
        if self.kept.get(&transaction.hash()).is_none() {
            self.unindex_blobs(transaction);
        }
    }

    pub fn unindex_blobs(&mut self, transaction: &PoolTransaction) {
        if let Some((sidecar, hashes)) = blobs_of(transaction) {
            self.blobs.remove(sidecar, hashes);
        }
    }

    /// Puts all accounts in order anew, after fees or accounts have changed.
    pub fn stand_anew(&mut self) {
        self.standing = Standing::default();
        for (address, sender) in &self.senders {
            self.standing.enter(*address, sender, &self.settings, self.head.fees);
        }
    }
}

fn blobs_of(transaction: &PoolTransaction) -> Option<(&Arc<crate::Sidecar>, &[B256])> {
    transaction.sidecar().zip(transaction.transaction().blob_versioned_hashes())
}

/// Whether a transaction pays so much more than another that it takes its place.
fn replaces(new: &Transaction, old: &PoolTransaction, percent: u64) -> bool {
    let raised = |new: u128, old: u128| {
        let least = old.saturating_mul(100 + u128::from(percent)) / 100;
        new > old && new >= least
    };
    let fee_cap = new.max_fee_per_gas();
    let tip_cap = new.max_priority_fee_per_gas().unwrap_or(fee_cap);
    let blob_fee_raised = match (new.max_fee_per_blob_gas(), old.blob_fee_cap()) {
        (Some(new), Some(old)) => raised(new, old),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    raised(fee_cap, old.fee_cap()) && raised(tip_cap, old.tip_cap()) && blob_fee_raised
}
