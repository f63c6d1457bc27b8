//! Proofs: the nodes on the way from a root to where a key is, or to where it would be.
//!
//! A proof is an update in which nothing changed: the walker descends to the key as if it had, reads the leaves beside
//! it, and the builder makes the nodes above again. Those on the way are kept.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{B256, Bytes};
use portico_db::{TransactionKind, Txn};

use crate::{
    HashedOverlay, TrieUpdates,
    error::TrieError,
    path::{KEY_NIBBLES, Path},
    source::View,
    state::prove_accounts,
    storage::StorageTries,
};

/// Shortest node that its parent names by hash.
const HASHED_NODE_MIN: usize = 32;

/// What proves an account and some of its slots, or that they are not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateProof {
    /// The state root.
    pub root: B256,
    /// RLP of the nodes on the way to the account, the root first; none in an empty trie.
    pub account: Vec<Bytes>,
    /// The account's storage root; that of an empty trie for an account that does not exist.
    pub storage_root: B256,
    /// RLP of the nodes on the way to each slot, in the order in which they were asked for.
    pub slots: Vec<Vec<Bytes>>,
}

/// Proves an account and slots of it in the hashed state in `txn` under `overlay`, whose trie is that of the tables
/// under `node_overlay`.
///
/// # Errors
/// When the database fails or a row is damaged.
pub fn prove<K: TransactionKind>(
    txn: &Txn<'_, K>,
    overlay: &HashedOverlay,
    node_overlay: &TrieUpdates,
    hashed_address: B256,
    hashed_slots: &[B256],
) -> Result<StateProof, TrieError> {
    let nodes = (!node_overlay.is_empty()).then_some(node_overlay);
    let view = View { txn, state: Some(overlay), nodes };
    let mut sorted = hashed_slots.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let (storage_root, storage_nodes) = StorageTries::new(view)?.prove(&hashed_address, &sorted)?;
    let (root, account_nodes) = prove_accounts(view, &[hashed_address])?;
    Ok(StateProof {
        root,
        account: account_nodes.on_the_way_to(&hashed_address),
        storage_root,
        slots: hashed_slots.iter().map(|slot| storage_nodes.on_the_way_to(slot)).collect(),
    })
}

/// RLP of the nodes on the way to some keys of one trie, and its root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodesTo {
    /// The root.
    pub root: B256,
    /// Nodes that their parents name by hash, and the root, from above to below; none in an empty trie.
    pub nodes: Vec<Bytes>,
}

impl NodesTo {
    fn new((root, recorder): (B256, Recorder)) -> Self {
        Self { root, nodes: recorder.nodes.into_values().collect() }
    }
}

/// The nodes on the way to accounts, of the trie that [`prove`] takes.
///
/// # Errors
/// As [`prove`].
pub fn nodes_to_accounts<K: TransactionKind>(
    txn: &Txn<'_, K>,
    overlay: &HashedOverlay,
    node_overlay: &TrieUpdates,
    hashed_addresses: &BTreeSet<B256>,
) -> Result<NodesTo, TrieError> {
    let nodes = (!node_overlay.is_empty()).then_some(node_overlay);
    let view = View { txn, state: Some(overlay), nodes };
    let sorted: Vec<B256> = hashed_addresses.iter().copied().collect();
    Ok(NodesTo::new(prove_accounts(view, &sorted)?))
}

/// The nodes on the way to slots of an account, of the trie that [`prove`] takes.
///
/// # Errors
/// As [`prove`].
pub fn nodes_to_slots<K: TransactionKind>(
    txn: &Txn<'_, K>,
    overlay: &HashedOverlay,
    node_overlay: &TrieUpdates,
    hashed_address: &B256,
    hashed_slots: &BTreeSet<B256>,
) -> Result<NodesTo, TrieError> {
    let nodes = (!node_overlay.is_empty()).then_some(node_overlay);
    let view = View { txn, state: Some(overlay), nodes };
    let sorted: Vec<B256> = hashed_slots.iter().copied().collect();
    Ok(NodesTo::new(StorageTries::new(view)?.prove(hashed_address, &sorted)?))
}

/// Keeps the nodes on the way to some keys while a builder makes them.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    /// Sorted.
    keys: Vec<B256>,
    nodes: BTreeMap<Path, Bytes>,
}

impl Recorder {
    /// For these keys, which are sorted.
    pub fn of(keys: Vec<B256>) -> Self {
        Self { keys, nodes: BTreeMap::new() }
    }

    /// A node was made, `depth` nibbles down the way to `key`. One that is part of its parent is not kept.
    pub fn note(&mut self, key: &B256, depth: usize, rlp: &[u8]) {
        if self.keys.is_empty() || (depth > 0 && rlp.len() < HASHED_NODE_MIN) {
            return;
        }
        let path = Path::of(key, depth);
        let next = self.keys.partition_point(|key| key < path.first_key());
        if self.keys.get(next).is_some_and(|key| path.covers(key)) {
            self.nodes.insert(path, Bytes::copy_from_slice(rlp));
        }
    }

    fn on_the_way_to(&self, key: &B256) -> Vec<Bytes> {
        (0..=KEY_NIBBLES).filter_map(|depth| self.nodes.get(&Path::of(key, depth)).cloned()).collect()
    }
}
