//! `net_*`: the network.

use std::sync::Arc;

use alloy_primitives::U64;
use jsonrpsee::{core::RpcResult, proc_macros::rpc};
use portico_query::Query;

use crate::NodeInfo;

/// The network.
#[rpc(server, namespace = "net")]
pub trait NetApi {
    /// Network id, in decimal.
    #[method(name = "version")]
    fn version(&self) -> RpcResult<String>;

    /// Whether peers can connect.
    #[method(name = "listening")]
    fn listening(&self) -> RpcResult<bool>;

    /// Peers that are connected now.
    #[method(name = "peerCount")]
    fn peer_count(&self) -> RpcResult<U64>;
}

#[derive(Debug)]
pub(crate) struct Net {
    query: Query,
    node: Arc<NodeInfo>,
}

impl Net {
    pub fn new(query: Query, node: Arc<NodeInfo>) -> Self {
        Self { query, node }
    }
}

impl NetApiServer for Net {
    fn version(&self) -> RpcResult<String> {
        Ok(self.query.spec().network_id().to_string())
    }

    fn listening(&self) -> RpcResult<bool> {
        Ok(true)
    }

    fn peer_count(&self) -> RpcResult<U64> {
        Ok(U64::from(self.node.peer_count()))
    }
}
