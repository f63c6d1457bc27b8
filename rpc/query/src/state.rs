//! Accounts, code and storage as of any block.

use alloy_consensus::constants::KECCAK_EMPTY;
use alloy_primitives::{Address, B256, Bytes, U256};
use portico_chain::read_checkpoint;
use portico_db::RO;
use portico_state::{Account, HistoryBounds, StateAt, StateError};

use crate::{Kept, QueryError, Snapshot};

impl<'q> Snapshot<'q> {
    /// The state after the canonical block with this number; the number was resolved before.
    ///
    /// # Errors
    /// [`QueryError::Pruned`], or [`QueryError::NotIndexed`] while history is behind execution.
    pub fn state_at(&self, block_number: u64) -> Result<StateAt<'_, 'q, RO>, QueryError> {
        let executed = read_checkpoint(&self.txn, "Execution")?;
        if block_number < executed {
            self.check_history(block_number, executed)?;
        }
        let bounds = HistoryBounds { first: 0, head: executed };
        Ok(StateAt::new(&self.txn, block_number, bounds)?)
    }

    /// The plain state is the newest executed one: what lies before it needs the changes of every block since.
    fn check_history(&self, block_number: u64, executed: u64) -> Result<(), QueryError> {
        self.check_kept(Kept::History, block_number)?;
        let (what, stage) = (Kept::History.name(), Kept::History.stage());
        let reached = read_checkpoint(&self.txn, stage)?;
        if reached >= executed {
            return Ok(());
        }
        Err(QueryError::NotIndexed { what, block_number, stage, reached })
    }

    /// An account after a block; `None` when it does not exist.
    pub fn account(&self, address: &Address, block_number: u64) -> Result<Option<Account>, QueryError> {
        Ok(self.state_at(block_number)?.account(address)?)
    }

    /// Code of an account after a block; empty when it has none.
    pub fn code(&self, address: &Address, block_number: u64) -> Result<Bytes, QueryError> {
        let mut state = self.state_at(block_number)?;
        let Some(account) = state.account(address)? else { return Ok(Bytes::new()) };
        let code_hash = account.code_hash;
        if code_hash == KECCAK_EMPTY {
            return Ok(Bytes::new());
        }
        let code = state.code(&code_hash)?;
        let code = code.ok_or(StateError::MissingCode { address: *address, code_hash })?;
        Ok(code.into())
    }

    /// A storage slot after a block; zero when it was never set.
    pub fn storage(&self, address: &Address, slot: &B256, block_number: u64) -> Result<U256, QueryError> {
        Ok(self.state_at(block_number)?.storage(address, slot)?)
    }
}
