//! Requests of JSON-RPC, over HTTP to a node with a small chain: the parser, the dispatcher, and every method.
//!
//! Whatever comes, the answer is JSON-RPC, and says anything but "internal error".

mod node;
mod requests;

use serde_json::Value;

use node::served;
use requests::Requests;

/// Code of an error that is the node's own.
const INTERNAL_ERROR: i64 = -32603;

/// Bytes of a request that is sent as it is; others say which method is called with which arguments.
const RAW: u8 = b'{';

/// A request: the bytes as they are when they begin as JSON does, else what they choose among methods and arguments.
pub fn rpc(bytes: &[u8]) {
    let served = served();
    let body = match bytes.first() {
        Some(&RAW | b'[') | None => bytes.to_vec(),
        Some(_) => Requests::new(&served.sample, bytes).body().to_string().into_bytes(),
    };
    let Some(answer) = served.ask(&body) else { return };
    if let Err(fault) = check(&body, &answer) {
        panic!(
            "{fault}\nrequest: {}\nanswer: {}",
            String::from_utf8_lossy(&body),
            String::from_utf8_lossy(&answer)
        );
    }
}

/// Requests of both kinds to start from.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["latest",true]}"#,
        r#"{"jsonrpc":"2.0","id":"a","method":"eth_call","params":[{"to":"0x0000000000000000000000000000000000000004","data":"0x00"},"0x1",{},{}]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x0","topics":[null,[]]}]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"trace_filter","params":[{"fromBlock":"0x1","count":3}]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"debug_traceBlockByNumber","params":["0x2",{"tracer":"callTracer"}]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_simulateV1","params":[{"blockStateCalls":[{"calls":[{}]}]},"latest"]}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"eth_chainId"},{"jsonrpc":"2.0","id":2,"method":"web3_sha3","params":["0x00"]}]"#,
    ];
    let chosen = (0..=u8::MAX).step_by(4).map(|byte| {
        (0..24_u8).map(|position| byte.wrapping_mul(31).wrapping_add(position.wrapping_mul(37))).collect()
    });
    let chosen = chosen.filter(|bytes: &Vec<u8>| ![RAW, b'['].contains(&bytes[0]));
    texts.into_iter().map(|text| text.as_bytes().to_vec()).chain(chosen).collect()
}

fn check(request: &[u8], answer: &[u8]) -> Result<(), String> {
    if answer.is_empty() {
        return if is_notification(request) { Ok(()) } else { Err("no answer".to_owned()) };
    }
    let answer: Value = serde_json::from_slice(answer).map_err(|error| format!("not JSON: {error}"))?;
    match &answer {
        Value::Array(answers) if !answers.is_empty() => answers.iter().try_for_each(check_one),
        answer => check_one(answer),
    }
}

fn check_one(answer: &Value) -> Result<(), String> {
    let members = answer.as_object().ok_or("not an object")?;
    if members.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err("not of version 2.0".to_owned());
    }
    if !matches!(members.get("id"), Some(Value::Null | Value::Number(_) | Value::String(_))) {
        return Err("no id".to_owned());
    }
    match (members.get("result"), members.get("error")) {
        (Some(_), None) => Ok(()),
        (None, Some(error)) => match (error["code"].as_i64(), error["message"].as_str()) {
            (Some(INTERNAL_ERROR), _) => Err("an internal error".to_owned()),
            (Some(_), Some(_)) => Ok(()),
            _ => Err("an error without a code or a message".to_owned()),
        },
        _ => Err("neither a result nor an error, or both".to_owned()),
    }
}

/// Whether nobody waits for an answer: no call has an id.
fn is_notification(request: &[u8]) -> bool {
    let is_one = |call: &Value| call.is_object() && !call["id"].is_string() && !call["id"].is_number();
    match serde_json::from_slice::<Value>(request) {
        Ok(Value::Array(calls)) => calls.iter().all(is_one),
        Ok(call) => is_one(&call),
        Err(_) => false,
    }
}
