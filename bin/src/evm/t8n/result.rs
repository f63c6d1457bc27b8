//! `result`: what a header commits to, the receipts, and what was left out.

use alloy_consensus::{
    Eip658Value, Receipt as StatusReceipt, Transaction as _, TxReceipt, Typed2718, proofs,
};
use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256, keccak256};
use alloy_rlp::Encodable;
use alloy_trie::root::ordered_trie_root_with_encoder;
use portico_consensus::receipts_root_and_bloom;
use portico_evm::{BlockOutcome, Receipt, Transaction};
use serde_json::{Map, Value, json};

use super::environment::Block;

/// A transaction in the block.
#[derive(Debug, Clone)]
pub(super) struct Included {
    pub(super) transaction: Transaction,
    pub(super) sender: Address,
    pub(super) gas_used: u64,
    /// The state root after it, before Byzantium.
    pub(super) post_state: Option<B256>,
}

/// A transaction that is not in the block.
#[derive(Debug, Clone)]
pub(super) struct Rejected {
    /// Position among those that were offered.
    pub(super) index: usize,
    pub(super) reason: String,
    /// `None` when it could not be decoded.
    pub(super) hash: Option<B256>,
}

/// All that `result` is made of but the state root.
pub(super) struct Results<'a> {
    pub(super) block: &'a Block,
    pub(super) outcome: &'a BlockOutcome,
    pub(super) included: &'a [Included],
    pub(super) rejected: &'a [Rejected],
    /// Why the block is invalid although each of its transactions is not.
    pub(super) block_exception: Option<String>,
}

fn quantity(number: u64) -> Value {
    json!(format!("{number:#x}"))
}

impl Results<'_> {
    pub(super) fn to_json(&self, state_root: B256) -> Value {
        let (_, bloom) = receipts_root_and_bloom(&self.outcome.receipts);
        let transactions: Vec<&Transaction> =
            self.included.iter().map(|included| &included.transaction).collect();
        let logs: Vec<&Log> = self.outcome.receipts.iter().flat_map(|receipt| &receipt.logs).collect();
        let header = &self.block.header;
        let mut json = Map::new();
        let mut put = |key: &str, value: Value| drop(json.insert(key.to_owned(), value));
        put("stateRoot", json!(state_root));
        put("txRoot", json!(proofs::calculate_transaction_root(&transactions)));
        put("receiptsRoot", json!(self.receipts_root()));
        put("logsHash", json!(keccak256(alloy_rlp::encode(logs))));
        put("logsBloom", json!(bloom));
        put("receipts", self.receipts());
        put("gasUsed", quantity(self.outcome.gas_used));
        let difficulty = (!self.block.context.merged).then_some(header.difficulty);
        put("currentDifficulty", json!(difficulty));
        if !self.rejected.is_empty() {
            put("rejected", self.rejected());
        }
        if let Some(base_fee) = header.base_fee_per_gas {
            put("currentBaseFee", quantity(base_fee));
        }
        if let Some(withdrawals) = &self.block.withdrawals {
            put("withdrawalsRoot", json!(proofs::calculate_withdrawals_root(withdrawals)));
        }
        if let Some(excess_blob_gas) = header.excess_blob_gas {
            put("currentExcessBlobGas", quantity(excess_blob_gas));
            put("blobGasUsed", quantity(self.outcome.blob_gas_used));
        }
        if let Some(requests) = &self.outcome.requests {
            let given: Vec<&Bytes> = requests.iter().filter(|request| request.len() > 1).collect();
            put("requestsHash", json!(requests.requests_hash()));
            put("requests", json!(given));
        }
        if let Some(access_list) = &self.outcome.access_list {
            let encoded = Bytes::from(alloy_rlp::encode(access_list));
            put("blockAccessListHash", json!(keccak256(&encoded)));
            put("blockAccessList", json!(encoded));
        }
        if let Some(exception) = &self.block_exception {
            put("blockException", json!(exception));
        }
        Value::Object(json)
    }

    /// Before Byzantium receipts hold a state root where later ones hold a status.
    fn receipts_root(&self) -> B256 {
        let receipts: Vec<&Receipt> = self.outcome.receipts.iter().collect();
        let with_roots: Option<Vec<_>> = self
            .included
            .iter()
            .zip(&receipts)
            .map(|(included, receipt)| {
                let status = Eip658Value::PostState(included.post_state?);
                let cumulative_gas_used = receipt.cumulative_gas_used;
                Some(
                    StatusReceipt { status, cumulative_gas_used, logs: receipt.logs.clone() }
                        .into_with_bloom(),
                )
            })
            .collect();
        match with_roots {
            Some(receipts) => ordered_trie_root_with_encoder(&receipts, |receipt, out| receipt.encode(out)),
            None => receipts_root_and_bloom(&self.outcome.receipts).0,
        }
    }

    fn receipts(&self) -> Value {
        let mut log_index = 0;
        let receipts = self.outcome.receipts.iter().zip(self.included).enumerate();
        let receipts = receipts.map(|(index, (receipt, included))| {
            let json = self.receipt(index, receipt, included, log_index);
            log_index += receipt.logs.len();
            json
        });
        Value::Array(receipts.collect())
    }

    /// go-ethereum's form of a receipt; the block's hash is not known yet and zero.
    fn receipt(&self, index: usize, receipt: &Receipt, included: &Included, log_index: usize) -> Value {
        let transaction = &included.transaction;
        let header = &self.block.header;
        let logs = receipt.logs.iter().enumerate().map(|(position, log)| {
            json!({
                "address": log.address,
                "topics": log.topics(),
                "data": log.data.data,
                "blockNumber": quantity(header.number),
                "transactionHash": transaction.tx_hash(),
                "transactionIndex": quantity(index as u64),
                "blockHash": B256::ZERO,
                "blockTimestamp": quantity(header.timestamp),
                "logIndex": quantity((log_index + position) as u64),
                "removed": false,
            })
        });
        let contract_address = match transaction.kind() {
            TxKind::Create => included.sender.create(transaction.nonce()),
            TxKind::Call(_) => Address::ZERO,
        };
        let status = included.post_state.is_none() && receipt.success;
        let mut json = Map::new();
        let mut put = |key: &str, value: Value| drop(json.insert(key.to_owned(), value));
        put("type", quantity(transaction.ty().into()));
        put("root", included.post_state.map_or(json!("0x"), |root| json!(root)));
        put("status", quantity(status.into()));
        put("cumulativeGasUsed", quantity(receipt.cumulative_gas_used));
        put("logsBloom", json!(receipt.bloom()));
        put("logs", Value::Array(logs.collect()));
        put("transactionHash", json!(transaction.tx_hash()));
        put("contractAddress", json!(format!("{contract_address:#x}")));
        put("gasUsed", quantity(included.gas_used));
        put("effectiveGasPrice", json!(U256::from(transaction.effective_gas_price(header.base_fee_per_gas))));
        if let Some(blob_gas_used) = transaction.blob_gas_used() {
            put("blobGasUsed", quantity(blob_gas_used));
            put("blobGasPrice", json!(self.block.blob_fee.map(U256::from)));
        }
        put("blockHash", json!(B256::ZERO));
        put("blockNumber", quantity(header.number));
        put("transactionIndex", quantity(index as u64));
        Value::Object(json)
    }

    fn rejected(&self) -> Value {
        let rejected = self.rejected.iter().map(|rejected| {
            let mut json = json!({ "index": rejected.index, "error": rejected.reason });
            if let Some(hash) = rejected.hash {
                json["hash"] = json!(hash);
            }
            json
        });
        Value::Array(rejected.collect())
    }
}
