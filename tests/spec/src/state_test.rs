//! Running state tests: one transaction on a state in memory, for each fork and each choice of data, gas and value.

use std::{collections::BTreeMap, path::PathBuf};

use alloy_consensus::Header;
use alloy_eips::{
    eip2718::Decodable2718,
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U8, U64, U256, keccak256};
use portico_chainspec::{ChainSpec, Fork};
use portico_evm::{
    BlockDatabase, BlockRules, CallOutcome, MemoryState, Overlay, SignatureRules, Transaction, TxEnv,
    execute_single, recover_sender, transaction_environment,
};
use secp256k1::{SECP256K1, SecretKey};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::{
    CaseRunner, Difference, Outcome, ReasonMismatch, Refusal, Report, RunOptions, SpecError,
    block_case::{CaseConfig, chain_spec},
    is_expected,
    report::UNKNOWN_NETWORK,
    run_cases,
    runner::kind_of,
};

/// Runs all state tests in `paths`.
///
/// # Errors
/// When a file cannot be read or is no fixture.
pub fn run_state_tests(paths: &[PathBuf], options: &RunOptions) -> Result<Report, SpecError> {
    let report = run_cases(paths, options, || Ok(StateTestRunner::default()))?;
    Ok(Report { command: "statetest", ..report })
}

/// Runs state tests.
#[derive(Debug, Default)]
pub struct StateTestRunner {
    refused: u64,
}

impl CaseRunner for StateTestRunner {
    fn run(
        &mut self,
        name: &str,
        json: &str,
        report: &mut dyn FnMut(&str, Outcome),
    ) -> Result<(), SpecError> {
        let kind: Kind = kind_of(name, json)?;
        if kind.env.is_none() || kind.post.is_none() || kind.transaction.is_none() {
            report("other", Outcome::Skipped("not a state test"));
            return Ok(());
        }
        let malformed = |error| SpecError::malformed(name, &error);
        let case: StateCase<'_> = serde_json::from_str(json).map_err(malformed)?;
        for (fork, posts) in &case.post {
            self.run_fork(&case, fork, posts, report);
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

#[derive(Debug, Deserialize)]
struct StateCase<'a> {
    env: Env,
    #[serde(borrow)]
    pre: &'a RawValue,
    transaction: TransactionTemplate,
    post: BTreeMap<String, Vec<Post>>,
    #[serde(default)]
    config: Option<CaseConfig>,
}

/// The block that the transaction is in.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Env {
    current_coinbase: Address,
    current_gas_limit: U256,
    current_number: U64,
    current_timestamp: U64,
    #[serde(default)]
    current_difficulty: Option<U256>,
    #[serde(default)]
    current_random: Option<U256>,
    #[serde(default)]
    current_base_fee: Option<U64>,
    #[serde(default)]
    current_excess_blob_gas: Option<U64>,
    #[serde(default, alias = "slotNumber")]
    current_slot_number: Option<U64>,
}

/// A transaction of which data, gas and value are chosen by each expectation.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TransactionTemplate {
    data: Vec<Bytes>,
    gas_limit: Vec<U256>,
    value: Vec<String>,
    nonce: U256,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    gas_price: Option<U256>,
    #[serde(default)]
    max_fee_per_gas: Option<U256>,
    #[serde(default)]
    max_priority_fee_per_gas: Option<U256>,
    #[serde(default)]
    access_lists: Option<Vec<Option<Vec<AccessListEntry>>>>,
    #[serde(default)]
    max_fee_per_blob_gas: Option<U256>,
    #[serde(default)]
    blob_versioned_hashes: Option<Vec<B256>>,
    #[serde(default)]
    authorization_list: Option<Vec<AuthorizationEntry>>,
    #[serde(default)]
    sender: Option<Address>,
    #[serde(default)]
    secret_key: Option<B256>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessListEntry {
    address: Address,
    storage_keys: Vec<B256>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizationEntry {
    chain_id: U256,
    address: Address,
    nonce: U64,
    #[serde(default)]
    v: Option<U8>,
    #[serde(default)]
    y_parity: Option<U8>,
    r: U256,
    s: U256,
}

/// What must come out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Post {
    /// State root.
    hash: B256,
    /// Keccak of the RLP of the logs.
    logs: B256,
    #[serde(default)]
    txbytes: Option<Bytes>,
    indexes: Indexes,
    #[serde(default)]
    expect_exception: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Indexes {
    data: usize,
    gas: usize,
    value: usize,
}

/// A refusal is no failure where the fixture asks for it.
type Executed = Result<CallOutcome, String>;

impl StateTestRunner {
    fn run_fork(
        &mut self,
        case: &StateCase<'_>,
        fork: &str,
        posts: &[Post],
        report: &mut dyn FnMut(&str, Outcome),
    ) {
        let header = case.env.header();
        let zero = RawValue::from_string("\"0x0\"".to_owned()).expect("a JSON string");
        let fields = BTreeMap::from([("gasLimit", &*zero), ("difficulty", &*zero)]);
        let Some(spec) = chain_spec(fork, case.config.as_ref(), case.pre, &fields) else {
            posts.iter().for_each(|_| report(fork, Outcome::Skipped(UNKNOWN_NETWORK)));
            return;
        };
        for post in posts {
            let outcome = match &spec {
                Ok(spec) => self.run_post(case, spec, &header, post),
                Err(error) => Outcome::Failed(Difference::new("pre-state", "a chain specification", error)),
            };
            report(fork, outcome);
        }
    }

    fn run_post(&mut self, case: &StateCase<'_>, spec: &ChainSpec, header: &Header, post: &Post) -> Outcome {
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
        let executed = case.execute(post, rules, header, &mut overlay);
        if executed.is_ok() && rules.fork() < Fork::SpuriousDragon {
            // The miner of a transaction exists, even when it earns nothing.
            overlay.move_balances(&[], header.beneficiary);
        }
        state.apply(overlay.into_writes());
        let mut mismatches = Vec::new();
        let logs = match (&executed, &post.expect_exception) {
            (Ok(outcome), None) => outcome.logs(),
            (Err(_), None) => {
                let refusal = executed.err().unwrap_or_default();
                return failed("transaction", "executed", refusal);
            }
            (Ok(_), Some(exception)) => {
                return failed("transaction", format!("refused: {exception}"), "executed");
            }
            (Err(refusal), Some(exception)) => {
                self.refused += 1;
                let refusal = Refusal::Transaction(refusal.clone());
                if !is_expected(exception, &refusal) {
                    let (expected, got) = (exception.clone(), refusal.to_string());
                    mismatches.push(ReasonMismatch { expected, got });
                }
                &[]
            }
        };
        let logs_hash = keccak256(alloy_rlp::encode(logs.to_vec()));
        let root = state.root();
        if root != post.hash {
            return failed("state root", post.hash, format!("{root} ({})", describe(&executed)));
        }
        if logs_hash != post.logs {
            return failed("logs hash", post.logs, logs_hash);
        }
        Outcome::Passed(mismatches)
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

impl Env {
    fn header(&self) -> Header {
        let difficulty = self.current_difficulty.unwrap_or_default();
        let random = self.current_random.unwrap_or(difficulty);
        Header {
            beneficiary: self.current_coinbase,
            gas_limit: u64::try_from(self.current_gas_limit).unwrap_or(u64::MAX),
            number: self.current_number.to(),
            timestamp: self.current_timestamp.to(),
            difficulty,
            mix_hash: B256::from(random),
            base_fee_per_gas: self.current_base_fee.map(|fee| fee.to()),
            excess_blob_gas: self.current_excess_blob_gas.map(|gas| gas.to()),
            slot_number: self.current_slot_number.map(|slot| slot.to()),
            ..Header::default()
        }
    }
}

impl StateCase<'_> {
    fn execute(
        &self,
        post: &Post,
        rules: BlockRules<'_>,
        header: &Header,
        overlay: &mut Overlay<MemoryState>,
    ) -> Executed {
        let transaction = match &post.txbytes {
            Some(bytes) => decode(bytes, rules)?,
            None => self.transaction.environment(post.indexes, rules.spec().chain_id())?,
        };
        match execute_single(overlay, rules, header, transaction) {
            Ok(outcome) => Ok(outcome),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The transaction as it would come in a block.
fn decode(bytes: &Bytes, rules: BlockRules<'_>) -> Result<TxEnv, String> {
    let mut rest = &bytes[..];
    let transaction = Transaction::decode_2718(&mut rest).map_err(|error| error.to_string())?;
    if !rest.is_empty() {
        return Err(format!("{} bytes behind the transaction", rest.len()));
    }
    let fork = rules.fork();
    let signatures = SignatureRules {
        low_s: fork >= Fork::Homestead,
        chain_id: (fork >= Fork::SpuriousDragon).then(|| rules.spec().chain_id()),
    };
    let sender = recover_sender(&transaction, signatures);
    let unsupported =
        || format!("transaction type {} not supported or signature invalid", transaction.tx_type());
    Ok(transaction_environment(&transaction, sender.ok_or_else(unsupported)?))
}

impl TransactionTemplate {
    /// The transaction without its signature, for fixtures that give none.
    fn environment(&self, indexes: Indexes, chain_id: u64) -> Result<TxEnv, String> {
        let out_of_range = || "an index of the expectation is out of range".to_owned();
        let value = self.value.get(indexes.value).ok_or_else(out_of_range)?;
        let value = parse_value(value).ok_or_else(|| format!("value {value} is too large"))?;
        let narrow = |what: &str, value: U256| -> Result<u128, String> {
            u128::try_from(value).map_err(|_| format!("{what} {value} is too large"))
        };
        let access_list = match &self.access_lists {
            Some(lists) => lists.get(indexes.data).ok_or_else(out_of_range)?.as_deref(),
            None => None,
        };
        let tx_type = if self.authorization_list.is_some() {
            4
        } else if self.blob_versioned_hashes.is_some() || self.max_fee_per_blob_gas.is_some() {
            3
        } else if self.max_fee_per_gas.is_some() {
            2
        } else {
            u8::from(access_list.is_some())
        };
        let gas_limit = *self.gas_limit.get(indexes.gas).ok_or_else(out_of_range)?;
        Ok(TxEnv {
            tx_type,
            caller: self.sender()?,
            gas_limit: u64::try_from(gas_limit).map_err(|_| format!("gas limit {gas_limit} is too large"))?,
            gas_price: narrow("gas price", self.max_fee_per_gas.or(self.gas_price).unwrap_or_default())?,
            kind: self.kind()?,
            value,
            data: self.data.get(indexes.data).ok_or_else(out_of_range)?.clone(),
            nonce: u64::try_from(self.nonce).map_err(|_| format!("nonce {} is too large", self.nonce))?,
            chain_id: Some(chain_id),
            access_list: AccessList(access_list.into_iter().flatten().map(AccessListEntry::item).collect()),
            gas_priority_fee: match self.max_priority_fee_per_gas {
                Some(fee) => Some(narrow("priority fee", fee)?),
                None => None,
            },
            blob_hashes: self.blob_versioned_hashes.clone().unwrap_or_default(),
            max_fee_per_blob_gas: narrow("blob fee", self.max_fee_per_blob_gas.unwrap_or_default())?,
            ..TxEnv::default()
        }
        .with_signed_authorizations(self.authorization_list.as_deref().unwrap_or_default()))
    }

    fn sender(&self) -> Result<Address, String> {
        if let Some(sender) = self.sender {
            return Ok(sender);
        }
        let key = self.secret_key.ok_or("neither sender nor secretKey")?;
        let key = SecretKey::from_byte_array(key.0).map_err(|error| error.to_string())?;
        let public = key.public_key(SECP256K1).serialize_uncompressed();
        Ok(Address::from_raw_public_key(&public[1..]))
    }

    fn kind(&self) -> Result<TxKind, String> {
        match self.to.as_deref() {
            None | Some("") => Ok(TxKind::Create),
            Some(to) => to.parse().map(TxKind::Call).map_err(|_| format!("{to:?} is no address")),
        }
    }
}

/// Values are hexadecimal; some that do not fit 256 bits are marked as big integers.
fn parse_value(text: &str) -> Option<U256> {
    let digits = text.strip_prefix("0x:bigint ").unwrap_or(text);
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    if digits.is_empty() { Some(U256::ZERO) } else { U256::from_str_radix(digits, 16).ok() }
}

impl AccessListEntry {
    fn item(&self) -> AccessListItem {
        AccessListItem { address: self.address, storage_keys: self.storage_keys.clone() }
    }
}

/// Sets what the interpreter's transaction holds behind an enum of its own.
trait WithAuthorizations {
    fn with_signed_authorizations(self, entries: &[AuthorizationEntry]) -> Self;
}

impl WithAuthorizations for TxEnv {
    fn with_signed_authorizations(mut self, entries: &[AuthorizationEntry]) -> Self {
        let signed = entries.iter().map(|entry| {
            let authorization =
                Authorization { chain_id: entry.chain_id, address: entry.address, nonce: entry.nonce.to() };
            SignedAuthorization::new_unchecked(
                authorization,
                entry.y_parity.or(entry.v).unwrap_or_default().to(),
                entry.r,
                entry.s,
            )
        });
        self.set_signed_authorization(signed.collect());
        self
    }
}
