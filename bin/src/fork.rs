//! Files that hold another branch than the database.

use alloy_primitives::{B256, U256};
use eyre::Result;
use portico_chain::{canonical_hash, read_checkpoint, read_total_difficulty};
use portico_db::Database;
use portico_files::BlockFiles;
use portico_stages::StageId;

/// A branch in files that leaves the database's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Branch {
    /// Last block that both have.
    pub ancestor: u64,
    /// Last block of the branch.
    pub tip: u64,
    /// Hash of that block.
    pub tip_hash: B256,
    /// Total difficulty of the branch.
    pub total_difficulty: U256,
    /// Total difficulty of the database's chain.
    pub canonical_total_difficulty: U256,
    /// Head of the database's chain.
    pub head: u64,
}

impl Branch {
    /// Whether the branch is to become the chain: it is heavier, or, where difficulty no longer counts, longer.
    pub fn wins(&self) -> bool {
        match self.total_difficulty.cmp(&self.canonical_total_difficulty) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => self.tip > self.head,
            std::cmp::Ordering::Less => false,
        }
    }
}

/// The branch that `files` hold, when one of their blocks up to the head is not the database's.
///
/// Reads the files' blocks only when the first block at or behind the head says that there is one.
pub fn find_branch(database: &Database, files: &BlockFiles) -> Result<Option<Branch>> {
    let txn = database.begin_ro()?;
    let head = read_checkpoint(&txn, StageId::Finish.name())?;
    let mut probe = files.blocks();
    probe.skip_to(head);
    let Some(Ok(block)) = probe.next() else { return scan(database, files, head) };
    if block.number() > head || canonical_hash(&txn, block.number())? == Some(block.hash) {
        return Ok(None);
    }
    scan(database, files, head)
}

fn scan(database: &Database, files: &BlockFiles, head: u64) -> Result<Option<Branch>> {
    let txn = database.begin_ro()?;
    let mut blocks = files.blocks();
    let mut branch: Option<Branch> = None;
    // A damaged block ends the branch; the import names it.
    while let Some(Ok(block)) = blocks.next() {
        let number = block.number();
        blocks.skip_to(number.saturating_add(1));
        match &mut branch {
            Some(branch) => {
                branch.tip = number;
                branch.tip_hash = block.hash;
                branch.total_difficulty = branch.total_difficulty.saturating_add(block.header.difficulty);
            }
            None => {
                if number > head {
                    return Ok(None);
                }
                if number == 0 || canonical_hash(&txn, number)? == Some(block.hash) {
                    continue;
                }
                if canonical_hash(&txn, number - 1)? != Some(block.header.parent_hash) {
                    // Of another chain altogether: the import says so.
                    return Ok(None);
                }
                let difficulty_at = |number| read_total_difficulty(&txn, number);
                let before = difficulty_at(number - 1)?.unwrap_or_default();
                branch = Some(Branch {
                    ancestor: number - 1,
                    tip: number,
                    tip_hash: block.hash,
                    total_difficulty: before.saturating_add(block.header.difficulty),
                    canonical_total_difficulty: difficulty_at(head)?.unwrap_or_default(),
                    head,
                });
            }
        }
    }
    Ok(branch)
}
