//! `rpc_modules`: which namespaces are there.

use std::collections::BTreeMap;

use jsonrpsee::{ResponsePayload, RpcModule, core::RegisterMethodError};

use crate::Namespace;

/// Adds `rpc_modules`: each namespace with its version, which has been 1.0 since the beginning.
pub(crate) fn register(
    module: &mut RpcModule<()>,
    namespaces: &[Namespace],
) -> Result<(), RegisterMethodError> {
    let names = namespaces.iter().map(|namespace| namespace.name()).chain(["rpc"]);
    let versions: BTreeMap<_, _> = names.map(|name| (name, "1.0")).collect();
    module.register_method("rpc_modules", move |_, _, _| ResponsePayload::success(versions.clone()))?;
    Ok(())
}
