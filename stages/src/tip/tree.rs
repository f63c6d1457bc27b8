//! Which blocks are in memory, how they hang together, and what is known of blocks that are not.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use alloy_consensus::Header;
use alloy_primitives::B256;
use portico_chain::BlockParts;
use portico_db::{Layer, View};

use crate::{StageError, tip::TipSettings};

/// A block whose state is in memory.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) header: Header,
    pub(super) hash: B256,
    /// The block before it; none for a block of the database down to which the chain was taken back in memory.
    pub(super) parent: Option<B256>,
    /// What its stages changed; for one without parent, what taking back changed.
    pub(super) layer: Arc<Layer>,
    /// All that differs from the base.
    pub(super) view: View,
    /// Whether the stages that make it findable have run.
    pub(super) indexed: bool,
}

/// What executing a block gave.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) parent: B256,
    pub(super) layer: Layer,
    /// All that differs from the base of then.
    pub(super) view: View,
    pub(super) base: (u64, B256),
}

/// A hash of which something is remembered, the oldest forgotten first.
#[derive(Debug)]
struct Remembered<T> {
    max: usize,
    values: HashMap<B256, T>,
    order: VecDeque<B256>,
}

impl<T> Remembered<T> {
    fn new(max: usize) -> Self {
        Self { max, values: HashMap::new(), order: VecDeque::new() }
    }

    fn insert(&mut self, hash: B256, value: T) {
        if self.values.insert(hash, value).is_none() {
            self.order.push_back(hash);
        }
        while self.values.len() > self.max {
            let oldest = self.order.pop_front().expect("each value has its place in the order");
            self.values.remove(&oldest);
        }
    }

    fn get(&self, hash: &B256) -> Option<&T> {
        self.values.get(hash)
    }
}

/// Why a block is invalid.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) reason: String,
    pub(super) latest_valid: Option<B256>,
}

/// Invalid blocks that are remembered, so that what builds upon them is refused.
const INVALID_BLOCKS_MAX: usize = 512;

/// See the module.
#[derive(Debug)]
pub(super) struct Tree {
    settings: TipSettings,
    /// Number and hash of the database's head.
    pub(super) base: (u64, B256),
    pub(super) nodes: HashMap<B256, Node>,
    pub(super) head: B256,
    /// The safe and the finalized block.
    pub(super) named: [Option<B256>; 2],
    /// Blocks that are being written, from the base's child on; their nodes are gone but for the last one.
    pub(super) persisting: Vec<(u64, B256)>,
    invalid: Remembered<Fault>,
    waiting: Remembered<Arc<BlockParts>>,
    /// What the worker failed of.
    pub(super) failure: Option<String>,
}

impl Tree {
    pub(super) fn new(base: (u64, B256), named: [Option<B256>; 2], settings: TipSettings) -> Self {
        Self {
            settings,
            base,
            nodes: HashMap::new(),
            head: base.1,
            named,
            persisting: Vec::new(),
            invalid: Remembered::new(INVALID_BLOCKS_MAX),
            waiting: Remembered::new(settings.waiting_blocks_max),
            failure: None,
        }
    }

    /// # Errors
    /// [`StageError::TipFailed`] when the worker has ended on an error.
    pub(super) fn check(&self) -> Result<(), StageError> {
        match &self.failure {
            None => Ok(()),
            Some(reason) => Err(StageError::TipFailed(reason.clone())),
        }
    }

    pub(super) fn number_of(&self, hash: &B256) -> Option<u64> {
        if self.base.1 == *hash {
            return Some(self.base.0);
        }
        let writing = self.persisting.iter().find(|(_, writing)| writing == hash).map(|(number, _)| *number);
        self.nodes.get(hash).map(|node| node.header.number).or(writing)
    }

    /// What readers at a block in memory, or at the base, see.
    pub(super) fn view_of(&self, hash: &B256) -> View {
        self.nodes.get(hash).map(|node| node.view.clone()).unwrap_or_default()
    }

    pub(super) fn fault(&self, hash: &B256) -> Option<&Fault> {
        self.invalid.get(hash)
    }

    pub(super) fn set_invalid(&mut self, hash: B256, fault: Fault) {
        self.invalid.insert(hash, fault);
    }

    pub(super) fn waiting(&self, hash: &B256) -> Option<&Arc<BlockParts>> {
        self.waiting.get(hash)
    }

    pub(super) fn keep(&mut self, block: Arc<BlockParts>) {
        self.waiting.insert(block.hash, block);
    }

    /// The nodes from the oldest ancestor of `hash` in memory up to it.
    pub(super) fn path_to(&self, hash: &B256) -> Vec<&Node> {
        let mut path = Vec::new();
        let mut next = self.nodes.get(hash);
        while let Some(node) = next {
            path.push(node);
            next = node.parent.and_then(|parent| self.nodes.get(&parent));
        }
        path.reverse();
        path
    }

    /// Whether `ancestor` is `hash` or before it in memory.
    pub(super) fn descends(&self, hash: &B256, ancestor: &B256) -> bool {
        self.path_to(hash).iter().any(|node| node.hash == *ancestor)
    }

    /// Adds a block that was executed upon its parent, if that is still at hand and the database is not about to move
    /// away from it; says whether it is.
    pub(super) fn attach(&mut self, header: &Header, hash: B256, made: Made) -> bool {
        let Made { parent, layer, view, base } = made;
        let at_hand =
            self.nodes.contains_key(&parent) || (self.base.1 == parent && self.persisting.is_empty());
        if at_hand && !self.nodes.contains_key(&hash) {
            // What is below may have been written since it was executed.
            let view = if self.base == base { view } else { self.view_of(&parent).with(&layer) };
            let (header, layer) = (header.clone(), Arc::new(layer));
            self.insert(Node { header, hash, parent: Some(parent), layer, view, indexed: false });
        }
        at_hand
    }

    /// Adds a block; forgets others when there are too many: the lowest tips beside the canonical chain.
    pub(super) fn insert(&mut self, node: Node) {
        let added = node.hash;
        self.nodes.insert(added, node);
        while self.nodes.len() > self.settings.nodes_max {
            let keep: HashSet<B256> = self
                .path_to(&self.head)
                .into_iter()
                .chain(self.path_to(&added))
                .map(|node| node.hash)
                .collect();
            let parents: HashSet<B256> = self.nodes.values().filter_map(|node| node.parent).collect();
            let loose = self
                .nodes
                .values()
                .filter(|node| !keep.contains(&node.hash) && !parents.contains(&node.hash));
            let Some(lowest) = loose.min_by_key(|node| node.header.number).map(|node| node.hash) else {
                break;
            };
            self.nodes.remove(&lowest);
        }
    }

    /// Keeps only what stands on `hash`, with it.
    pub(super) fn retain_descendants(&mut self, hash: &B256) {
        let keep: HashSet<B256> =
            self.nodes.keys().filter(|node| self.descends(node, hash)).copied().collect();
        self.nodes.retain(|hash, _| keep.contains(hash));
    }

    /// The database's head is now `base`, whose own node goes: the others' views become shorter.
    pub(super) fn move_base(&mut self, base: (u64, B256)) {
        self.retain_descendants(&base.1);
        self.base = base;
        self.nodes.remove(&base.1);
        let mut order: Vec<(u64, B256)> =
            self.nodes.values().map(|node| (node.header.number, node.hash)).collect();
        order.sort_unstable();
        for (_, hash) in order {
            let node = &self.nodes[&hash];
            let below = node.parent.map(|parent| self.view_of(&parent)).unwrap_or_default();
            let view = below.with(&node.layer);
            self.nodes.get_mut(&hash).expect("it was there just now").view = view;
        }
    }
}
