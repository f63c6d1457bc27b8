//! Blocks executed again on the state before them, with an inspector.

use alloy_primitives::{Address, B256, U256};
use portico_chain::canonical_hash;
use portico_db::{
    RO,
    models::{Account, StorageEntry},
};
use portico_evm::{BlockEvmContext, BlockExecution, BlockRules, Overlay, ReadError, StateReader, Traced};
use portico_state::StateAt;
use portico_tracers::Bounded;
use revm::Inspector;

use crate::{FullBlock, QueryError, Snapshot};

/// State after a block, and the hashes of the blocks up to it.
#[derive(Debug)]
pub(crate) struct StateBelow<'s, 'q> {
    state: StateAt<'s, 'q, RO>,
    snapshot: &'s Snapshot<'q>,
}

impl<'s, 'q> StateBelow<'s, 'q> {
    pub fn new(state: StateAt<'s, 'q, RO>, snapshot: &'s Snapshot<'q>) -> Self {
        Self { state, snapshot }
    }
}

impl StateReader for StateBelow<'_, '_> {
    fn account(&mut self, address: &Address) -> Result<Option<Account>, ReadError> {
        StateReader::account(&mut self.state, address)
    }

    fn storage(&mut self, address: &Address, slot: &B256) -> Result<U256, ReadError> {
        StateReader::storage(&mut self.state, address, slot)
    }

    fn slots(&mut self, address: &Address) -> Result<Vec<StorageEntry>, ReadError> {
        StateReader::slots(&mut self.state, address)
    }

    fn lists_slots(&self) -> bool {
        StateReader::lists_slots(&self.state)
    }

    fn has_storage(&mut self, address: &Address) -> Result<bool, ReadError> {
        StateReader::has_storage(&mut self.state, address)
    }

    fn code(&mut self, code_hash: &B256) -> Result<Vec<u8>, ReadError> {
        StateReader::code(&mut self.state, code_hash)
    }

    fn block_hash(&mut self, block_number: u64) -> Result<B256, ReadError> {
        let hash = canonical_hash(&self.snapshot.txn, block_number).map_err(ReadError::new)?;
        Ok(hash.unwrap_or_default())
    }
}

/// Which transactions of a block are traced; those before them are executed without an inspector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    One(u64),
}

impl Wanted {
    fn is_wanted(self, tx_index: u64) -> bool {
        match self {
            Self::All => true,
            Self::One(wanted) => tx_index == wanted,
        }
    }

    fn is_behind(self, tx_index: u64) -> bool {
        match self {
            Self::All => false,
            Self::One(wanted) => tx_index > wanted,
        }
    }
}

/// State before a block, on which it is executed again.
pub(crate) type OverlayBelow<'s, 'q> = Overlay<StateBelow<'s, 'q>>;

impl<'q> Snapshot<'q> {
    /// The state after a block, for an overlay on top.
    ///
    /// # Errors
    /// Those of [`Snapshot::state_at`].
    pub(crate) fn state_below(&self, block_number: u64) -> Result<StateBelow<'_, 'q>, QueryError> {
        Ok(StateBelow { state: self.state_at(block_number)?, snapshot: self })
    }

    /// The state before a block; genesis has none.
    ///
    /// # Errors
    /// Those of [`Snapshot::state_at`] for the parent.
    pub(crate) fn overlay_below(
        &self,
        block: &FullBlock,
    ) -> Result<Option<OverlayBelow<'_, 'q>>, QueryError> {
        let Some(parent) = block.parts.header.number.checked_sub(1) else { return Ok(None) };
        Ok(Some(Overlay::new(self.state_below(parent)?)))
    }

    /// Executes a block's transactions, and calls `finish` with each that is wanted, in order, before its changes are
    /// applied. Nothing is written anywhere.
    ///
    /// # Errors
    /// [`QueryError::TimedOut`] when the inspector's budget is spent; for a block that cannot be executed.
    pub(crate) fn replay<'o, 's, I, T>(
        &'s self,
        overlay: &'o mut OverlayBelow<'s, 'q>,
        block: &'o FullBlock,
        wanted: Wanted,
        inspector: Bounded<I>,
        mut finish: impl FnMut(u64, Traced<'_, StateBelow<'s, 'q>, Bounded<I>>) -> Result<T, QueryError>,
    ) -> Result<Vec<T>, QueryError>
    where
        's: 'o,
        Bounded<I>: Inspector<BlockEvmContext<'o, StateBelow<'s, 'q>>>,
    {
        let parts = &block.parts;
        let header = &parts.header;
        overlay.begin_block(header.number);
        let rules = BlockRules::new(self.spec(), self.block_context(header)?);
        let mut execution = BlockExecution::begin(overlay, rules, block.input(), inspector)?;
        let mut found = Vec::new();
        for (tx_index, (transaction, sender)) in (0..).zip(parts.transactions.iter().zip(&block.senders)) {
            self.check_deadline()?;
            if wanted.is_behind(tx_index) {
                break;
            }
            if !wanted.is_wanted(tx_index) {
                execution.transaction(transaction, *sender)?;
                continue;
            }
            match execution.trace(transaction, *sender, |traced| finish(tx_index, traced)) {
                Ok(result) => found.push(result?),
                Err(_) if execution.inspector_mut().was_stopped() => {
                    return Err(self.stopped(execution.inspector_mut()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }
}
