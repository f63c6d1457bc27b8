//! Traces as Besu's test suites record them.

use std::path::{Path, PathBuf};

use portico_test_support::fixture;
use portico_tests_rpc::{Comparison, Report, RpcNode, compare};
use serde_json::Value;

const UNION: &str =
    "trace_filter with senders and recipients: either matches, as in Erigon; in Besu both must";

/// All JSON files below a folder, in order of path.
fn cases(folder: &Path) -> Vec<PathBuf> {
    let mut cases = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                cases.push(path);
            }
        }
    }
    cases.sort();
    cases
}

/// Where clients differ: what Besu leaves out or adds, and Erigon, whose dialect this node speaks, does not.
fn in_besu_dialect(expected: &mut Value, found: &mut Value) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            // Instructions by name and position in the trace.
            let is_instruction = found.contains_key("pc") && found.contains_key("cost");
            if is_instruction {
                found.remove("op");
                found.remove("idx");
            }
            // Which instruction created a contract; no result beside an error; the reason of a revert.
            for field in ["creationMethod", "result"] {
                let is_absent = field == "creationMethod" || found.get(field) == Some(&Value::Null);
                if is_absent && !expected.contains_key(field) {
                    found.remove(field);
                }
            }
            if !found.contains_key("revertReason") {
                expected.remove("revertReason");
            }
            for (key, expected) in expected.iter_mut() {
                if let Some(found) = found.get_mut(key) {
                    in_besu_dialect(expected, found);
                }
            }
        }
        (Value::Array(expected), Value::Array(found)) => {
            expected.iter_mut().zip(found).for_each(|(expected, found)| in_besu_dialect(expected, found));
        }
        _ => {}
    }
}

/// Whether both senders and recipients are asked for: Besu wants both to match, Erigon either.
fn is_union(request: &Value) -> bool {
    let filter = &request["params"][0];
    let has = |field: &str| filter[field].as_array().is_some_and(|addresses| !addresses.is_empty());
    request["method"] == "trace_filter" && has("fromAddress") && has("toAddress")
}

/// Differences that are ours to mend, by a part of their text. None of them hides another: the first difference of a
/// case is the one that counts.
const TO_MEND: &[(&str, &str)] = &[
    ("codeHash is missing", "prestateTracer: newer go-ethereum gives the hash of an account's code"),
    ("\"genesis is not traceable\"", "genesis has no transactions: an empty answer, not an error"),
    ("expected \"invalid opcode: opcode", "callTracer: the opcode is not named in the error"),
    ("expected \"stack ", "callTracer: stack sizes are not named in the error"),
    ("\"precompiled failed\"", "callTracer: why a precompile failed is not named"),
    ("calls[0].to is missing", "callTracer: a contract that destroys itself for itself has no heir"),
    ("result.pre.0x", "prestateTracer in diff mode: accounts that come and go within a block"),
    ("ex.mem is null", "vmTrace: memory written by calls and copies is not given"),
    ("ops[", "vmTrace: cost and effect of an instruction that fails"),
    ("output is", "replay: output of a creation that reverts"),
    ("callMany", "trace_callMany: Besu runs each call on the block's own state"),
    ("result is too much: {", "a revert has gas and output beside its error, as in Erigon"),
    ("\"Contract address collision\"", "another client's words for a collision"),
    ("Invalid block param", "an unknown block is null, as in Erigon"),
    ("sub.code is", "vmTrace: code of a creation that collides"),
    ("stateDiff", "stateDiff of calls one after another"),
    ("gasUsed is", "gas of calls one after another"),
    ("result has", "traces of a call that Besu leaves out"),
    ("vmTrace is null", "vmTrace: a call that runs no code"),
];

/// Requests and answers of a case: one, or those of a batch.
fn exchanges(case: &Value) -> Vec<(Value, Value)> {
    match (&case["request"], &case["response"]) {
        (Value::Array(requests), Value::Array(responses)) => {
            requests.iter().cloned().zip(responses.iter().cloned()).collect()
        }
        (request, response) => vec![(request.clone(), response.clone())],
    }
}

async fn replay(genesis: &str, chain: &str, specs: &str, known_max: usize) {
    let Some(folder) = fixture("besu-rpc") else { return };
    let node = RpcNode::import(&folder.join(genesis), &folder.join(chain)).unwrap();
    let specs = folder.join(specs);
    let mut report = Report::default();
    let mut known_count = 0;
    for path in cases(&specs) {
        let name = path.strip_prefix(&specs).unwrap().display().to_string();
        let case: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for (request, mut expected) in exchanges(&case) {
            let method = request["method"].as_str().unwrap_or_default();
            if !node.has_method(method) {
                report.skip(format!("{method} is not implemented"));
                continue;
            }
            let mut found = node.call(&request).await.unwrap();
            in_besu_dialect(&mut expected, &mut found);
            let Err(difference) = compare(&expected, &found, Comparison::Exact) else {
                report.pass();
                continue;
            };
            let to_mend = TO_MEND.iter().find(|(part, _)| difference.contains(part));
            match to_mend.map(|(_, reason)| *reason).or(is_union(&request).then_some(UNION)) {
                Some(reason) => {
                    known_count += 1;
                    report.known(&name, reason);
                }
                None => report.fail(&name, &difference),
            }
        }
    }
    report.finish(&specs.display().to_string());
    assert!(known_count <= known_max, "{known_count} known differences, more than the {known_max} of before");
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_methods_answer_as_recorded() {
    replay("trace/chain-data/genesis.json", "trace/chain-data/blocks.bin", "trace/specs", 86).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn geth_tracers_answer_as_recorded() {
    replay("debug-geth/chain-data/genesis.json", "debug-geth/chain-data/blocks.bin", "debug-geth/specs", 51)
        .await;
}
