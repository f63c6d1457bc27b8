//! The JSON-RPC methods: a folder per namespace, on top of `portico-query`.
//!
//! ```text
//!  request ──> Calls (metrics, clear argument errors) ──> a namespace (eth, debug, trace, ots, …)
//!                                                           │ Workers: the governor's threads, by class of cost
//!                                                           ▼
//!                                                    one query::Snapshot ──> convert ──> JSON
//! ```
//! A method parses its arguments, asks for what it needs from one snapshot on a blocking thread, and turns the
//! answer into the shape that clients expect. Errors get their codes in one place (`error.rs`).
//!
//! This crate knows no socket and no table.

mod admin;
mod calls;
mod debug;
mod debug_state;
mod erigon;
mod error;
mod eth;
mod lenient;
mod net;
mod node;
mod ots;
mod permissions;
mod rpc;
mod stream;
mod trace;
mod txpool;
mod web3;
mod workers;

use std::sync::Arc;

use jsonrpsee::{RpcModule, core::RegisterMethodError};
use portico_governor::Governor;

pub use admin::AdminApiServer;
pub use calls::{Calls, CallsLayer, record_raw};
pub use debug::DebugApiServer;
pub use debug_state::DebugStateApiServer;
pub use erigon::{ErigonApiServer, ParityApiServer};
pub use error::MethodError;
pub use eth::{
    EthApiServer, EthBundleApiServer, EthFactsApiServer, EthFilterApiServer, EthGasApiServer,
    EthPubSubApiServer, EthRawApiServer, EthSendApiServer, EthSimulateApiServer, EthStateApiServer,
    rpc_receipt,
};
pub use net::NetApiServer;
pub use node::{Namespace, NodeInfo, UnknownNamespace};
pub use ots::OtsApiServer;
pub use permissions::Permissions;
pub use stream::{ChunkBody, Streams};
pub use trace::TraceApiServer;
pub use txpool::TxpoolApiServer;
pub use web3::Web3ApiServer;
pub use workers::Workers;

/// What is served.
#[derive(Debug, Clone)]
pub struct Methods {
    /// Every method, for transports that need whole answers.
    pub module: RpcModule<()>,
    /// Those of them whose answers HTTP streams.
    pub streams: Streams,
}

/// The methods of `namespaces`, and `rpc_modules`, which names them.
///
/// # Errors
/// When two namespaces have a method of the same name, which is a mistake in this crate.
pub fn methods(
    governor: &Governor,
    node: &Arc<NodeInfo>,
    namespaces: &[Namespace],
) -> Result<Methods, RegisterMethodError> {
    let workers = Workers::new(governor.clone());
    let query = governor.query();
    let mut module = RpcModule::new(());
    let mut streamed = Vec::new();
    for namespace in distinct(namespaces) {
        match namespace {
            Namespace::Debug => {
                module.merge(debug::Debug::new(workers.clone()).into_rpc())?;
                module.merge(debug_state::DebugState::new(workers.clone()).into_rpc())?;
                streamed.extend(debug::STREAMED);
                streamed.extend(debug_state::STREAMED);
            }
            Namespace::Trace => {
                module.merge(trace::Trace::new(workers.clone()).into_rpc())?;
                streamed.extend(trace::STREAMED);
            }
            Namespace::Eth => module.merge(eth::methods(&workers)?)?,
            Namespace::Net => module.merge(net::Net::new(query.clone(), node.clone()).into_rpc())?,
            Namespace::Ots => module.merge(ots::Ots::new(workers.clone()).into_rpc())?,
            Namespace::Erigon => {
                module.merge(erigon::ErigonApiServer::into_rpc(erigon::Erigon::new(workers.clone())))?;
            }
            Namespace::Parity => {
                module.merge(erigon::ParityApiServer::into_rpc(erigon::Erigon::new(workers.clone())))?;
            }
            // Their methods come with a node that builds blocks.
            Namespace::Evm | Namespace::Testing => {}
            Namespace::Txpool => module.merge(txpool::Txpool::new(workers.clone()).into_rpc())?,
            Namespace::Admin => {
                module.merge(admin::Admin::new(workers.clone(), query.clone(), node.clone()).into_rpc())?;
            }
            Namespace::Web3 => module.merge(web3::Web3::new(node.clone()).into_rpc())?,
        }
    }
    stream::register(&mut module, governor, &streamed)?;
    rpc::register(&mut module, &distinct(namespaces))?;
    Ok(Methods { module, streams: Streams::new(governor.clone(), stream::table(streamed)) })
}

fn distinct(namespaces: &[Namespace]) -> Vec<Namespace> {
    let mut namespaces = namespaces.to_vec();
    namespaces.sort_unstable();
    namespaces.dedup();
    namespaces
}
