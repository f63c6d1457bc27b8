//! The struct logger that writes while code runs says what the one that keeps every step says.

use std::time::Duration;

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, TxKind, U256, address};
use alloy_rpc_types_trace::geth::GethDebugTracingOptions;
use portico_chainspec::ChainSpec;
use portico_evm::{BlockRules, MemoryState, Overlay, block_environment, inspect_call};
use portico_test_support::fixture;
use portico_tests_rpc::RpcNode;
use portico_tracers::{Budget, Executed, GethTracer, TransactionContext};
use serde_json::{Value, json};

const CHAINS: [(&str, &str, &str); 3] = [
    ("execution-apis/chain-54-osaka-bpo", "genesis.json", "chain.rlp"),
    ("besu-rpc/trace/chain-data", "genesis.json", "blocks.bin"),
    ("besu-rpc/debug-geth/chain-data", "genesis.json", "blocks.bin"),
];

fn all_options() -> [Value; 5] {
    [
        json!({}),
        json!({ "enableMemory": true, "enableReturnData": true }),
        json!({ "disableStack": true, "disableStorage": true, "enableMemory": true }),
        json!({ "limit": 7 }),
        json!({ "limit": 0, "enableReturnData": true }),
    ]
}

/// Without the storage, which must hold all that the other one knows: the library's logger does not see accesses to
/// slots that an access list has warmed.
fn without_storage(kept: &Value, written: &Value) -> (Value, Value) {
    let (mut kept, mut written) = (kept.clone(), written.clone());
    let known = kept.as_object_mut().unwrap().remove("storage");
    let found = written.as_object_mut().unwrap().remove("storage");
    for (slot, value) in known.iter().flat_map(|storage| storage.as_object().unwrap()) {
        assert_eq!(Some(value), found.as_ref().and_then(|storage| storage.get(slot)), "slot {slot}");
    }
    (kept, written)
}

fn assert_same(place: &str, kept: &Value, written: &Value) -> usize {
    let mut steps = 0;
    for name in ["gas", "failed", "returnValue"] {
        assert_eq!(kept[name], written[name], "{place}: {name}");
    }
    let (kept, written) = (&kept["structLogs"], &written["structLogs"]);
    let (kept, written) = (kept.as_array().unwrap(), written.as_array().unwrap());
    assert_eq!(kept.len(), written.len(), "{place}: steps");
    for (index, (kept, written)) in kept.iter().zip(written).enumerate() {
        steps += 1;
        let (kept, written) = without_storage(kept, written);
        assert_eq!(kept, written, "{place}: step {index}");
    }
    steps
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_are_written_as_they_are_kept() {
    for (folder, genesis, blocks) in CHAINS {
        let Some(folder) = fixture(folder) else { return };
        let node = RpcNode::import(&folder.join(genesis), &folder.join(blocks)).unwrap();
        let head = node.query().snapshot().unwrap().head();
        let mut steps = 0;
        for options in all_options() {
            for number in 1..=head {
                let place = format!("{} block {number} {options}", folder.display());
                let tracing = serde_json::from_value(options.clone()).unwrap();
                let kept = node.query().snapshot().unwrap().geth_block_traces(number, tracing).unwrap();
                let request = json!({
                    "jsonrpc": "2.0", "id": 1, "method": "debug_traceBlockByNumber",
                    "params": [format!("{number:#x}"), options],
                });
                let answer = node.call(&request).await.unwrap();
                let written = answer["result"].as_array().unwrap_or_else(|| panic!("{place}: {answer}"));
                assert_eq!(kept.len(), written.len(), "{place}");
                for (kept, written) in kept.iter().zip(written) {
                    let hash: B256 = serde_json::from_value(written["txHash"].clone()).unwrap();
                    assert_eq!(kept.transaction_hash, hash, "{place}");
                    let kept = serde_json::to_value(&kept.trace).unwrap();
                    steps += assert_same(&place, &kept, &written["result"]);
                }
            }
        }
        assert!(steps > 500, "{}: {steps} steps are too few to say anything", folder.display());
    }
}

const SENDER: Address = address!("00000000000000000000000000000000000000aa");
const CONTRACT: Address = address!("00000000000000000000000000000000000000cc");

/// Sets a slot, clears it again, sets another, makes an account by a transfer and one by a creation with code.
const STATE_MAKER: &str = concat!(
    "0x6001600055",
    "5f600055",
    "6002600155",
    "5f5f5f5f600161dead5af150",
    "6460015ff3005f526005601b5ff050",
    "600154505a5f5260205ff3"
);

/// A chain on which creating state is paid for by itself (EIP-8037).
fn amsterdam() -> ChainSpec {
    let mut config = json!({ "chainId": 1, "terminalTotalDifficulty": 0, "blobSchedule": {
        "cancun": { "target": 3, "max": 6, "baseFeeUpdateFraction": 3338477 },
        "prague": { "target": 6, "max": 9, "baseFeeUpdateFraction": 5007716 },
    } });
    for fork in [
        "homestead",
        "eip150",
        "eip155",
        "eip158",
        "byzantium",
        "constantinople",
        "petersburg",
        "istanbul",
        "muirGlacier",
        "berlin",
        "london",
        "mergeNetsplit",
    ] {
        config[format!("{fork}Block")] = json!(0);
    }
    for fork in ["shanghai", "cancun", "prague", "amsterdam"] {
        config[format!("{fork}Time")] = json!(0);
    }
    let alloc = json!({
        SENDER.to_string(): { "balance": "0xde0b6b3a7640000" },
        CONTRACT.to_string(): { "balance": "0x10", "code": STATE_MAKER },
    });
    let genesis = json!({
        "config": config, "alloc": alloc, "difficulty": "0x0", "gasLimit": "0x1c9c380", "timestamp": "0x0",
        "extraData": "0x", "nonce": "0x0",
    });
    ChainSpec::from_genesis_json(genesis.to_string().as_bytes()).unwrap()
}

#[test]
fn gas_of_state_is_written_as_it_is_kept() {
    let spec = amsterdam();
    let header = Header {
        number: 1,
        timestamp: 1,
        gas_limit: 30_000_000,
        base_fee_per_gas: Some(0),
        excess_blob_gas: Some(0),
        ..Header::default()
    };
    let budget = || Budget::lasting(Duration::from_secs(600));
    for gas_limit in [10_000_000, 150_000] {
        let overlay = || Overlay::new(MemoryState::from_genesis(&spec.genesis_alloc()));
        let rules = BlockRules::new(&spec, spec.block_context(1, 1, U256::ZERO));
        let environment = block_environment(rules, &header, Address::ZERO);
        let request = revm::context::TxEnv {
            caller: SENDER,
            kind: TxKind::Call(CONTRACT),
            gas_limit,
            chain_id: Some(1),
            ..Default::default()
        };
        let options = GethDebugTracingOptions::default();
        let (mut database, block) = (overlay(), environment.block_env.clone());
        let mut keeping = GethTracer::inspector(options.clone(), budget()).unwrap();
        let result = inspect_call(&mut database, environment.clone(), request.clone(), &mut keeping).unwrap();
        let executed =
            Executed { block: &block, transaction: &request, result: &result, database: &mut database };
        let kept = GethTracer::finish(&mut keeping, TransactionContext::default(), executed).unwrap();
        let kept = serde_json::to_value(kept).unwrap();

        let mut text = Vec::new();
        let heads = [String::new()].into();
        let mut writing = GethTracer::step_writer(&options, heads, &mut text, budget()).unwrap();
        let result = inspect_call(&mut overlay(), environment, request, &mut writing).unwrap();
        writing.inner_mut().finish(&result.result, "").unwrap();
        let written: Value = serde_json::from_slice(&text).unwrap();

        assert!(assert_same(&format!("with {gas_limit} gas"), &kept, &written) > 3);
        for name in ["executionGasUsed", "stateGasUsed", "gasRefund"] {
            assert!(kept[name].is_string(), "{name}: {kept}");
            assert_eq!(kept[name], written[name], "{name}");
        }
        let steps = written["structLogs"].as_array().unwrap();
        assert!(steps.iter().all(|step| step["stateGasReservoir"].is_u64()));
        let costs = steps.iter().filter(|step| step["stateGasCost"].as_i64().is_some_and(|cost| cost > 0));
        assert!(gas_limit < 1_000_000 || costs.count() > 1, "{written}");
    }
}
