//! The pool's side of a new head, outside of the lock; and the journal's upkeep.

use std::{collections::HashSet, io, sync::Arc};

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, map::HashMap};
use portico_evm::{BlockRules, Transaction};
use rayon::prelude::*;

use crate::{
    AccountReader, HeadChange, Origin, Pool, PoolAccount, PoolError, PoolTransaction,
    head::Head,
    journal::{self, Journal},
    reset::Advance,
    transaction::Parts,
    validate::{Demands, recover_authorities, validate_alone},
};

/// What became of the transactions of a journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JournalLoad {
    /// Transactions that are in the pool again.
    pub added: usize,
    /// Transactions that were refused: mined meanwhile, most likely.
    pub refused: usize,
    /// Items that are no transactions.
    pub undecodable: usize,
    /// Whether the file ended, or turned to nonsense, within a transaction.
    pub is_cut_off: bool,
}

impl Pool {
    /// Goes on from a new head: drops what was mined and what cannot be any more, and takes back what was in blocks that
    /// are not canonical any more. `accounts` must be as of the new head; they are read in one call.
    ///
    /// # Errors
    /// When the accounts cannot be read; the pool stays at the head before.
    pub fn on_new_head(
        &self,
        change: HeadChange,
        accounts: &dyn AccountReader,
        now: u64,
    ) -> Result<(), PoolError> {
        let HeadChange { header, total_difficulty, included, reverted, finalized } = change;
        let head = Head::new(&self.spec, &header, total_difficulty, now);
        let rules = BlockRules::new(&self.spec, head.next_block(&self.spec, now));
        let returning = self.returning(rules, head.gas_limit, reverted, &included);
        let mut addresses: Vec<Address> = self.read().senders.keys().copied().collect();
        addresses.extend(returning.iter().map(|transaction| transaction.sender()));
        let mut known = HashMap::default();
        read_more(accounts, addresses, &mut known)?;
        let announced = {
            let mut state = self.write();
            // Those who came meanwhile: few, and they must be judged by this head as well.
            let late: Vec<Address> =
                state.senders.keys().filter(|address| !known.contains_key(*address)).copied().collect();
            read_more(accounts, late, &mut known)?;
            state.advance(Advance {
                head,
                rules,
                included: &included,
                finalized,
                accounts: known,
                returning,
                now,
            })
        };
        self.announcements.tell(&announced);
        self.keep_journal_short(now);
        Ok(())
    }

    /// The transactions of blocks that were taken back, as far as they can be in the next block and are not in the new
    /// branch.
    fn returning(
        &self,
        rules: BlockRules<'_>,
        gas_limit: u64,
        reverted: Vec<Transaction>,
        included: &[B256],
    ) -> Vec<Arc<PoolTransaction>> {
        let included: HashSet<B256> = included.iter().copied().collect();
        let gone = reverted.into_iter().filter(|transaction| !included.contains(transaction.tx_hash()));
        let gone: Vec<(Transaction, Option<Arc<PoolTransaction>>, u64)> = {
            let state = self.read();
            gone.map(|transaction| {
                let kept = state.kept.get(transaction.tx_hash()).cloned();
                (transaction, kept, self.next_sequence())
            })
            .collect()
        };
        let demands = Demands { gas_limit, tip_min: 0 };
        gone.into_par_iter()
            .with_min_len(16)
            .filter_map(|(transaction, kept, sequence)| {
                let known_sender = kept.as_ref().map(|kept| kept.sender());
                let length = transaction.encode_2718_len();
                let sender = validate_alone(rules, demands, &transaction, length, known_sender).ok()?;
                match kept {
                    Some(kept) => fits_fork(&kept, rules).then_some(kept),
                    None if transaction.is_eip4844() => None,
                    None => Some(Arc::new(PoolTransaction::new(Parts {
                        authorities: recover_authorities(&transaction),
                        encoded_length: length,
                        transaction,
                        sender,
                        sidecar: None,
                        origin: Origin::External,
                        sequence,
                    }))),
                }
            })
            .collect()
    }

    /// Reads the journal, adds its transactions as local ones and writes it anew. Without a journal in the settings
    /// nothing happens. Damage is told in a log line, and what comes before it is used.
    ///
    /// # Errors
    /// When the file cannot be read or written; the pool then works without one.
    pub fn load_journal(&self, accounts: &dyn AccountReader, now: u64) -> io::Result<JournalLoad> {
        let Some(path) = &self.settings.journal else { return Ok(JournalLoad::default()) };
        let journaled = journal::read(path)?;
        let incoming = journaled.transactions.into_iter().map(Into::into).collect();
        let outcomes = self.add_batch(Origin::Local, incoming, accounts, now);
        let added = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let load = JournalLoad {
            added,
            refused: outcomes.len() - added,
            undecodable: journaled.undecodable,
            is_cut_off: journaled.is_cut_off,
        };
        if load.is_cut_off || load.undecodable > 0 {
            tracing::warn!(
                path = %path.display(),
                read = outcomes.len(),
                undecodable = load.undecodable,
                is_cut_off = load.is_cut_off,
                "the journal of local transactions is damaged"
            );
        }
        tracing::info!(path = %path.display(), added = load.added, refused = load.refused, "local transactions read");
        *self.lock_journal() = Some(Journal::write_anew(path, &self.local_transactions(), now)?);
        Ok(load)
    }

    fn lock_journal(&self) -> std::sync::MutexGuard<'_, Option<Journal>> {
        self.journal.lock().expect("nothing panics while it writes the journal")
    }

    fn local_transactions(&self) -> Vec<Arc<PoolTransaction>> {
        let state = self.read();
        let of_locals = state.senders.values().filter(|sender| sender.is_local());
        let all = of_locals.flat_map(|sender| sender.all());
        all.filter(|transaction| transaction.origin() == Origin::Local).cloned().collect()
    }

    /// Appends local transactions to the journal. A disk that is full costs the journal, not the transaction.
    pub(crate) fn write_down(&self, transactions: &[Arc<PoolTransaction>]) {
        if transactions.is_empty() {
            return;
        }
        let mut guard = self.lock_journal();
        let Some(journal) = guard.as_mut() else { return };
        let written = transactions.iter().try_for_each(|transaction| journal.append(transaction));
        if let Err(error) = written {
            tracing::warn!(path = %journal.path().display(), %error, "local transactions are not written down");
        }
    }

    fn keep_journal_short(&self, now: u64) {
        let mut guard = self.lock_journal();
        let Some(journal) = guard.as_mut() else { return };
        let local = self.local_transactions();
        if !journal.is_stale(local.len(), now, self.settings.rejournal_seconds) {
            return;
        }
        match Journal::write_anew(journal.path(), &local, now) {
            Ok(anew) => *journal = anew,
            Err(error) => {
                tracing::warn!(path = %journal.path().display(), %error, "the journal is not shortened")
            }
        }
    }
}

fn fits_fork(transaction: &PoolTransaction, rules: BlockRules<'_>) -> bool {
    transaction.sidecar().is_none_or(|sidecar| crate::sidecar::fits(sidecar, rules.fork()))
}

fn read_more(
    reader: &dyn AccountReader,
    mut addresses: Vec<Address>,
    known: &mut HashMap<Address, PoolAccount>,
) -> Result<(), PoolError> {
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        return Ok(());
    }
    let accounts = reader.accounts(&addresses).map_err(PoolError::Accounts)?;
    known.extend(addresses.into_iter().zip(accounts));
    Ok(())
}
