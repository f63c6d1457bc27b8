//! A network of one node for developers: it makes blocks when there are transactions, or by the clock, or when it is
//! told to, and signs for accounts whose keys everybody knows.
//!
//! A snapshot is a block: going back to it makes it the head again.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use alloy_consensus::SignableTransaction;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, U256, eip191_hash_message};
use crossbeam_channel::{Receiver, Sender};
use portico_chain::Transaction;
use portico_chainspec::{DEV_ACCOUNTS, DEV_KEYS};
use portico_query::{CallRequest, Forkchoice, QueryError, ReceiptAt, Snapshot, SubmitObserver};
use portico_stages::{BuiltBlock, Verdict};
use secp256k1::{Message, SECP256K1, SecretKey};

use crate::{Engine, EngineError, clock::system_now, jobs::FromPool, pending::next_attributes};

/// When blocks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DevSettings {
    /// By the clock; without it as soon as there are transactions.
    pub period: Option<Duration>,
}

/// Intervals between blocks from which on they are in milliseconds.
const MILLISECONDS_MIN: u64 = 1_000;
/// Blocks that one call makes.
const MINE_MAX: u64 = 1_000;
/// How long the thread waits before it looks whether it is to end, or a block is due.
const PATIENCE: Duration = Duration::from_millis(200);
/// Between two looks for a receipt.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
/// News of the pool that may wait for the thread.
const NEWS_MAX: usize = 1_024;

/// See the module. Clones share everything.
#[derive(Debug, Clone)]
pub struct Dev(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    engine: Engine,
    state: Mutex<State>,
    /// Held by whoever makes a block or goes back: each builds upon what the one before left.
    making: Mutex<()>,
    /// Tells the thread that there is something to look at.
    wake: Sender<()>,
}

#[derive(Debug)]
struct State {
    /// Whether blocks are made for transactions.
    automatic: bool,
    period: Option<Duration>,
    /// How many transactions had been announced when no block could take any of those that wait: they are tried again
    /// when there are more.
    tried: Option<u64>,
    /// Heads to go back to.
    snapshots: Vec<DevSnapshot>,
    /// How many snapshots there were in all: none has the number of another one.
    snapshots_taken: u64,
    stopped: bool,
}

/// Has blocks made for what is sent before its sender is told: the receipt is there when they ask for it, as other networks
/// for developers have it.
#[derive(Debug)]
struct Automatic(Weak<Shared>);

impl SubmitObserver for Automatic {
    fn submitted(&self) {
        let Some(shared) = self.0.upgrade() else { return };
        if let Err(error) = Dev(shared).mine_waiting() {
            tracing::warn!(%error, "no block could be made");
        }
    }
}

/// A head to go back to, with the clock of then.
#[derive(Debug, Clone, Copy)]
struct DevSnapshot {
    number: u64,
    head: B256,
    ahead: i64,
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
        let hash = tip.head().1;
        let header = tip.header(&hash)?.ok_or_else(|| unknown("there is no head"))?;
        if next_attributes(tip.spec(), &header, hash, system_now()).is_none() {
            let what =
                "a dev network makes blocks of after the merge: set terminalTotalDifficulty to 0 in genesis";
            return Err(EngineError::UnsupportedFork(what.to_owned()));
        }
        let state = State {
            automatic: settings.period.is_none(),
            period: settings.period,
            tried: None,
            snapshots: Vec::new(),
            snapshots_taken: 0,
            stopped: false,
        };
        let (wake, woken) = crossbeam_channel::bounded(1);
        let (state, making) = (Mutex::new(state), Mutex::new(()));
        let dev = Self(Arc::new(Shared { engine, state, making, wake }));
        dev.0.engine.drive();
        let automatic = Automatic(Arc::downgrade(&dev.0));
        dev.0.engine.query().set_submit_observer(Arc::new(automatic));
        let worker = dev.clone();
        let run = move || worker.run(&woken);
        std::thread::Builder::new().name("dev".to_owned()).spawn(run).map_err(unknown)?;
        Ok(dev)
    }

    /// Ends making blocks.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.wake();
    }

    /// Has the thread look at once. One that is about to look anyway needs no second call.
    fn wake(&self) {
        let _ = self.0.wake.try_send(());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, woken: &Receiver<()>) {
        let Some(pool) = self.0.engine.query().pool().cloned() else { return };
        let mut news = pool.subscribe(NEWS_MAX);
        loop {
            let State { period, stopped, .. } = *self.lock();
            if stopped {
                return;
            }
            let is_due = period.is_some_and(|period| self.seconds_since_head() >= period.as_secs_f64());
            // What was left in the pool's journal is mined as well.
            let made = if is_due { self.mine(1) } else { self.mine_waiting() };
            if let Err(error) = made {
                tracing::warn!(%error, "no block could be made");
                std::thread::sleep(PATIENCE);
            }
            crossbeam_channel::select! {
                recv(news) -> told => match told {
                    Ok(_) => while news.try_recv().is_ok() {},
                    // Who does not keep up is forgotten.
                    Err(_) => news = pool.subscribe(NEWS_MAX),
                },
                recv(woken) -> _ => {}
                default(PATIENCE) => {}
            }
        }
    }

    fn seconds_since_head(&self) -> f64 {
        let tip = self.0.engine.tip();
        let Ok(Some(header)) = tip.header(&tip.head().1) else { return 0.0 };
        (self.0.engine.clock().now() as f64) - (header.timestamp as f64)
    }

    /// Makes blocks, each upon the one before, from what the pool has.
    ///
    /// # Errors
    /// When no valid block can be made, or the database fails.
    pub(crate) fn mine(&self, blocks: u64) -> Result<(), EngineError> {
        if blocks > MINE_MAX {
            return Err(EngineError::TooLarge { asked: blocks, max: MINE_MAX });
        }
        (0..blocks).try_for_each(|_| self.make_block(&self.making()))
    }

    /// Makes blocks for what the pool has, as long as there is something new and they take it in.
    fn mine_waiting(&self) -> Result<(), EngineError> {
        let Some(pool) = self.0.engine.query().pool() else { return Ok(()) };
        let making = self.making();
        loop {
            let announced = pool.announced();
            let State { automatic, stopped, tried, .. } = *self.lock();
            if stopped || !automatic || tried == Some(announced) || pool.status().pending == 0 {
                return Ok(());
            }
            // What did not fit goes into the next one.
            let took_some = self.make_block_of_some(&making)?;
            self.lock().tried = (!took_some).then_some(announced);
        }
    }

    /// Makes a block, with transactions or without.
    fn make_block(&self, making: &MutexGuard<'_, ()>) -> Result<(), EngineError> {
        let built = self.build_block(making)?;
        self.adopt(&built)
    }

    /// Makes a block if it has transactions; says whether it has. What waits may be too cheap for any block.
    fn make_block_of_some(&self, making: &MutexGuard<'_, ()>) -> Result<bool, EngineError> {
        let built = self.build_block(making)?;
        let has_some = !built.block.transactions.is_empty();
        if has_some {
            self.adopt(&built)?;
        }
        Ok(has_some)
    }

    /// The block after the head, from what the pool has; nobody knows of it yet.
    fn build_block(&self, _making: &MutexGuard<'_, ()>) -> Result<BuiltBlock, EngineError> {
        let engine = &self.0.engine;
        let (tip, query) = (engine.tip(), engine.query());
        query.follow_head().map_err(unknown)?;
        let (_, parent) = tip.head();
        let header = tip.header(&parent)?.ok_or_else(|| unknown("there is no head"))?;
        let timestamp = engine.clock().next_after(header.timestamp);
        let (fork, attributes) = next_attributes(tip.spec(), &header, parent, timestamp)
            .ok_or_else(|| unknown("the next block is to be mined"))?;
        let build = engine.build_attributes(fork, attributes);
        let pool = query.pool().ok_or_else(|| unknown("there is no transaction pool"))?;
        let mut source = FromPool::new(pool, tip.spec(), &header, timestamp, fork);
        tip.build(&parent, &build, &mut source)?.ok_or_else(|| unknown("the head is gone"))
    }

    /// Makes a block that was built the head.
    fn adopt(&self, built: &BuiltBlock) -> Result<(), EngineError> {
        let (engine, block) = (&self.0.engine, &built.block);
        engine.tip().adopt(built);
        self.choose(block.hash)?;
        engine.clock().made(block.header.timestamp);
        engine.query().follow_head().map_err(unknown)?;
        let (block_number, hash, transactions) = (block.header.number, block.hash, block.transactions.len());
        tracing::info!(block_number, %hash, transactions, gas = block.header.gas_used, "made a block");
        Ok(())
    }

    fn making(&self) -> MutexGuard<'_, ()> {
        self.0.making.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn choose(&self, hash: B256) -> Result<(), EngineError> {
        let engine = &self.0.engine;
        match engine.tip().set_head_in_time(hash)? {
            Verdict::Valid => {}
            Verdict::Missing | Verdict::Behind => return Err(unknown("the block is gone")),
            Verdict::Invalid { reason, .. } => return Err(unknown(reason)),
        }
        engine.query().set_forkchoice(Forkchoice { safe: Some(hash), finalized: Some(hash) });
        Ok(())
    }

    /// Remembers the head; gives the snapshot's number.
    pub(crate) fn snapshot(&self) -> u64 {
        // After a block that is being made.
        let _making = self.making();
        let (head, ahead) = (self.0.engine.tip().head().1, self.0.engine.clock().ahead());
        let mut state = self.lock();
        state.snapshots_taken += 1;
        let number = state.snapshots_taken;
        state.snapshots.push(DevSnapshot { number, head, ahead });
        number
    }

    /// Goes back to a snapshot, and forgets it and later ones; says whether there was one.
    pub(crate) fn revert(&self, number: u64) -> Result<bool, EngineError> {
        let _making = self.making();
        let DevSnapshot { head, ahead, .. } = {
            let mut state = self.lock();
            let Some(position) = state.snapshots.iter().position(|snapshot| snapshot.number == number) else {
                return Ok(false);
            };
            let snapshot = state.snapshots[position];
            state.snapshots.truncate(position);
            snapshot
        };
        self.0.engine.clock().reset(ahead);
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
        self.0.engine.clock().set_next(timestamp);
        Ok(())
    }

    /// Moves the clock; gives by how many seconds it is ahead now.
    pub(crate) fn increase_time(&self, seconds: u64) -> i64 {
        self.0.engine.clock().increase(seconds)
    }

    /// Makes blocks, each so many seconds after the one before; the first one by the clock.
    pub(crate) fn mine_every(&self, blocks: u64, seconds: u64) -> Result<(), EngineError> {
        if blocks > MINE_MAX {
            return Err(EngineError::TooLarge { asked: blocks, max: MINE_MAX });
        }
        for block in 0..blocks {
            if block > 0 && seconds > 0 {
                let tip = self.0.engine.tip();
                let header = tip.header(&tip.head().1)?.ok_or_else(|| unknown("there is no head"))?;
                self.0.engine.clock().set_next(header.timestamp.saturating_add(seconds));
            }
            self.make_block(&self.making())?;
        }
        Ok(())
    }

    /// Whether blocks are made for transactions.
    pub(crate) fn set_automatic(&self, automatic: bool) {
        self.lock().automatic = automatic;
        self.wake();
    }

    /// Makes blocks by the clock; with 0 no more. Anvil's users give seconds, Hardhat's milliseconds: nobody means a thousand
    /// seconds, nor many blocks in one.
    pub(crate) fn set_period(&self, interval: u64) {
        let period = match interval {
            0 => None,
            1..MILLISECONDS_MIN => Some(Duration::from_secs(interval)),
            MILLISECONDS_MIN.. => Some(Duration::from_millis(interval)),
        };
        let mut state = self.lock();
        state.period = period;
        drop(state);
        self.wake();
    }

    /// Signs and sends a transaction; what it lacks is filled in.
    pub(crate) fn send(&self, request: CallRequest) -> Result<B256, QueryError> {
        let query = self.0.engine.query();
        let snapshot = query.snapshot()?;
        let outcome = snapshot.submit(&sign(&snapshot, request)?.encoded_2718())?;
        Ok(outcome.hash)
    }

    /// [`Dev::send`] and waits for the receipt, so long at most; none when there is no block with it then.
    pub(crate) fn send_and_wait(
        &self,
        request: CallRequest,
        wait: Duration,
    ) -> Result<(B256, Option<ReceiptAt>), QueryError> {
        let hash = self.send(request)?;
        let began = Instant::now();
        loop {
            let receipt = self.0.engine.query().snapshot()?.receipt(&hash)?;
            if receipt.is_some() || began.elapsed() >= wait {
                return Ok((hash, receipt));
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
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
    Ok(sign_with(&key, snapshot.spec().chain_id(), snapshot.fill_transaction(request)?))
}

/// The transaction, with a signature by `key` in place of the one that it has. It is valid on the chain with this id only: a
/// legacy one, which has no place for it before it is signed, too (EIP-155).
pub fn sign_with(key: &SecretKey, chain_id: u64, transaction: Transaction) -> Transaction {
    fn signed<T: SignableTransaction<Signature>>(key: &SecretKey, tx: T) -> alloy_consensus::Signed<T> {
        let signature = sign_hash(key, tx.signature_hash());
        tx.into_signed(signature)
    }
    match transaction {
        Transaction::Legacy(tx) => {
            let mut tx = tx.strip_signature();
            tx.chain_id = Some(chain_id);
            Transaction::Legacy(signed(key, tx))
        }
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
