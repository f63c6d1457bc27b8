//! Block tests as a consensus client would bring them: every block as `engine_newPayload`, every valid one made the head
//! with `engine_forkchoiceUpdated`, over HTTP with JWT to a node that serves.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use alloy_primitives::{B256, Bytes, U256};
use portico_chain::{BlockParts, canonical_hash};
use portico_chainspec::ChainSpec;
use portico_db::{Database, DatabaseSettings, LiveDatabase, SyncMode};
use portico_engine::{Engine, EngineSettings, engine_methods};
use portico_evm::{
    BlockInput, BlockOutcome, BlockRules, Overlay, SignatureRules, execute_block, recover_sender,
};
use portico_governor::{Governor, GovernorSettings};
use portico_jsonrpc::{Namespace, NodeInfo};
use portico_query::{Query, QuerySettings};
use portico_server::{AuthSettings, ExtraMethods, PortSettings, RunningServer, ServerSettings, start_with};
use portico_stages::{
    StageContext, StageSettings, StopSignal, Tip, TipConfig, TipSettings, TipWorker, initialize,
};
use portico_state::PlainReader;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    CaseRunner, Difference, Notes, Outcome, Part, Report, RunOptions, SpecError,
    block_case::{Arrival, BlockCase},
    block_test::{check_accounts_in, is_block_test},
    engine_client::{BesidePayload, EngineClient, new_payload_call},
    report::UNKNOWN_NETWORK,
    run_cases,
};

/// Why a case is not run.
const BEFORE_MERGE: &str = "has blocks from before the merge, which no consensus client brings";

/// Runs all block tests in `paths` whose blocks are all of after the merge.
///
/// # Errors
/// As [`crate::run_block_tests`].
pub fn run_engine_tests(paths: &[PathBuf], options: &RunOptions) -> Result<Report, SpecError> {
    let report = run_cases(paths, options, EngineTestRunner::new)?;
    Ok(Report { command: "enginetest", ..report })
}

/// Runs cases one after another, each on a node of its own.
struct EngineTestRunner {
    folder: TempDir,
    database: Arc<Database>,
    runtime: tokio::runtime::Runtime,
    refused_blocks: u64,
}

/// Where databases lie in memory on most systems.
const MEMORY_FOLDER: &str = "/dev/shm";
/// What the consensus client and the node share here.
const SECRET: &str = "7365637265747365637265747365637265747365637265747365637265747365";

impl EngineTestRunner {
    fn new() -> Result<Self, SpecError> {
        let system = |what| move |source| SpecError::System { what, source };
        let folder = tempfile::tempdir_in(MEMORY_FOLDER)
            .or_else(|_| tempfile::tempdir())
            .map_err(system("making a folder for the test database"))?;
        std::fs::write(folder.path().join("jwt.hex"), SECRET).map_err(system("writing the secret"))?;
        let settings = DatabaseSettings {
            sync_mode: SyncMode::Bulk,
            growth_step: 1 << 20,
            max_size: 16 << 30,
            ..DatabaseSettings::default()
        };
        let database = Arc::new(Database::open(&folder.path().join("db"), &settings)?);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(system("starting a runtime"))?;
        Ok(Self { folder, database, runtime, refused_blocks: 0 })
    }

    fn run_case(&mut self, case: &BlockCase<'_>) -> Result<Outcome, SpecError> {
        let differs =
            |what: &str, expected: &str, got: String| Outcome::Failed(Difference::new(what, expected, got));
        let Some(spec) = case.chain_spec() else { return Ok(Outcome::Skipped(UNKNOWN_NETWORK)) };
        let spec = match spec {
            Ok(spec) => Arc::new(spec),
            Err(error) => return Ok(differs("genesis", "a chain specification", error.to_string())),
        };
        if !spec.block_context(1, 0, spec.genesis_header().difficulty).merged {
            return Ok(Outcome::Skipped(BEFORE_MERGE));
        }
        let txn = self.database.begin_rw()?;
        txn.clear_all()?;
        txn.commit()?;
        let context = StageContext {
            spec: &spec,
            settings: &StageSettings::default(),
            stop: &StopSignal::default(),
            progress: &(),
            scratch: self.folder.path().to_owned(),
        };
        if let Err(error) = initialize(&self.database, &context, "spec test") {
            return Ok(differs("genesis state", "to be written", error.to_string()));
        }
        let node = match Node::start(self, &spec) {
            Ok(node) => node,
            Err(error) => return Ok(differs("node", "to start", error)),
        };
        let outcome = node.blocks(case).and_then(|refused| {
            self.refused_blocks += refused;
            node.end(case)
        });
        let stopped = node.stop(&self.runtime);
        Ok(match outcome.and(stopped) {
            Ok(()) => Outcome::Passed(Vec::new()),
            Err(difference) => Outcome::Failed(*difference),
        })
    }
}

impl CaseRunner for EngineTestRunner {
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

/// The first difference; boxed, because hardly any case has one.
type Checked<T = ()> = Result<T, Box<Difference>>;

fn fault(what: impl Into<String>, expected: &str, got: impl std::fmt::Display) -> Box<Difference> {
    Box::new(Difference::new(what, expected, got))
}

fn connect(address: SocketAddr) -> Checked<EngineClient> {
    EngineClient::connect(address, Some(SECRET)).map_err(|error| fault("connection", "open", error))
}

fn call(client: &mut EngineClient, method: &str, params: Value) -> Checked<Value> {
    client.call(method, &params).map_err(|error| fault(method, "an answer", error))
}

/// A node that serves.
struct Node {
    tip: Tip,
    worker: TipWorker,
    server: RunningServer,
    address: SocketAddr,
}

impl Node {
    fn start(runner: &EngineTestRunner, spec: &Arc<ChainSpec>) -> Result<Self, String> {
        let said = |error: &dyn std::fmt::Display| error.to_string();
        let live = LiveDatabase::of(runner.database.clone());
        let config = TipConfig {
            live: live.clone(),
            spec: spec.clone(),
            stages: StageSettings { etl_bytes: 1 << 20, ..StageSettings::default() },
            settings: TipSettings { memory_blocks_min: 1, memory_blocks_max: 2, ..TipSettings::default() },
            scratch: runner.folder.path().to_owned(),
            observer: Box::new(()),
        };
        let (tip, worker) = Tip::start(config).map_err(|error| said(&error))?;
        let query = Query::new(live, spec.clone(), QuerySettings::default());
        let governor =
            Governor::start(query.clone(), &GovernorSettings::default()).map_err(|error| said(&error))?;
        let engine = Engine::new(tip.clone(), query, EngineSettings::default());
        let methods = engine_methods(engine, "0.0.0", "00000000").map_err(|error| said(&error))?;
        let extra = ExtraMethods { engine: Some(methods), others: Vec::new() };
        let port = PortSettings {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            namespaces: vec![Namespace::Eth],
            auth: Some(AuthSettings {
                engine_secret: Some(runner.folder.path().join("jwt.hex")),
                ..AuthSettings::default()
            }),
            engine: true,
            ..PortSettings::default()
        };
        let settings = ServerSettings { ports: vec![port], ..ServerSettings::default() };
        let info = Arc::new(NodeInfo::new("Portico/test".to_owned()));
        let server = runner.runtime.block_on(start_with(&settings, &governor, &info, &extra));
        let server = server.map_err(|error| said(&error))?;
        let address = server.addresses()[0];
        Ok(Self { tip, worker, server, address })
    }

    fn stop(self, runtime: &tokio::runtime::Runtime) -> Checked {
        runtime.block_on(self.server.stop());
        self.worker.stop().map_err(|error| fault("writing the blocks", "done", error))
    }

    /// Brings all blocks; gives how many were refused as they should be.
    fn blocks(&self, case: &BlockCase<'_>) -> Checked<u64> {
        let mut client = connect(self.address)?;
        let mut refused = 0;
        for Arrival { exception, block, what, .. } in case.arrivals() {
            let block = match (&exception, block) {
                // Bytes that are no block cannot be a payload.
                (Some(_), Err(_)) => continue,
                (None, Err(refusal)) => return Err(fault(what, "a valid block", refusal)),
                (_, Ok(block)) => block,
            };
            let status = self.new_payload(&mut client, &block)?;
            match (&exception, status["status"].as_str()) {
                (None, Some("VALID")) => {
                    let latest = status["latestValidHash"].as_str().map(str::to_owned);
                    if latest != Some(block.hash.to_string()) {
                        return Err(fault(what, &format!("latest valid hash {}", block.hash), status));
                    }
                    let status = self.choose(&mut client, block.hash)?;
                    if status["status"] != "VALID" {
                        return Err(fault(format!("{what} as head"), "VALID", status));
                    }
                }
                (None, _) => return Err(fault(what, "VALID", status)),
                (Some(_), Some("INVALID" | "error")) => refused += 1,
                // Nothing is known of its parent.
                (Some(_), Some("SYNCING"))
                    if self.tip.verdict(&block.header.parent_hash).ok().flatten().is_none() =>
                {
                    refused += 1;
                }
                (Some(exception), _) => return Err(fault(what, &format!("INVALID ({exception})"), status)),
            }
        }
        Ok(refused)
    }

    /// Sends a block by the version that its fork asks for; gives the status, or `error`.
    fn new_payload(&self, client: &mut EngineClient, block: &BlockParts) -> Checked<Value> {
        let outcome = if block.header.requests_hash.is_some() { self.outcome(block) } else { None };
        let outcome = outcome.unwrap_or_default();
        let beside = BesidePayload {
            requests: outcome.requests,
            access_list: outcome.access_list.map(|list| Bytes::from(alloy_rlp::encode(list))),
        };
        let (method, params) = new_payload_call(self.tip.spec(), block, beside);
        let answer = call(client, &method, params)?;
        Ok(match answer.get("error") {
            Some(error) => json!({ "status": "error", "error": error }),
            None => answer["result"].clone(),
        })
    }

    /// What a payload holds beside the block: requests and access list, as execution gives them.
    fn outcome(&self, block: &BlockParts) -> Option<BlockOutcome> {
        let txn = self.tip.begin_at(&block.header.parent_hash).ok()??;
        let number = block.header.number;
        let spec = self.tip.spec();
        let rules = BlockRules::new(spec, spec.block_context(number, block.header.timestamp, U256::MAX));
        let signatures = SignatureRules::of(rules);
        let senders: Option<Vec<_>> =
            block.transactions.iter().map(|transaction| recover_sender(transaction, signatures)).collect();
        let mut overlay = Overlay::new(PlainReader::new(&txn).ok()?);
        for number in number.saturating_sub(256)..number {
            overlay.set_block_hash(number, canonical_hash(&txn, number).ok()??);
        }
        overlay.begin_block(number);
        let input = BlockInput {
            header: &block.header,
            transactions: &block.transactions,
            senders: &senders?,
            ommers: &[],
            withdrawals: block.withdrawals.as_deref(),
        };
        execute_block(&mut overlay, rules, input).ok()
    }

    fn choose(&self, client: &mut EngineClient, head: B256) -> Checked<Value> {
        let state = json!({
            "headBlockHash": head,
            "safeBlockHash": B256::ZERO,
            "finalizedBlockHash": B256::ZERO,
        });
        let answer = call(client, "engine_forkchoiceUpdatedV1", json!([state, null]))?;
        match answer.get("error") {
            Some(error) => Err(fault("forkchoice", "a status", error)),
            None => Ok(answer["result"]["payloadStatus"].clone()),
        }
    }

    /// The head and the state in the end.
    fn end(&self, case: &BlockCase<'_>) -> Checked {
        let mut client = connect(self.address)?;
        let status = self.choose(&mut client, case.last_block_hash)?;
        if status["status"] != "VALID" {
            return Err(fault("last block as head", "VALID", status));
        }
        let answer = call(&mut client, "eth_getBlockByNumber", json!(["latest", false]))?;
        let hash = answer["result"]["hash"].as_str().unwrap_or_default().to_owned();
        if hash != case.last_block_hash.to_string() {
            return Err(fault("latest block", &case.last_block_hash.to_string(), answer));
        }
        let txn = self.tip.live().begin_ro().map_err(|error| fault("state", "readable", error))?;
        check_accounts_in(&txn, case)
    }
}
