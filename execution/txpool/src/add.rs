//! The way into the pool: what costs little is asked first, and nothing that costs time is done under the lock.

use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, map::HashMap};
use portico_evm::{BlockRules, Transaction};
use rayon::prelude::*;

use crate::{
    AccountReader, NetworkTransaction, Origin, Pool, PoolAccount, PoolError, PoolTransaction, Sidecar,
    decode_network_transaction, metrics, sidecar,
    state::{Candidate, Inserted},
    transaction::{Parts, split},
    validate::{Demands, recover_authorities, validate_alone, validate_with_account},
};

/// How many transactions of a batch are put in before others get the lock.
const LOCKED_AT_ONCE: usize = 256;

/// A transaction to be added.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// As sent.
    pub transaction: NetworkTransaction,
    /// Who signed it, if that is known for certain; it is not recovered again then.
    pub sender: Option<Address>,
}

impl From<NetworkTransaction> for Incoming {
    fn from(transaction: NetworkTransaction) -> Self {
        Self { transaction, sender: None }
    }
}

/// A transaction was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddOutcome {
    /// Its hash.
    pub hash: B256,
    /// Who signed it.
    pub sender: Address,
    /// Whether a block could execute it; else it waits for a nonce.
    pub is_pending: bool,
    /// The transaction whose place it took.
    pub replaced: Option<B256>,
}

/// A transaction that is fine by itself.
struct Alone {
    transaction: Transaction,
    sidecar: Option<Sidecar>,
    sender: Address,
    encoded_length: usize,
}

/// A transaction that lacks only its place.
struct Ready {
    transaction: Arc<PoolTransaction>,
    account: PoolAccount,
}

impl Pool {
    /// Adds a transaction as its bytes were sent (EIP-2718).
    ///
    /// # Errors
    /// As [`Self::add`], and what [`decode_network_transaction`] says.
    pub fn add_bytes(
        &self,
        origin: Origin,
        bytes: &[u8],
        accounts: &dyn AccountReader,
        now: u64,
    ) -> Result<AddOutcome, PoolError> {
        let transaction = decode_network_transaction(bytes).inspect_err(metrics::refused)?;
        self.add(origin, transaction, accounts, now)
    }

    /// Adds a transaction.
    ///
    /// # Errors
    /// Why it is refused; nothing has changed then.
    pub fn add(
        &self,
        origin: Origin,
        transaction: NetworkTransaction,
        accounts: &dyn AccountReader,
        now: u64,
    ) -> Result<AddOutcome, PoolError> {
        let mut outcomes = self.add_batch(origin, vec![transaction.into()], accounts, now);
        outcomes.pop().expect("as many outcomes as transactions")
    }

    /// Adds transactions in their order, with one read of all senders' accounts. Outcomes are in the same order.
    pub fn add_batch(
        &self,
        origin: Origin,
        transactions: Vec<Incoming>,
        accounts: &dyn AccountReader,
        now: u64,
    ) -> Vec<Result<AddOutcome, PoolError>> {
        let alone = in_parallel(transactions, |incoming| self.judge_alone(origin, incoming, now));
        let accounts = match read_accounts(accounts, &alone) {
            Ok(accounts) => accounts,
            Err(error) => {
                let unread = |judged: Result<Alone, _>| match judged {
                    Ok(_) => Err(PoolError::Accounts(error.clone())),
                    Err(refused) => Err(refused),
                };
                return alone.into_iter().map(unread).collect();
            }
        };
        let ready = in_parallel(alone, |alone| {
            let alone = alone?;
            let account = accounts.get(&alone.sender).copied().unwrap_or_default();
            self.judge_with_account(origin, alone, account)
        });
        self.put_in(ready, now)
    }

    fn rules(&self, now: u64) -> (BlockRules<'_>, u64) {
        let head = self.read().head;
        (BlockRules::new(&self.spec, head.next_block(&self.spec, now)), head.gas_limit)
    }

    fn judge_alone(&self, origin: Origin, incoming: Incoming, now: u64) -> Result<Alone, PoolError> {
        let Incoming { transaction, sender } = incoming;
        if self.read().by_hash.contains_key(transaction.tx_hash()) {
            return Err(PoolError::AlreadyKnown);
        }
        let (rules, gas_limit) = self.rules(now);
        let is_local = origin == Origin::Local && !self.settings.no_locals;
        let tip_min = if is_local { 0 } else { self.settings.price_limit };
        let encoded_length = transaction.encode_2718_len();
        let (transaction, sidecar) = split(transaction);
        let demands = Demands { gas_limit, tip_min };
        let sender = validate_alone(rules, demands, &transaction, encoded_length, sender)?;
        if let Some(sidecar) = &sidecar {
            let hashes = transaction.blob_versioned_hashes().unwrap_or_default();
            sidecar::check_form(sidecar, hashes, rules.fork())?;
        }
        Ok(Alone { transaction, sidecar, sender, encoded_length })
    }

    fn judge_with_account(
        &self,
        origin: Origin,
        alone: Alone,
        account: PoolAccount,
    ) -> Result<Ready, PoolError> {
        let Alone { transaction, sidecar, sender, encoded_length } = alone;
        validate_with_account(&transaction, sender, &account)?;
        let slots = encoded_length.div_ceil(crate::SLOT_BYTES).max(1);
        let origin = {
            let state = self.read();
            let is_protected = origin == Origin::Local && state.protects(sender, slots);
            let origin = if is_protected { Origin::Local } else { Origin::External };
            if sidecar.is_some() {
                // Before milliseconds are spent on proofs.
                let candidate =
                    Candidate { transaction: &transaction, sender, authorities: &[], origin, slots };
                state.check(candidate, &account)?;
            }
            origin
        };
        // A local one that cannot be protected pays like all others.
        let tip = transaction.max_priority_fee_per_gas().unwrap_or_else(|| transaction.max_fee_per_gas());
        if origin == Origin::External && tip < self.settings.price_limit {
            return Err(PoolError::TipBelowMinimum { tip, needed: self.settings.price_limit });
        }
        let authorities = recover_authorities(&transaction);
        let transaction = PoolTransaction::new(Parts {
            transaction,
            sender,
            sidecar: sidecar.map(Arc::new),
            origin,
            authorities,
            encoded_length,
            sequence: self.next_sequence(),
        });
        self.read().check_price(&transaction, &account)?;
        if let Some(sidecar) = transaction.sidecar() {
            let hashes = transaction.transaction().blob_versioned_hashes().unwrap_or_default();
            sidecar::check_proofs(sidecar, hashes)?;
        }
        Ok(Ready { transaction: Arc::new(transaction), account })
    }

    fn put_in(&self, ready: Vec<Result<Ready, PoolError>>, now: u64) -> Vec<Result<AddOutcome, PoolError>> {
        let mut outcomes = Vec::with_capacity(ready.len());
        let mut ready = ready.into_iter();
        loop {
            let chunk: Vec<_> = ready.by_ref().take(LOCKED_AT_ONCE).collect();
            if chunk.is_empty() {
                return outcomes;
            }
            let mut announced = Vec::new();
            let mut local = Vec::new();
            {
                let mut state = self.write();
                for ready in chunk {
                    let outcome = ready.and_then(|Ready { transaction, account }| {
                        let inserted = state.insert(transaction.clone(), &account, now)?;
                        Ok(taken(transaction, inserted, &mut announced, &mut local))
                    });
                    outcomes.push(outcome.inspect_err(metrics::refused));
                }
                metrics::sizes(&state.standing.totals, state.senders.len(), state.kept.bytes());
            }
            self.write_down(&local);
            self.announcements.tell(&announced);
        }
    }
}

fn taken(
    transaction: Arc<PoolTransaction>,
    inserted: Inserted,
    announced: &mut Vec<Arc<PoolTransaction>>,
    local: &mut Vec<Arc<PoolTransaction>>,
) -> AddOutcome {
    metrics::added(transaction.origin());
    announced.extend(inserted.announced);
    let outcome = AddOutcome {
        hash: transaction.hash(),
        sender: transaction.sender(),
        is_pending: inserted.is_pending,
        replaced: inserted.replaced,
    };
    if transaction.origin() == Origin::Local {
        local.push(transaction);
    }
    outcome
}

fn read_accounts(
    reader: &dyn AccountReader,
    alone: &[Result<Alone, PoolError>],
) -> Result<HashMap<Address, PoolAccount>, portico_evm::ReadError> {
    let mut senders: Vec<Address> = alone.iter().flatten().map(|alone| alone.sender).collect();
    senders.sort_unstable();
    senders.dedup();
    if senders.is_empty() {
        return Ok(HashMap::default());
    }
    let accounts = reader.accounts(&senders)?;
    Ok(senders.into_iter().zip(accounts).collect())
}

/// Over all cores when there is more than one.
fn in_parallel<T: Send, R: Send>(items: Vec<T>, run: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
    if items.len() < 4 {
        return items.into_iter().map(run).collect();
    }
    items.into_par_iter().with_min_len(8).map(run).collect()
}
