//! Running block tests: every block goes through all stages of a real database.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_consensus::Transaction as _;
use alloy_primitives::{B256, keccak256};
use portico_chain::{BlockParts, read_block, read_header};
use portico_chainspec::ChainSpec;
use portico_consensus::ethash::{LightCaches, VerifyPow};
use portico_db::{Database, DatabaseSettings, RoTxn, SyncMode, TableDigest, tables::StageCheckpoints};
use portico_stages::{
    BlockTree, Inserted, PipelineConfig, StageContext, StageError, StageSettings, StopSignal, initialize,
};
use portico_state::PlainReader;
use portico_tracers::TraceFields;
use serde::{Deserialize, de::IgnoredAny};
use tempfile::TempDir;

use crate::{
    CaseRunner, Difference, Notes, Outcome, Part, ReasonMismatch, Refusal, Report, RunOptions, SpecError,
    block_case::{Arrival, BlockCase, CaseAccount, SealEngine},
    is_expected,
    report::UNKNOWN_NETWORK,
    run_cases,
    runner::kind_of,
    trace::trace_block,
};

/// How block tests are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlockTestSettings {
    /// At the end take the chain back to genesis, compare every table with what genesis left, and go forward again.
    pub unwind: bool,
    /// Take blocks one by one, even when many valid ones follow each other.
    pub one_by_one: bool,
    /// Write a trace of every block that follows the head to standard error, one block after another.
    pub trace: Option<TraceFields>,
}

/// Runs all block tests in `paths`.
///
/// # Errors
/// When a file cannot be read or is no fixture, or when a database cannot be made.
pub fn run_block_tests(
    paths: &[PathBuf],
    options: &RunOptions,
    settings: BlockTestSettings,
) -> Result<Report, SpecError> {
    let report = run_cases(paths, options, || BlockTestRunner::new(settings))?;
    Ok(Report { command: "blocktest", ..report })
}

/// Runs block tests one after another in one database, which is emptied in between.
pub struct BlockTestRunner {
    settings: BlockTestSettings,
    database: Database,
    scratch: TempDir,
    light_caches: Arc<LightCaches>,
    refused_blocks: u64,
}

/// Where databases lie in memory on most systems.
const MEMORY_FOLDER: &str = "/dev/shm";

impl BlockTestRunner {
    /// With a database of its own, in memory where the system has a place for that.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(settings: BlockTestSettings) -> Result<Self, SpecError> {
        let system = |source| SpecError::System { what: "making a folder for the test database", source };
        let scratch = match tempfile::tempdir_in(MEMORY_FOLDER) {
            Ok(folder) => folder,
            Err(_) => tempfile::tempdir().map_err(system)?,
        };
        let database_settings = DatabaseSettings {
            sync_mode: SyncMode::Bulk,
            growth_step: 1 << 20,
            max_size: 16 << 30,
            ..DatabaseSettings::default()
        };
        let database = Database::open(&scratch.path().join("db"), &database_settings)?;
        let light_caches = Arc::new(LightCaches::default());
        Ok(Self { settings, database, scratch, light_caches, refused_blocks: 0 })
    }

    fn run_case(&mut self, case: &BlockCase<'_>) -> Result<Outcome, SpecError> {
        let Some(spec) = case.chain_spec() else { return Ok(Outcome::Skipped(UNKNOWN_NETWORK)) };
        let spec = match spec {
            Ok(spec) => Arc::new(spec),
            Err(error) => return Ok(differs("genesis", "a chain specification", error)),
        };
        if let Some(difference) = case.genesis_difference(&spec) {
            return Ok(Outcome::Failed(difference));
        }
        let txn = self.database.begin_rw()?;
        txn.clear_all()?;
        txn.commit()?;
        let stop = StopSignal::default();
        let verify_pow = match case.seal_engine {
            Some(SealEngine::Ethash) => VerifyPow::All,
            Some(SealEngine::NoProof) | None => VerifyPow::None,
        };
        let stage_settings =
            StageSettings { verify_pow: Some(verify_pow), etl_bytes: 1 << 20, ..StageSettings::default() };
        let context = StageContext {
            spec: &spec,
            settings: &stage_settings,
            stop: &stop,
            progress: &(),
            scratch: self.scratch.path().to_owned(),
        };
        if let Err(error) = initialize(&self.database, &context, "spec test") {
            return Ok(differs("genesis state", "to be written", error));
        }
        let genesis = match self.settings.unwind {
            true => Some(TableDigest::of_all(&self.database.begin_ro()?)?),
            false => None,
        };
        let config = PipelineConfig {
            database: &self.database,
            spec: &spec,
            settings: &stage_settings,
            stop: &stop,
            observer: &(),
            scratch: self.scratch.path().to_owned(),
            light_caches: self.light_caches.clone(),
        };
        let mut run = CaseRun {
            tree: BlockTree::new(config),
            database: &self.database,
            spec: &spec,
            trace: self.settings.trace,
            mismatches: Vec::new(),
            refused_blocks: 0,
        };
        let outcome = run.blocks(case, self.settings).and_then(|()| {
            check_head(&self.database, case, run.tree.head())?;
            check_accounts(&self.database, case)?;
            match &genesis {
                Some(genesis) => check_unwind(&self.database, genesis, &mut run.tree),
                None => Ok(()),
            }
        });
        self.refused_blocks += run.refused_blocks;
        Ok(match outcome {
            Ok(()) => Outcome::Passed(run.mismatches),
            Err(difference) => Outcome::Failed(*difference),
        })
    }
}

impl CaseRunner for BlockTestRunner {
    fn run(&mut self, name: &str, json: &str, notes: &mut Notes<'_>) -> Result<(), SpecError> {
        if !is_block_test(name, json)? {
            notes(Part::whole("other"), Outcome::Skipped("not a block test"));
            return Ok(());
        }
        let malformed = |error| SpecError::malformed(name, &error);
        let case: BlockCase<'_> = serde_json::from_str(json).map_err(malformed)?;
        let outcome = self.run_case(&case)?;
        notes(Part::whole(&case.network), outcome);
        Ok(())
    }

    fn refused_blocks(&self) -> u64 {
        self.refused_blocks
    }
}

/// Whether a case is a block test.
///
/// # Errors
/// For text that is no JSON.
pub(crate) fn is_block_test(name: &str, json: &str) -> Result<bool, SpecError> {
    Ok(kind_of::<Kind>(name, json)?.is_block_test())
}

/// Just enough of a case to tell what it is.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    genesis_block_header: Option<IgnoredAny>,
    blocks: Option<IgnoredAny>,
    engine_new_payloads: Option<IgnoredAny>,
}

impl Kind {
    fn is_block_test(&self) -> bool {
        self.genesis_block_header.is_some() && (self.blocks.is_some() || self.engine_new_payloads.is_some())
    }
}

/// The first difference; boxed, because hardly any case has one.
type Checked = Result<(), Box<Difference>>;

fn differs(what: &str, expected: impl std::fmt::Display, got: impl std::fmt::Display) -> Outcome {
    Outcome::Failed(Difference::new(what, expected, got))
}

fn difference(
    what: impl Into<String>,
    expected: impl std::fmt::Display,
    got: impl std::fmt::Display,
) -> Box<Difference> {
    Box::new(Difference::new(what, expected, got))
}

/// Gas for which a transaction can have some 230 MiB of interpreter memory. Some older tests have enough for 1.6 GiB.
const HEAVY_GAS: u64 = 100_000_000_000;

/// Held by the one worker that executes a transaction of so much gas, so that the workers' memory does not add up.
static HEAVY: Mutex<()> = Mutex::new(());

fn is_heavy(blocks: &[BlockParts]) -> bool {
    let mut transactions = blocks.iter().flat_map(|block| &block.transactions);
    transactions.any(|transaction| transaction.gas_limit() > HEAVY_GAS)
}

/// Waits until no other worker executes something heavy, if these blocks are.
fn alone(blocks: &[BlockParts]) -> Option<MutexGuard<'static, ()>> {
    is_heavy(blocks).then(|| HEAVY.lock().unwrap_or_else(PoisonError::into_inner))
}

/// One case at work.
struct CaseRun<'a> {
    tree: BlockTree<'a>,
    database: &'a Database,
    spec: &'a ChainSpec,
    trace: Option<TraceFields>,
    mismatches: Vec<ReasonMismatch>,
    refused_blocks: u64,
}

impl CaseRun<'_> {
    fn blocks(&mut self, case: &BlockCase<'_>, settings: BlockTestSettings) -> Checked {
        // Valid blocks that follow the head, to be taken in one batch.
        let mut batch: Vec<BlockParts> = Vec::new();
        for Arrival { what, exception, block, contradiction } in case.arrivals() {
            if let Some(contradiction) = contradiction {
                return Err(Box::new(contradiction));
            }
            match (exception, block) {
                (None, Err(refusal)) => return Err(difference(what, "a valid block", refusal)),
                (Some(exception), Err(refusal)) => self.refused(exception, &refusal),
                (None, Ok(parts)) => {
                    let follows = match batch.last() {
                        Some(last) => parts.header.parent_hash == last.hash,
                        None => parts.header.parent_hash == self.head_hash()?,
                    };
                    if follows && !settings.one_by_one && settings.trace.is_none() {
                        batch.push(parts);
                    } else {
                        self.extend(&mut batch)?;
                        self.valid(what, parts)?;
                    }
                }
                (Some(exception), Ok(parts)) => {
                    self.extend(&mut batch)?;
                    self.invalid(what, exception, parts)?;
                }
            }
        }
        self.extend(&mut batch)
    }

    fn head_hash(&self) -> Result<B256, Box<Difference>> {
        let head = self.tree.head().map_err(|error| difference("head", "a head", error))?;
        Ok(head.1)
    }

    fn extend(&mut self, batch: &mut Vec<BlockParts>) -> Checked {
        let Some(last) = batch.last() else { return Ok(()) };
        let (number, hash) = (last.header.number, last.hash);
        let _alone = alone(batch);
        let result = self.tree.extend(std::mem::take(batch));
        let head = result.map_err(|error| difference("a valid block", "accepted", error))?;
        if head != number {
            return Err(difference("head behind valid blocks", format!("{number} ({hash})"), head));
        }
        Ok(())
    }

    fn trace(&self, block: &BlockParts) -> Checked {
        let Some(fields) = self.trace else { return Ok(()) };
        let traced = trace_block(self.database, self.spec, block, fields);
        traced.map_err(|error| difference("trace", "written", error))
    }

    fn valid(&mut self, what: String, block: BlockParts) -> Checked {
        self.trace(&block)?;
        let _alone = alone(std::slice::from_ref(&block));
        match self.tree.insert(block) {
            Ok(_) => Ok(()),
            Err(error) => Err(difference(what, "accepted", error)),
        }
    }

    fn invalid(&mut self, what: String, exception: String, block: BlockParts) -> Checked {
        self.trace(&block)?;
        let _alone = alone(std::slice::from_ref(&block));
        match self.tree.insert(block) {
            Err(error @ (StageError::InvalidBlock { .. } | StageError::UnknownParent { .. })) => {
                self.refused(exception, &Refusal::Stage(error));
                Ok(())
            }
            Err(error) => Err(difference(what, format!("refused: {exception}"), error)),
            Ok(Inserted::Head) => Err(difference(what, format!("refused: {exception}"), "accepted as head")),
            // A block that is not executed can be wrong in what only executing it shows.
            Ok(Inserted::Side) => Ok(()),
            Ok(Inserted::Known) => Ok(()),
        }
    }

    fn refused(&mut self, expected: String, refusal: &Refusal) {
        self.refused_blocks += 1;
        if !expected.is_empty() && !is_expected(&expected, refusal) {
            self.mismatches.push(ReasonMismatch { expected, got: refusal.to_string() });
        }
    }
}

fn check_head(database: &Database, case: &BlockCase<'_>, head: Result<(u64, B256), StageError>) -> Checked {
    let (number, hash) = head.map_err(|error| difference("head", case.last_block_hash, error))?;
    if hash != case.last_block_hash {
        return Err(difference("head", case.last_block_hash, format!("{hash} (block {number})")));
    }
    let Some(expected) = case.post_state_hash else { return Ok(()) };
    let internal = |error: String| difference("head", case.last_block_hash, error);
    let txn = database.begin_ro().map_err(|error| internal(error.to_string()))?;
    let header = read_header(&txn, number).map_err(|error| internal(error.to_string()))?;
    match header.map(|header| header.state_root) {
        Some(root) if root == expected => Ok(()),
        root => Err(difference("state root of the head", expected, format!("{root:?}"))),
    }
}

fn check_accounts(database: &Database, case: &BlockCase<'_>) -> Checked {
    let txn = database.begin_ro().map_err(|error| difference("state", "readable", error))?;
    check_accounts_in(&txn, case)
}

/// Compares the accounts that the case names with the state of a snapshot.
pub(crate) fn check_accounts_in(txn: &RoTxn<'_>, case: &BlockCase<'_>) -> Checked {
    let Some(expected) = &case.post_state else { return Ok(()) };
    let internal = |error: portico_db::DbError| difference("state", "readable", error);
    let mut reader = PlainReader::new(txn).map_err(internal)?;
    for (address, account) in expected {
        let found = reader.account(address).map_err(internal)?;
        let Some(found) = found else {
            return Err(difference(format!("account {address}"), "present", "absent"));
        };
        let field = |name: &str| format!("{name} of account {address}");
        let CaseAccount { balance, nonce, code, storage } = account;
        if found.balance != *balance {
            return Err(difference(field("balance"), balance, found.balance));
        }
        if found.nonce != nonce.to::<u64>() {
            return Err(difference(field("nonce"), nonce, found.nonce));
        }
        if found.code_hash != keccak256(code) {
            return Err(difference(field("code hash"), keccak256(code), found.code_hash));
        }
        let slots = reader.slots(address).map_err(internal)?;
        let non_zero = storage.iter().filter(|(_, value)| !value.is_zero());
        let expected_slots: Vec<_> = non_zero.map(|(slot, value)| (B256::from(*slot), *value)).collect();
        let found_slots: Vec<_> = slots.iter().map(|entry| (entry.slot, entry.value)).collect();
        if expected_slots != found_slots {
            let show = |slots: &[(B256, alloy_primitives::U256)]| format!("{slots:?}");
            return Err(difference(field("storage"), show(&expected_slots), show(&found_slots)));
        }
    }
    Ok(())
}

/// Takes the chain back to genesis: every table is as genesis left it; then forward again to the same tables, unless
/// that is heavy.
fn check_unwind(database: &Database, genesis: &[TableDigest], tree: &mut BlockTree<'_>) -> Checked {
    let stage = |what: &str| {
        let what = what.to_owned();
        move |error: StageError| difference(what, "done", error)
    };
    let (head, _) = tree.head().map_err(stage("head"))?;
    let before = digests(database)?;
    let mut blocks = Vec::new();
    for number in 1..=head {
        let txn = database.begin_ro().map_err(|error| difference("state", "readable", error))?;
        let block = read_block(&txn, number).map_err(|error| difference("blocks", "readable", error))?;
        blocks.push(block.ok_or_else(|| difference(format!("block {number}"), "present", "absent"))?);
    }
    tree.unwind(0).map_err(stage("unwinding to genesis"))?;
    all_stages_at_genesis(database)?;
    same_tables("after unwinding to genesis", genesis, &digests(database)?, &["StageCheckpoints"])?;
    if is_heavy(&blocks) {
        // Seconds and gigabytes: four cases would take as long as two thousand others.
        return Ok(());
    }
    if !blocks.is_empty() {
        tree.extend(blocks).map_err(stage("going forward again"))?;
    }
    same_tables("after going forward again", &before, &digests(database)?, &[])
}

/// Every checkpoint is 0: as a row, where there was none before the first block.
fn all_stages_at_genesis(database: &Database) -> Checked {
    let unreadable = |error: portico_db::DbError| difference("checkpoints", "readable", error);
    let txn = database.begin_ro().map_err(unreadable)?;
    let mut checkpoints = txn.cursor::<StageCheckpoints>().map_err(unreadable)?;
    for row in checkpoints.walk_all() {
        let (stage, checkpoint) = row.map_err(unreadable)?;
        if checkpoint.block_number != 0 {
            let what = format!("checkpoint of {stage} after unwinding to genesis");
            return Err(difference(what, 0, checkpoint.block_number));
        }
    }
    Ok(())
}

/// Rows that unwinding leaves: what is known of blocks beside the chain, code, and checkpoints of 0.
const KEPT: [&str; 5] = ["SideBlocks", "HeaderNumbers", "Bytecodes", "StageCheckpoints", "PruneCheckpoints"];

fn digests(database: &Database) -> Result<Vec<TableDigest>, Box<Difference>> {
    let unreadable = |error: portico_db::DbError| difference("tables", "readable", error);
    TableDigest::of_all(&database.begin_ro().map_err(unreadable)?).map_err(unreadable)
}

fn same_tables(when: &str, expected: &[TableDigest], got: &[TableDigest], except: &[&str]) -> Checked {
    for (expected, got) in expected.iter().zip(got) {
        let is_compared = !KEPT.contains(&expected.table) && !except.contains(&expected.table);
        if expected != got && is_compared {
            let rows = |digest: &TableDigest| format!("{} rows, digest {:?}", digest.entries, digest);
            return Err(difference(format!("table {} {when}", expected.table), rows(expected), rows(got)));
        }
    }
    Ok(())
}
