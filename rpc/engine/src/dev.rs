//! A network of one node for developers: it makes blocks when there are transactions, or by the clock, or when it is
//! told to, and signs for accounts whose keys everybody knows.
//!
//! A snapshot is a block: going back to it makes it the head again.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use alloy_consensus::SignableTransaction;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, U256, eip191_hash_message, keccak256};
use alloy_rpc_types_engine::PayloadAttributes;
use portico_chain::Transaction;
use portico_chainspec::{DEV_ACCOUNTS, DEV_KEYS, Fork};
use portico_query::{CallRequest, Forkchoice, QueryError, Snapshot};
use portico_stages::Verdict;
use secp256k1::{Message, SECP256K1, SecretKey};

use crate::{Engine, EngineError, jobs::FromPool, payload::fork_of};

/// When blocks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DevSettings {
    /// By the clock; without it as soon as there are transactions.
    pub period: Option<Duration>,
}

/// Blocks that one call makes.
const MINE_MAX: u64 = 1_000;
/// How long the thread waits before it looks whether it is to end.
const PATIENCE: Duration = Duration::from_millis(200);

/// See the module. Clones share everything.
#[derive(Clone)]
pub struct Dev(Arc<Shared>);

struct Shared {
    engine: Engine,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Whether blocks are made for transactions.
    automatic: bool,
    period: Option<Duration>,
    /// Of the next block.
    timestamp: Option<u64>,
    /// Seconds that our clock is ahead.
    ahead: i64,
    /// Heads to go back to, with the clock of then; a snapshot's number is its position, from 1.
    snapshots: Vec<(B256, i64)>,
    stopped: bool,
}

#[expect(clippy::disallowed_methods, reason = "new blocks are of now")]
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

fn unknown(error: impl std::fmt::Display) -> EngineError {
    EngineError::Internal(error.to_string())
}

impl Dev {
    /// Starts making blocks.
    ///
    /// # Errors
    /// [`EngineError::UnsupportedFork`] on a chain whose next block is to be mined.
    pub fn start(engine: Engine, settings: DevSettings) -> Result<Self, EngineError> {
        let tip = engine.tip();
        let (number, hash) = tip.head();
        let header = tip.header(&hash)?.ok_or_else(|| unknown("there is no head"))?;
        // A parent without difficulty is a merged one, whatever was before it.
        let total = if header.difficulty.is_zero() { U256::MAX } else { header.difficulty };
        if !tip.spec().block_context(number + 1, now(), total).merged {
            let what =
                "a dev network makes blocks of after the merge: set terminalTotalDifficulty to 0 in genesis";
            return Err(EngineError::UnsupportedFork(what.to_owned()));
        }
        let state = State {
            automatic: settings.period.is_none(),
            period: settings.period,
            timestamp: None,
            ahead: 0,
            snapshots: Vec::new(),
            stopped: false,
        };
        let dev = Self(Arc::new(Shared { engine, state: Mutex::new(state), changed: Condvar::new() }));
        let worker = dev.clone();
        std::thread::Builder::new().name("dev".to_owned()).spawn(move || worker.run()).map_err(unknown)?;
        Ok(dev)
    }

    /// Ends making blocks.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.0.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let Some(pool) = self.0.engine.query().pool().cloned() else { return };
        // What was left in the pool's journal is mined as well.
        let mut mined_for = None;
        loop {
            let (period, automatic) = {
                let state = self.lock();
                let patience = state.period.unwrap_or(PATIENCE);
                let announced = || mined_for != Some(pool.announced());
                let quiet = |state: &mut State| !(state.stopped || state.automatic && announced());
                // A sender's call wakes us; other transactions are seen soon enough.
                let wait = self.0.changed.wait_timeout_while(state, patience.min(PATIENCE), quiet);
                let (state, _) = wait.unwrap_or_else(PoisonError::into_inner);
                if state.stopped {
                    return;
                }
                (state.period, state.automatic)
            };
            let announced = pool.announced();
            let is_due = period.is_some_and(|period| self.seconds_since_head() >= period.as_secs_f64());
            let has_work = automatic && mined_for != Some(announced) && pool.status().pending > 0;
            mined_for = Some(announced);
            if (is_due || has_work)
                && let Err(error) = self.mine(1)
            {
                tracing::warn!(%error, "no block could be made");
                std::thread::sleep(PATIENCE);
            }
        }
    }

    fn seconds_since_head(&self) -> f64 {
        let tip = self.0.engine.tip();
        let Ok(Some(header)) = tip.header(&tip.head().1) else { return 0.0 };
        (self.clock() as f64) - (header.timestamp as f64)
    }

    fn clock(&self) -> u64 {
        now().saturating_add_signed(self.lock().ahead)
    }

    /// Makes blocks, each upon the one before, from what the pool has.
    ///
    /// # Errors
    /// When no valid block can be made, or the database fails.
    pub(crate) fn mine(&self, blocks: u64) -> Result<(), EngineError> {
        if blocks > MINE_MAX {
            return Err(EngineError::TooLarge { asked: blocks, max: MINE_MAX });
        }
        (0..blocks).try_for_each(|_| self.mine_one())
    }

    fn mine_one(&self) -> Result<(), EngineError> {
        let engine = &self.0.engine;
        let (tip, query) = (engine.tip(), engine.query());
        query.follow_head().map_err(unknown)?;
        let (number, parent) = tip.head();
        let header = tip.header(&parent)?.ok_or_else(|| unknown("there is no head"))?;
        let clock = self.clock();
        let timestamp = self.lock().timestamp.take().unwrap_or(clock).max(header.timestamp + 1);
        let fork = fork_of(tip.spec(), number + 1, timestamp);
        let attributes = PayloadAttributes {
            timestamp,
            prev_randao: keccak256(parent),
            suggested_fee_recipient: Address::ZERO,
            withdrawals: None,
            parent_beacon_block_root: (fork >= Fork::Cancun).then_some(B256::ZERO),
            slot_number: (fork >= Fork::Amsterdam).then_some(number + 1),
            target_gas_limit: None,
        };
        let build = engine.build_attributes(fork, attributes);
        let pool = query.pool().ok_or_else(|| unknown("there is no transaction pool"))?;
        let mut source = FromPool::new(pool, tip.spec(), &header, timestamp, fork);
        let built = tip.build(&parent, &build, &mut source)?.ok_or_else(|| unknown("the head is gone"))?;
        let hash = built.block.hash;
        tip.adopt(&built);
        self.choose(hash)?;
        query.follow_head().map_err(unknown)?;
        let transactions = built.block.transactions.len();
        tracing::info!(block_number = number + 1, %hash, transactions, gas = built.block.header.gas_used, "made a block");
        Ok(())
    }

    fn choose(&self, hash: B256) -> Result<(), EngineError> {
        let engine = &self.0.engine;
        match engine.tip().set_head(hash)? {
            Verdict::Valid => {}
            Verdict::Missing => return Err(unknown("the block is gone")),
            Verdict::Invalid { reason, .. } => return Err(unknown(reason)),
        }
        engine.query().set_forkchoice(Forkchoice { safe: Some(hash), finalized: Some(hash) });
        Ok(())
    }

    /// Remembers the head; gives the snapshot's number.
    pub(crate) fn snapshot(&self) -> u64 {
        let head = self.0.engine.tip().head().1;
        let mut state = self.lock();
        let ahead = state.ahead;
        state.snapshots.push((head, ahead));
        state.snapshots.len() as u64
    }

    /// Goes back to a snapshot, and forgets it and later ones; says whether there was one.
    pub(crate) fn revert(&self, number: u64) -> Result<bool, EngineError> {
        let mut state = self.lock();
        let position = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let Some((head, ahead)) = position.and_then(|position| state.snapshots.get(position).copied()) else {
            return Ok(false);
        };
        state.snapshots.truncate(position.unwrap_or_default());
        (state.ahead, state.timestamp) = (ahead, None);
        drop(state);
        self.choose(head)?;
        // What was in the blocks that went is gone with them.
        self.0.engine.query().follow_head().map_err(unknown)?;
        if let Some(pool) = self.0.engine.query().pool() {
            pool.clear();
        }
        Ok(true)
    }

    /// Sets the next block's time; it must be after the head's.
    pub(crate) fn set_next_timestamp(&self, timestamp: u64) -> Result<(), EngineError> {
        let tip = self.0.engine.tip();
        let header = tip.header(&tip.head().1)?.ok_or_else(|| unknown("there is no head"))?;
        if timestamp <= header.timestamp {
            let what = format!("timestamp {timestamp} is not after the head's, {}", header.timestamp);
            return Err(EngineError::InvalidParams(what));
        }
        let mut state = self.lock();
        state.timestamp = Some(timestamp);
        state.ahead = (timestamp as i64).saturating_sub(now() as i64);
        Ok(())
    }

    /// Moves the clock; gives by how many seconds it is ahead now.
    pub(crate) fn increase_time(&self, seconds: u64) -> i64 {
        let mut state = self.lock();
        state.ahead = state.ahead.saturating_add_unsigned(seconds);
        state.ahead
    }

    /// Whether blocks are made for transactions.
    pub(crate) fn set_automatic(&self, automatic: bool) {
        self.lock().automatic = automatic;
        self.0.changed.notify_all();
    }

    /// Makes blocks by the clock; with 0 no more.
    pub(crate) fn set_period(&self, seconds: u64) {
        let mut state = self.lock();
        state.period = (seconds > 0).then(|| Duration::from_secs(seconds));
        drop(state);
        self.0.changed.notify_all();
    }

    /// Signs and sends a transaction; what it lacks is filled in.
    pub(crate) fn send(&self, request: CallRequest) -> Result<B256, QueryError> {
        let query = self.0.engine.query();
        let snapshot = query.snapshot()?;
        let signed = sign(&snapshot, request)?;
        let outcome = snapshot.submit(&signed.encoded_2718())?;
        drop(snapshot);
        self.0.changed.notify_all();
        Ok(outcome.hash)
    }

    /// Signs a transaction; what it lacks is filled in.
    pub(crate) fn sign_transaction(&self, request: CallRequest) -> Result<(Bytes, Transaction), QueryError> {
        let signed = sign(&self.0.engine.query().snapshot()?, request)?;
        Ok((signed.encoded_2718().into(), signed))
    }
}

/// The accounts whose keys everybody knows.
pub(crate) fn accounts() -> &'static [Address] {
    &DEV_ACCOUNTS
}

/// Signs a message as wallets do it (EIP-191); none for an account whose key is not known.
pub(crate) fn sign_message(address: Address, message: &[u8]) -> Option<Bytes> {
    Some(sign_hash(&key_of(address)?, eip191_hash_message(message)).as_bytes().into())
}

fn key_of(address: Address) -> Option<SecretKey> {
    let position = DEV_ACCOUNTS.iter().position(|account| *account == address)?;
    Some(SecretKey::from_byte_array(DEV_KEYS[position].0).expect("the known keys are keys"))
}

fn sign_hash(key: &SecretKey, hash: B256) -> Signature {
    let signature = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), key);
    let (id, bytes) = signature.serialize_compact();
    let number = |bytes: &[u8]| U256::from_be_slice(bytes);
    Signature::new(number(&bytes[..32]), number(&bytes[32..]), i32::from(id) & 1 == 1)
}

fn sign(snapshot: &Snapshot<'_>, request: CallRequest) -> Result<Transaction, QueryError> {
    let sender = request.from.unwrap_or_default();
    let key = key_of(sender).ok_or(QueryError::UnknownAccount { address: sender })?;
    Ok(sign_with(&key, snapshot.fill_transaction(request)?))
}

/// The transaction, with a signature by `key` in place of the one that it has.
pub fn sign_with(key: &SecretKey, transaction: Transaction) -> Transaction {
    fn signed<T: SignableTransaction<Signature>>(key: &SecretKey, tx: T) -> alloy_consensus::Signed<T> {
        let signature = sign_hash(key, tx.signature_hash());
        tx.into_signed(signature)
    }
    match transaction {
        Transaction::Legacy(tx) => Transaction::Legacy(signed(key, tx.strip_signature())),
        Transaction::Eip2930(tx) => Transaction::Eip2930(signed(key, tx.strip_signature())),
        Transaction::Eip1559(tx) => Transaction::Eip1559(signed(key, tx.strip_signature())),
        Transaction::Eip4844(tx) => Transaction::Eip4844(signed(key, tx.strip_signature())),
        Transaction::Eip7702(tx) => Transaction::Eip7702(signed(key, tx.strip_signature())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_keys_are_those_of_the_funded_accounts() {
        for (address, key) in DEV_ACCOUNTS.iter().zip(DEV_KEYS) {
            let public =
                SecretKey::from_byte_array(key.0).unwrap().public_key(SECP256K1).serialize_uncompressed();
            assert_eq!(Address::from_raw_public_key(&public[1..]), *address);
        }
    }

    #[test]
    fn a_signed_message_recovers_to_its_signer() {
        let message = b"portico";
        let bytes = sign_message(DEV_ACCOUNTS[3], message).unwrap();
        let signature = Signature::from_raw(&bytes).unwrap();
        assert_eq!(signature.recover_address_from_msg(message).unwrap(), DEV_ACCOUNTS[3]);
        assert_eq!(sign_message(Address::ZERO, message), None);
    }
}
