//! State roots of simulated blocks: what each of them changed goes on top of the trie as of the block before.

use alloy_primitives::{B256, keccak256};
use portico_evm::{CallError, Overlay, ReadError};
use revm::Database;

use crate::{
    QueryError, Snapshot,
    past_trie::{Leaf, PastTrie},
    replay::StateBelow,
};

/// The trie under and of the simulated blocks.
pub(super) struct StateRoots<'s, 'q> {
    snapshot: &'s Snapshot<'q>,
    trie: PastTrie,
    root: B256,
    steps: u64,
}

impl<'s, 'q> StateRoots<'s, 'q> {
    /// Starts from a block's state.
    pub fn new(snapshot: &'s Snapshot<'q>, block_number: u64, state_root: B256) -> Result<Self, QueryError> {
        let trie = (*snapshot.past_trie(block_number)?).clone();
        Ok(Self { snapshot, trie, root: state_root, steps: 0 })
    }

    /// Changes from now on are in the next root.
    pub fn begin(&mut self, overlay: &mut Overlay<StateBelow<'s, 'q>>) {
        self.steps += 1;
        // The overlay tells changes apart by number, whatever it counts.
        overlay.begin_block(self.steps);
    }

    /// The root after all that changed since the last time.
    pub fn advance(&mut self, overlay: &mut Overlay<StateBelow<'s, 'q>>) -> Result<B256, QueryError> {
        let leaves = self.take_changes(overlay).map_err(CallError::from)?;
        self.begin(overlay);
        if let Some(root) = self.snapshot.update_trie(&mut self.trie, leaves)? {
            self.root = root;
        }
        Ok(self.root)
    }

    fn take_changes(&mut self, overlay: &mut Overlay<StateBelow<'s, 'q>>) -> Result<Vec<Leaf>, ReadError> {
        let changes = overlay.end_block();
        let state = &mut self.trie.state;
        let mut leaves = Vec::with_capacity(changes.accounts.len() + changes.storage.len());
        for address in overlay.take_unlisted_wipes() {
            let hashed_address = keccak256(address);
            state.wipe_storage(hashed_address);
            for (slot, value) in overlay.known_slots(&address) {
                state.set_slot(hashed_address, keccak256(slot), value);
            }
            leaves.push(Leaf::Wiped(hashed_address));
        }
        for change in &changes.accounts {
            let hashed_address = keccak256(change.address);
            state.set_account(hashed_address, overlay.known_account(change.address)?);
            leaves.push(Leaf::Account(hashed_address));
        }
        for change in &changes.storage {
            let (hashed_address, hashed_slot) = (keccak256(change.address), keccak256(change.slot));
            let value = overlay.storage(change.address, change.slot.into())?;
            state.set_slot(hashed_address, hashed_slot, value);
            leaves.push(Leaf::Slot(hashed_address, hashed_slot));
        }
        Ok(leaves)
    }
}
