//! How fast a pool by itself takes transactions, and what they weigh.

use std::time::{Duration, Instant};

use alloy_primitives::{Address, U256};
use eyre::{Result, bail};
use portico_chainspec::ChainSpec;
use portico_evm::ReadError;
use portico_txpool::{
    AccountReader, Incoming, Origin, Pool, PoolAccount, Settings, decode_network_transaction,
};

use super::attack::{Attack, Attacker};
use crate::bench::node_process::memory_of;

/// Transactions that come at once, as from a peer.
const BATCH: usize = 256;
/// When they come, in seconds since 1970.
const NOW: u64 = 1_800_000_000;

/// Everybody has enough.
struct Rich;

impl AccountReader for Rich {
    fn accounts(&self, addresses: &[Address]) -> Result<Vec<PoolAccount>, ReadError> {
        let account = PoolAccount { balance: U256::MAX >> 8, ..PoolAccount::default() };
        Ok(vec![account; addresses.len()])
    }
}

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Insertion {
    transactions: usize,
    known: Duration,
    unknown: Duration,
    full: Duration,
    bytes: usize,
    resident: u64,
}

fn roomy() -> Settings {
    Settings { global_slots: 1 << 20, bytes_max: 4 << 30, ..Settings::default() }
}

fn fill(pool: &Pool, incoming: Vec<Incoming>) -> (Duration, usize) {
    let batches: Vec<Vec<Incoming>> = incoming.chunks(BATCH).map(<[Incoming]>::to_vec).collect();
    let started = Instant::now();
    let mut taken = 0;
    for batch in batches {
        let outcomes = pool.add_batch(Origin::External, batch, &Rich, NOW);
        taken += outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    }
    (started.elapsed(), taken)
}

/// Fills pools with a transaction of each account.
///
/// # Errors
/// When a pool with room refuses one.
pub(super) fn measure(accounts: &[Attacker]) -> Result<Insertion> {
    let spec = ChainSpec::dev();
    let raw = Attack::Senders.transactions(accounts, spec.chain_id(), accounts.len());
    let decoded = raw.iter().map(|bytes| decode_network_transaction(bytes));
    let unknown: Vec<Incoming> = decoded.map(|tx| tx.map(Incoming::from)).collect::<Result<_, _>>()?;
    let named = unknown.iter().zip(accounts);
    let known: Vec<Incoming> =
        named.map(|(tx, account)| Incoming { sender: Some(account.address), ..tx.clone() }).collect();
    let transactions = accounts.len();
    let pool = Pool::new(roomy(), spec.clone());
    let (unknown, _) = fill(&pool, unknown);
    drop(pool);
    let pool = Pool::new(Settings::default(), spec.clone());
    let (full, _) = fill(&pool, known.clone());
    drop(pool);
    let pool = Pool::new(roomy(), spec);
    let before = memory_of("self");
    let (known, taken) = fill(&pool, known);
    if taken != transactions {
        bail!("a pool with room took {taken} of {transactions} transactions");
    }
    let resident = memory_of("self").saturating_sub(before);
    Ok(Insertion { transactions, known, unknown, full, bytes: pool.status().bytes, resident })
}

impl Insertion {
    pub(super) fn print(&self) {
        let per_second = |elapsed: Duration| self.transactions as f64 / elapsed.as_secs_f64().max(1e-9);
        println!(
            "{} transfers of as many accounts, into a pool by itself, 256 at a time:",
            self.transactions
        );
        println!("  signatures known         {:>10.0} a second", per_second(self.known));
        println!("  the same, pool full      {:>10.0} a second", per_second(self.full));
        println!("  signatures unknown       {:>10.0} a second", per_second(self.unknown));
        println!("  as the pool counts       {:>10} bytes each", self.bytes / self.transactions.max(1));
        println!(
            "  the process grew by      {:>10} bytes each",
            self.resident / self.transactions.max(1) as u64
        );
    }
}
