//! Holding what execution gave against the header, and writing it.

use alloy_primitives::{B256, keccak256};
use crossbeam_channel::Receiver;
use portico_chain::{append_receipts, append_state_roots, encode_row, write_access_list};
use portico_consensus::{ExecutionResult, validate_block_access_list_length, validate_execution};
use portico_db::RwTxn;
use portico_evm::{BlockOutcome, Receipt};
use portico_state::{BlockChanges, write_changes};

use super::blocks::ExecutableBlock;
use crate::{StageContext, StageError};

/// A block after its execution.
#[derive(Debug)]
pub(super) struct Executed {
    pub block: ExecutableBlock,
    pub outcome: BlockOutcome,
    /// After each transaction, before Byzantium.
    pub state_roots: Option<Vec<B256>>,
    /// Not sorted yet: this thread has more time than the executing one.
    pub changes: BlockChanges,
}

/// Checks and writes the blocks that come, in order, until there are no more or one is wrong.
pub(super) fn check_and_write(
    context: &StageContext<'_>,
    txn: &RwTxn<'_>,
    done: u64,
    executed: &Receiver<Executed>,
) -> Result<(), StageError> {
    for (expected, Executed { block, outcome, state_roots, mut changes }) in (done + 1..).zip(executed) {
        debug_assert_eq!(block.header.number, expected, "blocks come in order");
        let access_list = outcome.access_list.as_ref().map(alloy_rlp::encode);
        check(context, &block, &outcome, state_roots.as_deref(), access_list.as_deref())?;
        append_state_roots(txn, block.first_tx_number, state_roots.as_deref().unwrap_or_default())?;
        changes.sort();
        let number = block.header.number;
        write_receipts(txn, number, block.first_tx_number, &outcome.receipts, access_list.as_deref())?;
        write_changes(txn, number, &changes)?;
    }
    Ok(())
}

/// Writes what is kept of a block's execution besides state and changes; `access_list` is the RLP of the block's.
pub(crate) fn write_receipts(
    txn: &RwTxn<'_>,
    block_number: u64,
    first_tx_number: u64,
    receipts: &[Receipt],
    access_list: Option<&[u8]>,
) -> Result<(), StageError> {
    let rows: Vec<Vec<u8>> = receipts.iter().map(encode_row).collect();
    append_receipts(txn, first_tx_number, &rows)?;
    Ok(access_list.map_or(Ok(()), |list| write_access_list(txn, block_number, list))?)
}

fn check(
    context: &StageContext<'_>,
    block: &ExecutableBlock,
    outcome: &BlockOutcome,
    state_roots: Option<&[B256]>,
    access_list: Option<&[u8]>,
) -> Result<(), StageError> {
    let result = ExecutionResult {
        gas_used: outcome.gas_used,
        receipts: &outcome.receipts,
        state_roots,
        requests: outcome.requests.as_ref(),
        block_access_list_hash: access_list.map(keccak256),
    };
    let length = validate_block_access_list_length(block.header.gas_limit, outcome.access_list_items());
    length.and_then(|()| validate_execution(context.spec, block.context, &block.header, result)).map_err(
        |error| StageError::InvalidBlock {
            number: block.header.number,
            hash: block.hash,
            reason: Box::new(error.into()),
        },
    )
}
