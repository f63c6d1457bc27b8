//! State within a block: after some of its transactions.

use std::collections::BTreeMap;

use alloy_evm::overrides::OverrideBlockHashes;
use alloy_primitives::{Address, B256, U256};
use portico_evm::{BlockExecution, BlockInput, BlockRules, Overlay, ReadError};
use revm::{
    Database, DatabaseCommit,
    bytecode::Bytecode,
    inspector::NoOpInspector,
    primitives::AddressMap,
    state::{Account as EvmAccount, AccountId, AccountInfo},
};

use crate::{
    FullBlock, QueryError, Snapshot,
    replay::{OverlayBelow, StateBelow},
};

/// State on which calls are run: as of a block, or within it. What they change stays here.
#[derive(Debug)]
pub(crate) struct ScratchState<'s, 'q> {
    pub overlay: OverlayBelow<'s, 'q>,
    /// Hashes that the caller wants instead of the canonical ones.
    block_hashes: BTreeMap<u64, B256>,
}

impl<'q> Snapshot<'q> {
    /// State after a canonical block; the number was resolved before.
    ///
    /// # Errors
    /// Those of [`Snapshot::state_at`].
    pub(crate) fn scratch_after(&self, block_number: u64) -> Result<ScratchState<'_, 'q>, QueryError> {
        let state = StateBelow::new(self.state_at(block_number)?, self);
        Ok(ScratchState { overlay: Overlay::new(state), block_hashes: BTreeMap::new() })
    }

    /// State before the transaction at `tx_index` of a block; after the last one for any larger index.
    ///
    /// # Errors
    /// [`QueryError::GenesisNotTraceable`]; those of [`Snapshot::state_at`] for the block before.
    pub(crate) fn scratch_within(
        &self,
        block: &FullBlock,
        tx_index: u64,
    ) -> Result<ScratchState<'_, 'q>, QueryError> {
        let mut overlay = self.overlay_below(block)?.ok_or(QueryError::GenesisNotTraceable)?;
        self.run_transactions(&mut overlay, block, tx_index)?;
        Ok(ScratchState { overlay, block_hashes: BTreeMap::new() })
    }

    /// Does what comes before a block's transactions, and executes the first `count` of them.
    fn run_transactions<'s>(
        &'s self,
        overlay: &mut OverlayBelow<'s, 'q>,
        block: &FullBlock,
        count: u64,
    ) -> Result<(), QueryError> {
        let parts = &block.parts;
        overlay.begin_block(parts.header.number);
        let rules = BlockRules::new(self.spec(), self.block_context(&parts.header)?);
        let mut execution = BlockExecution::begin(overlay, rules, block.input(), NoOpInspector)?;
        let signed = parts.transactions.iter().zip(&block.senders);
        for (transaction, sender) in signed.take(usize::try_from(count).unwrap_or(usize::MAX)) {
            self.check_deadline()?;
            execution.transaction(transaction, *sender)?;
        }
        Ok(())
    }
}

impl FullBlock {
    /// What executing the block needs of it.
    pub(crate) fn input(&self) -> BlockInput<'_> {
        let parts = &self.parts;
        BlockInput {
            header: &parts.header,
            transactions: &parts.transactions,
            senders: &self.senders,
            ommers: &parts.ommers,
            withdrawals: parts.withdrawals.as_deref(),
        }
    }
}

impl Database for ScratchState<'_, '_> {
    type Error = ReadError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, ReadError> {
        self.overlay.basic(address)
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, ReadError> {
        self.overlay.code_by_hash(code_hash)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, ReadError> {
        self.overlay.storage(address, slot)
    }

    fn storage_by_account_id(
        &mut self,
        address: Address,
        id: AccountId,
        slot: U256,
    ) -> Result<U256, ReadError> {
        self.overlay.storage_by_account_id(address, id, slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, ReadError> {
        match self.block_hashes.get(&number) {
            Some(hash) => Ok(*hash),
            None => self.overlay.block_hash(number),
        }
    }
}

impl DatabaseCommit for ScratchState<'_, '_> {
    fn commit(&mut self, changes: AddressMap<EvmAccount>) {
        self.overlay.commit(changes);
    }
}

impl OverrideBlockHashes for ScratchState<'_, '_> {
    fn override_block_hashes(&mut self, block_hashes: BTreeMap<u64, B256>) {
        self.block_hashes.extend(block_hashes);
    }
}
