//! `rpc_modules`: which namespaces are there; `rpc_discover`: all methods, described.

use std::collections::BTreeMap;

use jsonrpsee::{ResponsePayload, RpcModule, core::RegisterMethodError};
use serde_json::value::RawValue;

use crate::Namespace;

/// Adds `rpc_modules`, each namespace with its version, which has been 1.0 since the beginning, and `rpc_discover`.
pub(crate) fn register(
    module: &mut RpcModule<()>,
    namespaces: &[Namespace],
) -> Result<(), RegisterMethodError> {
    let names = namespaces.iter().map(|namespace| namespace.name()).chain(["rpc"]);
    let versions: BTreeMap<_, _> = names.map(|name| (name, "1.0")).collect();
    module.register_method("rpc_modules", move |_, _, _| ResponsePayload::success(versions.clone()))?;
    for name in ["rpc_discover", "rpc.discover"] {
        module.register_method(name, |_, _, _| ResponsePayload::success(openrpc()))?;
    }
    Ok(())
}

/// The OpenRPC document; a test makes it from the source of the methods.
fn openrpc() -> &'static RawValue {
    serde_json::from_str(include_str!("openrpc.json")).expect("a test has written it")
}
