//! Searches for traces, calls in bundles, and what bounds a trace.

use std::time::Duration;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn calls_in_bundles_see_what_those_before_them_did() {
    let Some(node) = node() else { return };
    // Counts its calls in slot 0 and returns the count.
    let code = "0x6000546001018060005560005260206000f3";
    let overrides =
        json!({ "stateOverrides": { "0x00000000000000000000000000000000000000cc": { "code": code } } });
    let call = json!({ "to": "0x00000000000000000000000000000000000000cc", "gas": "0x20000" });
    let bundle = json!([{ "transactions": [call, call] }, { "transactions": [call], "blockOverride": { "blockNumber": "0x99" } }]);
    let at = json!({ "blockNumber": "latest", "transactionIndex": -1 });
    let traces = result(&node, "debug_traceCallMany", json!([bundle, at, overrides])).await;
    let returned =
        |trace: &Value| trace["returnValue"].as_str().unwrap().trim_start_matches("0x0").to_owned();
    let counts: Vec<Vec<String>> = traces
        .as_array()
        .unwrap()
        .iter()
        .map(|bundle| bundle.as_array().unwrap().iter().map(returned).collect())
        .collect();
    assert_eq!(counts.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    assert!(
        counts[0][0].ends_with('1') && counts[0][1].ends_with('2') && counts[1][0].ends_with('3'),
        "{counts:?}"
    );

    // Before the first transaction of a block its sender has its old balance.
    let block = blocks(&node).await.into_iter().rev().find(|block| transactions(block).len() > 1).unwrap();
    let sender = &transactions(&block)[0]["from"];
    let balance = json!({ "to": "0x00000000000000000000000000000000000000dd", "data": "0x" });
    let reads = format!("0x73{}3160005260206000f3", &sender.as_str().unwrap()[2..]);
    for (index, at) in [(0, &block["parentHash"]), (transactions(&block).len(), &block["hash"])] {
        let options = json!({ "txIndex": hex(index as u64), "stateOverrides": { "0x00000000000000000000000000000000000000dd": { "code": reads } } });
        let trace = result(&node, "debug_traceCall", json!([balance, block["number"], options])).await;
        let expected = result(&node, "eth_getBalance", json!([sender, at])).await;
        let found = trace["returnValue"].as_str().unwrap().trim_start_matches("0x").trim_start_matches('0');
        assert_eq!(format!("0x{found}"), expected, "before transaction {index}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_traced_block_by_block() {
    let Some(node) = node() else { return };
    let chain = result(&node, "debug_traceChain", json!(["0x2", "0x6", { "tracer": "callTracer" }])).await;
    assert_eq!(chain.as_array().unwrap().len(), 4);
    for block in chain.as_array().unwrap() {
        let traces =
            result(&node, "debug_traceBlockByHash", json!([block["hash"], { "tracer": "callTracer" }])).await;
        assert_eq!(block["traces"], traces);
    }
    assert_eq!(error_code(&node, "debug_traceChain", json!(["0x6", "0x2"])).await, Some(-32602));
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_filter_finds_what_a_scan_finds() {
    let Some(node) = node() else { return };
    let all = all_traces(&node).await;
    let mut addresses: BTreeSet<String> = touched(&node).await.into_values().flatten().collect();
    let authors = all.iter().filter_map(|trace| trace["action"]["author"].as_str());
    addresses.extend(authors.map(str::to_owned));
    let addresses: Vec<&String> = addresses.iter().collect();
    let mut compared = 0;
    for (position, from) in addresses.iter().enumerate() {
        let to = addresses[(position * 7 + 3) % addresses.len()];
        for mode in [None, Some("union"), Some("intersection")] {
            for (has_from, has_to) in [(true, false), (false, true), (true, true)] {
                let mut filter = json!({ "fromBlock": "0x3", "toBlock": "latest" });
                if has_from {
                    filter["fromAddress"] = json!([from]);
                }
                if has_to {
                    filter["toAddress"] = json!([to]);
                }
                if let Some(mode) = mode {
                    filter["mode"] = json!(mode);
                }
                let matches = |trace: &&Value| {
                    let (by_from, by_to) = (is_from(trace, from), is_to(trace, to));
                    let in_range = trace["blockNumber"].as_u64().unwrap() >= 3;
                    in_range
                        && match (has_from, has_to) {
                            (true, true) if mode == Some("intersection") => by_from && by_to,
                            (true, true) => by_from || by_to,
                            (true, false) => by_from,
                            _ => by_to,
                        }
                };
                let expected: Vec<&Value> = all.iter().filter(matches).collect();
                assert_eq!(result(&node, "trace_filter", json!([filter])).await, json!(expected), "{filter}");
                compared += expected.len();
                filter["after"] = json!(1);
                filter["count"] = json!(2);
                let part: Vec<&&Value> = expected.iter().skip(1).take(2).collect();
                assert_eq!(result(&node, "trace_filter", json!([filter])).await, json!(part), "{filter}");
            }
        }
    }
    assert!(compared > 500, "{compared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_execute_only_blocks_that_the_index_names() {
    let Some(node) = node() else { return };
    let all = all_traces(&node).await;
    // An address that appears late: blocks before it cannot be executed any more, and need not be.
    let first_block = |address: &str| {
        let first = all.iter().find(|trace| is_from(trace, address) || is_to(trace, address));
        first.unwrap()["blockNumber"].as_u64().unwrap()
    };
    let addresses: BTreeSet<String> = touched(&node).await.into_values().flatten().collect();
    let late = addresses.iter().find(|address| first_block(address) > 30).unwrap();
    let txn = node.node().database.begin_rw().unwrap();
    portico_chain::write_prune_checkpoint(&txn, "History", first_block(late) - 2).unwrap();
    txn.commit().unwrap();
    let range = json!({ "fromBlock": "0x0", "toBlock": "latest" });
    let mut filter = range.clone();
    filter["toAddress"] = json!([late]);
    filter["fromAddress"] = json!([late]);
    let expected: Vec<&Value> =
        all.iter().filter(|trace| is_from(trace, late) || is_to(trace, late)).collect();
    assert_eq!(result(&node, "trace_filter", json!([filter])).await, json!(expected));
    assert_eq!(error_code(&node, "trace_filter", json!([range])).await, Some(4444));
    let page = result(&node, "ots_searchTransactionsBefore", json!([late, 0, 25])).await;
    assert!(!page["txs"].as_array().unwrap().is_empty());

    // Without the index there is no answer, and not an empty one.
    let txn = node.node().database.begin_rw().unwrap();
    portico_chain::write_checkpoint(&txn, "CallTraceIndex", HEAD - 1).unwrap();
    txn.commit().unwrap();
    assert_eq!(error_code(&node, "trace_filter", json!([filter])).await, Some(-32002));
    assert_eq!(error_code(&node, "ots_searchTransactionsBefore", json!([late, 0, 25])).await, Some(-32002));
}

#[tokio::test(flavor = "multi_thread")]
async fn tracers_without_fixtures_say_what_happened() {
    let Some(node) = node() else { return };
    let call = json!({ "to": "0x00000000000000000000000000000000000000cc", "gas": "0x20000" });
    // KECCAK256 of the word 1.
    let code = "0x600160005260206000205000";
    let trace = async |tracer: &str, config: Value| {
        let options = json!({
            "tracer": tracer, "tracerConfig": config, "timeout": "2s", "reexec": 128,
            "stateOverrides": { "0x00000000000000000000000000000000000000cc": { "code": code } },
        });
        result(&node, "debug_traceCall", json!([call, "latest", options])).await
    };
    let word = format!("0x{:0>64}", 1);
    let hash = "0xb10e2d527612073b26eecdfd717e6a320cf44b4afac2b0732d9fcbe2b7fa0cf6";
    assert_eq!(trace("keccak256PreimageTracer", Value::Null).await, json!({ hash: word }));
    assert_eq!(trace("opcountTracer", Value::Null).await, 8);
    assert_eq!(
        trace("bigramTracer", Value::Null).await,
        json!({ "PUSH1-PUSH1": 2, "PUSH1-MSTORE": 1, "MSTORE-PUSH1": 1, "PUSH1-KECCAK256": 1, "KECCAK256-POP": 1, "POP-STOP": 1 })
    );
    assert_eq!(trace("noopTracer", Value::Null).await, json!({}));
    let mux = trace("muxTracer", json!({ "callTracer": null, "prestateTracer": { "diffMode": true } })).await;
    assert_eq!(mux["callTracer"]["type"], "CALL");
    assert!(mux["prestateTracer"]["post"].is_object(), "{mux}");
    for none in [Value::Null, json!({})] {
        let mux =
            trace("muxTracer", json!({ "4byteTracer": none, "noopTracer": none, "callTracer": none })).await;
        assert_eq!(mux["callTracer"]["type"], "CALL");
        assert!(mux["4byteTracer"].is_object() && mux["noopTracer"].is_object(), "{mux}");
    }
    let script =
        "{ n: 0, step: function() { this.n++ }, fault: function() {}, result: function() { return this.n } }";
    assert_eq!(trace(script, Value::Null).await, 8);
    let bad = json!([call, "latest", { "tracer": "callTracer", "timeout": "soon" }]);
    assert_eq!(error_code(&node, "debug_traceCall", bad).await, Some(-32602));
    let unknown = json!([call, "latest", { "tracer": "noSuchTracer" }]);
    assert_eq!(error_code(&node, "debug_traceCall", unknown).await, Some(-32602));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_script_throws_fails_the_trace_and_not_the_execution() {
    let Some(node) = node() else { return };
    let call = json!({ "to": "0x00000000000000000000000000000000000000cc", "gas": "0x20000" });
    let code =
        json!({ "0x00000000000000000000000000000000000000cc": { "code": "0x600160005260206000205000" } });
    let message = async |step: &str, more: &str| {
        let script = format!(
            "{{ n: 0, step: function(log) {{ this.n++; {step} }}, fault: function() {{}}, {more} result: function() {{ return this.n }} }}"
        );
        let options = json!({ "tracer": script, "stateOverrides": code });
        let answer = super::call(&node, "debug_traceCall", json!([call, "latest", options])).await;
        match answer["error"]["message"].as_str() {
            Some(message) => message.to_owned(),
            None => format!("gave {}", answer["result"]),
        }
    };
    assert_eq!(message("", "").await, "gave 8");
    // A function of a script may call another of its functions, and catch what that throws.
    assert_eq!(message("if (this.n == 3) { try { this.fault() } catch (e) {} }", "").await, "gave 8");
    for (step, said) in [
        ("if (this.n == 3) throw 'enough'", "enough"),
        ("if (this.n == 3) log.nosuch()", "not a callable"),
        ("if (this.n == 3) { while (1); }", "too many rounds"),
    ] {
        let message = message(step, "").await;
        assert!(message.contains(said), "{step}: {message}");
    }

    // Were the first transaction reverted, the later ones of its block would be other ones.
    let block = blocks(&node).await.into_iter().rev().find(|block| transactions(block).len() > 1).unwrap();
    let script = "{ step: function() {}, fault: function() {}, result: function(context) { return [context.gasUsed, context.error] } }";
    let gas = async |block: &Value| {
        let traces =
            result(&node, "debug_traceBlockByHash", json!([block["hash"], { "tracer": script }])).await;
        traces
            .as_array()
            .unwrap()
            .iter()
            .map(|trace| trace["result"][0].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    let receipts = result(&node, "eth_getBlockReceipts", json!([block["hash"]])).await;
    let used = receipts
        .as_array()
        .unwrap()
        .iter()
        .map(|receipt| u64::from_str_radix(&receipt["gasUsed"].as_str().unwrap()[2..], 16).unwrap());
    assert_eq!(gas(&block).await, used.collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracer_stops_when_its_time_is_up() {
    let Some(node) = node() else { return };
    let call = json!({ "to": "0x00000000000000000000000000000000000000cc", "gas": "0x2faf080" });
    // Jumps to itself until the gas is gone.
    let endless = json!({ "0x00000000000000000000000000000000000000cc": { "code": "0x5b600056" } });
    let script = "{ step: function(log) { for (var i = 0; i < 100; i++) log.stack.length() }, fault: function() {}, result: function() { return 1 } }";
    let options = json!({ "tracer": script, "timeout": "200ms", "stateOverrides": endless });
    let started = std::time::Instant::now();
    assert_eq!(error_code(&node, "debug_traceCall", json!([call, "latest", options])).await, Some(-32002));
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_does_not_fit_is_refused() {
    // Bytes are what it runs out of, also on a busy machine.
    let patient = QuerySettings { call_time_max: Duration::from_secs(120), ..QuerySettings::default() };
    let Some(node) = node_with(patient) else { return };
    // A deep stack of large words at every instruction: 1000 of them, then jumps without end.
    let code = format!("0x7f{}{}5b61{:04x}56", "ff".repeat(32), "80".repeat(999), 33 + 999);
    let call = json!({ "to": "0x00000000000000000000000000000000000000cc", "gas": "0x2faf080" });
    let code = json!({ "0x00000000000000000000000000000000000000cc": { "code": code } });
    let options = json!({ "stateOverrides": code, "timeout": "120s" });
    assert_eq!(error_code(&node, "debug_traceCall", json!([call, "latest", options])).await, Some(-32005));
    let mut limited = options.clone();
    limited["disableStack"] = json!(true);
    limited["limit"] = json!(10);
    let trace =
        result(&node, "debug_traceCall", json!([{ "to": call["to"], "gas": "0x7000" }, "latest", limited]))
            .await;
    assert_eq!(trace["structLogs"].as_array().unwrap().len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_take_too_much_are_refused() {
    let Some(node) = node() else { return };
    let call = json!({ "to": "0x00000000000000000000000000000000000000cc" });
    let code = json!({ "0x00000000000000000000000000000000000000cc": { "code": "0x5f5f00" } });
    let trace = async |script: &str| {
        let options = json!({ "tracer": script, "stateOverrides": code });
        self::call(&node, "debug_traceCall", json!([call, "latest", options])).await
    };
    let with_result = |body: &str| format!("{{ fault: function() {{}}, result: function() {{ {body} }} }}");
    assert_eq!(trace(&with_result("return 1")).await["result"], 1);
    for (body, code) in [
        ("for (;;) {}", -32000),
        ("function f() { return 1 + f() } return f()", -32000),
        (
            "var s = 'x'; for (var i = 0; i < 20; i++) s += s; var a = []; for (var i = 0; i < 17; i++) a.push(s); return a",
            -32005,
        ),
    ] {
        let answer = trace(&with_result(body)).await;
        assert_eq!(answer["error"]["code"], code, "{body}: {answer}");
    }
    let long = with_result(&format!("return '{}'", "x".repeat(200_000)));
    let answer = trace(&long).await;
    assert!(answer["error"]["message"].as_str().unwrap().contains("at most 131072 bytes"), "{answer}");
}
