//! Running state tests: one transaction on a state in memory, for each fork and each choice of data, gas and value.

use std::{collections::BTreeMap, path::PathBuf};

use alloy_consensus::Header;
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use portico_chainspec::{ChainSpec, Fork};
use portico_evm::{
    BlockDatabase, BlockRules, CallError, CallOutcome, MemoryState, Overlay, ReadError, SignatureRules,
    Transaction, TxEnv, execute_single, inspect_single, recover_sender, transaction_environment,
};
use portico_tracers::TraceFields;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::{
    CaseRunner, Difference, Notes, Outcome, Part, ReasonMismatch, Refusal, Report, RunOptions, SpecError,
    block_case::{CaseAccount, chain_spec},
    is_expected,
    report::UNKNOWN_NETWORK,
    run_cases,
    runner::kind_of,
    state_case::{Post, StateCase},
    template::TemplateFault,
    trace::stderr_tracer,
};

/// Runs all state tests in `paths`.
///
/// # Errors
/// When a file cannot be read or is no fixture.
pub fn run_state_tests(
    paths: &[PathBuf],
    options: &RunOptions,
    settings: &StateTestSettings,
) -> Result<Report, SpecError> {
    let report = run_cases(paths, options, || Ok(StateTestRunner::new(settings.clone())))?;
    Ok(Report { command: "statetest", ..report })
}

/// Which expectations of each state test are run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StateTestSettings {
    /// Only those of this fork.
    pub fork: Option<String>,
    /// Only the one at this position, for each fork.
    pub index: Option<usize>,
    /// Write a trace of every transaction to standard error, with the state root behind it.
    pub trace: Option<TraceFields>,
}

/// Runs state tests.
#[derive(Debug, Default)]
pub struct StateTestRunner {
    settings: StateTestSettings,
    refused: u64,
}

impl StateTestRunner {
    /// A runner of these expectations.
    pub fn new(settings: StateTestSettings) -> Self {
        Self { settings, refused: 0 }
    }
}

impl CaseRunner for StateTestRunner {
    fn run(&mut self, name: &str, json: &str, notes: &mut Notes<'_>) -> Result<(), SpecError> {
        let kind: Kind = kind_of(name, json)?;
        if kind.env.is_none() || kind.post.is_none() || kind.transaction.is_none() {
            notes(Part::whole("other"), Outcome::Skipped("not a state test"));
            return Ok(());
        }
        let malformed = |error| SpecError::malformed(name, &error);
        let case: StateCase<'_> = serde_json::from_str(json).map_err(malformed)?;
        let only = self.settings.fork.clone();
        for (fork, posts) in &case.post {
            if only.as_ref().is_none_or(|only| only == fork) {
                self.run_fork(&case, fork, posts, notes);
            }
        }
        Ok(())
    }

    fn refused_blocks(&self) -> u64 {
        self.refused
    }
}

/// Just enough of a case to tell what it is.
#[derive(Default, Deserialize)]
struct Kind {
    env: Option<IgnoredAny>,
    post: Option<IgnoredAny>,
    transaction: Option<IgnoredAny>,
}

/// A refusal is no failure where the fixture asks for it.
type Executed = Result<CallOutcome, Refusal>;

impl StateTestRunner {
    fn run_fork(&mut self, case: &StateCase<'_>, fork: &str, posts: &[Post<'_>], notes: &mut Notes<'_>) {
        let header = case.env.header();
        let zero = RawValue::from_string("\"0x0\"".to_owned()).expect("a JSON string");
        let fields = BTreeMap::from([("gasLimit", &*zero), ("difficulty", &*zero)]);
        let Some(spec) = chain_spec(fork, case.config.as_ref(), case.pre, &fields) else {
            posts.iter().for_each(|_| notes(Part::whole(fork), Outcome::Skipped(UNKNOWN_NETWORK)));
            return;
        };
        for (index, post) in posts.iter().enumerate() {
            if self.settings.index.is_some_and(|only| only != index) {
                continue;
            }
            let outcome = match &spec {
                Ok(spec) => self.run_post(case, spec, &header, post),
                Err(error) => Outcome::Failed(Difference::new("pre-state", "a chain specification", error)),
            };
            notes(Part { fork, index: Some(index) }, outcome);
        }
    }

    fn run_post(
        &mut self,
        case: &StateCase<'_>,
        spec: &ChainSpec,
        header: &Header,
        post: &Post<'_>,
    ) -> Outcome {
        let merged = spec.terminal_total_difficulty().is_some();
        let block =
            portico_chainspec::BlockContext { number: header.number, timestamp: header.timestamp, merged };
        let rules = BlockRules::new(spec, block);
        let mut state = MemoryState::from_genesis(&spec.genesis_alloc());
        let mut overlay = Overlay::new(state.clone());
        overlay.begin_block(header.number);
        for number in header.number.saturating_sub(256)..header.number {
            overlay.set_block_hash(number, keccak256(number.to_string()));
        }
        let executed = match case.transaction(post, rules) {
            Ok(transaction) => self
                .execute(&mut overlay, rules, header, transaction)
                .map_err(|error| Refusal::Transaction(error.to_string())),
            Err(NoTransaction::Refused(refusal)) => Err(refusal),
            Err(NoTransaction::Fixture(difference)) => return Outcome::Failed(*difference),
        };
        if executed.is_ok() && rules.fork() < Fork::SpuriousDragon {
            // The miner of a transaction exists, even when it earns nothing.
            overlay.move_balances(&[], header.beneficiary);
        }
        state.apply(overlay.into_writes());
        let mut mismatches = Vec::new();
        let logs = match (&executed, &post.expect_exception) {
            (Ok(outcome), None) => outcome.logs(),
            // Old fixtures do not say what must be refused: the state shows it.
            (Err(_), None) if post.txbytes.is_none() => &[],
            (Err(refusal), None) => return failed("transaction", "executed", refusal),
            (Ok(_), Some(exception)) => {
                return failed("transaction", format!("refused: {exception}"), "executed");
            }
            (Err(refusal), Some(exception)) => {
                if !is_expected(exception, refusal) {
                    let (expected, got) = (exception.clone(), refusal.to_string());
                    mismatches.push(ReasonMismatch { expected, got });
                }
                &[]
            }
        };
        self.refused += u64::from(executed.is_err());
        let logs_hash = keccak256(alloy_rlp::encode(logs.to_vec()));
        let root = state.root();
        if self.settings.trace.is_some() {
            eprintln!("{{\"stateRoot\": \"{root}\"}}");
        }
        if root != post.hash {
            let got = format!("{root} ({}{})", describe(&executed), post.first_account(&state));
            return failed("state root", post.hash, got);
        }
        if logs_hash != post.logs {
            return failed("logs hash", post.logs, logs_hash);
        }
        Outcome::Passed(mismatches)
    }
}

impl StateTestRunner {
    fn execute(
        &self,
        overlay: &mut Overlay<MemoryState>,
        rules: BlockRules<'_>,
        header: &Header,
        transaction: TxEnv,
    ) -> Result<CallOutcome, CallError> {
        let Some(fields) = self.settings.trace else {
            return execute_single(overlay, rules, header, transaction);
        };
        let mut tracer = stderr_tracer(fields);
        let outcome = inspect_single(overlay, rules, header, transaction, &mut tracer);
        tracer.flush().map_err(|error| CallError::Read(ReadError::new(error)))?;
        outcome
    }
}

fn failed(what: &str, expected: impl std::fmt::Display, got: impl std::fmt::Display) -> Outcome {
    Outcome::Failed(Difference::new(what, expected, got))
}

fn describe(executed: &Executed) -> String {
    match executed {
        Ok(CallOutcome::Success { gas_used, .. }) => format!("success, {gas_used} gas"),
        Ok(CallOutcome::Revert { gas_used, .. }) => format!("reverted, {gas_used} gas"),
        Ok(CallOutcome::Halt { reason, gas_used }) => format!("{reason:?}, {gas_used} gas"),
        Err(refusal) => format!("refused: {refusal}"),
    }
}

impl Post<'_> {
    /// The first account that is not what the fixture says, in words; nothing where it does not say.
    fn first_account(&self, state: &MemoryState) -> String {
        let Some(json) = self.state else { return String::new() };
        let Ok(expected) = serde_json::from_str::<BTreeMap<Address, CaseAccount>>(json.get()) else {
            return String::new();
        };
        let unexpected = state.accounts().find(|(address, _)| !expected.contains_key(*address));
        let differing = expected.iter().find_map(|(address, account)| {
            let what = account.difference(address, state)?;
            Some(format!("; {what}"))
        });
        let unexpected = || unexpected.map(|(address, _)| format!("; account {address} must not be there"));
        differing.or_else(unexpected).unwrap_or_default()
    }
}

impl CaseAccount {
    fn difference(&self, address: &Address, state: &MemoryState) -> Option<String> {
        let Some(found) = state.get(address) else { return Some(format!("account {address} must be there")) };
        let says = |name: &str, expected: &dyn std::fmt::Display, got: &dyn std::fmt::Display| {
            Some(format!("{name} of {address} must be {expected}, is {got}"))
        };
        if found.account.balance != self.balance {
            return says("balance", &self.balance, &found.account.balance);
        }
        if found.account.nonce != self.nonce.to::<u64>() {
            return says("nonce", &self.nonce, &found.account.nonce);
        }
        if found.account.code_hash != keccak256(&self.code) {
            return says("code hash", &keccak256(&self.code), &found.account.code_hash);
        }
        let expected = self.storage.iter().filter(|(_, value)| !value.is_zero());
        let expected: BTreeMap<B256, _> = expected.map(|(slot, value)| (B256::from(*slot), *value)).collect();
        let slots = expected.keys().chain(found.storage.keys());
        let value = |slots: &BTreeMap<B256, _>, slot: &B256| slots.get(slot).copied().unwrap_or_default();
        let differing =
            slots.into_iter().find(|slot| value(&expected, slot) != value(&found.storage, slot))?;
        let (expected, got) = (value(&expected, differing), value(&found.storage, differing));
        says(&format!("slot {differing}"), &expected, &got)
    }
}

/// Why there is nothing to execute.
enum NoTransaction {
    /// The transaction must not be executed.
    Refused(Refusal),
    /// The fixture contradicts itself.
    Fixture(Box<Difference>),
}

impl StateCase<'_> {
    /// The signed transaction, which must be the one of the JSON; older fixtures have only that.
    fn transaction(&self, post: &Post<'_>, rules: BlockRules<'_>) -> Result<TxEnv, NoTransaction> {
        let chain_id = rules.spec().chain_id();
        let contradicts = |difference| NoTransaction::Fixture(Box::new(difference));
        let Some(bytes) = &post.txbytes else {
            return self.transaction.environment(post.indexes, chain_id).map_err(|fault| match fault {
                TemplateFault::TooLarge(fault) => NoTransaction::Refused(Refusal::Transaction(fault)),
                TemplateFault::Fixture(fault) => {
                    contradicts(Difference::new("transaction", "JSON that makes one", fault))
                }
            });
        };
        let (signed, sender) = decode(bytes, rules).map_err(NoTransaction::Refused)?;
        match self.transaction.difference(post.indexes, &signed, sender, chain_id) {
            Some(difference) => Err(contradicts(difference)),
            None => Ok(transaction_environment(&signed, sender)),
        }
    }
}

/// The transaction as it would come in a block, and its sender.
fn decode(bytes: &Bytes, rules: BlockRules<'_>) -> Result<(Transaction, Address), Refusal> {
    let no_transaction = |message: String| Refusal::TransactionRlp(message);
    let transaction =
        Transaction::decode_2718_exact(bytes).map_err(|error| no_transaction(error.to_string()))?;
    let unsupported =
        || format!("transaction type {} not supported or signature invalid", transaction.tx_type());
    match recover_sender(&transaction, SignatureRules::of(rules)) {
        Some(sender) => Ok((transaction, sender)),
        None => Err(Refusal::Transaction(unsupported())),
    }
}
