//! Hoodi's block 1151683 and go-ethereum's witness of it.

mod support;

use alloy_primitives::{Address, B256, address, keccak256};
use portico_chainspec::ChainSpec;
use portico_stateless::{
    Block, InvalidReason, Report, StatelessError, UnprovenAccounts, Witness, WitnessError, validate_with,
};
use portico_trie::PartialState;
use support::{blocks, fixture};

fn block_and_witness() -> Option<(Block, Vec<u8>)> {
    let folder = fixture("real-chains/stateless")?;
    let block = blocks(&folder.join("1192c3_block.rlp")).remove(0);
    Some((block, std::fs::read(folder.join("1192c3_witness.rlp")).unwrap()))
}

/// The recipient of its one transaction, who gets nothing. The witness lacks the path to it.
const RECIPIENT: Address = address!("0x00d8b9e957becc0978a9882f0cd5e776cd7c5b20");

fn validate(block: &Block, witness: &Witness) -> Result<Report, StatelessError> {
    validate_with(UnprovenAccounts::AssumeAbsent, &ChainSpec::hoodi(), block, witness)
}

#[test]
fn the_block_is_proven_if_one_account_is_absent() {
    let Some((block, witness)) = block_and_witness() else { return };
    let witness = Witness::decode_rlp(&witness).unwrap();
    assert_eq!((witness.headers.len(), witness.codes.len(), witness.nodes.len()), (1, 4, 104));
    let report = validate(&block, &witness).unwrap();
    assert_eq!((report.number, report.transactions, report.gas_used), (1_151_683, 1, 21_000));
    assert_eq!(report.state_root, block.header.state_root);
    assert_eq!(report.assumed_absent, [RECIPIENT]);
    let error = portico_stateless::validate(&ChainSpec::hoodi(), &block, &witness).unwrap_err();
    let StatelessError::Witness(WitnessError::Account { address, source }) = error else { panic!("{error}") };
    assert_eq!(address, RECIPIENT);
    assert!(source.is_missing());
}

/// The lists of headers, codes and nodes, each item with its RLP header.
fn parts(witness: &[u8]) -> [Vec<Vec<u8>>; 3] {
    let mut rest = witness;
    let mut lists = alloy_rlp::Header::decode_bytes(&mut rest, true).unwrap();
    [(); 3].map(|()| {
        let mut list = alloy_rlp::Header::decode_bytes(&mut lists, true).unwrap();
        let mut items = Vec::new();
        while !list.is_empty() {
            let start = list;
            let header = alloy_rlp::Header::decode(&mut list).unwrap();
            list = &list[header.payload_length..];
            items.push(start[..start.len() - list.len()].to_vec());
        }
        items
    })
}

fn list(payload: &[u8]) -> Vec<u8> {
    let mut rlp = Vec::new();
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut rlp);
    rlp.extend_from_slice(payload);
    rlp
}

fn joined(parts: &[Vec<Vec<u8>>; 3]) -> Vec<u8> {
    let lists: Vec<u8> = parts.iter().flat_map(|items| list(&items.concat())).collect();
    list(&[lists, list(&[])].concat())
}

/// Where system calls come from. The witness proves that there is no such account; the rules do not ask for that.
const SYSTEM_ADDRESS: Address = address!("0xfffffffffffffffffffffffffffffffffffffffe");

fn proves_absence(root: B256, parts: &[Vec<Vec<u8>>; 3], address: Address) -> bool {
    let witness = Witness::decode_rlp(&joined(parts)).unwrap();
    PartialState::new(&witness.nodes, root).account(&keccak256(address)) == Ok(None)
}

/// Positions in the witness of the nodes that are only part of that proof, and nothing that the block needs.
fn needless_nodes(block: &Block, whole: &[Vec<Vec<u8>>; 3]) -> Vec<usize> {
    let report = validate(block, &Witness::decode_rlp(&joined(whole)).unwrap()).unwrap();
    let mut less = whole.clone();
    let mut needless = Vec::new();
    for node in (0..whole[2].len()).rev() {
        let taken = less[2].remove(node);
        match validate(block, &Witness::decode_rlp(&joined(&less)).unwrap()) {
            Ok(without) => {
                assert_eq!(without, report, "without node {node} the same is shown");
                needless.push(node);
            }
            Err(_) => less[2].insert(node, taken),
        }
    }
    let root = report.parent_state_root;
    assert!(proves_absence(root, whole, SYSTEM_ADDRESS));
    for node in &needless {
        let mut less = whole.clone();
        less[2].remove(*node);
        assert!(!proves_absence(root, &less, SYSTEM_ADDRESS), "node {node} is part of that proof");
    }
    needless
}

#[test]
fn anything_less_is_an_error() {
    let Some((block, bytes)) = block_and_witness() else { return };
    let whole = parts(&bytes);
    assert_eq!(joined(&whole), bytes);
    let needless = needless_nodes(&block, &whole);
    for part in 0..3 {
        for item in 0..whole[part].len() {
            let mut less = whole.clone();
            less[part].remove(item);
            let witness = Witness::decode_rlp(&joined(&less)).unwrap();
            let is_valid = validate(&block, &witness).is_ok();
            assert_eq!(is_valid, part == 2 && needless.contains(&item), "part {part}, item {item}");
        }
    }
}

#[test]
fn a_changed_byte_is_an_error_wherever_it_stands() {
    let Some((block, bytes)) = block_and_witness() else { return };
    let whole = parts(&bytes);
    let needless = needless_nodes(&block, &whole);
    let report = validate(&block, &Witness::decode_rlp(&bytes).unwrap()).unwrap();
    let positions = |item: &Vec<u8>| {
        let start = bytes.windows(item.len()).position(|window| window == item).unwrap();
        start..start + item.len()
    };
    let needless: Vec<_> = needless.iter().map(|node| positions(&whole[2][*node])).collect();
    // Every byte once would take minutes.
    for at in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        let Ok(witness) = Witness::decode_rlp(&changed) else { continue };
        match validate(&block, &witness) {
            Ok(changed) => {
                assert!(needless.iter().any(|bytes| bytes.contains(&at)), "at {at}");
                assert_eq!(changed, report);
            }
            Err(StatelessError::Internal(error)) => panic!("at {at}: {error}"),
            Err(_) => {}
        }
    }
}

#[test]
fn a_witness_that_ends_early_or_late_is_an_error() {
    let Some((_, bytes)) = block_and_witness() else { return };
    for end in 0..bytes.len() {
        assert!(Witness::decode_rlp(&bytes[..end]).is_err(), "{end} bytes");
    }
    assert!(Witness::decode_rlp(&[&bytes[..], &[0xc0]].concat()).is_err());
}

#[test]
fn another_state_root_is_the_blocks_fault_if_the_unproven_account_is_absent() {
    let Some((mut block, bytes)) = block_and_witness() else { return };
    let expected = block.header.state_root;
    block.header.state_root = B256::repeat_byte(1);
    let error = validate(&block, &Witness::decode_rlp(&bytes).unwrap()).unwrap_err();
    let StatelessError::Undecided { unproven, invalid } = error else { panic!("{error}") };
    assert_eq!(unproven.len(), 1);
    let StatelessError::InvalidBlock { number: 1_151_683, reason, .. } = *invalid else {
        panic!("{invalid}")
    };
    let InvalidReason::StateRoot { got, .. } = *reason else { panic!("{reason}") };
    assert_eq!(got, expected);
}
