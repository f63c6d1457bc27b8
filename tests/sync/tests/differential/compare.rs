//! What a database says about a chain against what the naive way knows about it.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, U256};
use portico_chain::{
    BlockStream, block_of_transaction, blocks_with_call_from, blocks_with_call_to, blocks_with_log_address,
    blocks_with_log_topic, find_transaction, read_block, read_body, read_receipt, read_sender,
    read_state_root_after, read_total_difficulty,
};
use portico_db::{DbError, RO, RoTxn};
use portico_evm::MemoryState;
use portico_state::{Account, HistoryBounds, StateAt, iter_accounts, iter_storage, read_code};
use portico_test_support::naive::{NaiveBlock, NaiveTree};

/// Compares the plain state with that after `block`.
pub(crate) fn assert_plain_state(txn: &RoTxn<'_>, block: &NaiveBlock) {
    let mut accounts = BTreeMap::new();
    iter_accounts(txn, |address, account| {
        accounts.insert(address, account);
        Ok::<(), DbError>(())
    })
    .unwrap();
    let mut storage = BTreeMap::new();
    iter_storage(txn, |address, entry| {
        storage.insert((address, entry.slot), entry.value);
        Ok::<(), DbError>(())
    })
    .unwrap();
    let expected = block.state.accounts().map(|(address, known)| (*address, known.account));
    assert_eq!(accounts, expected.collect(), "accounts after block {}", block.number());
    let expected = block
        .state
        .accounts()
        .flat_map(|(address, known)| known.storage.iter().map(|(slot, value)| ((*address, *slot), *value)));
    assert_eq!(storage, expected.collect(), "storage after block {}", block.number());
    for account in accounts.values().filter(|account| account.has_code()) {
        let code = read_code(txn, &account.code_hash).unwrap();
        assert_eq!(code.as_deref(), block.state.code_of(&account.code_hash).map(|code| &code[..]));
    }
}

/// Compares all that is known of the blocks from the genesis block to `tip`, which is the head of the database.
pub(crate) fn assert_chain(txn: &RoTxn<'_>, tree: &NaiveTree, tip: usize) {
    let chain: Vec<&NaiveBlock> = tree.path_to(tip).into_iter().map(|index| &tree.blocks[index]).collect();
    let head = chain.len() as u64 - 1;
    assert_plain_state(txn, chain[chain.len() - 1]);
    for block in &chain {
        assert_block(txn, block, head);
    }
    assert_history(txn, &chain);
    assert_indexes(txn, &chain);
}

fn assert_block(txn: &RoTxn<'_>, block: &NaiveBlock, head: u64) {
    let number = block.number();
    assert_eq!(read_block(txn, number).unwrap().as_ref(), Some(&block.parts), "block {number}");
    assert_eq!(read_total_difficulty(txn, number).unwrap(), Some(block.total_difficulty), "block {number}");
    let body = read_body(txn, number).unwrap().unwrap();
    for (index, transaction) in block.parts.transactions.iter().enumerate() {
        let tx_number = body.first_tx_number + index as u64;
        let place = format!("transaction {index} of block {number}");
        let found = find_transaction(txn, transaction.tx_hash()).unwrap();
        assert_eq!(found, Some((tx_number, transaction.clone())), "{place}");
        let (found, _) = block_of_transaction(txn, tx_number, head).unwrap().unwrap();
        assert_eq!(found, number, "{place}");
        assert_eq!(read_sender(txn, tx_number).unwrap(), Some(block.senders[index]), "{place}");
        assert_eq!(read_receipt(txn, tx_number).unwrap().as_ref(), Some(&block.receipts[index]), "{place}");
        let state_root = read_state_root_after(txn, tx_number).unwrap();
        assert_eq!(state_root, block.state_roots.get(index).copied(), "{place}");
    }
}

/// Reads every account and slot that ever was as of every block.
fn assert_history(txn: &RoTxn<'_>, chain: &[&NaiveBlock]) {
    let mut known: BTreeMap<Address, BTreeSet<B256>> = BTreeMap::new();
    for (address, account) in chain.iter().flat_map(|block| block.state.accounts()) {
        known.entry(*address).or_default().extend(account.storage.keys());
    }
    let bounds = HistoryBounds { first: 0, head: chain.len() as u64 - 1 };
    for block in chain {
        let mut state = StateAt::new(txn, block.number(), bounds).unwrap();
        for (address, slots) in &known {
            let place = format!("{address} as of block {}", block.number());
            assert_eq!(state.account(address).unwrap(), account_of(&block.state, address), "{place}");
            for slot in slots {
                let expected = slot_of(&block.state, address, slot);
                assert_eq!(state.storage(address, slot).unwrap(), expected, "slot {slot} of {place}");
            }
        }
    }
}

fn account_of(state: &MemoryState, address: &Address) -> Option<Account> {
    state.get(address).map(|known| known.account)
}

fn slot_of(state: &MemoryState, address: &Address, slot: &B256) -> U256 {
    state.get(address).and_then(|known| known.storage.get(slot)).copied().unwrap_or_default()
}

/// For each subject of an index the blocks that it names.
type Mentions<T> = BTreeMap<T, BTreeSet<u64>>;

fn assert_indexes(txn: &RoTxn<'_>, chain: &[&NaiveBlock]) {
    let (mut addresses, mut topics): (Mentions<Address>, Mentions<B256>) = Default::default();
    let (mut from, mut to): (Mentions<Address>, Mentions<Address>) = Default::default();
    for block in chain {
        let number = block.number();
        for log in block.receipts.iter().flat_map(|receipt| &receipt.logs) {
            addresses.entry(log.address).or_default().insert(number);
            for topic in log.topics() {
                topics.entry(*topic).or_default().insert(number);
            }
        }
        for trace in &block.changes.traces {
            // Everyone is asked for in both directions, so that what should not be there is seen too.
            let mentions = (from.entry(trace.address).or_default(), to.entry(trace.address).or_default());
            trace.from.then(|| mentions.0.insert(number));
            trace.to.then(|| mentions.1.insert(number));
        }
    }
    let all = || 0..=chain.len() as u64 - 1;
    for (address, blocks) in addresses {
        assert_eq!(
            collect(blocks_with_log_address(txn, address, all()).unwrap()),
            blocks,
            "logs of {address}"
        );
    }
    for (topic, blocks) in topics {
        assert_eq!(collect(blocks_with_log_topic(txn, topic, all()).unwrap()), blocks, "logs with {topic}");
    }
    for (address, blocks) in from {
        assert_eq!(
            collect(blocks_with_call_from(txn, address, all()).unwrap()),
            blocks,
            "calls from {address}"
        );
    }
    for (address, blocks) in to {
        assert_eq!(collect(blocks_with_call_to(txn, address, all()).unwrap()), blocks, "calls to {address}");
    }
}

fn collect(mut stream: BlockStream<'_, RO>) -> BTreeSet<u64> {
    let mut blocks = BTreeSet::new();
    while let Some(found) = stream.seek(blocks.last().map_or(0, |last| last + 1)).unwrap() {
        blocks.insert(found);
    }
    blocks
}
