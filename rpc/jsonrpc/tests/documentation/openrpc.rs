//! The OpenRPC document that `rpc_discover` answers.

use serde_json::{Value, json};

use crate::source::Method;

pub fn document(methods: &[Method]) -> String {
    let methods: Vec<_> = methods.iter().map(method).collect();
    let document = json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "Portico",
            "description": "JSON-RPC methods of the Ethereum execution client Portico",
            "license": { "name": "Apache-2.0 OR MIT" },
            "version": env!("CARGO_PKG_VERSION"),
        },
        "methods": methods,
    });
    let mut text = serde_json::to_string_pretty(&document).unwrap();
    text.push('\n');
    text
}

fn method(method: &Method) -> Value {
    let params: Vec<_> = method
        .params
        .iter()
        .map(|param| json!({ "name": param.name, "required": param.is_required, "schema": schema(&param.kind) }))
        .collect();
    json!({
        "name": method.name,
        "summary": method.words,
        "params": params,
        "result": { "name": "result", "schema": schema(&method.result) },
        "x-class": method.class,
        "x-streamed": method.is_streamed,
        "x-needs": method.needs,
    })
}

/// The JSON of a Rust type, as far as clients have use for it.
fn schema(kind: &str) -> Value {
    let hex = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let wrapped = |wrapper: &str| kind.strip_prefix(wrapper)?.strip_suffix('>').map(str::to_owned);
    if let Some(inner) = wrapped("Option<") {
        return json!({ "oneOf": [schema(&inner), { "type": "null" }] });
    }
    if let Some(inner) = wrapped("Box<") {
        return schema(&inner);
    }
    if let Some(inner) = wrapped("Vec<") {
        return json!({ "type": "array", "items": schema(&inner) });
    }
    match kind {
        "B256" | "HashArgument" => hex("^0x[0-9a-fA-F]{64}$"),
        "Address" => hex("^0x[0-9a-fA-F]{40}$"),
        "Bytes" => hex("^0x([0-9a-fA-F]{2})*$"),
        "U64" | "U256" | "Index" => hex("^0x(0|[1-9a-fA-F][0-9a-fA-F]*)$"),
        "BlockNumberOrTag" => json!({ "type": "string", "title": "block number or tag" }),
        "LenientBlockNumber" => json!({ "title": "block number, also in decimal, or tag" }),
        "LenientBlockId" => {
            json!({ "title": "block number, also in decimal, tag, hash, or an object as in EIP-1898" })
        }
        "BlockId" => json!({ "title": "block number, tag, hash, or an object as in EIP-1898" }),
        "bool" => json!({ "type": "boolean" }),
        "String" => json!({ "type": "string" }),
        "u64" | "usize" => json!({ "type": "integer", "minimum": 0 }),
        "" => json!({}),
        other => json!({ "title": other }),
    }
}
