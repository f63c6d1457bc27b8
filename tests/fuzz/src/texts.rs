//! What people and tools hand over: genesis files, witnesses, tests.

use portico_chainspec::{ChainSpec, Fork};
use portico_spec::{CaseRunner, StateTestRunner};
use portico_stateless::Witness;
use serde_json::Value;

/// A genesis file.
pub fn genesis(bytes: &[u8]) {
    let Ok(spec) = ChainSpec::from_genesis_json(bytes) else { return };
    assert_eq!(spec.genesis_hash(), spec.genesis_header().hash_slow());
    assert!(spec.genesis_alloc().is_sorted_by(|left, right| left.0 < right.0));
    for (number, timestamp) in [(0, 0), (1, 1), (5_000_000, 1_600_000_000), (u64::MAX, u64::MAX)] {
        let block = spec.block_context(number, timestamp, spec.genesis_header().difficulty);
        let fork = spec.fork_at(block);
        assert!(spec.is_active(fork, block));
        assert!(spec.is_active(Fork::Frontier, block));
        let _ = (spec.engine_at(number), spec.blob_params_at(timestamp), spec.difficulty_bomb_delay(block));
    }
    let _ = spec.fork_id(portico_chainspec::Header::default().number, 0);
}

/// A witness as RLP.
pub fn witness_rlp(bytes: &[u8]) {
    let _ = Witness::decode_rlp(bytes);
}

/// A witness as JSON.
pub fn witness_json(bytes: &[u8]) {
    let _ = Witness::decode_json(bytes);
}

/// Gas of a transaction and of a block with which a test cannot take long.
const TEST_GAS_MAX: u64 = 1 << 24;

/// A state test's case, which is run when it decodes and has no more gas than real ones.
pub fn state_test(bytes: &[u8]) {
    let Ok(json) = std::str::from_utf8(bytes) else { return };
    let Ok(case) = serde_json::from_str::<Value>(json) else { return };
    let limits = case["transaction"]["gasLimit"].as_array();
    if !limits.into_iter().flatten().all(|limit| number(limit).is_some_and(|limit| limit <= TEST_GAS_MAX)) {
        return;
    }
    let _ = StateTestRunner::default().run("fuzzed", json, &mut |_, _| {});
}

fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}
