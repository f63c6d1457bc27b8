//! State roots after single transactions, to which receipts before Byzantium commit.
//!
//! The hashed tables and the trie tables stand where the batch began, whose changes are laid over them: each root
//! costs as much as what its transaction changed.

use alloy_primitives::{B256, keccak256};
use portico_db::RwTxn;
use portico_evm::{
    BlockInput, BlockOutcome, BlockRules, ExecutionError, Overlay, StateReader, execute_block_by_transactions,
};
use portico_trie::{ChangedKeys, HashedOverlay, TrieUpdates, overlay_root};

use crate::StageError;

/// Trie rows held, about, per byte of the limit on an execution overlay.
const ROW_BYTES: usize = 700;
const LEAF_BYTES: usize = 150;

/// Why a block was not executed.
#[derive(Debug)]
pub(super) enum Fault {
    Execution(ExecutionError),
    Stage(StageError),
}

impl From<ExecutionError> for Fault {
    fn from(error: ExecutionError) -> Self {
        Self::Execution(error)
    }
}

/// The trie as the transactions so far leave it.
pub(super) struct StateRoots<'a, 'db> {
    txn: &'a RwTxn<'db>,
    state: HashedOverlay,
    nodes: TrieUpdates,
    leaves: usize,
}

impl<'a, 'db> StateRoots<'a, 'db> {
    /// On tables that stand where the batch begins.
    pub(super) fn new(txn: &'a RwTxn<'db>) -> Self {
        Self { txn, state: HashedOverlay::new(), nodes: TrieUpdates::default(), leaves: 0 }
    }

    /// Executes a block and gives the state root after each of its transactions.
    pub(super) fn execute_block<R: StateReader>(
        &mut self,
        overlay: &mut Overlay<R>,
        rules: BlockRules<'_>,
        input: BlockInput<'_>,
    ) -> Result<(BlockOutcome, Vec<B256>), Fault> {
        overlay.track_touched();
        let mut roots = Vec::with_capacity(input.transactions.len());
        let outcome = execute_block_by_transactions(overlay, rules, input, |overlay| {
            roots.push(self.next(overlay).map_err(Fault::Stage)?);
            Ok::<_, Fault>(())
        })?;
        Ok((outcome, roots))
    }

    /// The state root now, given everything that was set since the last call.
    fn next<R: StateReader>(&mut self, overlay: &mut Overlay<R>) -> Result<B256, StageError> {
        let mut later = HashedOverlay::new();
        let mut slots = Vec::new();
        overlay.take_touched(
            |address, account| later.set_account(keccak256(address), account),
            |address, slot, value| slots.push((*address, slot, value)),
        );
        for (address, slot, value) in slots {
            later.set_slot(keccak256(address), keccak256(slot), value);
        }
        let changed: ChangedKeys = later.changed_keys();
        self.leaves += changed.len();
        self.state.extend(&later);
        let (root, updates) = overlay_root(self.txn, &self.state, &self.nodes, &changed)?;
        self.nodes.extend(updates);
        Ok(root)
    }

    /// Memory taken, in bytes, about.
    pub(super) fn bytes(&self) -> usize {
        self.nodes.len() * ROW_BYTES + self.leaves * LEAF_BYTES
    }
}
