//! One transaction alone, without what a block does round it: no system calls, rewards or withdrawals.

use alloy_consensus::Header;
use alloy_evm::Evm;
use revm::{DatabaseCommit, Inspector, context::TxEnv, context::result::EVMError, inspector::NoOpInspector};

use crate::{
    BlockRules, CallError, CallOutcome, Overlay, StateReader, block_environment,
    block_evm::BlockEvm,
    instructions::{recording_evm, refuse_collision},
};

/// What an inspector of [`inspect_single`] is shown.
pub type SingleEvmContext<'a, R> = alloy_evm::eth::EthEvmContext<&'a mut Overlay<R>>;

/// Executes a transaction in the block that `header` describes, and leaves the state after it in `overlay`.
///
/// # Errors
/// [`CallError::Invalid`] for a transaction that the block cannot hold: the state is as it was.
pub fn execute_single<R: StateReader>(
    overlay: &mut Overlay<R>,
    rules: BlockRules<'_>,
    header: &Header,
    transaction: TxEnv,
) -> Result<CallOutcome, CallError> {
    run(recording(overlay, rules, header, NoOpInspector), transaction)
}

/// As [`execute_single`], shown to an inspector.
///
/// # Errors
/// As [`execute_single`].
pub fn inspect_single<'a, R: StateReader, I: Inspector<SingleEvmContext<'a, R>>>(
    overlay: &'a mut Overlay<R>,
    rules: BlockRules<'_>,
    header: &Header,
    transaction: TxEnv,
    inspector: I,
) -> Result<CallOutcome, CallError> {
    let mut evm = recording(overlay, rules, header, inspector);
    evm.enable_inspector();
    run(evm, transaction)
}

fn recording<'a, R: StateReader, I>(
    overlay: &'a mut Overlay<R>,
    rules: BlockRules<'_>,
    header: &Header,
    inspector: I,
) -> BlockEvm<&'a mut Overlay<R>, I> {
    let environment = block_environment(rules, header, header.beneficiary);
    recording_evm(overlay, environment, rules, inspector)
}

fn run<'a, R: StateReader, I: Inspector<SingleEvmContext<'a, R>>>(
    mut evm: BlockEvm<&'a mut Overlay<R>, I>,
    mut transaction: TxEnv,
) -> Result<CallOutcome, CallError> {
    refuse_collision(&mut transaction, evm.db_mut());
    let result = match evm.transact(transaction) {
        Ok(result) => result,
        Err(EVMError::Database(error)) => return Err(CallError::Read(error)),
        Err(error) => return Err(error.into()),
    };
    evm.db_mut().commit(result.state);
    evm.db_mut().check()?;
    Ok(result.result.into())
}
