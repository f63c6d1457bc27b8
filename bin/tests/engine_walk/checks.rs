//! What the node tells over JSON-RPC against what the naive way knows.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{Nibbles, proof::verify_proof};
use portico_evm::MemoryAccount;
use portico_test_support::naive::NaiveBlock;
use serde_json::{Value, json};

use crate::Walk;

/// Slots that contracts use, and one that none does.
const SLOTS: u64 = 5;
/// Blocks that are searched for logs in one call.
const LOG_RANGE_MAX: u64 = 20;

fn quantity(value: &Value) -> U256 {
    let text = value.as_str().unwrap_or_else(|| panic!("no quantity: {value}"));
    U256::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or_else(|_| panic!("no quantity: {value}"))
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}

impl Walk {
    /// Compares what there is at the head and at random places below it.
    pub(crate) fn compare(&mut self) {
        self.compare_heads();
        self.compare_block();
        for _ in 0..2 {
            self.compare_account();
        }
        self.compare_logs();
        self.compare_transaction();
        if self.random.percent(30) {
            self.compare_proof();
        }
    }

    fn compare_heads(&mut self) {
        let head = self.block(self.head).number();
        let by_number = |tag: &str| ("eth_getBlockByNumber", json!([tag, false]));
        let above = hex(head + 1);
        let calls = [
            by_number("latest"),
            by_number(&above),
            by_number("safe"),
            by_number("finalized"),
            ("eth_blockNumber", json!([])),
        ];
        let found = self.driver.try_ask(&calls);
        assert_eq!(found[0]["result"]["hash"], json!(self.block(self.head).parts.hash), "the latest block");
        assert_eq!(found[1]["result"], Value::Null, "a block above the head");
        for (named, found) in [(self.safe, &found[2]), (self.finalized, &found[3])] {
            match named {
                Some(named) => {
                    assert_eq!(found["result"]["hash"], json!(self.block(named).parts.hash), "{found}")
                }
                None => assert!(found.get("error").is_some(), "{found}"),
            }
        }
        assert_eq!(found[4]["result"], json!(hex(head)));
    }

    /// A random block of the chain.
    fn anywhere(&mut self) -> usize {
        self.canonical[self.random.below(self.canonical.len() as u64) as usize]
    }

    fn compare_block(&mut self) {
        let index = self.anywhere();
        let number = hex(self.block(index).number());
        let found = self.driver.ask(&[
            ("eth_getBlockByNumber", json!([number, false])),
            ("eth_getBlockReceipts", json!([number])),
        ]);
        let block = self.block(index);
        let header = &block.parts.header;
        let hashes: Vec<&B256> =
            block.parts.transactions.iter().map(|transaction| transaction.tx_hash()).collect();
        assert_eq!(found[0]["hash"], json!(block.parts.hash));
        assert_eq!(found[0]["stateRoot"], json!(header.state_root));
        assert_eq!(found[0]["transactions"], json!(hashes));
        let withdrawals = found[0]["withdrawals"].as_array().map(Vec::len);
        assert_eq!(withdrawals, block.parts.withdrawals.as_ref().map(Vec::len));
        let receipts = found[1].as_array().expect("receipts");
        assert_eq!(receipts.len(), block.receipts.len());
        let mut log_index = 0;
        for ((found, expected), sender) in receipts.iter().zip(&block.receipts).zip(&block.senders) {
            assert_eq!(found["status"] == "0x1", expected.success, "{found}");
            assert_eq!(quantity(&found["cumulativeGasUsed"]), U256::from(expected.cumulative_gas_used));
            assert_eq!(found["from"].as_str().map(str::parse), Some(Ok(*sender)));
            let logs = found["logs"].as_array().expect("logs");
            assert_eq!(logs.len(), expected.logs.len(), "{found}");
            for (found, expected) in logs.iter().zip(&expected.logs) {
                assert_eq!(
                    log_of(found),
                    (expected.address, expected.topics().to_vec(), expected.data.data.clone())
                );
                assert_eq!(found["logIndex"], json!(hex(log_index)));
                log_index += 1;
            }
        }
    }

    /// A block of the chain whose state is known, mostly the head.
    fn with_known_state(&mut self) -> usize {
        if self.random.percent(40) {
            return self.head;
        }
        let known: Vec<usize> =
            self.with_state.iter().copied().filter(|index| self.is_canonical(*index)).collect();
        self.random.pick(&known)
    }

    fn compare_account(&mut self) {
        let index = self.with_known_state();
        let address = self.some_address(index);
        let slot = self.random.below(SLOTS);
        let number = hex(self.block(index).number());
        let found = self.driver.ask(&[
            ("eth_getBalance", json!([address, number])),
            ("eth_getTransactionCount", json!([address, number])),
            ("eth_getStorageAt", json!([address, hex(slot), number])),
            ("eth_getCode", json!([address, number])),
        ]);
        let state = &self.block(index).state;
        let known = state.get(&address).cloned().unwrap_or_default();
        let place = format!("{address} after block {number}");
        assert_eq!(quantity(&found[0]), known.account.balance, "balance of {place}");
        assert_eq!(quantity(&found[1]), U256::from(known.account.nonce), "nonce of {place}");
        let slot = B256::from(U256::from(slot));
        let value = known.storage.get(&slot).copied().unwrap_or_default();
        assert_eq!(quantity(&found[2]), value, "slot {slot} of {place}");
        let code = state.code_of(&known.account.code_hash).cloned().unwrap_or_default();
        assert_eq!(found[3], json!(code), "code of {place}");
    }

    /// Mostly one that exists after a block.
    fn some_address(&mut self, index: usize) -> Address {
        if self.random.percent(20) {
            return self.random.pick(&self.naive.network.pool);
        }
        let existing: Vec<Address> =
            self.block(index).state.accounts().map(|(address, _)| *address).collect();
        self.random.pick(&existing)
    }

    fn compare_logs(&mut self) {
        let from = self.random.below(self.canonical.len() as u64);
        let to = (from + self.random.below(LOG_RANGE_MAX)).min(self.canonical.len() as u64 - 1);
        let address = self.random.percent(50).then(|| self.random.pick(&self.naive.network.contracts));
        let mut filter = json!({ "fromBlock": hex(from), "toBlock": hex(to) });
        if let Some(address) = address {
            filter["address"] = json!(address);
        }
        let found = self.driver.ask(&[("eth_getLogs", json!([filter]))]);
        let found: Vec<_> = found[0]
            .as_array()
            .expect("logs")
            .iter()
            .map(|log| (log["blockHash"].clone(), log_of(log)))
            .collect();
        let mut expected = Vec::new();
        for index in &self.canonical[from as usize..=to as usize] {
            let block = self.block(*index);
            for log in block.receipts.iter().flat_map(|receipt| &receipt.logs) {
                if address.is_none_or(|address| log.address == address) {
                    let log = (log.address, log.topics().to_vec(), log.data.data.clone());
                    expected.push((json!(block.parts.hash), log));
                }
            }
        }
        assert_eq!(found, expected, "{filter}");
    }

    /// A transaction is found in its block; one of another branch is not.
    fn compare_transaction(&mut self) {
        let canonical = self.anywhere();
        let newest = self.naive.blocks.len() as u64;
        let other = (newest - 1 - self.random.below(newest.min(100))) as usize;
        for index in [canonical, other] {
            let Some(transaction) = self.block(index).parts.transactions.first() else { continue };
            let hash = *transaction.tx_hash();
            // The same transaction may be in another block of the chain.
            let holds =
                |block: &NaiveBlock| block.parts.transactions.iter().any(|held| *held.tx_hash() == hash);
            let near = self.block(index).number().saturating_sub(100) as usize;
            let near = self.canonical[near.min(self.canonical.len())..].iter();
            let holder = match index == canonical {
                true => Some(index),
                false => near.copied().find(|index| holds(self.block(*index))),
            };
            let expected = holder.map(|holder| self.block(holder).parts.hash);
            let found = self.driver.ask(&[("eth_getTransactionReceipt", json!([hash]))]);
            assert_eq!(found[0]["blockHash"], json!(expected), "transaction {hash}");
        }
    }

    fn compare_proof(&mut self) {
        let index = self.with_known_state();
        let address = self.some_address(index);
        let slot = B256::from(U256::from(self.random.below(SLOTS)));
        let number = hex(self.block(index).number());
        let found = self.driver.ask(&[("eth_getProof", json!([address, [slot], number]))]);
        let block = self.block(index);
        let known = block.state.get(&address);
        let place = format!("{address} after block {number}");
        let expected = known.map(|known| alloy_rlp::encode(known.trie_account()));
        let nodes = proof_nodes(&found[0]["accountProof"]);
        let root = block.parts.header.state_root;
        verify_proof(root, Nibbles::unpack(keccak256(address)), expected, &nodes)
            .unwrap_or_else(|error| panic!("{place}: {error}"));
        let empty = MemoryAccount::default();
        let known = known.unwrap_or(&empty);
        let value = known.storage.get(&slot).map(alloy_rlp::encode);
        let nodes = proof_nodes(&found[0]["storageProof"][0]["proof"]);
        let root = known.trie_account().storage_root;
        assert_eq!(found[0]["storageHash"], json!(root), "{place}");
        verify_proof(root, Nibbles::unpack(keccak256(slot)), value, &nodes)
            .unwrap_or_else(|error| panic!("slot {slot} of {place}: {error}"));
    }
}

fn proof_nodes(value: &Value) -> Vec<Bytes> {
    serde_json::from_value(value.clone()).expect("nodes")
}

fn log_of(log: &Value) -> (Address, Vec<B256>, Bytes) {
    let part = |name: &str| log[name].clone();
    let data = serde_json::from_value(part("data")).expect("data");
    let topics = serde_json::from_value(part("topics")).expect("topics");
    (serde_json::from_value(part("address")).expect("an address"), topics, data)
}
