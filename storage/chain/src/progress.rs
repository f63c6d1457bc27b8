//! Checkpoints of stages and of their pruning.

use portico_db::{RwTxn, TransactionKind, Txn, models::StageCheckpoint, tables};

use crate::ChainError;

/// Last block that `stage` has done; 0 when it never ran, since genesis is there from the start.
pub fn read_checkpoint<K: TransactionKind>(txn: &Txn<'_, K>, stage: &str) -> Result<u64, ChainError> {
    let checkpoint = txn.get::<tables::StageCheckpoints>(&stage.to_owned())?;
    Ok(checkpoint.unwrap_or_default().block_number)
}

/// Notes the last block that `stage` has done.
pub fn write_checkpoint(txn: &RwTxn<'_>, stage: &str, block_number: u64) -> Result<(), ChainError> {
    txn.put::<tables::StageCheckpoints>(&stage.to_owned(), &StageCheckpoint { block_number })?;
    Ok(())
}

/// Last block whose data of `stage` was pruned; `None` when everything is there.
pub fn prune_checkpoint<K: TransactionKind>(
    txn: &Txn<'_, K>,
    stage: &str,
) -> Result<Option<u64>, ChainError> {
    let checkpoint = txn.get::<tables::PruneCheckpoints>(&stage.to_owned())?;
    Ok(checkpoint.map(|checkpoint| checkpoint.block_number))
}

/// Notes the last block whose data of `stage` was pruned.
pub fn write_prune_checkpoint(txn: &RwTxn<'_>, stage: &str, block_number: u64) -> Result<(), ChainError> {
    txn.put::<tables::PruneCheckpoints>(&stage.to_owned(), &StageCheckpoint { block_number })?;
    Ok(())
}
