//! Trie nodes, and the state root against the header's.

use alloy_consensus::EMPTY_ROOT_HASH;
use alloy_primitives::{Address, B256, keccak256};
use portico_chain::{ChainError, canonical_hash, read_header};
use portico_db::RwTxn;
use portico_state::{hashed_leaf_count, iter_account_changes, iter_storage_changes};
use portico_trie::{ChangedKeys, TrieError, incremental_root, rebuild};
use rayon::prelude::*;

use crate::{BlockRange, Counters, InvalidReason, Stage, StageContext, StageError, StageId, StageOutput};

/// See the module.
#[derive(Debug, Default)]
pub struct Trie;

/// Below this many changed leaves a rebuild never pays.
const REBUILD_LEAVES_MIN: u64 = 10_000;

impl Stage for Trie {
    fn id(&self) -> StageId {
        StageId::Trie
    }

    fn forward(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        range: BlockRange,
    ) -> Result<StageOutput, StageError> {
        let rows = update(context, txn, range, range.to)?;
        Ok(StageOutput { reached: range.to, counters: Counters { rows, ..Counters::default() } })
    }

    fn unwind(
        &mut self,
        context: &StageContext<'_>,
        txn: &RwTxn<'_>,
        range: BlockRange,
    ) -> Result<(), StageError> {
        update(context, txn, range, range.done).map(drop)
    }

    /// The trie has no history.
    fn prune(&mut self, _: &StageContext<'_>, _: &RwTxn<'_>, _: u64) -> Result<(), StageError> {
        Ok(())
    }
}

/// Brings the trie to the hashed state, which the blocks in `range` changed and which is that after `block_number`.
fn update(
    context: &StageContext<'_>,
    txn: &RwTxn<'_>,
    range: BlockRange,
    block_number: u64,
) -> Result<u64, StageError> {
    let (root, rows) = update_root(context, txn, range)?;
    check_root(txn, block_number, root)?;
    Ok(rows)
}

/// Brings the trie to the hashed state, which the blocks in `range` changed; gives its root and the rows written.
pub(crate) fn update_root(
    context: &StageContext<'_>,
    txn: &RwTxn<'_>,
    range: BlockRange,
) -> Result<(B256, u64), StageError> {
    let changed = Changed::read(txn, range)?;
    if is_rebuild_cheaper(context, txn, changed.len())? {
        return Ok((rebuild_trie(context, txn)?, 0));
    }
    update_in_parts(context, txn, &changed)
}

/// Gives the root and the number of rows written. Updates are held in memory, about a kilobyte for each leaf, so
/// many leaves are done in parts.
fn update_in_parts(
    context: &StageContext<'_>,
    txn: &RwTxn<'_>,
    changed: &Changed,
) -> Result<(B256, u64), StageError> {
    let mut rows = 0;
    let mut root = EMPTY_ROOT_HASH;
    for keys in changed.parts() {
        context.stop.check()?;
        let (partial, updates) = incremental_root(txn, &keys).map_err(stopped)?;
        updates.write(txn)?;
        rows += updates.len() as u64;
        root = partial;
    }
    Ok((root, rows))
}

fn is_rebuild_cheaper(
    context: &StageContext<'_>,
    txn: &RwTxn<'_>,
    changed: usize,
) -> Result<bool, StageError> {
    let changed = changed as u64;
    if changed < REBUILD_LEAVES_MIN {
        return Ok(false);
    }
    let leaves = hashed_leaf_count(txn)?;
    Ok(changed.saturating_mul(1000) > leaves.saturating_mul(context.settings.trie_rebuild_permille))
}

/// All nodes from the hashed state; gives its root.
pub(crate) fn rebuild_trie(context: &StageContext<'_>, txn: &RwTxn<'_>) -> Result<B256, StageError> {
    rebuild(txn, context.stop.flag(), &mut |_| {}).map_err(stopped)
}

fn stopped(error: TrieError) -> StageError {
    if matches!(error, TrieError::Stopped) { StageError::Stopped } else { error.into() }
}

/// # Errors
/// [`StageError::InvalidBlock`] when the header at `block_number` has another root.
pub(crate) fn check_root(txn: &RwTxn<'_>, block_number: u64, root: B256) -> Result<(), StageError> {
    let missing = |what| ChainError::Missing { what, block_number };
    let header = read_header(txn, block_number)?.ok_or_else(|| missing("header"))?;
    if header.state_root == root {
        return Ok(());
    }
    let hash = canonical_hash(txn, block_number)?.ok_or_else(|| missing("hash"))?;
    let reason = Box::new(InvalidReason::StateRoot { expected: header.state_root, got: root });
    Err(StageError::InvalidBlock { number: block_number, hash, reason })
}

/// The hashed keys of what some blocks changed.
struct Changed {
    accounts: Vec<B256>,
    slots: Vec<(B256, B256)>,
}

/// Leaves that are updated together.
const PART_LEAVES: usize = 1 << 17;
/// Keys that one worker hashes at a time, at least.
const HASH_TASK: usize = 512;

impl Changed {
    fn read(txn: &RwTxn<'_>, range: BlockRange) -> Result<Self, StageError> {
        let mut accounts: Vec<Address> = Vec::new();
        iter_account_changes(txn, range.blocks(), |_, change| {
            accounts.push(change.address);
            Ok::<(), StageError>(())
        })?;
        accounts.par_sort_unstable();
        accounts.dedup();
        let mut slots: Vec<(Address, B256)> = Vec::new();
        iter_storage_changes(txn, range.blocks(), |_, change| {
            slots.push((change.address, change.slot));
            Ok::<(), StageError>(())
        })?;
        slots.par_sort_unstable();
        slots.dedup();
        Ok(Self {
            accounts: accounts.par_iter().with_min_len(HASH_TASK).map(keccak256).collect(),
            slots: slots
                .par_iter()
                .with_min_len(HASH_TASK)
                .map(|(address, slot)| (keccak256(address), keccak256(slot)))
                .collect(),
        })
    }

    fn len(&self) -> usize {
        self.accounts.len() + self.slots.len()
    }

    /// All keys, at least one part even when there are none.
    fn parts(&self) -> Vec<ChangedKeys> {
        let mut parts = vec![ChangedKeys::new()];
        let room = |parts: &mut Vec<ChangedKeys>| {
            if parts.last().is_none_or(|part| part.len() == PART_LEAVES) {
                parts.push(ChangedKeys::new());
            }
            parts.len() - 1
        };
        for account in &self.accounts {
            let part = room(&mut parts);
            parts[part].add_account(*account);
        }
        for (account, slot) in &self.slots {
            let part = room(&mut parts);
            parts[part].add_slot(*account, *slot);
        }
        parts
    }
}
