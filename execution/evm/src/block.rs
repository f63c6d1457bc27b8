//! One block on an overlay.

use alloy_consensus::{EthereumReceipt, Header, TxType, transaction::Recovered};
use alloy_eip7928::{BlockAccessList, total_bal_items};
use alloy_eips::{
    eip4895::Withdrawal,
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
    eip7685::Requests,
    eip8282::{BUILDER_DEPOSIT_CONTRACT_ADDRESS, BUILDER_EXIT_CONTRACT_ADDRESS},
};
use alloy_evm::{
    Database, Evm,
    block::{BalIndexedDatabase, BlockExecutionError, BlockExecutor, BlockValidationError, TxResult},
    eth::{
        EthBlockExecutionCtx, EthBlockExecutor, EthEvmContext, EthTxResult,
        dao_fork::{DAO_HARDFORK_ACCOUNTS, DAO_HARDFORK_BENEFICIARY},
        receipt_builder::{ReceiptBuilder, ReceiptBuilderCtx},
    },
};
use alloy_primitives::Address;
use portico_chainspec::{AmsterdamRules, Fork};
use portico_consensus::{Engine, clique};
use revm::{
    DatabaseCommit, Inspector,
    context::{
        BlockEnv, TxEnv,
        result::{HaltReason, ResultAndState},
    },
    database_interface::bal::BalDatabase,
    inspector::NoOpInspector,
    primitives::hardfork::SpecId,
};

use crate::{
    BlockRules, CallOutcome, ExecutionError, Overlay, Receipt, StateReader, Transaction, bal_devnet4,
    block_environment,
    block_evm::BlockEvm,
    deposits,
    instructions::{BlockDatabase, recording_evm, refuse_collision},
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

impl BlockOutcome {
    /// Accounts in the block access list and their slots, changed or read.
    pub fn access_list_items(&self) -> u64 {
        self.access_list.as_deref().map_or(0, total_bal_items)
    }
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
    record_rewarded(overlay, rules, input);
    let outcome = run_block(overlay, rules, input);
    // State that cannot be read may look like a rule that is broken: a system call that fails, for one.
    overlay.check().map_err(ExecutionError::unreadable)?;
    outcome
}

fn run_block<R: StateReader>(
    overlay: &mut Overlay<R>,
    rules: BlockRules<'_>,
    input: BlockInput<'_>,
) -> Result<BlockOutcome, ExecutionError> {
    if rules.fork() >= Fork::Amsterdam {
        let database = BalDatabase::new(overlay).with_bal_builder();
        let mut run = Run::begin(database, rules, input, NoOpInspector, BalIndexedDatabase::set_bal_index)?;
        run.all_transactions(input)?;
        let (mut database, outcome) = run.finish()?;
        return Ok(BlockOutcome { access_list: database.bal_state.take_built_alloy_bal(), ..outcome });
    }
    let mut run = Run::begin(overlay, rules, input, NoOpInspector, |_, _| {})?;
    run.all_transactions(input)?;
    Ok(run.finish()?.1)
}

/// As [`execute_block`], for blocks before Byzantium: `after_transaction` sees the state after each transaction, to
/// which the receipts of that time commit.
///
/// # Errors
/// As [`execute_block`], and whatever `after_transaction` meets.
pub fn execute_block_by_transactions<R: StateReader, E: From<ExecutionError>>(
    overlay: &mut Overlay<R>,
    rules: BlockRules<'_>,
    input: BlockInput<'_>,
    mut after_transaction: impl FnMut(&mut Overlay<R>) -> Result<(), E>,
) -> Result<BlockOutcome, E> {
    debug_assert!(rules.fork() < Fork::Byzantium, "later receipts do not commit to states");
    record_rewarded(overlay, rules, input);
    let mut run = Run::begin(&mut *overlay, rules, input, NoOpInspector, |_, _| {})?;
    for (transaction, sender) in input.transactions.iter().zip(input.senders) {
        run.transaction(transaction, *sender, |_| {})?;
        after_transaction(run.executor.evm_mut().db_mut())?;
    }
    let (_, outcome) = run.finish()?;
    overlay.check().map_err(ExecutionError::unreadable)?;
    Ok(outcome)
}

/// Notes who is rewarded; transactions, and calls between contracts, note themselves.
fn record_rewarded<R: StateReader>(overlay: &mut Overlay<R>, rules: BlockRules<'_>, input: BlockInput<'_>) {
    if !rules.block().merged {
        for author in std::iter::once(input.header).chain(input.ommers) {
            overlay.record_trace(author.beneficiary, false, true);
        }
    }
}

/// A block that is executed transaction by transaction, by someone who decides what to do with those that do not
/// fit: they leave no mark. Bulk execution takes the same steps.
///
/// ```text
/// begin (system calls before) ── transaction, transaction, … ── finish (withdrawals, requests, rewards)
/// ```
#[expect(missing_debug_implementations, reason = "the executor has none")]
pub struct BlockExecution<'a, R: StateReader, I = NoOpInspector> {
    run: Run<'a, BalDatabase<&'a mut Overlay<R>>, I>,
    inspects: bool,
}

/// What an inspector of a [`BlockExecution`] is shown.
pub type BlockEvmContext<'a, R> = EthEvmContext<BalDatabase<&'a mut Overlay<R>>>;

impl<'a, R, I> BlockExecution<'a, R, I>
where
    R: StateReader,
    I: Inspector<BlockEvmContext<'a, R>>,
{
    /// Does what comes before the first transaction. Those that `block` names are not looked at.
    ///
    /// # Errors
    /// [`ExecutionError::Invalid`] when a system call fails.
    pub fn begin(
        overlay: &'a mut Overlay<R>,
        rules: BlockRules<'a>,
        block: BlockInput<'a>,
        inspector: I,
    ) -> Result<Self, ExecutionError> {
        record_rewarded(overlay, rules, block);
        let mut database = BalDatabase::new(overlay);
        if rules.fork() >= Fork::Amsterdam {
            database = database.with_bal_builder();
        }
        let run = Run::begin(database, rules, block, inspector, BalIndexedDatabase::set_bal_index)?;
        Ok(Self { run, inspects: false })
    }

    /// Shows the transactions from now on to the inspector; system calls are never shown.
    pub fn inspect(&mut self) {
        self.inspects = true;
    }

    /// Executes the next transaction.
    ///
    /// # Errors
    /// [`ExecutionError::Invalid`] for a transaction that the block cannot hold: the next one takes its place.
    pub fn transaction(
        &mut self,
        transaction: &Transaction,
        sender: Address,
    ) -> Result<CallOutcome, ExecutionError> {
        self.run.executor.evm_mut().set_inspector_enabled(self.inspects);
        let mut outcome = None;
        let executed = self.run.transaction(transaction, sender, |result| {
            outcome = Some(CallOutcome::from(result.result().result.clone()));
        });
        self.run.executor.evm_mut().disable_inspector();
        executed?;
        self.overlay().check().map_err(ExecutionError::unreadable)?;
        Ok(outcome.expect("the executor shows the result of what it executes"))
    }

    /// Executes the next transaction under the inspector, and lets `finish` say what that found, before the state is
    /// changed.
    ///
    /// # Errors
    /// As [`BlockExecution::transaction`].
    pub fn trace<T>(
        &mut self,
        transaction: &Transaction,
        sender: Address,
        finish: impl FnOnce(Traced<'_, R, I>) -> T,
    ) -> Result<T, ExecutionError> {
        let executor = &mut self.run.executor;
        executor.evm_mut().enable_inspector();
        let executed = self.run.execute(transaction, sender);
        self.run.executor.evm_mut().disable_inspector();
        let result = executed?;
        let environment = transaction_environment(transaction, sender);
        let block = self.run.executor.evm().block().clone();
        let (database, inspector, _) = self.run.executor.evm_mut().components_mut();
        let traced = Traced {
            inspector,
            database: database.db,
            block: &block,
            transaction: &environment,
            result: &result.result,
        };
        let found = finish(traced);
        self.run.commit(transaction, sender, result);
        self.overlay().check().map_err(ExecutionError::unreadable)?;
        Ok(found)
    }

    /// Receipts of the transactions so far.
    pub fn receipts(&self) -> &[Receipt] {
        &self.run.executor.receipts
    }

    /// Gas used by the transactions so far, as the header counts it.
    pub fn gas_used(&self) -> u64 {
        let executor = &self.run.executor;
        if self.run.fork >= Fork::Amsterdam {
            executor.max_block_gas_used()
        } else {
            executor.cumulative_tx_gas_used
        }
    }

    /// Blob gas used by the transactions so far.
    pub fn blob_gas_used(&self) -> u64 {
        self.run.executor.blob_gas_used
    }

    /// The state after the transactions so far.
    pub fn overlay(&self) -> &Overlay<R> {
        self.run.executor.evm().db().db
    }

    /// The inspector.
    pub fn inspector_mut(&mut self) -> &mut I {
        self.run.executor.evm_mut().inspector_mut()
    }

    /// Does what comes after the last transaction.
    ///
    /// # Errors
    /// [`ExecutionError::Invalid`] when a system call fails or a deposit cannot be decoded.
    pub fn finish(self) -> Result<BlockOutcome, ExecutionError> {
        let (mut database, outcome) = self.run.finish()?;
        database.db.check().map_err(ExecutionError::unreadable)?;
        Ok(BlockOutcome { access_list: database.bal_state.take_built_alloy_bal(), ..outcome })
    }
}

/// A transaction that was executed under an inspector; the state is still the one before it.
#[expect(missing_debug_implementations, reason = "inspectors need not have one")]
pub struct Traced<'x, R: StateReader, I> {
    /// What saw it.
    pub inspector: &'x mut I,
    /// The state before it.
    pub database: &'x mut Overlay<R>,
    /// The block that it is in.
    pub block: &'x BlockEnv,
    /// The transaction.
    pub transaction: &'x TxEnv,
    /// What it gives, and how it changes the state.
    pub result: &'x ResultAndState<HaltReason>,
}

/// What the executor has of a transaction that is not committed yet.
type TxOutcome = EthTxResult<HaltReason, TxType>;

/// The steps of a block on one kind of database.
struct Run<'a, D: Database, I> {
    executor: EthBlockExecutor<'a, BlockEvm<D, I>, BlockRules<'a>, Receipts>,
    fork: Fork,
    deposit_contract: Option<Address>,
    /// Tells the database the position in the block, for the access list.
    set_access_index: fn(&mut D, u64),
}

impl<'a, D, I> Run<'a, D, I>
where
    D: Database + DatabaseCommit + BlockDatabase,
    I: Inspector<EthEvmContext<D>>,
{
    fn begin(
        database: D,
        rules: BlockRules<'a>,
        block: BlockInput<'a>,
        inspector: I,
        set_access_index: fn(&mut D, u64),
    ) -> Result<Self, ExecutionError> {
        let header = block.header;
        let beneficiary = Beneficiary::of(rules, header)?;
        let environment = block_environment(rules, header, beneficiary.address(header));
        let executor_rules = match beneficiary {
            Beneficiary::Header => rules,
            Beneficiary::Signer(_) => rules.without_rewards(),
        };
        let context = EthBlockExecutionCtx {
            parent_hash: header.parent_hash,
            parent_beacon_block_root: header.parent_beacon_block_root,
            ommers: block.ommers,
            withdrawals: block.withdrawals.map(Into::into),
            extra_data: header.extra_data.clone(),
            tx_count_hint: Some(block.transactions.len()),
            slot_number: header.slot_number,
        };
        let executor_rules = match rules.amsterdam_rules() {
            AmsterdamRules::Final => executor_rules,
            AmsterdamRules::BalDevnet4 => executor_rules.without_builder_requests(),
        };
        let fork = rules.fork();
        let evm = recording_evm(database, environment, rules, inspector);
        let mut executor = EthBlockExecutor::new(evm, context, executor_rules, Receipts);
        if rules.spec().dao_fork().is_some_and(|dao| dao.supported && dao.block == header.number) {
            // The irregular state change, before the fork block's first transaction (EIP-779).
            executor.evm_mut().db_mut().move_balances(&DAO_HARDFORK_ACCOUNTS, DAO_HARDFORK_BENEFICIARY);
        }
        set_access_index(executor.evm_mut().db_mut(), 0);
        executor.apply_pre_execution_changes().map_err(|error| ExecutionError::new(error, None))?;
        let deposit_contract = rules.spec().deposit_contract();
        Ok(Self { executor, fork, deposit_contract, set_access_index })
    }

    fn all_transactions(&mut self, block: BlockInput<'_>) -> Result<(), ExecutionError> {
        for (transaction, sender) in block.transactions.iter().zip(block.senders) {
            self.transaction(transaction, *sender, |_| {})?;
        }
        Ok(())
    }

    /// Executes the next transaction and shows its result before it becomes a receipt.
    fn transaction(
        &mut self,
        transaction: &Transaction,
        sender: Address,
        show: impl FnOnce(&TxOutcome),
    ) -> Result<(), ExecutionError> {
        let result = self.execute(transaction, sender)?;
        show(&result);
        self.commit(transaction, sender, result);
        Ok(())
    }

    /// Executes the next transaction; the state does not change yet.
    fn execute(&mut self, transaction: &Transaction, sender: Address) -> Result<TxOutcome, ExecutionError> {
        let tx_index = self.executor.receipts.len();
        (self.set_access_index)(self.executor.evm_mut().db_mut(), tx_index as u64 + 1);
        let recovered = Recovered::new_unchecked(transaction, sender);
        let mut environment = transaction_environment(transaction, sender);
        let executed = match self.executor.evm.rules() {
            AmsterdamRules::Final => {
                refuse_collision(&mut environment, self.executor.evm_mut().db_mut());
                self.executor.execute_transaction_without_commit((environment, recovered))
            }
            // The older rules see to collisions themselves.
            AmsterdamRules::BalDevnet4 => self.execute_under_bal_devnet4(environment, transaction),
        };
        executed.map_err(|error| ExecutionError::new(error, Some(tx_index)))
    }

    fn commit(&mut self, transaction: &Transaction, sender: Address, result: TxOutcome) {
        let regular_gas_before = self.executor.block_regular_gas_used;
        self.executor.commit_transaction(result);
        if self.executor.evm.rules() == AmsterdamRules::BalDevnet4 {
            self.executor.block_regular_gas_used = regular_gas_before + self.executor.evm.regular_gas_used();
        }
        let database = self.executor.evm_mut().db_mut();
        database.record_trace(sender, true, false);
        if let Some(to) = alloy_consensus::Transaction::to(transaction) {
            database.record_trace(to, false, true);
        }
    }

    /// As the executor does it, with the older rules for what fits a block.
    fn execute_under_bal_devnet4(
        &mut self,
        environment: TxEnv,
        transaction: &Transaction,
    ) -> Result<TxOutcome, BlockExecutionError> {
        let executor = &mut self.executor;
        let gas_limit = executor.evm.block().gas_limit;
        let left = bal_devnet4::RoomLeft {
            regular: gas_limit.saturating_sub(executor.block_regular_gas_used),
            state: gas_limit.saturating_sub(executor.block_state_gas_used),
        };
        bal_devnet4::check_room(&environment, executor.evm.cfg_env(), left)?;
        let result = executor
            .evm
            .transact_raw(environment)
            .map_err(|error| BlockExecutionError::evm(error, *transaction.tx_hash()))?;
        let blob_gas_used = alloy_consensus::Transaction::blob_gas_used(transaction).unwrap_or_default();
        Ok(EthTxResult { result, blob_gas_used, tx_type: transaction.tx_type() })
    }

    fn finish(mut self) -> Result<(D, BlockOutcome), ExecutionError> {
        let position = self.executor.receipts.len() as u64 + 1;
        (self.set_access_index)(self.executor.evm_mut().db_mut(), position);
        if self.fork >= Fork::Prague {
            require_well_formed_deposits(&self.executor.receipts, self.deposit_contract)?;
            let asks_builders =
                self.fork >= Fork::Amsterdam && self.executor.evm.rules() == AmsterdamRules::Final;
            require_request_contracts(self.executor.evm_mut().db_mut(), asks_builders)?;
        }
        let (evm, result) = self.executor.finish().map_err(|error| ExecutionError::new(error, None))?;
        let outcome = BlockOutcome {
            receipts: result.receipts,
            gas_used: result.gas_used,
            blob_gas_used: result.blob_gas_used,
            requests: (self.fork >= Fork::Prague).then_some(result.requests),
            access_list: None,
        };
        Ok((evm.into_db(), outcome))
    }
}

/// Every deposit in the logs must be laid out as the contract does it (EIP-6110).
fn require_well_formed_deposits(
    receipts: &[Receipt],
    contract: Option<Address>,
) -> Result<(), ExecutionError> {
    let Some(contract) = contract else { return Ok(()) };
    let mut logs = receipts.iter().filter(|receipt| receipt.success).flat_map(|receipt| &receipt.logs);
    if logs.all(|log| deposits::is_well_formed(log, contract)) {
        return Ok(());
    }
    let reason =
        BlockValidationError::DepositRequestDecode("the event's layout is not the contract's".into());
    Err(ExecutionError::Invalid { tx_index: None, reason })
}

/// The system calls that collect requests must find code (EIP-7002, EIP-7251; EIP-8282 where builders are asked).
fn require_request_contracts<D: Database>(
    database: &mut D,
    asks_builders: bool,
) -> Result<(), ExecutionError> {
    let invalid = |reason| Err(ExecutionError::Invalid { tx_index: None, reason });
    let mut is_missing = |address| {
        let account = database.basic(address).map_err(ExecutionError::unreadable)?;
        Ok::<_, ExecutionError>(account.is_none_or(|account| account.is_empty_code_hash()))
    };
    let message = || "there is no contract".to_owned();
    if is_missing(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS)? {
        return invalid(BlockValidationError::WithdrawalRequestsContractCall { message: message() });
    }
    if is_missing(CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS)? {
        return invalid(BlockValidationError::ConsolidationRequestsContractCall { message: message() });
    }
    if !asks_builders {
        return Ok(());
    }
    if is_missing(BUILDER_DEPOSIT_CONTRACT_ADDRESS)? {
        return invalid(BlockValidationError::BuilderDepositRequestsContractCall { message: message() });
    }
    if is_missing(BUILDER_EXIT_CONTRACT_ADDRESS)? {
        return invalid(BlockValidationError::BuilderExitRequestsContractCall { message: message() });
    }
    Ok(())
}

/// The interpreter's name for a fork, for tools that set it up by hand.
pub fn spec_id(rules: BlockRules<'_>) -> SpecId {
    block_environment(rules, &Header::default(), Address::ZERO).cfg_env.spec
}

/// A transaction as the interpreter takes it.
pub fn transaction_environment(transaction: &Transaction, sender: Address) -> TxEnv {
    alloy_evm::FromRecoveredTx::from_recovered_tx(transaction, sender)
}
