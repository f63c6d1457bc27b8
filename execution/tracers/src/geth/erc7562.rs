//! The tracer for bundlers of user operations (ERC-7562), where go-ethereum counts otherwise than `revm-inspectors`.

use std::collections::BTreeSet;

use alloy_primitives::{Address, Bytes, U256, map::HashMap};
use alloy_rpc_types_trace::geth::{
    GethDebugTracerConfig,
    erc7562::{ContractSize, Erc7562Frame},
};
use revm::{
    bytecode::opcode,
    state::{Bytecode, EvmState},
};
use revm_inspectors::tracing::types::{CallTraceNode, CallTraceStep};
use serde_json::{Value, json};

/// Instructions that are not counted unless the configuration says which: they tell bundlers nothing.
const UNIMPORTANT: [u8; 16] = [
    opcode::POP,
    opcode::ADD,
    opcode::SUB,
    opcode::MUL,
    opcode::DIV,
    opcode::EQ,
    opcode::LT,
    opcode::GT,
    opcode::SLT,
    opcode::SGT,
    opcode::SHL,
    opcode::SHR,
    opcode::AND,
    opcode::OR,
    opcode::NOT,
    opcode::ISZERO,
];

/// The last of the precompiled contracts that any account may call (EIP-4337: those of Istanbul).
const PRECOMPILES_LAST: u8 = 9;

/// The configuration with the instructions that are left out when it names none.
pub(super) fn with_defaults(config: GethDebugTracerConfig) -> GethDebugTracerConfig {
    let mut config = config.into_json();
    if config.is_null() {
        config = json!({});
    }
    if let Value::Object(members) = &mut config {
        let unimportant = (opcode::PUSH0..opcode::SWAP16).chain(UNIMPORTANT);
        let names = unimportant.map(|opcode| format!("{opcode:#x}"));
        members.entry("ignoredOpcodes").or_insert_with(|| names.collect::<Vec<_>>().into());
    }
    config.into()
}

/// Counts again what go-ethereum counts otherwise; frames are numbered as they begin. `code_before` gives the code of
/// an account before the transaction.
pub(super) fn put_as_geth(
    outermost: &mut Erc7562Frame,
    nodes: &[CallTraceNode],
    state: &EvmState,
    mut code_before: impl FnMut(Address) -> Option<Bytecode>,
) {
    let mut preimages = BTreeSet::new();
    let mut code_len = |address| {
        let after = state.get(&address).and_then(|account| account.info.code.clone());
        after.or_else(|| code_before(address)).map_or(0, |code| code.original_byte_slice().len() as u64)
    };
    let mut waiting = vec![&mut *outermost];
    for node in nodes {
        let Some(frame) = waiting.pop() else { break };
        preimages.extend(std::mem::take(&mut frame.keccak));
        count(frame, &node.trace.steps, &mut code_len);
        waiting.extend(frame.calls.iter_mut().rev());
    }
    outermost.keccak = preimages.into_iter().collect::<Vec<Bytes>>();
}

fn count(frame: &mut Erc7562Frame, steps: &[CallTraceStep], code_len: &mut impl FnMut(Address) -> u64) {
    frame.used_opcodes.remove(&opcode::GAS);
    frame.ext_code_access_info.clear();
    frame.contract_size = HashMap::default();
    let mut touched = BTreeSet::new();
    frame.accessed_slots.reads.clear();
    for (position, step) in steps.iter().enumerate() {
        let code = step.op.get();
        let next = steps.get(position + 1);
        if let (opcode::SLOAD | opcode::SSTORE, Some(slot)) = (code, word_at(step, 0)) {
            // What is read is on the stack at the next instruction. Only a first look at a slot counts.
            let value = next.and_then(|next| word_at(next, 0)).filter(|_| code == opcode::SLOAD);
            if let (true, Some(value)) = (touched.insert(slot), value) {
                frame.accessed_slots.reads.insert(slot.into(), vec![value.into()]);
            }
        }
        let next = next.map(|next| next.op.get());
        if let Some(next) = next {
            if code == opcode::GAS && !is_call(next) {
                *frame.used_opcodes.entry(opcode::GAS).or_default() += 1;
            }
            let only_asks_for_code = code == opcode::EXTCODESIZE && next == opcode::ISZERO;
            if is_ext(code)
                && !only_asks_for_code
                && let Some(address) = address_at(step, 0)
            {
                frame.ext_code_access_info.push(format!("{address:?}"));
            }
        }
        let accessed = match code {
            code if is_ext(code) => address_at(step, 0),
            code if is_call(code) => address_at(step, 1),
            _ => None,
        };
        if let Some(address) = accessed.filter(|address| !is_common_precompile(address)) {
            let size = || ContractSize { contract_size: code_len(address), opcode: code };
            frame.contract_size.entry(address).or_insert_with(size);
        }
    }
}

fn is_call(code: u8) -> bool {
    matches!(code, opcode::CALL | opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL)
}

fn is_ext(code: u8) -> bool {
    matches!(code, opcode::EXTCODESIZE | opcode::EXTCODECOPY | opcode::EXTCODEHASH)
}

fn is_common_precompile(address: &Address) -> bool {
    let (leading, last) = address.split_at(19);
    leading.iter().all(|byte| *byte == 0) && (1..=PRECOMPILES_LAST).contains(&last[0])
}

/// The word at `depth` below the top of the stack.
fn word_at(step: &CallTraceStep, depth: usize) -> Option<U256> {
    let stack = step.stack.as_deref()?;
    stack.len().checked_sub(depth + 1).and_then(|position| stack.get(position)).copied()
}

fn address_at(step: &CallTraceStep, depth: usize) -> Option<Address> {
    word_at(step, depth).map(|word| Address::from_word(word.into()))
}
