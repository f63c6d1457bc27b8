//! `admin_*`: the node as its operator sees it.

use std::sync::Arc;

use alloy_primitives::{B256, U256};
use jsonrpsee::{
    core::{RpcResult, async_trait},
    proc_macros::rpc,
};
use portico_query::{Query, Snapshot};
use serde::Serialize;
use serde_json::Value;

use crate::{NodeInfo, Workers, error::unsupported, workers::Class};

/// The node as its operator sees it.
#[rpc(server, namespace = "admin")]
pub trait AdminApi {
    /// The node's name, and where its chain stands.
    #[method(name = "nodeInfo")]
    async fn node_info(&self) -> RpcResult<NodeDescription>;

    /// Connected peers.
    #[method(name = "peers")]
    fn peers(&self) -> RpcResult<Vec<Value>>;

    /// The data folder.
    #[method(name = "datadir")]
    fn datadir(&self) -> RpcResult<String>;

    /// Connects to a peer.
    #[method(name = "addPeer")]
    fn add_peer(&self, enode: String) -> RpcResult<bool>;

    /// Parts with a peer.
    #[method(name = "removePeer")]
    fn remove_peer(&self, enode: String) -> RpcResult<bool>;

    /// Always lets a peer in.
    #[method(name = "addTrustedPeer")]
    fn add_trusted_peer(&self, enode: String) -> RpcResult<bool>;

    /// Treats a peer as any other again.
    #[method(name = "removeTrustedPeer")]
    fn remove_trusted_peer(&self, enode: String) -> RpcResult<bool>;
}

/// What the node says of itself. It has no address in a network yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeDescription {
    name: String,
    protocols: Protocols,
}

/// Protocols that the node speaks, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Protocols {
    eth: ChainDescription,
}

/// The chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChainDescription {
    network: u64,
    difficulty: U256,
    genesis: B256,
    head: B256,
}

#[derive(Debug)]
pub(crate) struct Admin {
    workers: Workers,
    query: Query,
    node: Arc<NodeInfo>,
}

impl Admin {
    pub fn new(workers: Workers, query: Query, node: Arc<NodeInfo>) -> Self {
        Self { workers, query, node }
    }
}

fn no_network<T>() -> RpcResult<T> {
    Err(unsupported("this node has no network of peers".to_owned()))
}

#[async_trait]
impl AdminApiServer for Admin {
    async fn node_info(&self) -> RpcResult<NodeDescription> {
        let name = self.node.client_version().to_owned();
        let answer = move |snapshot: &Snapshot<'_>| {
            let (spec, head) = (snapshot.spec(), snapshot.head());
            let eth = ChainDescription {
                network: spec.network_id(),
                difficulty: snapshot.total_difficulty(head)?.unwrap_or_default(),
                genesis: spec.genesis_hash(),
                head: snapshot.canonical_hash(head)?.unwrap_or_default(),
            };
            Ok(NodeDescription { name, protocols: Protocols { eth } })
        };
        self.workers.read(Class::Light, answer).await
    }

    fn peers(&self) -> RpcResult<Vec<Value>> {
        Ok(Vec::new())
    }

    fn datadir(&self) -> RpcResult<String> {
        let database = self.query.database_path();
        let folder = database.parent().unwrap_or(database);
        Ok(folder.display().to_string())
    }

    fn add_peer(&self, _: String) -> RpcResult<bool> {
        no_network()
    }

    fn remove_peer(&self, _: String) -> RpcResult<bool> {
        no_network()
    }

    fn add_trusted_peer(&self, _: String) -> RpcResult<bool> {
        no_network()
    }

    fn remove_trusted_peer(&self, _: String) -> RpcResult<bool> {
        no_network()
    }
}
