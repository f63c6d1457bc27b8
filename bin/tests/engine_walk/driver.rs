//! The node as a consensus client and a wallet meet it: a process, and connections to its two ports.

use alloy_primitives::B256;
use portico::{NodeCommand, NodeProcess};
use portico_spec::EngineClient;
use serde_json::{Value, json};

/// What the engine says of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) status: String,
    pub(crate) latest_valid: Option<B256>,
}

impl Status {
    fn of(value: &Value) -> Self {
        let status = value["status"].as_str().unwrap_or_else(|| panic!("no status: {value}")).to_owned();
        let latest_valid = value["latestValidHash"].as_str().map(|hash| hash.parse().expect("a hash"));
        Self { status, latest_valid }
    }

    /// VALID or INVALID as of a block.
    pub(crate) fn new(status: &str, latest_valid: Option<B256>) -> Self {
        Self { status: status.to_owned(), latest_valid }
    }

    pub(crate) fn is_syncing(&self) -> bool {
        *self == Self::new("SYNCING", None)
    }
}

/// A node that runs.
struct Running {
    process: NodeProcess,
    rpc: EngineClient,
    engine: EngineClient,
}

pub(crate) struct Driver {
    pub(crate) command: NodeCommand,
    running: Option<Running>,
}

impl Driver {
    pub(crate) fn new(command: NodeCommand) -> Self {
        Self { command, running: None }
    }

    pub(crate) fn start(&mut self, memory_blocks: u64) {
        self.command.flags = vec!["--engine.memory-blocks".to_owned(), memory_blocks.to_string()];
        let process = self.command.start().unwrap();
        let (rpc, engine) = (process.connect().unwrap(), process.connect_engine().unwrap());
        self.running = Some(Running { process, rpc, engine });
    }

    /// Memory of the node, in MiB.
    pub(crate) fn node_mib(&self) -> u64 {
        self.running.as_ref().expect("the node runs").process.memory_bytes() >> 20
    }

    fn running(&mut self) -> &mut Running {
        self.running.as_mut().expect("the node runs")
    }

    fn engine(&mut self, method: &str, params: &Value) -> Value {
        let running = self.running();
        let answer = running.engine.call(method, params);
        answer.unwrap_or_else(|error| panic!("{method}: {error}{}", running.process.log()))
    }

    pub(crate) fn new_payload(&mut self, (method, params): &(String, Value)) -> Status {
        let answer = self.engine(method, params);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        Status::of(&answer["result"])
    }

    /// The status, or the code of the error.
    pub(crate) fn forkchoice(&mut self, head: B256, safe: B256, finalized: B256) -> Result<Status, i64> {
        let answer = self.engine("engine_forkchoiceUpdatedV3", &forkchoice_params(head, safe, finalized));
        match answer["error"]["code"].as_i64() {
            Some(code) => Err(code),
            None => Ok(Status::of(&answer["result"]["payloadStatus"])),
        }
    }

    /// Sends a request of the engine whose answer nobody will read.
    pub(crate) fn send(&mut self, method: &str, params: &Value) {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.running().engine.send(&body.to_string()).expect("the node listens");
    }

    /// Results of several calls; each must have one.
    pub(crate) fn ask(&mut self, calls: &[(&str, Value)]) -> Vec<Value> {
        let answers = self.try_ask(calls).into_iter().zip(calls);
        let result = |(answer, call): (Value, &(&str, Value))| {
            assert!(answer.get("error").is_none(), "{call:?}: {answer}");
            answer["result"].clone()
        };
        answers.map(result).collect()
    }

    /// Answers of several calls, in their order.
    pub(crate) fn try_ask(&mut self, calls: &[(&str, Value)]) -> Vec<Value> {
        let request = |(id, (method, params)): (usize, &(&str, Value))| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let batch: Vec<Value> = calls.iter().enumerate().map(request).collect();
        let running = self.running();
        let reply = running.rpc.exchange(&json!(batch).to_string());
        let reply = reply.unwrap_or_else(|error| panic!("{calls:?}: {error}{}", running.process.log()));
        let answers: Value = serde_json::from_slice(&reply.body).expect("JSON");
        let mut answers = answers.as_array().unwrap_or_else(|| panic!("no batch: {answers}")).clone();
        answers.sort_by_key(|answer| answer["id"].as_u64());
        assert_eq!(answers.len(), calls.len(), "{answers:?}");
        answers
    }

    fn stop(&mut self) -> NodeProcess {
        let running = self.running.take().expect("the node runs");
        let complaints = running.process.complaints();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
        running.process
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.stop().kill().unwrap();
    }

    /// SIGTERM.
    pub(crate) fn terminate(&mut self) {
        let status = self.stop().terminate().unwrap();
        assert!(status.success(), "the node ended with {status}");
    }
}

pub(crate) fn forkchoice_params(head: B256, safe: B256, finalized: B256) -> Value {
    json!([{ "headBlockHash": head, "safeBlockHash": safe, "finalizedBlockHash": finalized }, null])
}
