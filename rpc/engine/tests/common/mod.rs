//! A chain at its genesis, with a tip upon it.

use std::sync::Arc;

use jsonrpsee::RpcModule;
use portico_chainspec::ChainSpec;
use portico_db::{Database, DatabaseSettings, LiveDatabase, SyncMode};
use portico_query::{Query, QuerySettings};
use portico_stages::{
    StageContext, StageSettings, StopSignal, Tip, TipConfig, TipSettings, TipWorker, initialize,
};
use serde_json::{Value, json};
use tempfile::TempDir;

pub struct DevChain {
    pub tip: Tip,
    pub query: Query,
    _worker: TipWorker,
    _folder: TempDir,
}

impl DevChain {
    pub fn of(spec: Arc<ChainSpec>, tip_settings: TipSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = DatabaseSettings {
            sync_mode: SyncMode::Bulk,
            growth_step: 1 << 20,
            max_size: 1 << 30,
            ..DatabaseSettings::default()
        };
        let database = Arc::new(Database::open(&folder.path().join("db"), &settings).unwrap());
        let context = StageContext {
            spec: &spec,
            settings: &StageSettings::default(),
            stop: &StopSignal::default(),
            progress: &(),
            scratch: folder.path().to_owned(),
        };
        initialize(&database, &context, "test").unwrap();
        let live = LiveDatabase::of(database);
        let (tip, worker) = Tip::start(TipConfig {
            live: live.clone(),
            spec: spec.clone(),
            stages: StageSettings::default(),
            settings: tip_settings,
            scratch: folder.path().to_owned(),
            observer: Box::new(()),
        })
        .unwrap();
        let query = Query::new(live, spec.clone(), QuerySettings::default());
        Self { tip, query, _worker: worker, _folder: folder }
    }
}

/// The answer to a call, an error too.
pub async fn call(methods: &RpcModule<()>, method: &str, params: Value) -> Value {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let (answer, _) = methods.raw_json_request(&request.to_string(), 1).await.unwrap();
    serde_json::from_str(answer.get()).unwrap()
}

/// The result of a call that succeeds.
pub async fn result(methods: &RpcModule<()>, method: &str, params: Value) -> Value {
    let answer = call(methods, method, params).await;
    assert!(answer.get("error").is_none(), "{method}: {answer}");
    answer["result"].clone()
}
