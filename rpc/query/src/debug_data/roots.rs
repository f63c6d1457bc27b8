//! State roots within a block.

use alloy_primitives::{B256, keccak256};
use portico_chain::read_checkpoint;
use portico_evm::{BlockExecution, BlockRules, OverlayWrites, WrittenSlot};
use portico_state::{iter_account_changes, iter_storage_changes};
use portico_trie::{HashedOverlay, TrieUpdates, overlay_root};
use revm::inspector::NoOpInspector;

use crate::{FullBlock, QueryError, Snapshot};

impl Snapshot<'_> {
    /// The state root after each transaction of a canonical block.
    ///
    /// The newest state is taken back to the block first, in memory, by what each block since then changed.
    ///
    /// # Errors
    /// [`QueryError::ChangesGone`] when those changes are not kept; [`QueryError::GenesisNotTraceable`];
    /// [`QueryError::TimedOut`].
    pub fn intermediate_roots(&self, block: &FullBlock) -> Result<Vec<B256>, QueryError> {
        let parts = &block.parts;
        let parent = parts.header.number.checked_sub(1).ok_or(QueryError::GenesisNotTraceable)?;
        let before = self.taken_back_to(parent)?;
        let (_, nodes) = overlay_root(&self.txn, &before, &TrieUpdates::default(), &before.changed_keys())?;
        let mut overlay = self.overlay_below(block)?.ok_or(QueryError::GenesisNotTraceable)?;
        overlay.begin_block(parts.header.number);
        let rules = BlockRules::new(self.spec(), self.block_context(&parts.header)?);
        let mut execution = BlockExecution::begin(&mut overlay, rules, block.input(), NoOpInspector)?;
        let mut roots = Vec::with_capacity(parts.transactions.len());
        for (transaction, sender) in parts.transactions.iter().zip(&block.senders) {
            self.check_deadline()?;
            execution.transaction(transaction, *sender)?;
            let so_far = hashed(&execution.overlay().to_writes());
            let mut state = before.clone();
            state.extend(&so_far);
            roots.push(overlay_root(&self.txn, &state, &nodes, &so_far.changed_keys())?.0);
        }
        Ok(roots)
    }

    /// The difference between the newest hashed state and that after `block_number`.
    fn taken_back_to(&self, block_number: u64) -> Result<HashedOverlay, QueryError> {
        let executed = read_checkpoint(&self.txn, "Execution")?;
        let mut before = HashedOverlay::new();
        if block_number >= executed {
            return Ok(before);
        }
        let since = block_number + 1..=executed;
        self.check_changes(block_number + 1)?;
        // The first change since then has the value of then.
        let mut seen = std::collections::HashSet::new();
        iter_account_changes(&self.txn, since.clone(), |_, change| {
            self.check_deadline()?;
            if seen.insert(change.address) {
                before.set_account(keccak256(change.address), change.before);
            }
            Ok::<_, QueryError>(())
        })?;
        let mut seen = std::collections::HashSet::new();
        iter_storage_changes(&self.txn, since, |_, change| {
            self.check_deadline()?;
            if seen.insert((change.address, change.slot)) {
                before.set_slot(keccak256(change.address), keccak256(change.slot), change.before);
            }
            Ok::<_, QueryError>(())
        })?;
        Ok(before)
    }
}

/// What was written, by the hashes of its keys.
fn hashed(writes: &OverlayWrites) -> HashedOverlay {
    let mut hashed = HashedOverlay::new();
    for written in &writes.accounts {
        let hashed_address = keccak256(written.address);
        if let Some(account) = written.account {
            hashed.set_account(hashed_address, account);
        }
        if written.wipe_storage {
            hashed.wipe_storage(hashed_address);
        }
        for WrittenSlot { slot, value, .. } in &written.slots {
            hashed.set_slot(hashed_address, keccak256(slot), *value);
        }
    }
    hashed
}
