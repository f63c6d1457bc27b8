//! The state root: accounts as leaves, each with the root of its storage trie.

use alloy_primitives::B256;
use portico_db::{DbError, TransactionKind, Txn};

use crate::{
    ChangedKeys, HashedOverlay, TrieUpdates,
    builder::Builder,
    changed::SortedChanges,
    error::TrieError,
    path::Path,
    proof::Recorder,
    row::{Row, RowBuffer},
    source::{AccountLeaves, AccountNodes, Leaves, Nodes, StorageNodes, View, successor},
    storage::{ChangedStorage, StorageTries, changed_storages},
    updates::{NodeChanges, StorageTrieUpdates, difference},
    walker::{LeafFeed, Part, Walker, join_children, walk_children},
};

/// From this many changed accounts on, the state trie is worth several threads. (Tests want both ways.)
const PARALLEL_ACCOUNTS: usize = if cfg!(test) { 6 } else { 128 };

/// The root of the hashed state in `txn`, of which the trie tables describe an earlier one that differs in at most
/// the leaves of `changed`; and how the trie tables follow.
///
/// Reads the stored nodes on the way to what changed and the leaves next to it, nothing else. Trie tables that are
/// empty are as good as any: then everything is read (but [`rebuild`](crate::rebuild) does that in bounded memory).
///
/// The updates are held in memory, about a kilobyte for each changed leaf. Where that is too much, the keys can be
/// given in parts, in any order, each part's updates written before the next call; the last root is the one.
///
/// # Errors
/// When the database fails or a row is damaged.
pub fn incremental_root<K: TransactionKind>(
    txn: &Txn<'_, K>,
    changed: &ChangedKeys,
) -> Result<(B256, TrieUpdates), TrieError> {
    update(View { txn, state: None, nodes: None }, changed)
}

/// The root of the hashed state in `txn` under `overlay`, and how the trie follows.
///
/// The trie to start from is that of the tables under `node_overlay`: the updates of earlier blocks that are not
/// written either. It differs in at most the leaves of `changed`: those of the last block, when `node_overlay` has
/// the updates of all the others; [`HashedOverlay::changed_keys`], when it is empty.
///
/// # Errors
/// As [`incremental_root`].
pub fn overlay_root<K: TransactionKind>(
    txn: &Txn<'_, K>,
    overlay: &HashedOverlay,
    node_overlay: &TrieUpdates,
    changed: &ChangedKeys,
) -> Result<(B256, TrieUpdates), TrieError> {
    let nodes = (!node_overlay.is_empty()).then_some(node_overlay);
    update(View { txn, state: Some(overlay), nodes }, changed)
}

fn update<K: TransactionKind>(
    view: View<'_, K>,
    changed: &ChangedKeys,
) -> Result<(B256, TrieUpdates), TrieError> {
    let changed = changed.sorted();
    let storages = changed_storages(view, &changed)?;
    let (root, accounts, gone) = state_trie(view, &storages, &changed)?;
    let storages = storages
        .into_iter()
        .map(|storage| (storage.hashed_address, storage.updates))
        .filter(|(_, updates)| updates.wiped || !updates.nodes.is_empty())
        .collect();
    let mut updates = TrieUpdates { accounts, storages };
    drop_storages(view, &gone, &mut updates)?;
    Ok((root, updates))
}

/// The root of the trie that `view` shows, and the nodes on the way to accounts, whose keys are sorted.
pub(crate) fn prove_accounts<K: TransactionKind>(
    view: View<'_, K>,
    hashed_addresses: &[B256],
) -> Result<(B256, Recorder), TrieError> {
    let mut builder = Builder::new();
    builder.recorder = Recorder::of(hashed_addresses.to_vec());
    let first = account_nodes(view)?.seek(&Path::default())?;
    account_walker(view, &[], &mut builder)?.trie(first, hashed_addresses)?;
    let root = builder.root();
    Ok((root, builder.recorder))
}

/// Whether it is faster to rebuild than to update, when `changed` of all `leaves` (accounts and slots) changed.
///
/// A rebuild costs about a tenth of an update for each leaf, and is the same work whatever changed.
pub fn prefers_rebuild(changed: usize, leaves: usize) -> bool {
    changed > leaves / 10
}

type StateTrie = (B256, NodeChanges, Vec<B256>);

/// The root, how rows change, and which of the changed accounts do not exist.
fn state_trie<K: TransactionKind>(
    view: View<'_, K>,
    storages: &[ChangedStorage],
    changed: &SortedChanges,
) -> Result<StateTrie, TrieError> {
    let accounts = &changed.accounts;
    let mut builder = Builder::new();
    let first = account_nodes(view)?.seek(&Path::default())?;
    if let Some((path, row)) = &first
        && path.is_empty()
    {
        match row.root_hash() {
            Some(root) if accounts.is_empty() => return Ok((root, NodeChanges::new(), Vec::new())),
            _ if accounts.len() >= PARALLEL_ACCOUNTS => {
                return state_trie_in_parallel(view, storages, accounts, row);
            }
            _ => {}
        }
    }
    let mut walker = account_walker(view, storages, &mut builder)?;
    walker.trie(first, accounts)?;
    let (visited, gone) = (walker.visited, walker.leaves.gone);
    Ok((builder.root(), difference(&visited, &builder.rows), gone))
}

fn state_trie_in_parallel<K: TransactionKind>(
    view: View<'_, K>,
    storages: &[ChangedStorage],
    accounts: &[B256],
    root: &Row,
) -> Result<StateTrie, TrieError> {
    let mut parts = walk_children(root, accounts, |nibble, changed| {
        let mut builder = Builder::new();
        let mut walker = account_walker(view, storages, &mut builder)?;
        walker.child(&Path::default(), root, nibble, changed)?;
        let (visited, gone) = (walker.visited, walker.leaves.gone);
        Ok(Part { top: builder.finish(), made: builder.rows, visited, gone })
    })?;
    let mut builder = Builder::new();
    let visited = join_children(&mut builder, root, &parts);
    let gone = parts.iter_mut().flat_map(|part| std::mem::take(&mut part.gone)).collect();
    Ok((builder.root(), difference(&visited, &builder.rows), gone))
}

/// Deletes what is stored of the storage tries of accounts that do not exist.
fn drop_storages<K: TransactionKind>(
    view: View<'_, K>,
    gone: &[B256],
    updates: &mut TrieUpdates,
) -> Result<(), TrieError> {
    if gone.is_empty() {
        return Ok(());
    }
    let mut cursor = view.txn.cursor()?;
    for hashed_address in gone {
        let overlay = view.nodes.and_then(|nodes| nodes.storages.get(hashed_address));
        let mut nodes = StorageNodes { cursor: &mut cursor, hashed_address: *hashed_address, overlay };
        updates.storages.remove(hashed_address);
        if nodes.seek(&Path::default())?.is_some() {
            let wiped = StorageTrieUpdates { wiped: true, nodes: NodeChanges::new() };
            updates.storages.insert(*hashed_address, wiped);
        }
    }
    Ok(())
}

fn account_nodes<K: TransactionKind>(view: View<'_, K>) -> Result<AccountNodes<'_, K>, DbError> {
    Ok(AccountNodes { cursor: view.txn.cursor()?, overlay: view.nodes.map(|nodes| &nodes.accounts) })
}

type AccountWalker<'b, 'a, K> = Walker<'b, AccountNodes<'a, K>, AccountFeed<'a, K>>;

fn account_walker<'b, 'a, K: TransactionKind>(
    view: View<'a, K>,
    storages: &'a [ChangedStorage],
    builder: &'b mut Builder,
) -> Result<AccountWalker<'b, 'a, K>, TrieError> {
    let overlay = view.state.map(|state| &state.accounts);
    let leaves = AccountFeed {
        accounts: Leaves::new(AccountLeaves(view.txn.cursor()?), overlay),
        changed_storages: storages,
        storages: StorageTries::new(view)?,
        gone: Vec::new(),
    };
    Ok(Walker { nodes: account_nodes(view)?, leaves, builder, visited: RowBuffer::default() })
}

/// Accounts as leaves.
struct AccountFeed<'a, K: TransactionKind> {
    accounts: Leaves<'a, AccountLeaves<'a, K>>,
    changed_storages: &'a [ChangedStorage],
    storages: StorageTries<'a, K>,
    /// Changed accounts that were looked for and are not there.
    gone: Vec<B256>,
}

impl<K: TransactionKind> AccountFeed<'_, K> {
    fn storage_root(&mut self, hashed_address: &B256) -> Result<B256, TrieError> {
        match self.changed_storages.binary_search_by_key(hashed_address, |storage| storage.hashed_address) {
            Ok(index) => Ok(self.changed_storages[index].root),
            Err(_) => self.storages.unchanged_root(hashed_address),
        }
    }
}

impl<K: TransactionKind> LeafFeed for AccountFeed<'_, K> {
    fn feed(&mut self, prefix: &Path, changed: &[B256], builder: &mut Builder) -> Result<(), TrieError> {
        let mut changed = changed.iter().peekable();
        let mut from = *prefix.first_key();
        while let Some((key, account)) = self.accounts.seek(&from)?.filter(|(key, _)| prefix.covers(key)) {
            while let Some(gone) = changed.next_if(|changed| **changed < key) {
                self.gone.push(*gone);
            }
            changed.next_if(|changed| **changed == key);
            let storage_root = self.storage_root(&key)?;
            builder.account(&key, &account, storage_root);
            let Some(next) = successor(&key) else { break };
            from = next;
        }
        self.gone.extend(changed);
        Ok(())
    }
}
