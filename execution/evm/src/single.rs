//! One transaction alone, without what a block does round it: no system calls, rewards or withdrawals.

use alloy_consensus::Header;
use alloy_evm::Evm;
use revm::{DatabaseCommit, context::TxEnv, context::result::EVMError, inspector::NoOpInspector};

use crate::{
    BlockRules, CallError, CallOutcome, Overlay, StateReader, block_environment,
    instructions::{recording_evm, refuse_collision},
};

/// Executes a transaction in the block that `header` describes, and leaves the state after it in `overlay`.
///
/// # Errors
/// [`CallError::Invalid`] for a transaction that the block cannot hold: the state is as it was.
pub fn execute_single<R: StateReader>(
    overlay: &mut Overlay<R>,
    rules: BlockRules<'_>,
    header: &Header,
    mut transaction: TxEnv,
) -> Result<CallOutcome, CallError> {
    refuse_collision(&mut transaction, overlay);
    let environment = block_environment(rules, header, header.beneficiary);
    let mut evm = recording_evm(&mut *overlay, environment, rules, NoOpInspector);
    let result = match evm.transact(transaction) {
        Ok(result) => result,
        Err(EVMError::Database(error)) => return Err(CallError::Read(error)),
        Err(error) => return Err(error.into()),
    };
    evm.db_mut().commit(result.state);
    overlay.check()?;
    Ok(result.result.into())
}
