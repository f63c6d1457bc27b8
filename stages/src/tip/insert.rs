//! Executing blocks where they belong, and choosing the head.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use alloy_primitives::B256;
use portico_chain::{
    BlockParts, ChainError, block_number_of, is_canonical, read_block, read_header, read_side_block,
    write_side_block,
};

use super::{
    Tip, Verdict,
    tree::{Fault, Made, Node},
    worker::Work,
};
use crate::{
    Pipeline, SharedSource, StageError, held_blocks::HeldBlocks, order::validating_and_indexing,
    tree::decode_side_block,
};

/// Where a block that is to be executed is attached.
enum Attachment {
    /// A block in memory, or the base.
    Ready(B256),
    /// A canonical block of the database below the base.
    Below(u64, B256),
    /// Nowhere: the block, or one before it, is known to be invalid.
    Invalid(Fault),
    /// Nowhere: a block is missing.
    Missing,
}

impl Tip {
    /// Executes a block, and before it those of its ancestors that are waiting.
    ///
    /// # Errors
    /// Internal faults only: a bad block is a [`Verdict`].
    pub fn insert(&self, block: BlockParts) -> Result<Verdict, StageError> {
        let hash = block.hash;
        self.lock().keep(Arc::new(block));
        self.connect(hash)
    }

    /// Whether a block was executed and can be the head, or is known to be bad.
    ///
    /// # Errors
    /// When the database fails.
    pub fn verdict(&self, hash: &B256) -> Result<Option<Verdict>, StageError> {
        let tree = self.lock();
        tree.check()?;
        if tree.number_of(hash).is_some() {
            return Ok(Some(Verdict::Valid));
        }
        if let Some(fault) = tree.fault(hash) {
            return Ok(Some(fault.verdict()));
        }
        Ok(self.canonical_number(hash)?.map(|_| Verdict::Valid))
    }

    /// Sees to it that a block's state is at hand. One that is waiting, or that was written or forgotten since, is executed
    /// first, or the chain taken back to it.
    ///
    /// # Errors
    /// Internal faults; [`StageError::UnwindTooDeep`] when changes are not kept that far back.
    pub fn prepare(&self, hash: B256) -> Result<Verdict, StageError> {
        loop {
            let mut tree = self.lock();
            tree.check()?;
            if let Some((_, target)) = tree.persisting.last().copied()
                && !tree.descends(&hash, &target)
            {
                tree = self.wait(tree);
                drop(tree);
                continue;
            }
            if tree.nodes.contains_key(&hash) || tree.base.1 == hash {
                return Ok(Verdict::Valid);
            }
            drop(tree);
            match self.connect(hash)? {
                Verdict::Valid => {}
                refused => return Ok(refused),
            }
            // What is canonical in the database below the base has no node yet.
            if !self.is_at_hand(&hash)
                && let Some(number) = self.canonical_number(&hash)?
            {
                self.take_back(number, hash)?;
            }
        }
    }

    /// Makes a block the head that readers see; as [`Tip::prepare`] before that.
    ///
    /// # Errors
    /// As [`Tip::prepare`].
    pub fn set_head(&self, hash: B256) -> Result<Verdict, StageError> {
        loop {
            match self.prepare(hash)? {
                Verdict::Valid => {}
                refused => return Ok(refused),
            }
            let mut tree = self.lock();
            if let Some((_, target)) = tree.persisting.last()
                && !tree.descends(&hash, target)
            {
                continue;
            }
            if !tree.nodes.contains_key(&hash) && tree.base.1 != hash {
                // It went while nobody looked.
                continue;
            }
            tree.head = hash;
            self.publish_head(&tree)?;
            drop(tree);
            self.0.changed.notify_all();
            self.send(Work::Persist);
            return Ok(Verdict::Valid);
        }
    }

    /// Shows readers the head if it is findable; else what they see stays until it is, for which they wait.
    pub(super) fn publish_head(&self, tree: &super::Tree) -> Result<(), StageError> {
        let head = tree.nodes.get(&tree.head);
        if head.is_some_and(|node| !node.indexed) {
            self.live().announce();
            return Ok(());
        }
        let base = self.live().database().begin_ro()?.id();
        self.live().publish(head.map(|node| node.view.clone()), base);
        Ok(())
    }

    fn is_at_hand(&self, hash: &B256) -> bool {
        let tree = self.lock();
        tree.nodes.contains_key(hash) || tree.base.1 == *hash
    }

    pub(super) fn send(&self, work: Work) {
        // Nobody listens any more when the node stops.
        let _ = self.0.work.send(work);
    }

    /// Number of a block that is canonical in the database.
    fn canonical_number(&self, hash: &B256) -> Result<Option<u64>, StageError> {
        let txn = self.live().database().begin_ro()?;
        let Some(number) = block_number_of(&txn, hash)? else { return Ok(None) };
        Ok(is_canonical(&txn, number, hash)?.then_some(number))
    }

    /// Executes a block that is waiting.
    fn connect(&self, hash: B256) -> Result<Verdict, StageError> {
        let _one_at_a_time = self.0.executing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        loop {
            if let Some(verdict) = self.try_connect(hash)? {
                return Ok(verdict);
            }
        }
    }

    /// None when what the blocks were to be attached to was written meanwhile.
    fn try_connect(&self, hash: B256) -> Result<Option<Verdict>, StageError> {
        let (blocks, attachment) = self.find_attachment(hash)?;
        let mut parent = match attachment {
            Attachment::Missing => return Ok(Some(Verdict::Missing)),
            Attachment::Invalid(fault) => return Ok(Some(self.refuse(&blocks, fault))),
            Attachment::Below(..) if blocks.is_empty() => return Ok(Some(Verdict::Valid)),
            Attachment::Below(number, hash) => {
                self.take_back(number, hash)?;
                hash
            }
            Attachment::Ready(hash) => hash,
        };
        for (position, block) in blocks.iter().enumerate() {
            match self.execute(parent, block) {
                Ok(true) => parent = block.hash,
                Ok(false) => return Ok(None),
                Err(StageError::InvalidBlock { reason, .. }) => {
                    let mined = self.header(&parent)?.is_some_and(|header| !header.difficulty.is_zero());
                    let latest_valid = Some(if mined { B256::ZERO } else { parent });
                    let fault = Fault { reason: reason.to_string(), latest_valid };
                    return Ok(Some(self.refuse(&blocks[position..], fault)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(Verdict::Valid))
    }

    /// Notes that blocks are bad.
    fn refuse(&self, blocks: &[Arc<BlockParts>], fault: Fault) -> Verdict {
        let mut tree = self.lock();
        for block in blocks {
            tree.set_invalid(block.hash, fault.clone());
        }
        fault.verdict()
    }

    /// The blocks that are to be executed up to `hash`, oldest first, and what is before them.
    fn find_attachment(&self, hash: B256) -> Result<(Vec<Arc<BlockParts>>, Attachment), StageError> {
        let mut blocks: Vec<Arc<BlockParts>> = Vec::new();
        let mut next = hash;
        let attachment = loop {
            let mut tree = self.lock();
            tree.check()?;
            // A block that is being written, but for the last one, is soon below the base.
            while tree.persisting.iter().any(|(_, writing)| *writing == next)
                && !tree.nodes.contains_key(&next)
            {
                tree = self.wait(tree);
            }
            if tree.nodes.contains_key(&next) || tree.base.1 == next {
                break Attachment::Ready(next);
            }
            if let Some(fault) = tree.fault(&next) {
                break Attachment::Invalid(fault.clone());
            }
            let waiting = tree.waiting(&next).cloned();
            drop(tree);
            if let Some(number) = self.canonical_number(&next)? {
                break Attachment::Below(number, next);
            }
            let Some(block) = waiting.map_or_else(|| self.side_block(next), |block| Ok(Some(block)))? else {
                break Attachment::Missing;
            };
            next = block.header.parent_hash;
            blocks.push(block);
        };
        blocks.reverse();
        Ok((blocks, attachment))
    }

    fn side_block(&self, hash: B256) -> Result<Option<Arc<BlockParts>>, StageError> {
        let txn = self.live().database().begin_ro()?;
        let Some(number) = block_number_of(&txn, &hash)? else { return Ok(None) };
        let Some(rlp) = read_side_block(&txn, number, hash)? else { return Ok(None) };
        Ok(Some(Arc::new(decode_side_block(&rlp, number, hash)?)))
    }

    /// Executes one block upon `parent`, which is in memory or the base; says whether it still was in the end.
    fn execute(&self, parent: B256, block: &Arc<BlockParts>) -> Result<bool, StageError> {
        let Some(made) = self.make(parent, block)? else { return Ok(false) };
        if !self.lock().attach(&block.header, block.hash, made) {
            return Ok(false);
        }
        self.send(Work::Index(block.hash));
        Ok(true)
    }

    /// What the stages write for a block upon `parent`; none when that is neither in memory nor the base.
    fn make(&self, parent: B256, block: &BlockParts) -> Result<Option<Made>, StageError> {
        let (tree, known) = self.wait_indexed(self.lock(), &parent)?;
        if !known {
            return Ok(None);
        }
        let number = tree.number_of(&parent).unwrap_or_default().saturating_add(1);
        // Within the lock: the base does not move under the view.
        let txn = self.live().database().begin_in_memory(&tree.view_of(&parent))?;
        let base = tree.base;
        drop(tree);
        let source = Rc::new(RefCell::new(HeldBlocks::default()));
        source.borrow_mut().hold_behind(number - 1, vec![block.clone()]);
        let shared: SharedSource = source;
        let (validating, _) = validating_and_indexing();
        Pipeline::new(self.pipeline_config(), &shared).forward_within(&txn, validating, number)?;
        let (view, layer) = txn.into_layer()?;
        Ok(Some(Made { parent, layer, view, base }))
    }

    /// Executes a block of the head's chain once more, upon its parent, and forgets what comes of it: whether it still is
    /// what its header says.
    ///
    /// # Errors
    /// As [`Tip::prepare`].
    pub fn execute_again(&self, number: u64) -> Result<Verdict, StageError> {
        loop {
            let Some(txn) = self.begin_at(&self.head().1)? else { continue };
            let Some(block) = read_block(&txn, number)? else { return Ok(Verdict::Missing) };
            drop(txn);
            let parent = block.header.parent_hash;
            match self.prepare(parent)? {
                Verdict::Valid => {}
                refused => return Ok(refused),
            }
            let _one_at_a_time = self.0.executing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match self.make(parent, &block) {
                Ok(Some(_)) => return Ok(Verdict::Valid),
                // The parent went while nobody looked.
                Ok(None) => {}
                Err(StageError::InvalidBlock { reason, .. }) => {
                    return Ok(Verdict::Invalid { reason: reason.to_string(), latest_valid: Some(parent) });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the chain back in memory to a canonical block of the database.
    fn take_back(&self, number: u64, hash: B256) -> Result<(), StageError> {
        loop {
            let mut tree = self.lock();
            while !tree.persisting.is_empty() {
                tree = self.wait(tree);
            }
            if tree.nodes.contains_key(&hash) || tree.base.1 == hash {
                return Ok(());
            }
            let base = tree.base;
            let txn = self.live().database().begin_in_memory(&Default::default())?;
            drop(tree);
            if !is_canonical(&txn, number, &hash)? {
                // Another chain was written meanwhile: whoever asked looks again where the block is.
                return Ok(());
            }
            let header = read_header(&txn, number)?
                .ok_or(ChainError::Missing { what: "header", block_number: number })?;
            for lost in number + 1..=base.0 {
                if let Some(block) = read_block(&txn, lost)? {
                    write_side_block(&txn, block)?;
                }
            }
            let source: SharedSource = Rc::new(RefCell::new(HeldBlocks::default()));
            Pipeline::new(self.pipeline_config(), &source).unwind_within(&txn, number)?;
            let (view, layer) = txn.into_layer()?;
            let mut tree = self.lock();
            if tree.base == base && tree.persisting.is_empty() {
                let layer = Arc::new(layer);
                tree.insert(Node { header, hash, parent: None, layer, view, indexed: true });
                return Ok(());
            }
        }
    }
}

impl Fault {
    fn verdict(&self) -> Verdict {
        Verdict::Invalid { reason: self.reason.clone(), latest_valid: self.latest_valid }
    }
}
