//! Executing blocks where they belong, and choosing the head.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{Arc, MutexGuard, PoisonError},
};

use alloy_primitives::B256;
use portico_chain::{
    BlockParts, ChainError, block_number_of, is_canonical, read_block, read_header, read_side_block,
    write_side_block,
};

use super::{
    Tip, Verdict, cost,
    tree::{Fault, Made, Node},
    worker::Work,
};
use crate::{
    InvalidReason, Pipeline, SharedSource, StageError, held_blocks::HeldBlocks,
    order::validating_and_indexing, pipeline::check_changes_kept, tree::decode_side_block,
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
    /// Not looked for to the end: the blocks on the way are too many to be executed at once.
    Far,
}

impl Tip {
    /// Executes a block, and before it those of its ancestors that are waiting.
    ///
    /// # Errors
    /// Internal faults only: a bad block is a [`Verdict`].
    pub fn insert(&self, block: BlockParts) -> Result<Verdict, StageError> {
        let block = Arc::new(block);
        self.lock().keep(block.clone());
        let verdict = self.connect(block.hash)?;
        if matches!(verdict, Verdict::Missing | Verdict::Behind) {
            self.lock().put_aside(block);
            self.send(Work::PutAside);
        }
        Ok(verdict)
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
                && !tree.catching_up
                && !tree.descends(&hash, &target)
            {
                tree = self.wait(tree);
                drop(tree);
                continue;
            }
            if !tree.catching_up && (tree.nodes.contains_key(&hash) || tree.base.1 == hash) {
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
                if self.is_too_far_below(number)? {
                    return Ok(Verdict::Behind);
                }
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
            if tree.catching_up {
                continue;
            }
            tree.head = hash;
            tree.wanted = None;
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
    pub(super) fn canonical_number(&self, hash: &B256) -> Result<Option<u64>, StageError> {
        let txn = self.live().database().begin_ro()?;
        let Some(number) = block_number_of(&txn, hash)? else { return Ok(None) };
        Ok(is_canonical(&txn, number, hash)?.then_some(number))
    }

    /// Executes a block that is waiting.
    fn connect(&self, hash: B256) -> Result<Verdict, StageError> {
        if let Some(verdict) = self.while_catching_up(&hash)? {
            return Ok(verdict);
        }
        let _one_at_a_time = self.executing();
        if let Some(verdict) = self.while_catching_up(&hash)? {
            return Ok(verdict);
        }
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
            Attachment::Far => return Ok(Some(Verdict::Behind)),
            Attachment::Invalid(fault) => {
                return Ok(Some(self.refuse(blocks.iter().map(|block| block.hash), fault)));
            }
            Attachment::Below(..) if blocks.is_empty() => return Ok(Some(Verdict::Valid)),
            Attachment::Below(number, _) if self.is_too_far_below(number)? => {
                return Ok(Some(Verdict::Behind));
            }
            Attachment::Below(number, hash) => {
                self.take_back(number, hash)?;
                hash
            }
            Attachment::Ready(hash) if self.is_too_far_ahead(&hash) => return Ok(Some(Verdict::Behind)),
            Attachment::Ready(hash) => hash,
        };
        for (position, block) in blocks.iter().enumerate() {
            match self.execute(parent, block) {
                Ok(true) => parent = block.hash,
                Ok(false) => return Ok(None),
                Err(StageError::InvalidBlock { reason, .. }) => {
                    let fault = self.fault_upon(parent, &reason)?;
                    self.keep_bad(block.clone(), &fault.reason);
                    let bad = blocks[position..].iter().map(|block| block.hash);
                    return Ok(Some(self.refuse(bad, fault)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(Verdict::Valid))
    }

    /// What is wrong with a block whose parent is valid.
    pub(super) fn fault_upon(&self, parent: B256, reason: &InvalidReason) -> Result<Fault, StageError> {
        let mined = self.header(&parent)?.is_some_and(|header| !header.difficulty.is_zero());
        let latest_valid = Some(if mined { B256::ZERO } else { parent });
        Ok(Fault { reason: reason.to_string(), latest_valid })
    }

    /// Notes that blocks are bad.
    pub(super) fn refuse(&self, blocks: impl IntoIterator<Item = B256>, fault: Fault) -> Verdict {
        let mut tree = self.lock();
        for hash in blocks {
            tree.set_invalid(hash, fault.clone());
        }
        fault.verdict()
    }

    /// What is said of a block while the pipeline is at work.
    fn while_catching_up(&self, hash: &B256) -> Result<Option<Verdict>, StageError> {
        let tree = self.lock();
        tree.check()?;
        if !tree.catching_up {
            return Ok(None);
        }
        let parent = tree.waiting(hash).map(|block| block.header.parent_hash);
        let fault = tree.fault(hash).or_else(|| tree.fault(&parent?)).cloned();
        drop(tree);
        Ok(Some(fault.map_or(Verdict::Behind, |fault| self.refuse([*hash], fault))))
    }

    /// Whether taking the chain back to a block of the database would put too much into memory.
    fn is_too_far_below(&self, number: u64) -> Result<bool, StageError> {
        let base = self.lock().base.0;
        if base.saturating_sub(number) <= self.0.config.settings.nodes_max as u64 {
            return Ok(false);
        }
        check_changes_kept(&self.live().database().begin_ro()?, &self.0.config.stages, number)?;
        Ok(true)
    }

    /// Whether too much is in memory up to a block.
    fn is_too_far_ahead(&self, hash: &B256) -> bool {
        self.lock().cost_to(hash) >= self.0.config.settings.ahead_cost
    }

    pub(super) fn executing(&self) -> MutexGuard<'_, ()> {
        self.0.executing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The blocks that are to be executed up to `hash`, oldest first, and what is before them.
    fn find_attachment(&self, hash: B256) -> Result<(Vec<Arc<BlockParts>>, Attachment), StageError> {
        let mut blocks: Vec<Arc<BlockParts>> = Vec::new();
        let mut next = hash;
        let mut together = 0_u64;
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
            drop(tree);
            if let Some(number) = self.canonical_number(&next)? {
                break Attachment::Below(number, next);
            }
            let Some(block) = self.block_beside(next)? else { break Attachment::Missing };
            together = together.saturating_add(cost(&block.header));
            if !blocks.is_empty() && together > self.0.config.settings.at_once_cost {
                break Attachment::Far;
            }
            next = block.header.parent_hash;
            blocks.push(block);
        };
        blocks.reverse();
        Ok((blocks, attachment))
    }

    /// A block that is not on the chain, or not yet, wherever it is kept.
    pub(super) fn block_beside(&self, hash: B256) -> Result<Option<Arc<BlockParts>>, StageError> {
        let tree = self.lock();
        if let Some(block) = tree.waiting(&hash) {
            return Ok(Some(block.clone()));
        }
        let aside = tree.aside(&hash);
        drop(tree);
        let txn = self.live().database().begin_ro()?;
        let found = aside.map_or_else(|| block_number_of(&txn, &hash), |number| Ok(Some(number)))?;
        let Some(number) = found else { return Ok(None) };
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
        let mut pipeline = Pipeline::new(self.pipeline_config(), &shared);
        if let Some(known) = self.0.known_senders.get() {
            pipeline = pipeline.knowing_senders(known.clone());
        }
        pipeline.forward_within(&txn, validating, number)?;
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
            let _one_at_a_time = self.executing();
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
