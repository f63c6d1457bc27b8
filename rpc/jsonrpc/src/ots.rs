//! `ots_*`: what the Otterscan explorer asks of a node, level 8 of its interface, as Erigon answers.

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_trace::{
    otterscan::InternalOperation,
    parity::{Action, CallType, CreationMethod, LocalizedTransactionTrace, TraceOutput},
};
use jsonrpsee::{
    core::{RpcResult, async_trait},
    proc_macros::rpc,
    types::ErrorObjectOwned,
};
use portico_query::{FullBlock, QueryError, ReceiptAt, SearchFrom, Snapshot, TransactionAt};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    Workers,
    debug_state::Number,
    error::{invalid_input, with_general_code},
    eth::convert::{self, TransactionDetail},
    lenient::{LenientBlockId, LenientBlockNumber},
    workers::Class,
};

/// The level of the interface that Otterscan looks for.
const API_LEVEL: u64 = 8;

/// Transactions of a page of a search at most.
const PAGE_MAX: u64 = 25;

/// Bytes of a transaction's input in a page of a block: the selector.
const INPUT_SHOWN: usize = 4;

/// What the Otterscan explorer asks of a node.
#[rpc(server, namespace = "ots")]
pub trait OtsApi {
    /// Level of this interface.
    #[method(name = "getApiLevel")]
    fn get_api_level(&self) -> RpcResult<u64>;

    /// Whether an account has code after a block.
    #[method(name = "hasCode")]
    async fn has_code(&self, address: Address, block: Option<LenientBlockId>) -> RpcResult<bool>;

    /// Transfers, creations and destructions within a transaction.
    #[method(name = "getInternalOperations")]
    async fn get_internal_operations(&self, hash: B256) -> RpcResult<Vec<InternalOperation>>;

    /// What a transaction that reverted returned.
    #[method(name = "getTransactionError")]
    async fn get_transaction_error(&self, hash: B256) -> RpcResult<Bytes>;

    /// The calls of a transaction, callers before callees.
    #[method(name = "traceTransaction")]
    async fn trace_transaction(&self, hash: B256) -> RpcResult<Vec<TraceEntry>>;

    /// A block without its transactions, what sealing it gave, and the fees in it.
    #[method(name = "getBlockDetails")]
    async fn get_block_details(&self, block: LenientBlockNumber) -> RpcResult<Value>;

    /// As `ots_getBlockDetails`.
    #[method(name = "getBlockDetailsByHash")]
    async fn get_block_details_by_hash(&self, hash: B256) -> RpcResult<Value>;

    /// A page of a block's transactions with their receipts; page 0 has the last ones.
    #[method(name = "getBlockTransactions")]
    async fn get_block_transactions(
        &self,
        block: LenientBlockNumber,
        page: Number,
        page_size: Number,
    ) -> RpcResult<Value>;

    /// Transactions that an address took part in, newest first, before a block; from the head when it is 0.
    #[method(name = "searchTransactionsBefore")]
    async fn search_transactions_before(
        &self,
        address: Address,
        block: Number,
        page_size: Number,
    ) -> RpcResult<Value>;

    /// Transactions that an address took part in, newest first, of the first blocks after one; from genesis on when it
    /// is 0.
    #[method(name = "searchTransactionsAfter")]
    async fn search_transactions_after(
        &self,
        address: Address,
        block: Number,
        page_size: Number,
    ) -> RpcResult<Value>;

    /// Hash of the transaction that an account signed with this nonce.
    #[method(name = "getTransactionBySenderAndNonce")]
    async fn get_transaction_by_sender_and_nonce(
        &self,
        sender: Address,
        nonce: Number,
    ) -> RpcResult<Option<B256>>;

    /// The transaction that created a contract, and its creator.
    #[method(name = "getContractCreator")]
    async fn get_contract_creator(&self, address: Address) -> RpcResult<Option<Creator>>;
}

/// Who created a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Creator {
    hash: B256,
    creator: Address,
}

/// A call within a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TraceEntry {
    #[serde(rename = "type")]
    kind: &'static str,
    depth: usize,
    from: Address,
    to: Address,
    /// None where a call cannot pass any.
    value: Option<U256>,
    input: Bytes,
    output: Bytes,
}

impl TraceEntry {
    fn of(trace: LocalizedTransactionTrace) -> Option<Self> {
        let depth = trace.trace.trace_address.len();
        let (created, output) = match trace.trace.result {
            Some(TraceOutput::Call(call)) => (None, call.output),
            Some(TraceOutput::Create(create)) => (Some(create.address), create.code),
            None => (None, Bytes::new()),
        };
        Some(match trace.trace.action {
            Action::Call(call) => {
                let (kind, passes_value) = match call.call_type {
                    CallType::StaticCall => ("STATICCALL", false),
                    CallType::DelegateCall => ("DELEGATECALL", false),
                    CallType::CallCode => ("CALLCODE", true),
                    CallType::Call | CallType::None | CallType::AuthCall => ("CALL", true),
                };
                let value = passes_value.then_some(call.value);
                Self { kind, depth, from: call.from, to: call.to, value, input: call.input, output }
            }
            Action::Create(create) => {
                let is_create2 = create.creation_method == CreationMethod::Create2;
                let kind = if is_create2 { "CREATE2" } else { "CREATE" };
                let to = created.unwrap_or_default();
                Self {
                    kind,
                    depth,
                    from: create.from,
                    to,
                    value: Some(create.value),
                    input: create.init,
                    output,
                }
            }
            Action::Selfdestruct(destroyed) => Self {
                kind: "SELFDESTRUCT",
                depth,
                from: destroyed.address,
                to: destroyed.refund_address,
                value: Some(destroyed.balance),
                input: Bytes::new(),
                output: Bytes::new(),
            },
            Action::Reward(_) => return None,
        })
    }
}

fn to_json(value: impl Serialize) -> Value {
    serde_json::to_value(value).expect("answers have string keys and no failing parts")
}

/// A block without its transactions and bloom, with their number.
fn block_json(block: FullBlock) -> Map<String, Value> {
    let count = block.parts.transactions.len();
    let Value::Object(mut members) = to_json(convert::block(block, TransactionDetail::Hashes)) else {
        return Map::new();
    };
    members.remove("transactions");
    members.insert("logsBloom".to_owned(), Value::Null);
    members.insert("transactionCount".to_owned(), count.into());
    members
}

fn details(snapshot: &Snapshot<'_>, block_number: u64) -> Result<Value, QueryError> {
    let block = snapshot.block(block_number)?.ok_or(QueryError::BlockNotFound(block_number.into()))?;
    let issuance = snapshot.issuance(&block)?;
    let fees = snapshot.block_receipts(block_number)?.into_iter().map(|receipt| {
        U256::from(receipt.gas_used).saturating_mul(U256::from(receipt.transaction.effective_gas_price()))
    });
    let fees: U256 = fees.fold(U256::ZERO, U256::saturating_add);
    Ok(json!({
        "block": block_json(block),
        "issuance": {
            "blockReward": issuance.block_reward,
            "uncleReward": issuance.uncle_reward,
            "issuance": issuance.block_reward.saturating_add(issuance.uncle_reward),
        },
        "totalFees": fees,
    }))
}

fn transaction_json(at: TransactionAt) -> Value {
    let input = at.transaction.input().get(..INPUT_SHOWN).unwrap_or_default();
    let input = to_json(Bytes::copy_from_slice(input));
    let mut shown = to_json(convert::transaction(at));
    shown["input"] = input;
    shown
}

fn receipt_json(receipt: ReceiptAt) -> Value {
    let mut shown = to_json(convert::receipt(receipt));
    shown["logs"] = Value::Null;
    shown["logsBloom"] = Value::Null;
    shown
}

fn page_of_block(
    snapshot: &Snapshot<'_>,
    block_number: u64,
    page: usize,
    page_size: usize,
) -> Result<Value, QueryError> {
    let block = snapshot.block(block_number)?.ok_or(QueryError::BlockNotFound(block_number.into()))?;
    let count = block.parts.transactions.len();
    let end = count.saturating_sub(page.saturating_mul(page_size));
    let start = end.saturating_sub(page_size);
    let transactions = block.clone().into_transactions().skip(start).take(end - start);
    let transactions: Vec<Value> = transactions.map(transaction_json).collect();
    let receipts = snapshot.block_receipts(block_number)?.into_iter().skip(start).take(end - start);
    let receipts: Vec<Value> = receipts.map(receipt_json).collect();
    let mut block = block_json(block);
    block.insert("transactions".to_owned(), transactions.into());
    Ok(json!({ "fullblock": block, "receipts": receipts }))
}

/// A page of a search.
fn page_of_search(receipts: Vec<ReceiptAt>, first: bool, last: bool) -> Value {
    let transactions = receipts.iter().map(|at| to_json(convert::transaction(at.transaction.clone())));
    let transactions: Vec<Value> = transactions.collect();
    let receipts = receipts.into_iter().map(|receipt| {
        let timestamp = receipt.transaction.block.timestamp;
        let mut shown = to_json(convert::receipt(receipt));
        shown["timestamp"] = timestamp.into();
        shown
    });
    let receipts: Vec<Value> = receipts.collect();
    json!({ "txs": transactions, "receipts": receipts, "firstPage": first, "lastPage": last })
}

fn check_page_size(size: Number) -> Result<usize, ErrorObjectOwned> {
    match size.get() {
        0 => Err(invalid_input("page size must be at least 1".to_owned())),
        size if size > PAGE_MAX => Err(invalid_input(format!("max allowed page size: {PAGE_MAX}"))),
        size => Ok(size as usize),
    }
}

#[derive(Debug)]
pub(crate) struct Ots {
    workers: Workers,
}

impl Ots {
    pub fn new(workers: Workers) -> Self {
        Self { workers }
    }

    async fn read<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&Snapshot<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> RpcResult<T> {
        self.workers.read(Class::Trace, answer).await.map_err(with_general_code)
    }
}

#[async_trait]
impl OtsApiServer for Ots {
    fn get_api_level(&self) -> RpcResult<u64> {
        Ok(API_LEVEL)
    }

    async fn has_code(&self, address: Address, block: Option<LenientBlockId>) -> RpcResult<bool> {
        let answer = move |snapshot: &Snapshot<'_>| {
            let block_number = snapshot.require(block.map_or_else(Default::default, |block| block.0))?;
            Ok(snapshot.account(&address, block_number)?.is_some_and(|account| account.has_code()))
        };
        self.workers.read(Class::Light, answer).await.map_err(with_general_code)
    }

    async fn get_internal_operations(&self, hash: B256) -> RpcResult<Vec<InternalOperation>> {
        self.read(move |snapshot| snapshot.internal_operations(&hash)).await
    }

    async fn get_transaction_error(&self, hash: B256) -> RpcResult<Bytes> {
        self.read(move |snapshot| snapshot.transaction_error(&hash)).await
    }

    async fn trace_transaction(&self, hash: B256) -> RpcResult<Vec<TraceEntry>> {
        self.read(move |snapshot| {
            let traces = snapshot.transaction_traces(&hash)?.ok_or(QueryError::TransactionNotFound(hash))?;
            Ok(traces.into_iter().filter_map(TraceEntry::of).collect())
        })
        .await
    }

    async fn get_block_details(&self, block: LenientBlockNumber) -> RpcResult<Value> {
        self.read(move |snapshot| details(snapshot, snapshot.require(block.0.into())?)).await
    }

    async fn get_block_details_by_hash(&self, hash: B256) -> RpcResult<Value> {
        self.read(move |snapshot| details(snapshot, snapshot.require(hash.into())?)).await
    }

    async fn get_block_transactions(
        &self,
        block: LenientBlockNumber,
        page: Number,
        page_size: Number,
    ) -> RpcResult<Value> {
        let (page, page_size) = (page.size(), page_size.size());
        self.read(move |snapshot| page_of_block(snapshot, snapshot.require(block.0.into())?, page, page_size))
            .await
    }

    async fn search_transactions_before(
        &self,
        address: Address,
        block: Number,
        page_size: Number,
    ) -> RpcResult<Value> {
        let count = check_page_size(page_size)?;
        let from_head = block.get() == 0;
        let before = if from_head { u64::MAX } else { block.get() };
        self.read(move |snapshot| {
            let found = snapshot.transactions_touching(address, SearchFrom::Before(before), count)?;
            Ok(page_of_search(found.receipts, from_head, !found.has_more))
        })
        .await
    }

    async fn search_transactions_after(
        &self,
        address: Address,
        block: Number,
        page_size: Number,
    ) -> RpcResult<Value> {
        let count = check_page_size(page_size)?;
        self.read(move |snapshot| {
            let mut found = snapshot.transactions_touching(address, SearchFrom::After(block.get()), count)?;
            found.receipts.reverse();
            Ok(page_of_search(found.receipts, !found.has_more, block.get() == 0))
        })
        .await
    }

    async fn get_transaction_by_sender_and_nonce(
        &self,
        sender: Address,
        nonce: Number,
    ) -> RpcResult<Option<B256>> {
        self.read(move |snapshot| snapshot.transaction_by_nonce(&sender, nonce.get())).await
    }

    async fn get_contract_creator(&self, address: Address) -> RpcResult<Option<Creator>> {
        self.read(move |snapshot| {
            Ok(snapshot.contract_creator(&address)?.map(|(hash, creator)| Creator { hash, creator }))
        })
        .await
    }
}
