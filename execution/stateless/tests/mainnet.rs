//! Six mainnet blocks of February 2026, one of them with all the state that it reads.

mod support;

use std::collections::BTreeMap;

use alloy_consensus::proofs::{calculate_transaction_root, calculate_withdrawals_root};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, Bytes, U64, U256, address, b256};
use portico_chainspec::{ChainSpec, Fork};
use portico_consensus::{BodyView, ExecutionResult, validate_body, validate_execution};
use portico_evm::{
    BlockInput, BlockRules, MemoryState, Overlay, SignatureRules, execute_block, recover_senders,
};
use portico_stateless::{Block, decode_block_json};
use serde::Deserialize;
use support::fixture;

const FOLDER: &str = "real-chains/mainnet/osaka-244760xx";

/// Block number, hash, transactions.
const BLOCKS: [(u64, B256, usize); 6] = [
    (24_476_000, b256!("0xf66c0322ac6864981313e0eacdae35b3d4c02c23b84082ac5d4877f0e49f81a6"), 273),
    (24_476_001, b256!("0x3a8ff4f80110ebd5a6df289823d7950b7f8ecb6d9409d9f697b43e055610cea0"), 376),
    (24_476_003, b256!("0xfb239d9f3532f20a40a3a07055e2468ec9bc94182ec805981940ee6ff0bc2a2e"), 239),
    (24_476_004, b256!("0x324376124c5ab13697bb3d7d80d1d26154cd11370514ded0887a55858382028e"), 279),
    (24_476_005, b256!("0x38c3038a450e009c52999bf3eb38c63f96004901bc2d6844a919ac4a17a5d16f"), 109),
    (24_476_009, b256!("0xbae6ee511bebad237c000ac4e72a94f7b4e0936d7d46c94a3b67c75189ca7268"), 313),
];

fn block(number: u64) -> Option<Block> {
    let json = std::fs::read(fixture(FOLDER)?.join(format!("block{number}.json"))).unwrap();
    Some(decode_block_json(&json).unwrap())
}

#[test]
fn hashes_and_roots_follow_from_the_json() {
    let spec = ChainSpec::mainnet();
    for (number, hash, transactions) in BLOCKS {
        let Some(Block { header, body }) = block(number) else { return };
        assert_eq!((header.number, header.hash_slow()), (number, hash));
        assert_eq!(body.transactions.len(), transactions, "block {number}");
        assert_eq!(
            calculate_transaction_root(&body.transactions),
            header.transactions_root,
            "block {number}"
        );
        let withdrawals = body.withdrawals.as_ref().unwrap();
        assert_eq!(Some(calculate_withdrawals_root(withdrawals)), header.withdrawals_root, "block {number}");
        let context = spec.block_context(number, header.timestamp, spec.terminal_total_difficulty().unwrap());
        assert_eq!(spec.fork_at(context), Fork::Bpo2);
        validate_body(&spec, context, &header, BodyView::from(&body)).unwrap();
    }
}

#[test]
fn a_changed_field_is_found_by_the_hash() {
    let Some(folder) = fixture(FOLDER) else { return };
    let json = std::fs::read_to_string(folder.join("block24476005.json")).unwrap();
    assert!(decode_block_json(json.replace("\"0x7b790b\"", "\"0x7b790c\"").as_bytes()).is_err());
    assert!(decode_block_json(json.replace("\"0x3938700\"", "\"0x3938701\"").as_bytes()).is_err());
}

#[derive(Debug, Deserialize)]
struct RecordedState {
    /// None for those that were looked at and do not exist.
    accounts: BTreeMap<Address, Option<RecordedAccount>>,
    code: BTreeMap<Address, Bytes>,
    storage: BTreeMap<Address, BTreeMap<B256, U256>>,
}

#[derive(Debug, Deserialize)]
struct RecordedAccount {
    nonce: U64,
    balance: U256,
}

fn recorded_state() -> Option<MemoryState> {
    let json = std::fs::read(fixture(FOLDER)?.join("block24476005State.json")).unwrap();
    let mut recorded: RecordedState = serde_json::from_slice(&json).unwrap();
    assert_eq!((recorded.accounts.len(), recorded.code.len(), recorded.storage.len()), (228, 150, 68));
    let mut state = MemoryState::new();
    for (address, account) in recorded.accounts {
        let code = recorded.code.remove(&address).unwrap_or_default();
        let storage = recorded.storage.remove(&address).unwrap_or_default();
        // Two of those that do not exist are deployed in the block, and then read: that is where their code is from.
        let Some(account) = account else { continue };
        state.insert(address, account.nonce.to(), account.balance, code, storage);
    }
    // Contracts of which only the code was asked for, through delegation.
    assert_eq!((recorded.code.len(), recorded.storage.len()), (14, 0));
    for (address, code) in recorded.code {
        state.insert(address, 1, U256::ZERO, code, []);
    }
    Some(state)
}

#[test]
fn block_24476005_executes_to_its_real_gas_receipts_and_requests() {
    let (Some(block), Some(mut state)) = (block(24_476_005), recorded_state()) else { return };
    let Block { header, body } = &block;
    let spec = ChainSpec::mainnet();
    let context =
        spec.block_context(header.number, header.timestamp, spec.terminal_total_difficulty().unwrap());
    let rules = BlockRules::new(&spec, context);
    let senders = recover_senders(&body.transactions, SignatureRules::of(rules)).unwrap();
    let mut overlay = Overlay::new(&mut state);
    overlay.set_block_hash(header.number - 1, header.parent_hash);
    overlay.begin_block(header.number);
    let view = BodyView::from(body);
    let input = BlockInput {
        header,
        transactions: view.transactions,
        senders: &senders,
        ommers: view.ommers,
        withdrawals: view.withdrawals,
    };
    let outcome = execute_block(&mut overlay, rules, input).unwrap();
    let writes = overlay.into_writes();
    assert_eq!(outcome.receipts.len(), 109);
    assert_eq!(outcome.gas_used, 8_091_915);
    let requests_hash = outcome.requests.as_ref().unwrap().requests_hash();
    assert_eq!(Some(requests_hash), header.requests_hash);
    let (root, bloom) = portico_consensus::receipts_root_and_bloom(&outcome.receipts);
    assert_eq!(root, b256!("0x5f2a5fdc60d9aa57ae216a362e39735996422c02908e227ba9946642187601ef"));
    assert_eq!((root, bloom), (header.receipts_root, header.logs_bloom));
    let result = ExecutionResult {
        gas_used: outcome.gas_used,
        receipts: &outcome.receipts,
        state_roots: None,
        requests: outcome.requests.as_ref(),
        block_access_list_hash: None,
    };
    validate_execution(&spec, context, header, result).unwrap();
    // What is not in the receipts: the first sender's nonce and the withdrawals, in wei.
    let sender = senders[0];
    let nonce = state.get(&sender).unwrap().account.nonce;
    let sent = senders.iter().filter(|other| **other == sender).count() as u64;
    let before = state.clone();
    state.apply(writes);
    assert_eq!(state.get(&sender).unwrap().account.nonce, nonce + sent);
    let Withdrawals(withdrawals) = body.withdrawals.as_ref().unwrap();
    let receiver = address!("0xf497ae8133f0e798f03bd7790bac6a4af444b045");
    let gwei: u64 = withdrawals.iter().filter(|one| one.address == receiver).map(|one| one.amount).sum();
    let balance =
        |state: &MemoryState| state.get(&receiver).map_or(U256::ZERO, |known| known.account.balance);
    assert!(!senders.contains(&receiver));
    assert_eq!(balance(&state), balance(&before) + U256::from(gwei) * U256::from(1_000_000_000));
}
