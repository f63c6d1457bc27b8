//! A node that has imported a chain, and answers without a socket.

use std::{path::Path, sync::Arc, time::Duration};

use alloy_primitives::B256;
use async_graphql::{Request, Response};
use eyre::{Context, Result, ensure, eyre};
use jsonrpsee::RpcModule;
use portico_db::LiveDatabase;
use portico_engine::{
    Dev, DevSettings, Engine, EngineSettings, dev_account_methods, dev_methods, testing_methods,
};
use portico_governor::{Class, Governor, GovernorSettings};
use portico_graphql::{GraphqlSettings, Service};
use portico_jsonrpc::{Namespace, NodeInfo, methods};
use portico_query::{Forkchoice, Pool, Query, QuerySettings};
use portico_stages::{Tip, TipConfig, TipSettings, TipWorker};
use portico_test_support::{TestNode, import_chain};
use serde_json::{Value, json, value::RawValue};
use tokio::sync::mpsc::Receiver;

/// A thread that makes blocks as long as this exists.
#[derive(Debug)]
struct StopDev(Dev);

impl Drop for StopDev {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// A node that has imported a chain into a temporary folder.
#[derive(Debug)]
pub struct RpcNode {
    query: Query,
    methods: RpcModule<()>,
    governor: Governor,
    graphql: Service,
    engine: Engine,
    /// Stopped before the worker, on which it builds.
    _dev: Option<StopDev>,
    _worker: TipWorker,
    node: TestNode,
}

impl RpcNode {
    /// Imports `chain`, whose rules and genesis are those of the genesis file.
    pub fn import(genesis: &Path, chain: &Path) -> Result<Self> {
        Self::import_with(genesis, chain, QuerySettings::default())
    }

    /// [`RpcNode::import`] with bounds on calls.
    pub fn import_with(genesis: &Path, chain: &Path, settings: QuerySettings) -> Result<Self> {
        Self::serve(import_chain(genesis, &[chain.to_owned()])?, settings)
    }

    /// [`RpcNode::import`] up to block `to`.
    pub fn import_to(genesis: &Path, chain: &Path, to: u64) -> Result<Self> {
        let node = TestNode::new(&genesis.to_string_lossy())?;
        node.import(&[chain.to_owned()], Some(to))?;
        Self::serve(node, QuerySettings::default())
    }

    /// A node at genesis.
    pub fn at_genesis(genesis: &Path) -> Result<Self> {
        let node = TestNode::new(&genesis.to_string_lossy())?;
        node.initialize()?;
        Self::serve(node, QuerySettings::default())
    }

    /// The development network, which makes blocks by the clock, or without a period when transactions come.
    pub fn dev(period: Option<Duration>) -> Result<Self> {
        let node = Self::at_genesis(Path::new("dev"))?;
        let dev = Dev::start(node.engine.clone(), DevSettings { period })?;
        let mut methods = node.methods.clone();
        methods.remove_method("eth_accounts");
        methods.merge(dev_account_methods(dev.clone())?)?;
        methods.merge(dev_methods(dev.clone())?)?;
        Ok(Self { methods, _dev: Some(StopDev(dev)), ..node })
    }

    fn serve(node: TestNode, settings: QuerySettings) -> Result<Self> {
        let live = LiveDatabase::of(node.database.clone());
        let (tip, worker) = Tip::start(TipConfig {
            live: live.clone(),
            spec: node.spec.clone(),
            stages: node.settings.clone(),
            settings: TipSettings::default(),
            scratch: node.data_dir().scratch()?,
            observer: Box::new(()),
        })?;
        let query = Query::new(live, node.spec.clone(), settings);
        query.set_pool(Arc::new(Pool::new(Default::default(), node.spec.clone())));
        query.update_pool(None)?;
        let info = Arc::new(NodeInfo::new("Portico/test".to_owned()));
        let mut limits = GovernorSettings::default();
        limits.of_mut(Class::Call).time = query.settings().call_time_max;
        limits.of_mut(Class::Trace).time = query.settings().call_time_max;
        let governor = Governor::start(query.clone(), &limits)?;
        let mut methods = methods(&governor, &info, &Namespace::ALL)?.module;
        let engine = Engine::new(tip, query.clone(), EngineSettings::default());
        methods.merge(testing_methods(engine.clone())?)?;
        let graphql = Service::new(governor.clone(), &GraphqlSettings::default());
        Ok(Self { query, methods, governor, graphql, engine, _dev: None, _worker: worker, node })
    }

    /// What the methods answer from.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// What calls go through, to serve them over a socket.
    pub fn governor(&self) -> &Governor {
        &self.governor
    }

    /// The node below: its database, to change it.
    pub fn node(&self) -> &TestNode {
        &self.node
    }

    /// Whether there is such a method.
    pub fn has_method(&self, method: &str) -> bool {
        self.methods.method(method).is_some()
    }

    /// Does what a consensus client's `engine_forkchoiceUpdated` in `file` says, as far as block tags go.
    pub fn apply_forkchoice(&self, file: &Path) -> Result<()> {
        let call: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
        let hash = |name: &str| -> Result<B256> {
            let hash =
                call["params"][0][name].as_str().ok_or_else(|| eyre!("no {name} in {}", file.display()))?;
            hash.parse().wrap_err_with(|| name.to_owned())
        };
        let forkchoice =
            Forkchoice { safe: Some(hash("safeBlockHash")?), finalized: Some(hash("finalizedBlockHash")?) };
        self.query.set_forkchoice(forkchoice);
        Ok(())
    }

    /// Answers one request.
    pub async fn call(&self, request: &Value) -> Result<Value> {
        let (response, _) = self.methods.raw_json_request(&request.to_string(), 1).await?;
        Ok(serde_json::from_str(response.get())?)
    }

    /// Subscribes; messages arrive in the receiver.
    pub async fn subscribe(&self, params: Value) -> Result<Receiver<Box<RawValue>>> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": params });
        let (response, messages) = self.methods.raw_json_request(&request.to_string(), 1024).await?;
        let response: Value = serde_json::from_str(response.get())?;
        ensure!(response.get("error").is_none(), "{response}");
        Ok(messages)
    }

    /// The GraphQL schema in its own language.
    pub fn graphql_schema(&self) -> String {
        self.graphql.sdl()
    }

    /// Answers one GraphQL query.
    pub async fn graphql(&self, query: &str) -> Response {
        self.graphql.execute(Request::new(query)).await
    }
}
