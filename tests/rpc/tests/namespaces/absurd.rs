//! Arguments that make no sense: an error that says so, and never an internal one.

use super::*;

const METHODS: [&str; 47] = [
    "admin_addPeer",
    "admin_datadir",
    "admin_nodeInfo",
    "debug_accountAt",
    "debug_accountRange",
    "debug_dbGet",
    "debug_executionWitness",
    "debug_getModifiedAccountsByHash",
    "debug_getModifiedAccountsByNumber",
    "debug_getRawBlock",
    "debug_getRawBlockAccessList",
    "debug_intermediateRoots",
    "debug_preimage",
    "debug_storageRangeAt",
    "debug_traceBadBlock",
    "debug_traceBlock",
    "debug_traceBlockByHash",
    "debug_traceBlockByNumber",
    "debug_traceCall",
    "debug_traceCallMany",
    "debug_traceChain",
    "debug_traceTransaction",
    "erigon_blockNumber",
    "erigon_getBalanceChangesInBlock",
    "erigon_getBlockByTimestamp",
    "erigon_getBlockReceiptsByBlockHash",
    "erigon_getHeaderByHash",
    "erigon_getHeaderByNumber",
    "erigon_getLatestLogs",
    "erigon_getLogsByHash",
    "ots_getBlockDetails",
    "ots_getBlockTransactions",
    "ots_getContractCreator",
    "ots_getInternalOperations",
    "ots_getTransactionBySenderAndNonce",
    "ots_hasCode",
    "ots_searchTransactionsAfter",
    "ots_searchTransactionsBefore",
    "ots_traceTransaction",
    "parity_listStorageKeys",
    "trace_block",
    "trace_call",
    "trace_callMany",
    "trace_filter",
    "trace_get",
    "trace_rawTransaction",
    "txpool_contentFrom",
];

/// What an argument may be: some are right somewhere, most are wrong everywhere.
fn arguments(blocks: &[Value]) -> Vec<Value> {
    let block = &blocks[HEAD as usize - 3];
    let full = blocks.iter().find(|block| !transactions(block).is_empty()).unwrap();
    let tx = &transactions(full)[0];
    let far = format!("0x{}", "f".repeat(64));
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(3),
        json!(u64::MAX),
        json!(-1),
        json!(1.5),
        json!(""),
        json!("0x"),
        json!("0x1"),
        json!("latest"),
        json!("pending"),
        json!("safe"),
        json!("0xffffffffffffffff"),
        json!(far),
        json!("0x00000000000000000000000000000000000000cc"),
        json!(CREATOR),
        tx["from"].clone(),
        tx["hash"].clone(),
        block["hash"].clone(),
        block["number"].clone(),
        json!({ "blockHash": block["hash"], "requireCanonical": true }),
        json!([]),
        json!([[]]),
        json!({}),
        json!(["trace", "vmTrace", "stateDiff"]),
        json!({ "from": CREATOR, "to": tx["to"], "value": "0x1", "data": "0x00" }),
        json!({ "to": tx["to"], "gas": far, "gasPrice": far }),
        json!([[{ "to": tx["to"] }, ["trace", "vmTrace"]]]),
        json!([{ "transactions": [{ "to": tx["to"] }], "blockOverride": { "number": far } }]),
        json!({ "blockNumber": block["number"], "transactionIndex": 77 }),
        json!({ "tracer": "callTracer", "tracerConfig": { "withLog": true }, "txIndex": "0xff" }),
        json!({ "tracer": "prestateTracer", "tracerConfig": { "diffMode": true } }),
        json!({ "tracer": "erc7562Tracer" }),
        json!({ "tracer": "flatCallTracer", "tracerConfig": { "includePrecompiles": 7 } }),
        json!({ "tracer": "{ nonsense", "timeout": "1h" }),
        json!({ "fromBlock": "0x2", "toBlock": "0x1", "count": 0 }),
        json!({ "fromBlock": "0x1", "toBlock": "latest", "fromAddress": [CREATOR], "after": far }),
        json!({ "logCount": u64::MAX, "ignoreTopicsOrder": true }),
        json!("CanonicalHeaders/0x00"),
        json!("TransactionLookup"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_arguments_are_no_internal_errors() {
    let Some(node) = node() else { return };
    let pool = arguments(&blocks(&node).await);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut answered, mut refused) = (0, 0);
    for method in METHODS {
        assert!(node.has_method(method), "{method}");
        for _ in 0..120 {
            let count = next(6);
            let params: Vec<Value> = (0..count).map(|_| pool[next(pool.len())].clone()).collect();
            let answer = call(&node, method, json!(params)).await;
            match answer["error"]["code"].as_i64() {
                None => answered += 1,
                Some(-32603) => panic!("{method} {}: {answer}", json!(params)),
                Some(_) => refused += 1,
            }
        }
    }
    assert!(answered > 200 && refused > 2000, "{answered} answered, {refused} refused");
}

/// Methods with what their arguments are: `b`lock, `h`ash, `a`ddress, `n`umber, tracing `o`ptions, `c`all, trace
/// `k`inds, `s`lot or key, trace `f`ilter.
const SIGNATURES: [(&str, &str); 22] = [
    ("debug_accountAt", "bna"),
    ("debug_accountRange", "bsn"),
    ("debug_executionWitness", "b"),
    ("debug_getModifiedAccountsByNumber", "nn"),
    ("debug_intermediateRoots", "b"),
    ("debug_storageRangeAt", "bnasn"),
    ("debug_traceBlockByNumber", "bo"),
    ("debug_traceCall", "cbo"),
    ("debug_traceChain", "bbo"),
    ("debug_traceTransaction", "ho"),
    ("erigon_getBalanceChangesInBlock", "b"),
    ("erigon_getBlockByTimestamp", "n"),
    ("ots_getBlockDetails", "b"),
    ("ots_getBlockTransactions", "bnn"),
    ("ots_getContractCreator", "a"),
    ("ots_getTransactionBySenderAndNonce", "an"),
    ("ots_searchTransactionsAfter", "ann"),
    ("ots_searchTransactionsBefore", "ann"),
    ("parity_listStorageKeys", "ansb"),
    ("trace_call", "ckb"),
    ("trace_filter", "f"),
    ("trace_replayBlockTransactions", "bk"),
];

fn of_kind(kind: char, blocks: &[Value]) -> Vec<Value> {
    let with_calls = blocks.iter().rev().find(|block| !transactions(block).is_empty()).unwrap();
    let tx = &transactions(with_calls)[0];
    let far = format!("0x{}", "f".repeat(64));
    match kind {
        'b' => vec![
            json!("0x0"),
            json!("0x1"),
            json!("latest"),
            json!("earliest"),
            json!("0x2d"),
            json!("0x2e"),
            with_calls["number"].clone(),
        ],
        'h' => vec![tx["hash"].clone(), with_calls["hash"].clone(), json!(B256_ONE)],
        'a' => vec![tx["from"].clone(), json!(CREATOR), json!("0x0000000000000000000000000000000000000000")],
        'n' => vec![
            json!(0),
            json!(1),
            json!("0x3"),
            json!(25),
            json!(46),
            json!(u64::MAX),
            json!("0xffffffffffffffff"),
        ],
        'o' => vec![
            Value::Null,
            json!({}),
            json!({ "enableMemory": true, "enableReturnData": true, "limit": 3 }),
            json!({ "tracer": "callTracer", "tracerConfig": { "onlyTopCall": true } }),
            json!({ "tracer": "erc7562Tracer", "txIndex": "0x1" }),
            json!({ "tracer": "callTracerLegacy", "timeout": "0" }),
            json!({ "tracer": "4byteTracer", "blockOverrides": { "number": far, "time": "0xffffffffffffffff" } }),
            json!({ "tracer": "prestateTracer", "stateOverrides": { CREATOR: { "balance": far, "nonce": "0xffffffffffffffff" } } }),
        ],
        'c' => vec![
            json!({}),
            json!({ "from": CREATOR, "data": "0x60016000fd" }),
            json!({ "to": tx["to"], "value": far }),
            json!({ "to": tx["to"], "gas": "0x0" }),
            json!({ "to": CREATOR, "gasPrice": far, "nonce": "0xffffffffffffffff" }),
            json!({ "data": "0xfe", "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2" }),
        ],
        'k' => vec![json!([]), json!(["trace"]), json!(["vmTrace", "stateDiff"])],
        's' => {
            vec![Value::Null, json!("0x"), json!("0x01"), json!(far), json!("7OcC3AyXISBGb05hUw3j4nvSuiE=")]
        }
        _ => vec![
            json!({ "toAddress": [CREATOR], "after": u64::MAX }),
            json!({ "fromBlock": "0x2d", "toBlock": "0x2d", "count": 1 }),
            json!({ "fromAddress": [], "toAddress": null, "fromBlock": "0x0", "toBlock": "0x3" }),
        ],
    }
}

const B256_ONE: &str = "0x0000000000000000000000000000000000000000000000000000000000000001";

#[tokio::test(flavor = "multi_thread")]
async fn every_combination_of_boundary_arguments_has_an_answer_or_a_reason() {
    let Some(node) = node() else { return };
    let blocks = blocks(&node).await;
    let (mut answered, mut refused) = (0, 0);
    for (method, signature) in SIGNATURES {
        let mut combinations: Vec<Vec<Value>> = vec![Vec::new()];
        for kind in signature.chars() {
            let choices = of_kind(kind, &blocks);
            combinations = combinations
                .iter()
                .flat_map(|so_far| {
                    choices.iter().map(|choice| so_far.iter().chain([choice]).cloned().collect())
                })
                .collect();
        }
        // A fixed sample of the longest lists.
        let step = combinations.len().div_ceil(150);
        for params in combinations.into_iter().step_by(step) {
            let answer = call(&node, method, json!(params)).await;
            match answer["error"]["code"].as_i64() {
                None => answered += 1,
                Some(-32603) => panic!("{method} {}: {answer}", json!(params)),
                Some(_) => refused += 1,
            }
        }
    }
    assert!(answered > 300 && refused > 100, "{answered} answered, {refused} refused");
}
