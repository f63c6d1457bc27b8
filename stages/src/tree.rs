//! Blocks one by one, in any order that has parents first: the chain goes on, or a side branch grows and may win.
//!
//! ```text
//!  insert(block) ── child of the head ───────────────> all stages
//!               ├── child of another known block ────> header and body are checked, kept as side block;
//!               │                                       a branch that wins is executed in one transaction
//!               └── child of an unknown block ───────> UnknownParent
//! ```
//! Before the merge the branch of greater total difficulty wins, the first one seen among equals. After it fork choice
//! is the consensus client's: whoever inserts a block makes it the head.

use std::{cell::RefCell, rc::Rc};

use alloy_consensus::{Block, Header};
use alloy_primitives::{B256, U256};
use alloy_rlp::Decodable;
use portico_chain::{
    BlockParts, ChainError, Transaction, block_number_of, canonical_hash, delete_side_block, read_checkpoint,
    read_header, read_side_block, read_total_difficulty, write_side_block,
};
use portico_consensus::{BodyView, Parent, total_difficulty, validate_body, validate_header_with};
use portico_db::RoTxn;

use crate::{Branch, Pipeline, PipelineConfig, SharedSource, StageError, StageId, held_blocks::HeldBlocks};

/// What became of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It is the head now.
    Head,
    /// It is kept beside the chain.
    Side,
    /// It was there before.
    Known,
}

/// See the module.
pub struct BlockTree<'a> {
    config: PipelineConfig<'a>,
    pipeline: Pipeline<'a>,
    source: Rc<RefCell<HeldBlocks>>,
}

impl<'a> BlockTree<'a> {
    /// On a database that has its genesis.
    pub fn new(config: PipelineConfig<'a>) -> Self {
        let source = Rc::new(RefCell::new(HeldBlocks::default()));
        let shared: SharedSource = source.clone();
        Self { pipeline: Pipeline::new(config.clone(), &shared), config, source }
    }

    /// Number and hash of the head.
    pub fn head(&self) -> Result<(u64, B256), StageError> {
        let txn = self.config.database.begin_ro()?;
        let block_number = read_checkpoint(&txn, StageId::Finish.name())?;
        let missing = ChainError::Missing { what: "hash", block_number };
        Ok((block_number, canonical_hash(&txn, block_number)?.ok_or(missing)?))
    }

    /// Takes blocks that follow the head and each other through all stages; gives the new head.
    ///
    /// # Errors
    /// As [`Pipeline::run`].
    pub fn extend(&mut self, blocks: Vec<BlockParts>) -> Result<u64, StageError> {
        let (head, _) = self.head()?;
        self.source.borrow_mut().hold_behind(head, blocks);
        self.pipeline.run(None)
    }

    /// Takes one block.
    ///
    /// # Errors
    /// [`StageError::InvalidBlock`] for this block, or for an earlier one of its branch; [`StageError::UnknownParent`];
    /// internal faults.
    pub fn insert(&mut self, block: BlockParts) -> Result<Inserted, StageError> {
        let (head, head_hash) = self.head()?;
        let txn = self.config.database.begin_ro()?;
        if block_number_of(&txn, &block.hash)?.is_some() {
            return Ok(Inserted::Known);
        }
        if block.header.parent_hash == head_hash {
            drop(txn);
            self.extend(vec![block])?;
            return Ok(Inserted::Head);
        }
        let side = SideBranch::find(&txn, block, head)?;
        let merged = self.check_side_block(&txn, &side)?;
        drop(txn);
        if merged || side.branch.wins() {
            self.change_over(side, merged)?;
            return Ok(Inserted::Head);
        }
        let txn = self.config.database.begin_rw()?;
        write_side_block(&txn, side.tip().clone())?;
        txn.commit()?;
        Ok(Inserted::Side)
    }

    /// Takes the chain back to block `to`.
    ///
    /// # Errors
    /// As [`Pipeline::unwind`].
    pub fn unwind(&mut self, to: u64) -> Result<(), StageError> {
        self.pipeline.unwind(to)
    }

    /// Checks what can be checked without executing; gives whether the block is a merged one.
    fn check_side_block(&self, txn: &RoTxn<'_>, side: &SideBranch) -> Result<bool, StageError> {
        let (spec, settings) = (self.config.spec, self.config.settings);
        let block = side.tip();
        let invalid = |error: portico_consensus::ConsensusError| StageError::InvalidBlock {
            number: block.header.number,
            hash: block.hash,
            reason: Box::new(error.into()),
        };
        let (parent, parent_total) = side.parent(txn)?;
        let header = &block.header;
        let above = Parent { header: &parent, hash: header.parent_hash, total_difficulty: parent_total };
        validate_header_with(settings.header_checks, spec, above, header).map_err(invalid)?;
        total_difficulty(parent_total, header.difficulty).map_err(invalid)?;
        let context = spec.block_context(header.number, header.timestamp, parent_total);
        let body = BodyView {
            transactions: &block.transactions,
            ommers: &block.ommers,
            withdrawals: block.withdrawals.as_deref(),
        };
        validate_body(spec, context, header, body).map_err(invalid)?;
        Ok(context.merged)
    }

    /// After the merge a bad block leaves the head where it is: which of the blocks before it is one is not ours to say.
    fn change_over(&mut self, side: SideBranch, merged: bool) -> Result<(), StageError> {
        let SideBranch { branch, blocks } = side;
        let hashes: Vec<(u64, B256)> = blocks.iter().map(|block| (block.header.number, block.hash)).collect();
        self.source.borrow_mut().hold_behind(branch.ancestor, blocks);
        let result = match merged {
            true => self.pipeline.reorganize(branch.ancestor, branch.tip()),
            false => branch.change_over(&mut self.pipeline),
        };
        if let Err(StageError::InvalidBlock { number, .. }) = &result {
            // What builds on a bad block is not tried again.
            let txn = self.config.database.begin_rw()?;
            for (bad, hash) in hashes.iter().filter(|(bad, _)| bad >= number) {
                delete_side_block(&txn, *bad, *hash)?;
            }
            txn.commit()?;
        }
        result.map(drop)
    }
}

/// A block that does not follow the head, with all between it and the chain.
struct SideBranch {
    branch: Branch,
    /// From the one behind the common ancestor on; never empty.
    blocks: Vec<BlockParts>,
}

impl SideBranch {
    fn find(txn: &RoTxn<'_>, block: BlockParts, head: u64) -> Result<Self, StageError> {
        let mut blocks = vec![block];
        let ancestor = loop {
            let first = blocks.last().expect("there is a first block");
            let (number, hash) = (first.header.number, first.hash);
            let parent_hash = first.header.parent_hash;
            let unknown = StageError::UnknownParent { number, hash, parent_hash };
            let Some(parent_number) = block_number_of(txn, &parent_hash)? else { return Err(unknown) };
            if canonical_hash(txn, parent_number)? == Some(parent_hash) {
                break parent_number;
            }
            let rlp = read_side_block(txn, parent_number, parent_hash)?.ok_or(unknown)?;
            blocks.push(decode_side_block(&rlp, parent_number, parent_hash)?);
        };
        blocks.reverse();
        let total_at = |block_number| {
            let missing = ChainError::Missing { what: "total difficulty", block_number };
            read_total_difficulty(txn, block_number)?.ok_or(missing)
        };
        let mut total = total_at(ancestor)?;
        let totals = blocks.iter().map(|block| {
            total = total.saturating_add(block.header.difficulty);
            total
        });
        let total_difficulties = totals.collect();
        let canonical_total_difficulty = total_at(head)?;
        Ok(Self { branch: Branch { ancestor, total_difficulties, canonical_total_difficulty, head }, blocks })
    }

    fn tip(&self) -> &BlockParts {
        self.blocks.last().expect("a branch has blocks")
    }

    /// The tip's parent and the total difficulty up to and with it.
    fn parent(&self, txn: &RoTxn<'_>) -> Result<(Header, U256), StageError> {
        let block_number = self.branch.ancestor;
        match self.blocks.len() {
            1 => {
                let missing = |what| ChainError::Missing { what, block_number };
                let header = read_header(txn, block_number)?.ok_or_else(|| missing("header"))?;
                let total = read_total_difficulty(txn, block_number)?;
                Ok((header, total.ok_or_else(|| missing("total difficulty"))?))
            }
            blocks => {
                let header = self.blocks[blocks - 2].header.clone();
                Ok((header, self.branch.total_difficulties[blocks - 2]))
            }
        }
    }
}

pub(crate) fn decode_side_block(
    mut rlp: &[u8],
    block_number: u64,
    hash: B256,
) -> Result<BlockParts, StageError> {
    let corrupt = |_| ChainError::Missing { what: "readable side block", block_number };
    let block = Block::<Transaction>::decode(&mut rlp).map_err(corrupt)?;
    Ok(BlockParts::from_block(hash, block))
}
