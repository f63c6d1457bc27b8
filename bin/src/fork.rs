//! Files that hold another branch than the database.

use eyre::Result;
use portico_chain::{canonical_hash, read_checkpoint, read_total_difficulty};
use portico_db::Database;
use portico_files::BlockFiles;
use portico_stages::{Branch, StageId};

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
                let total = branch.total_difficulty().saturating_add(block.header.difficulty);
                branch.total_difficulties.push(total);
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
                    total_difficulties: vec![before.saturating_add(block.header.difficulty)],
                    canonical_total_difficulty: difficulty_at(head)?.unwrap_or_default(),
                    head,
                });
            }
        }
    }
    Ok(branch)
}
