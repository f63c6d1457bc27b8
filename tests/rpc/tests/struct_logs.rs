//! The struct logger that writes while code runs says what the one that keeps every step says.

use alloy_primitives::B256;
use portico_test_support::fixture;
use portico_tests_rpc::RpcNode;
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
