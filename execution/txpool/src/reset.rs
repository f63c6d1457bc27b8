//! A new head: what was mined goes, what was taken back returns, the rest is judged by the new state.

use std::sync::Arc;

use alloy_primitives::{Address, B256, map::HashMap};
use portico_evm::{BlockRules, validate_recovered_transaction};

use crate::{
    Origin, PoolAccount, PoolTransaction,
    head::Head,
    metrics::{self, Removal},
    sender::Sender,
    sidecar,
    state::State,
};

/// All that is needed to go on from a new head, read and computed outside of the lock.
pub(crate) struct Advance<'a> {
    pub head: Head,
    pub rules: BlockRules<'a>,
    pub included: &'a [B256],
    pub finalized: Option<u64>,
    /// Of all senders in the pool and of what returns.
    pub accounts: HashMap<Address, PoolAccount>,
    /// Transactions of blocks that were taken back.
    pub returning: Vec<Arc<PoolTransaction>>,
    pub now: u64,
}

impl State {
    /// Goes on from a new head. Gives what became pending.
    pub fn advance(&mut self, advance: Advance<'_>) -> Vec<Arc<PoolTransaction>> {
        let Advance { head, rules, included, finalized, accounts, returning, now } = advance;
        self.keep(head.block_number, included);
        self.head = head;
        if rules.fork() != self.fork {
            self.fork = rules.fork();
            self.drop_what_the_fork_forbids(rules);
        }
        self.reset_accounts(&accounts, now);
        self.stand_anew();
        self.put_back(returning, &accounts, now);
        self.enforce_limits();
        for forgotten in self.kept.forget(head.block_number, finalized, &self.settings) {
            if !self.by_hash.contains_key(&forgotten.hash()) {
                self.unindex_blobs(&forgotten);
            }
        }
        metrics::sizes(&self.standing.totals, self.senders.len(), self.kept.bytes());
        let senders = self.senders.values_mut();
        senders.flat_map(|sender| sender.announce_from(0)).collect()
    }

    /// Remembers what blocks do not hold of their transactions.
    fn keep(&mut self, block_number: u64, included: &[B256]) {
        for hash in included {
            let Some(transaction) = self.by_hash.get(hash) else { continue };
            if transaction.is_blob() || transaction.origin() == Origin::Local {
                self.kept.insert(block_number, transaction.clone());
            }
        }
    }

    fn drop_what_the_fork_forbids(&mut self, rules: BlockRules<'_>) {
        let is_forbidden = |transaction: &PoolTransaction| {
            let sidecar_fits =
                transaction.sidecar().is_none_or(|sidecar| sidecar::fits(sidecar, rules.fork()));
            !sidecar_fits
                || validate_recovered_transaction(rules, transaction.transaction(), transaction.sender())
                    .is_err()
        };
        let forbidden: Vec<_> =
            self.by_hash.values().filter(|transaction| is_forbidden(transaction)).cloned().collect();
        for transaction in forbidden {
            // The order of accounts is made anew afterwards.
            self.remove_quietly(&transaction);
            metrics::removed(Removal::Fork);
        }
    }

    /// Takes a transaction out without regard to the order of accounts.
    fn remove_quietly(&mut self, transaction: &PoolTransaction) {
        if let Some(sender) = self.senders.get_mut(&transaction.sender()) {
            sender.remove(transaction.nonce());
        }
        self.forget(transaction);
    }

    fn reset_accounts(&mut self, accounts: &HashMap<Address, PoolAccount>, now: u64) {
        let bounds = self.bounds();
        let lifetime = self.settings.lifetime_seconds;
        let mut gone = Vec::new();
        for (address, sender) in &mut self.senders {
            let account = accounts.get(address).copied().unwrap_or(*sender.account());
            let pending_before = sender.pending_len();
            for dropped in sender.reset(account, bounds) {
                let is_mined = dropped.nonce() < account.nonce;
                gone.push((dropped, if is_mined { Removal::Mined } else { Removal::Unpayable }));
            }
            if sender.pending_len() < pending_before {
                sender.seen = now;
            }
            if !sender.is_local() && now.saturating_sub(sender.seen) > lifetime {
                gone.extend(expire(sender));
            }
        }
        for (transaction, why) in gone {
            self.forget(&transaction);
            metrics::removed(why);
        }
        self.senders.retain(|_, sender| !sender.is_empty());
    }

    fn put_back(
        &mut self,
        returning: Vec<Arc<PoolTransaction>>,
        accounts: &HashMap<Address, PoolAccount>,
        now: u64,
    ) {
        let mut count = 0;
        for transaction in returning {
            let Some(account) = accounts.get(&transaction.sender()) else { continue };
            let is_useless = transaction.nonce() < account.nonce || transaction.cost() > account.balance;
            let known = self.senders.get(&transaction.sender());
            let has_place = known.is_none_or(|sender| sender.get(transaction.nonce()).is_none());
            if is_useless || !has_place || self.by_hash.contains_key(&transaction.hash()) {
                continue;
            }
            let was_kept = self.kept.take(&transaction.hash());
            if let Some(kept) = was_kept {
                self.unindex_blobs(&kept);
            }
            count += usize::from(self.insert_unchecked(transaction, account, now).is_ok());
        }
        metrics::reinjected(count);
    }
}

/// Drops what an account has waiting.
fn expire(sender: &mut Sender) -> Vec<(Arc<PoolTransaction>, Removal)> {
    let waiting: Vec<u64> = sender.queued().map(|transaction| transaction.nonce()).collect();
    let dropped = waiting.into_iter().filter_map(|nonce| sender.remove(nonce));
    dropped.map(|transaction| (transaction, Removal::Expired)).collect()
}
