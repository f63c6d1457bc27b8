//! The transaction pool, as far as clients see it: sending, and what waits.

use std::{fmt::Debug, sync::Arc, time::SystemTime};

use alloy_consensus::{Transaction as _, constants::KECCAK_EMPTY};
use alloy_primitives::{Address, B256, U256};
use portico_evm::ReadError;
use portico_state::StateError;
use portico_txpool::{
    AccountCode, AccountReader, AddOutcome, NetworkTransaction, Origin, Pool, PoolAccount, PoolTransaction,
    decode_network_transaction,
};

use crate::{Query, QueryError, Snapshot};

/// Seconds since 1970: the pool judges by the block that is built now.
#[expect(clippy::disallowed_methods, reason = "what comes in is judged by when it comes")]
pub fn seconds_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// Who makes blocks for transactions as they come.
pub trait SubmitObserver: Debug + Send + Sync {
    /// One of our users sent a transaction that a block could execute; they are told when this returns.
    fn submitted(&self);
}

impl Query {
    /// Says who is told of transactions that our users send. Only the first one counts.
    pub fn set_submit_observer(&self, observer: Arc<dyn SubmitObserver>) {
        let is_first = self.inner.submit_observer.set(observer).is_ok();
        debug_assert!(is_first, "a node makes blocks in one place");
    }

    /// The transaction pool, if this node has one.
    pub fn pool(&self) -> Option<&Arc<Pool>> {
        self.inner.pool.get()
    }

    /// Gives this node a pool. Only the first one counts.
    pub fn set_pool(&self, pool: Arc<Pool>) {
        // A second one is a mistake of whoever starts the node; the first has been handed out already.
        let is_first = self.inner.pool.set(pool).is_ok();
        debug_assert!(is_first, "a node has one pool");
    }
}

impl Snapshot<'_> {
    /// The transaction pool, if this node has one.
    pub fn pool(&self) -> Option<&Arc<Pool>> {
        self.query.pool()
    }

    /// Takes a transaction from one of our users: EIP-2718, blobs with their sidecar.
    ///
    /// # Errors
    /// [`QueryError::Pool`] when it is refused, [`QueryError::FeeAboveCap`] and [`QueryError::Unprotected`] when it
    /// looks like a mistake, [`QueryError::NoPool`].
    pub fn submit(&self, bytes: &[u8]) -> Result<AddOutcome, QueryError> {
        let pool = self.pool().ok_or(QueryError::NoPool)?;
        let transaction = decode_network_transaction(bytes)?;
        self.check_mistakes(&transaction)?;
        let outcome = pool.add(Origin::Local, transaction, self, seconds_now())?;
        if outcome.is_pending
            && let Some(observer) = self.query.inner.submit_observer.get()
        {
            observer.submitted();
        }
        Ok(outcome)
    }

    /// What the network would take, and its sender may regret.
    fn check_mistakes(&self, transaction: &NetworkTransaction) -> Result<(), QueryError> {
        let settings = self.settings();
        let price = transaction.max_fee_per_gas();
        let fee = U256::from(price).saturating_mul(U256::from(transaction.gas_limit()));
        let cap = U256::from(settings.tx_fee_max);
        if settings.tx_fee_max > 0 && fee > cap {
            return Err(QueryError::FeeAboveCap { fee, cap });
        }
        if !settings.unprotected_allowed && !transaction.is_replay_protected() {
            return Err(QueryError::Unprotected);
        }
        Ok(())
    }

    /// The nonce of an account's next transaction: after those of the pool that can be executed.
    pub fn pending_nonce(&self, address: Address) -> Result<u64, QueryError> {
        let next = self.account(&address, self.head)?.unwrap_or_default().nonce;
        let pending = self.pool().and_then(|pool| pool.next_nonce(address));
        Ok(pending.map_or(next, |pending| pending.max(next)))
    }

    /// A transaction that waits for a block.
    pub fn pooled_transaction(&self, hash: &B256) -> Option<Arc<PoolTransaction>> {
        self.pool()?.get(hash)
    }

    /// All transactions that a block could execute, by account and nonce.
    pub fn pending_transactions(&self) -> Vec<Arc<PoolTransaction>> {
        let contents = self.pool().map(|pool| pool.contents()).unwrap_or_default();
        contents.pending.into_values().flatten().collect()
    }
}

/// As of the head.
impl AccountReader for Snapshot<'_> {
    fn accounts(&self, addresses: &[Address]) -> Result<Vec<PoolAccount>, ReadError> {
        let mut state = self.state_at(self.head).map_err(ReadError::new)?;
        let mut read = |address: &Address| -> Result<PoolAccount, StateError> {
            let Some(account) = state.account(address)? else { return Ok(PoolAccount::default()) };
            let code = if account.code_hash == KECCAK_EMPTY {
                AccountCode::None
            } else {
                AccountCode::of(&state.code(&account.code_hash)?.unwrap_or_default())
            };
            Ok(PoolAccount { nonce: account.nonce, balance: account.balance, code })
        };
        Ok(addresses.iter().map(&mut read).collect::<Result<_, _>>()?)
    }
}
