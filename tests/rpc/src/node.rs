//! A node that has imported a chain, and answers without a socket.

use std::{path::Path, sync::Arc};

use alloy_primitives::B256;
use eyre::{Context, Result, eyre};
use jsonrpsee::RpcModule;
use portico::{DataDir, import_files};
use portico_chainspec::ChainSpec;
use portico_db::{Database, DatabaseSettings};
use portico_files::BlockFiles;
use portico_jsonrpc::{Namespace, NodeInfo, WorkerSettings, methods};
use portico_query::{Forkchoice, Query, QuerySettings};
use portico_stages::{StageSettings, StopSignal};
use serde_json::Value;
use tempfile::TempDir;

/// A node that has imported a chain into a temporary folder.
#[derive(Debug)]
pub struct TestNode {
    query: Query,
    methods: RpcModule<()>,
    _folder: TempDir,
}

impl TestNode {
    /// Imports `chain`, whose rules and genesis are those of the genesis file.
    pub fn import(genesis: &Path, chain: &Path) -> Result<Self> {
        let spec = ChainSpec::load(&genesis.to_string_lossy())?;
        let folder = TempDir::new()?;
        let data_dir = DataDir::new(folder.path());
        let database = Arc::new(Database::open(&data_dir.database(), &DatabaseSettings::default())?);
        let files = BlockFiles::discover(&[chain.to_owned()])?;
        let settings = StageSettings::default();
        import_files(&database, &spec, &data_dir, &settings, files, None, &StopSignal::default(), &())?;
        let query = Query::new(database, spec, QuerySettings::default());
        let node = Arc::new(NodeInfo::new("Portico/test".to_owned()));
        let methods = methods(&query, &node, &WorkerSettings::default(), &Namespace::ALL)?;
        Ok(Self { query, methods, _folder: folder })
    }

    /// What the methods answer from.
    pub fn query(&self) -> &Query {
        &self.query
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
}
