//! go-ethereum's tracer cases: one transaction on the state that it needs, and what each tracer says of it.

use std::path::Path;

use alloy_consensus::{Header, transaction::SignerRecoverable};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B64, B256, Bytes, U256};
use alloy_rpc_types_trace::geth::GethDebugTracingOptions;
use portico_chainspec::ChainSpec;
use portico_evm::{
    BlockRules, MemoryState, Overlay, Transaction, block_environment, inspect_call, transaction_environment,
};
use portico_test_support::fixture;
use portico_tests_rpc::{Comparison, Report, compare};
use portico_tracers::{Budget, Executed, GethTracer, TransactionContext};
use serde_json::{Value, json};

/// A number as these files have it: decimal or hexadecimal, quoted or not.
fn number(value: &Value) -> u64 {
    match value {
        Value::String(text) => match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).unwrap(),
            None => text.parse().unwrap(),
        },
        value => value.as_u64().unwrap_or_default(),
    }
}

/// The chain, with a genesis block that has nothing but the allocation.
fn chain(case: &Value) -> ChainSpec {
    let genesis = &case["genesis"];
    let json = json!({
        "config": in_order(genesis["config"].clone()), "alloc": genesis["alloc"],
        "difficulty": "0x1", "gasLimit": "0x1c9c380", "timestamp": "0x0", "extraData": "0x", "nonce": "0x0",
    });
    ChainSpec::from_genesis_json(json.to_string().as_bytes()).unwrap()
}

/// A case has Homestead after forks that came later; go-ethereum does not mind.
fn in_order(mut config: Value) -> Value {
    let mut next = u64::MAX;
    for fork in ["byzantiumBlock", "eip158Block", "eip150Block", "homesteadBlock"] {
        if let Some(block) = config[fork].as_u64() {
            next = next.min(block);
            config[fork] = next.into();
        }
    }
    config
}

fn header(case: &Value) -> Header {
    let context = &case["context"];
    let optional = |value: &Value| (!value.is_null()).then(|| number(value));
    Header {
        number: number(&context["number"]),
        timestamp: number(&context["timestamp"]),
        gas_limit: number(&context["gasLimit"]),
        difficulty: U256::from(number(&context["difficulty"])),
        beneficiary: context["miner"].as_str().unwrap().parse().unwrap(),
        base_fee_per_gas: optional(&context["baseFeePerGas"]),
        excess_blob_gas: Some(number(&case["genesis"]["excessBlobGas"])),
        mix_hash: B256::ZERO,
        nonce: B64::ZERO,
        ..Header::default()
    }
}

fn decode(input: &str) -> Transaction {
    let bytes: Bytes = input.parse().unwrap();
    Transaction::decode_2718_exact(&bytes).unwrap()
}

/// What the tracer says of the case's transaction.
fn trace(case: &Value, tracer: &str) -> Value {
    let (spec, header) = (chain(case), header(case));
    let mut overlay = Overlay::new(MemoryState::from_genesis(&spec.genesis_alloc()));
    let rules = BlockRules::new(&spec, spec.block_context(header.number, header.timestamp, U256::ZERO));
    let environment = block_environment(rules, &header, header.beneficiary);
    let transaction = decode(case["input"].as_str().unwrap());
    let sender: Address = transaction.recover_signer().unwrap();
    let request = transaction_environment(&transaction, sender);
    let options = json!({ "tracer": tracer, "tracerConfig": case["tracerConfig"] });
    let options: GethDebugTracingOptions = serde_json::from_value(options).unwrap();
    let mut inspector =
        GethTracer::inspector(options, Budget::lasting(std::time::Duration::from_secs(600))).unwrap();
    let block = environment.block_env.clone();
    let result = inspect_call(&mut overlay, environment, request.clone(), &mut inspector).unwrap();
    let executed = Executed { block: &block, transaction: &request, result: &result, database: &mut overlay };
    let trace = GethTracer::finish(&mut inspector, TransactionContext::default(), executed).unwrap();
    serde_json::to_value(trace).unwrap()
}

/// Without members that say nothing: a place in the chain that these transactions do not have.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(without_nulls);
        }
        Value::Array(elements) => elements.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// Of flat traces the suite reads neither the place in the chain nor members that other kinds of actions have.
fn as_flat_traces(result: &mut Value) {
    for trace in result.as_array_mut().into_iter().flatten() {
        let kind = trace["type"].clone();
        let members = trace.as_object_mut().unwrap();
        for place in ["blockHash", "blockNumber", "transactionHash", "transactionPosition", "time"] {
            members.remove(place);
        }
        let action = members["action"].as_object_mut().unwrap();
        action.remove("author");
        action.retain(|name, member| name != "input" || member != "0x");
        if kind != "suicide" {
            action.remove("address");
            action.remove("balance");
            action.remove("refundAddress");
        }
        // A result that is not there is read as one in which everything is zero.
        if let Some(result) = members.get_mut("result").and_then(Value::as_object_mut) {
            let zero = Address::ZERO.to_string();
            result.retain(|_, member| member != "0x" && member.as_str() != Some(&zero));
            if result.values().all(|member| member == "0x0") {
                members.remove("result");
            }
        }
    }
}

/// Older cases lack the index of a log, which the suite then reads as 0.
fn with_log_indices(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.contains_key("position") && members.contains_key("topics") {
                members.entry("index").or_insert_with(|| "0x0".into());
            }
            members.values_mut().for_each(with_log_indices);
        }
        Value::Array(elements) => elements.iter_mut().for_each(with_log_indices),
        _ => {}
    }
}

fn replay(folder: &str, tracer: &str) {
    let Some(folder) = fixture("tracers").map(|all| all.join(folder)) else { return };
    let mut report = Report::default();
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        check(&path, tracer, &mut report);
    }
    report.finish(&folder.display().to_string());
}

fn check(path: &Path, tracer: &str, report: &mut Report) {
    let name = path.file_stem().unwrap().to_string_lossy();
    let mut case: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut found = json!({ "result": trace(&case, tracer) });
    let mut expected = json!({ "result": case["result"].take() });
    with_log_indices(&mut expected);
    for trace in [&mut expected, &mut found] {
        as_flat_traces(&mut trace["result"]);
    }
    without_nulls(&mut found);
    without_nulls(&mut expected);
    match compare(&expected, &found, Comparison::Exact) {
        Ok(()) => report.pass(),
        Err(difference) => report.fail(&name, &difference),
    }
}

#[test]
fn call_tracer_answers_as_go_ethereum() {
    replay("call_tracer", "callTracer");
    replay("call_tracer_withLog", "callTracer");
}

#[test]
fn flat_call_tracer_answers_as_go_ethereum() {
    replay("call_tracer_flat", "flatCallTracer");
}

#[test]
fn legacy_call_tracer_answers_as_go_ethereum() {
    replay("call_tracer_legacy", "callTracerLegacy");
}

#[test]
fn prestate_tracer_answers_as_go_ethereum() {
    replay("prestate_tracer", "prestateTracer");
}

#[test]
fn prestate_tracer_in_diff_mode_answers_as_go_ethereum() {
    replay("prestate_tracer_with_diff_mode", "prestateTracer");
}

#[test]
fn erc7562_tracer_answers_as_go_ethereum() {
    replay("erc7562_tracer", "erc7562Tracer");
}
