//! The transition itself: from inputs to outputs, with no file but those of traces.

use std::{collections::BTreeMap, path::PathBuf};

use alloy_primitives::{Address, B256, Bytes, U256};
use portico_chainspec::{ChainSpec, Fork, TestBlobParams};
use portico_consensus::first_fork_of;
use portico_evm::{
    BlockExecution, BlockInput, BlockOutcome, BlockRules, ExecutionError, MemoryState, Overlay,
    SignatureRules, Transaction, recover_sender,
};
use portico_tracers::TraceFields;
use revm::{
    Database, DatabaseCommit,
    state::{Account, TransactionId},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    T8nError,
    environment::{Block, Environment},
    rejection,
    result::{Included, Rejected, Results},
    transactions::{self, Candidate},
    watch::Watch,
};
use crate::evm::{
    alloc::{Alloc, alloc_json},
    number::narrow,
};

/// What goes in, as JSON.
#[derive(Debug, Clone, Default)]
pub struct TransitionInput {
    /// The state before the block, by address.
    pub alloc: Value,
    /// The block's environment.
    pub env: Value,
    /// Transactions: a list of objects, or RLP in hexadecimal.
    pub txs: Value,
    /// Blob parameters in place of the fork's.
    pub blob_params: Option<Value>,
}

/// How it is executed.
#[derive(Debug, Clone)]
pub struct TransitionOptions {
    /// Fork or test network.
    pub fork: String,
    /// Chain id of EIP-155.
    pub chain_id: u64,
    /// Block reward in wei; `None` leaves the beneficiary alone.
    pub reward: Option<u128>,
    /// Folder and fields of trace files.
    pub(super) trace: Option<(PathBuf, TraceFields)>,
    /// Whether instructions are counted.
    pub(super) counts_opcodes: bool,
}

impl TransitionOptions {
    /// No trace, no count.
    pub fn new(fork: &str, chain_id: u64, reward: Option<u128>) -> Self {
        Self { fork: fork.to_owned(), chain_id, reward, trace: None, counts_opcodes: false }
    }
}

/// What comes out.
#[derive(Debug, Clone)]
pub struct TransitionOutput {
    /// Roots, receipts, rejected transactions and the rest.
    pub result: Value,
    /// The state after the block, by address.
    pub alloc: Value,
    /// RLP of the transactions in the block.
    pub body: Bytes,
    /// How often each instruction ran, if that was asked for.
    pub opcode_count: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlobParamsInput {
    #[serde(deserialize_with = "narrow")]
    target: u64,
    #[serde(deserialize_with = "narrow")]
    max: u64,
    #[serde(deserialize_with = "narrow")]
    base_fee_update_fraction: u64,
}

/// Executes a block's transactions; those that do not fit are left out and named.
///
/// # Errors
/// For inputs that are not what they should be, and when reading or writing fails.
pub fn transition(input: TransitionInput, options: &TransitionOptions) -> Result<TransitionOutput, T8nError> {
    let blob_params = input.blob_params.map(parse_blob_params).transpose()?;
    let spec = ChainSpec::for_test_network(&options.fork, options.chain_id, blob_params)
        .map_err(T8nError::configuration)?;
    let alloc: Alloc =
        serde_json::from_value(input.alloc).map_err(|error| T8nError::input("alloc", error))?;
    let state = alloc.into_state().map_err(|error| T8nError::input("alloc", error))?;
    let environment: Environment =
        serde_json::from_value(input.env).map_err(|error| T8nError::input("env", error))?;
    let candidates = transactions::parse(input.txs, options.chain_id)?;
    let block = environment.into_block(&spec)?;
    run(&spec, &block, state, candidates, options)
}

fn parse_blob_params(json: Value) -> Result<TestBlobParams, T8nError> {
    let BlobParamsInput { target, max, base_fee_update_fraction } =
        serde_json::from_value(json).map_err(|error| T8nError::input("blobParams", error))?;
    Ok(TestBlobParams { target, max, update_fraction: base_fee_update_fraction })
}

fn run(
    spec: &ChainSpec,
    block: &Block,
    state: MemoryState,
    candidates: Vec<Candidate>,
    options: &TransitionOptions,
) -> Result<TransitionOutput, T8nError> {
    let mut overlay = Overlay::new(state.clone());
    for (number, hash) in &block.block_hashes {
        overlay.set_block_hash(*number, *hash);
    }
    overlay.begin_block(block.header.number);
    let input = BlockInput {
        header: &block.header,
        transactions: &[],
        senders: &[],
        ommers: &[],
        withdrawals: block.withdrawals.as_deref(),
    };
    let rules = BlockRules::new(spec, block.context).without_rewards();
    let watch = Watch::new(options.trace.as_ref(), options.counts_opcodes);
    let is_watched = watch.is_on();
    let mut execution = BlockExecution::begin(&mut overlay, rules, input, watch)?;
    if is_watched {
        execution.inspect();
    }
    let mut filling =
        Filling { spec, block, state: &state, execution, included: Vec::new(), rejected: Vec::new() };
    for (index, candidate) in candidates.into_iter().enumerate() {
        filling.offer(index, candidate)?;
    }
    let Filling { mut execution, included, rejected, .. } = filling;
    let opcode_count = execution.inspector_mut().opcode_count().by_name();
    let (outcome, block_exception) = finish(execution)?;
    pay_rewards(&mut overlay, block, options.reward)?;
    overlay.check().map_err(internal)?;
    let mut state = state;
    state.apply(overlay.into_writes());

    let body = alloy_rlp::encode(included.iter().map(|included| &included.transaction).collect::<Vec<_>>());
    let results =
        Results { block, outcome: &outcome, included: &included, rejected: &rejected, block_exception };
    Ok(TransitionOutput {
        result: results.to_json(state.root()),
        alloc: alloc_json(&state),
        body: body.into(),
        opcode_count,
    })
}

fn internal(error: portico_evm::ReadError) -> T8nError {
    ExecutionError::Internal { tx_index: None, reason: Box::new(error) }.into()
}

/// A block while transactions are offered to it.
struct Filling<'a> {
    spec: &'a ChainSpec,
    block: &'a Block,
    state: &'a MemoryState,
    execution: BlockExecution<'a, MemoryState, Watch>,
    included: Vec<Included>,
    rejected: Vec<Rejected>,
}

impl Filling<'_> {
    fn offer(&mut self, index: usize, candidate: Candidate) -> Result<(), T8nError> {
        let hash = candidate.as_ref().ok().map(|transaction| *transaction.tx_hash());
        let judged = candidate.and_then(|transaction| {
            let sender = self.sender(&transaction)?;
            self.check_blob_gas(&transaction)?;
            Ok((transaction, sender))
        });
        let outcome = match judged {
            Ok((transaction, sender)) => self.execute(transaction, sender)?,
            Err(reason) => Err(reason),
        };
        if let Err(reason) = outcome {
            self.rejected.push(Rejected { index, reason, hash });
        }
        if let Some(number) = self.execution.overlay().unknown_block_hash() {
            return Err(T8nError::MissingBlockHash(number));
        }
        Ok(())
    }

    fn sender(&self, transaction: &Transaction) -> Result<Address, String> {
        let fork = self.block.fork;
        if fork < first_fork_of(transaction.tx_type()) {
            return Err(format!("transaction type not supported: {} in {fork}", transaction.tx_type()));
        }
        let own_chain_id = self.spec.chain_id();
        if let Some(chain_id) = alloy_consensus::Transaction::chain_id(transaction)
            && chain_id != own_chain_id
        {
            return Err(format!("invalid chain id for signer: have {chain_id} want {own_chain_id}"));
        }
        let rules = SignatureRules {
            low_s: fork >= Fork::Homestead,
            chain_id: (fork >= Fork::SpuriousDragon).then_some(own_chain_id),
        };
        recover_sender(transaction, rules).ok_or_else(|| "invalid transaction v, r, s values".to_owned())
    }

    /// The block's blob gas limit, which is a rule of the block and not of the transaction.
    fn check_blob_gas(&self, transaction: &Transaction) -> Result<(), String> {
        let wanted = alloy_consensus::Transaction::blob_gas_used(transaction).unwrap_or_default();
        let Some(params) = self.spec.blob_params_at(self.block.header.timestamp) else { return Ok(()) };
        let used = self.execution.blob_gas_used().saturating_add(wanted);
        let max = params.max_blob_gas_per_block();
        if wanted > 0 && used > max {
            return Err(format!("blob gas ({used}) would exceed maximum allowance {max}"));
        }
        Ok(())
    }

    fn execute(&mut self, transaction: Transaction, sender: Address) -> Result<Result<(), String>, T8nError> {
        let gas_before = self.cumulative_gas();
        self.execution.inspector_mut().begin(self.included.len(), *transaction.tx_hash())?;
        if let Err(error) = self.execution.transaction(&transaction, sender) {
            self.execution.inspector_mut().discard()?;
            return Ok(Err(rejection::reason(error)?));
        }
        self.execution.inspector_mut().end()?;
        let gas_used = self.cumulative_gas() - gas_before;
        let post_state = (self.block.fork < Fork::Byzantium).then(|| self.current_root());
        self.included.push(Included { transaction, sender, gas_used, post_state });
        Ok(Ok(()))
    }

    fn cumulative_gas(&self) -> u64 {
        self.execution.receipts().last().map_or(0, |receipt| receipt.cumulative_gas_used)
    }

    /// The state root after the transactions so far, which receipts hold before Byzantium.
    fn current_root(&self) -> B256 {
        let mut state = self.state.clone();
        state.apply(self.execution.overlay().to_writes());
        state.root()
    }
}

/// The end of the block; what makes it invalid as a whole is told beside what came before.
fn finish(
    execution: BlockExecution<'_, MemoryState, Watch>,
) -> Result<(BlockOutcome, Option<String>), T8nError> {
    let before = BlockOutcome {
        receipts: execution.receipts().to_vec(),
        gas_used: execution.gas_used(),
        blob_gas_used: execution.blob_gas_used(),
        ..BlockOutcome::default()
    };
    match execution.finish() {
        Ok(outcome) => Ok((outcome, None)),
        Err(error) if error.is_invalid_block() => Ok((before, Some(rejection::of_block(&error)))),
        Err(error) => Err(error.into()),
    }
}

/// The rewards of proof of work. A reward of 0 still touches the beneficiary, so that it exists before Spurious
/// Dragon.
fn pay_rewards(
    overlay: &mut Overlay<MemoryState>,
    block: &Block,
    reward: Option<u128>,
) -> Result<(), T8nError> {
    let Some(reward) = reward.map(U256::from) else { return Ok(()) };
    let eighths = U256::from(8);
    for ommer in &block.ommers {
        let share = eighths.saturating_sub(U256::from(ommer.delta));
        pay(overlay, block.fork, ommer.address, share * reward / eighths)?;
    }
    let for_ommers = reward / U256::from(32) * U256::from(block.ommers.len());
    pay(overlay, block.fork, block.header.beneficiary, reward + for_ommers)
}

fn pay(
    overlay: &mut Overlay<MemoryState>,
    fork: Fork,
    address: Address,
    amount: U256,
) -> Result<(), T8nError> {
    let known = overlay.basic(address).map_err(internal)?;
    let is_new = known.is_none();
    let mut account = match known {
        Some(info) => Account::from(info),
        None => Account::new_not_existing(TransactionId::ZERO),
    };
    account.info.balance = account.info.balance.saturating_add(amount);
    account.mark_touch();
    if is_new && fork < Fork::SpuriousDragon {
        account.mark_created();
    }
    overlay.commit([(address, account)].into_iter().collect());
    Ok(())
}
