//! `web3_*`: the client.

use std::sync::Arc;

use alloy_primitives::{B256, Bytes, keccak256};
use jsonrpsee::{core::RpcResult, proc_macros::rpc};

use crate::NodeInfo;

/// The client.
#[rpc(server, namespace = "web3")]
pub trait Web3Api {
    /// Name and version of the client.
    #[method(name = "clientVersion")]
    fn client_version(&self) -> RpcResult<String>;

    /// Keccak-256 of the given bytes.
    #[method(name = "sha3")]
    fn sha3(&self, bytes: Bytes) -> RpcResult<B256>;
}

#[derive(Debug)]
pub(crate) struct Web3 {
    node: Arc<NodeInfo>,
}

impl Web3 {
    pub fn new(node: Arc<NodeInfo>) -> Self {
        Self { node }
    }
}

impl Web3ApiServer for Web3 {
    fn client_version(&self) -> RpcResult<String> {
        Ok(self.node.client_version().to_owned())
    }

    fn sha3(&self, bytes: Bytes) -> RpcResult<B256> {
        Ok(keccak256(bytes))
    }
}
