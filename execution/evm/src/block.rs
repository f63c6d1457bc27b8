//! One block on an overlay.

use alloy_consensus::{EthereumReceipt, Header, TxType, transaction::Recovered};
use alloy_eip7928::BlockAccessList;
use alloy_eips::{eip4895::Withdrawal, eip7685::Requests};
use alloy_evm::{
    Evm,
    block::{BalIndexedDatabase, BlockExecutor, StateDB},
    eth::{
        EthBlockExecutionCtx, EthBlockExecutor,
        receipt_builder::{ReceiptBuilder, ReceiptBuilderCtx},
    },
};
use alloy_primitives::Address;
use portico_chainspec::Fork;
use portico_consensus::{Engine, clique};
use revm::{context::TxEnv, database_interface::bal::BalDatabase, primitives::hardfork::SpecId};

use crate::{
    BlockRules, ExecutionError, Overlay, Receipt, StateReader, Transaction, block_environment,
    instructions::{CallRecorder, recording_evm},
};

/// What is executed: the block without its hash and roots.
#[derive(Debug, Clone, Copy)]
pub struct BlockInput<'a> {
    /// The header; roots, bloom and gas used are not looked at.
    pub header: &'a Header,
    /// Transactions in order.
    pub transactions: &'a [Transaction],
    /// Their senders.
    pub senders: &'a [Address],
    /// Ommers, which are rewarded.
    pub ommers: &'a [Header],
    /// Withdrawals, from Shanghai on.
    pub withdrawals: Option<&'a [Withdrawal]>,
}

/// What executing a block gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockOutcome {
    /// One per transaction.
    pub receipts: Vec<Receipt>,
    /// Gas used as the header counts it.
    pub gas_used: u64,
    /// Blob gas used.
    pub blob_gas_used: u64,
    /// Requests, from Prague on.
    pub requests: Option<Requests>,
    /// Block access list, from Amsterdam on.
    pub access_list: Option<BlockAccessList>,
}

/// Who gets the fees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beneficiary {
    /// The header's.
    Header,
    /// The signer of a Clique block, who also gets no reward.
    Signer(Address),
}

impl Beneficiary {
    /// The one that the block's engine says.
    pub fn of(rules: BlockRules<'_>, header: &Header) -> Result<Self, ExecutionError> {
        Ok(match Engine::of(rules.spec(), rules.block())? {
            Engine::Ethash | Engine::Beacon => Self::Header,
            Engine::Clique { .. } => Self::Signer(clique::recover_block_signer(header)?),
        })
    }

    /// The address.
    pub fn address(self, header: &Header) -> Address {
        match self {
            Self::Header => header.beneficiary,
            Self::Signer(signer) => signer,
        }
    }
}

/// Builds receipts in the form in which they are stored.
#[derive(Debug, Clone, Copy)]
struct Receipts;

impl ReceiptBuilder for Receipts {
    type Transaction = Transaction;
    type Receipt = Receipt;

    fn build_receipt<E: Evm>(&self, built: ReceiptBuilderCtx<'_, TxType, E>) -> Receipt {
        EthereumReceipt {
            tx_type: built.tx_type,
            success: built.result.is_success(),
            cumulative_gas_used: built.cumulative_gas_used,
            logs: built.result.into_logs(),
        }
    }
}

/// Executes a block on `overlay`, which then holds the state after it; the caller brackets it with
/// [`Overlay::begin_block`] and [`Overlay::end_block`], and has set the hashes of the blocks before.
///
/// # Errors
/// [`ExecutionError::Invalid`] for a block that breaks a rule; the overlay is useless then.
pub fn execute_block<R: StateReader>(
    overlay: &mut Overlay<R>,
    rules: BlockRules<'_>,
    input: BlockInput<'_>,
) -> Result<BlockOutcome, ExecutionError> {
    let internal =
        |error: crate::ReadError| ExecutionError::Internal { tx_index: None, reason: Box::new(error) };
    record_top_level(overlay, rules, input)?;
    let outcome = if rules.fork() >= Fork::Amsterdam {
        let mut database = BalDatabase::new(&mut *overlay).with_bal_builder();
        let mut outcome = run(&mut database, rules, input, |database, index| database.set_bal_index(index))?;
        outcome.access_list = database.bal_state.take_built_alloy_bal();
        outcome
    } else {
        run(overlay, rules, input, |_, _| {})?
    };
    overlay.check().map_err(internal)?;
    Ok(outcome)
}

/// Notes senders, recipients and those who are rewarded; calls between contracts note themselves.
fn record_top_level<R: StateReader>(
    overlay: &mut Overlay<R>,
    rules: BlockRules<'_>,
    input: BlockInput<'_>,
) -> Result<(), ExecutionError> {
    for (transaction, sender) in input.transactions.iter().zip(input.senders) {
        overlay.record_trace(*sender, true, false);
        if let Some(to) = alloy_consensus::Transaction::to(transaction) {
            overlay.record_trace(to, false, true);
        }
    }
    if !rules.block().merged {
        for author in std::iter::once(input.header).chain(input.ommers) {
            overlay.record_trace(author.beneficiary, false, true);
        }
    }
    Ok(())
}

fn run<D>(
    database: &mut D,
    rules: BlockRules<'_>,
    input: BlockInput<'_>,
    mut at_access_index: impl FnMut(&mut D, u64),
) -> Result<BlockOutcome, ExecutionError>
where
    D: alloy_evm::Database + StateDB + CallRecorder,
{
    let beneficiary = Beneficiary::of(rules, input.header)?;
    let environment = block_environment(rules, input.header, beneficiary.address(input.header));
    let executor_rules = match beneficiary {
        Beneficiary::Header => rules,
        Beneficiary::Signer(_) => rules.without_rewards(),
    };
    let context = EthBlockExecutionCtx {
        parent_hash: input.header.parent_hash,
        parent_beacon_block_root: input.header.parent_beacon_block_root,
        ommers: input.ommers,
        withdrawals: input.withdrawals.map(Into::into),
        extra_data: input.header.extra_data.clone(),
        tx_count_hint: Some(input.transactions.len()),
        slot_number: input.header.slot_number,
    };
    at_access_index(database, 0);
    let evm = recording_evm(database, environment, rules.fork());
    let mut executor = EthBlockExecutor::new(evm, context, executor_rules, Receipts);
    executor.apply_pre_execution_changes().map_err(|error| ExecutionError::new(error, None))?;
    for (index, (transaction, sender)) in input.transactions.iter().zip(input.senders).enumerate() {
        at_access_index(*executor.evm_mut().db_mut(), index as u64 + 1);
        let recovered = Recovered::new_unchecked(transaction, *sender);
        executor.execute_transaction(recovered).map_err(|error| ExecutionError::new(error, Some(index)))?;
    }
    at_access_index(*executor.evm_mut().db_mut(), input.transactions.len() as u64 + 1);
    let result = executor.apply_post_execution_changes().map_err(|error| ExecutionError::new(error, None))?;
    Ok(BlockOutcome {
        receipts: result.receipts,
        gas_used: result.gas_used,
        blob_gas_used: result.blob_gas_used,
        requests: (rules.fork() >= Fork::Prague).then_some(result.requests),
        access_list: None,
    })
}

/// The interpreter's name for a fork, for tools that set it up by hand.
pub fn spec_id(rules: BlockRules<'_>) -> SpecId {
    block_environment(rules, &Header::default(), Address::ZERO).cfg_env.spec
}

/// A transaction as the interpreter takes it.
pub fn transaction_environment(transaction: &Transaction, sender: Address) -> TxEnv {
    alloy_evm::FromRecoveredTx::from_recovered_tx(transaction, sender)
}
