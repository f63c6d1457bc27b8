//! Which blocks are in memory, how they hang together, and what is known of blocks that are not.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use alloy_consensus::Header;
use alloy_primitives::B256;
use portico_chain::BlockParts;
use portico_db::{Layer, View};

use crate::{
    StageError,
    tip::{TipSettings, bad::BadBlocks, cost},
};

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
/// Blocks that are kept in the database without having been executed: two weeks of mainnet.
const ASIDE_BLOCKS_MAX: usize = 100_000;

/// What is known of a block that was put aside.
#[derive(Debug)]
struct Aside {
    /// As its header says.
    number: u64,
    /// The block before it; not known since a restart until somebody looks.
    parent: Option<B256>,
}

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
    /// Those of them that are bad themselves.
    pub(super) bad: BadBlocks,
    waiting: Remembered<Arc<BlockParts>>,
    /// Blocks that nobody has executed: in the database, or about to be.
    aside: HashMap<B256, Aside>,
    /// Those of them that are not in the database yet.
    unwritten: Vec<Arc<BlockParts>>,
    /// A head that was chosen but could not be one at once.
    pub(super) wanted: Option<B256>,
    /// Whether the pipeline is at work, or about to be: nothing is executed in memory then.
    pub(super) catching_up: bool,
    /// What the worker failed of.
    pub(super) failure: Option<String>,
}

impl Tree {
    pub(super) fn new(
        base: (u64, B256),
        named: [Option<B256>; 2],
        aside: HashMap<B256, u64>,
        settings: TipSettings,
    ) -> Self {
        let aside = aside.into_iter().map(|(hash, number)| (hash, Aside { number, parent: None })).collect();
        Self {
            settings,
            base,
            nodes: HashMap::new(),
            head: base.1,
            named,
            persisting: Vec::new(),
            invalid: Remembered::new(INVALID_BLOCKS_MAX),
            bad: BadBlocks::default(),
            waiting: Remembered::new(settings.waiting_blocks_max),
            aside,
            unwritten: Vec::new(),
            wanted: None,
            catching_up: false,
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

    /// Keeps a block that was not executed, so that it is at hand when it can be: in the database.
    pub(super) fn put_aside(&mut self, block: Arc<BlockParts>) {
        let has_room =
            self.aside.len() < ASIDE_BLOCKS_MAX && self.unwritten.len() < self.settings.waiting_blocks_max;
        if !has_room || self.aside.contains_key(&block.hash) {
            return;
        }
        let Header { number, parent_hash, .. } = block.header;
        self.aside.insert(block.hash, Aside { number, parent: Some(parent_hash) });
        self.unwritten.push(block);
    }

    /// Number of a block that was put aside, as its header says.
    pub(super) fn aside(&self, hash: &B256) -> Option<u64> {
        self.aside.get(hash).map(|aside| aside.number)
    }

    /// The block before one that waits or was put aside, as far as that is known.
    pub(super) fn parent_beside(&self, hash: &B256) -> Option<B256> {
        let waiting = self.waiting(hash).map(|block| block.header.parent_hash);
        waiting.or_else(|| self.aside.get(hash)?.parent)
    }

    /// Notes which block is before one that was put aside.
    pub(super) fn set_parent_beside(&mut self, hash: &B256, parent: B256) {
        if let Some(aside) = self.aside.get_mut(hash) {
            aside.parent = Some(parent);
        }
    }

    /// Blocks that were put aside and are to be written now.
    pub(super) fn take_unwritten(&mut self) -> Vec<Arc<BlockParts>> {
        std::mem::take(&mut self.unwritten)
    }

    /// Blocks beside the chain that are no longer in the database: these, and all up to a number.
    pub(super) fn forget_aside<'a>(&mut self, hashes: impl IntoIterator<Item = &'a B256>, through: u64) {
        for hash in hashes {
            self.aside.remove(hash);
        }
        self.aside.retain(|_, aside| aside.number > through);
    }

    /// What the blocks from the base to `hash` cost.
    pub(super) fn cost_to(&self, hash: &B256) -> u64 {
        self.path_to(hash).iter().fold(0, |sum, node| sum.saturating_add(cost(&node.header)))
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
