//! `erigon_*` and `parity_*`: Erigon's own methods, and the one that it has of OpenEthereum's.

use std::{collections::BTreeMap, ops::ControlFlow};

use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::Header as RpcHeader;
use jsonrpsee::{
    core::{RpcResult, async_trait},
    proc_macros::rpc,
};
use portico_query::{Activation, LogAt, LogFilter, QueryError, Snapshot};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Workers,
    debug_state::Number,
    error::{invalid_input, with_general_code},
    eth::{
        FilterArgument, RpcBlock, RpcLog, RpcReceipt, RpcTransaction,
        convert::{self, TransactionDetail},
    },
    lenient::{LenientBlockId, LenientBlockNumber},
    workers::Class,
};

/// Members of a header that are null where the block's fork has no such thing.
const OPTIONAL_MEMBERS: [&str; 7] = [
    "baseFeePerGas",
    "blobGasUsed",
    "blockAccessListHash",
    "excessBlobGas",
    "parentBeaconBlockRoot",
    "requestsHash",
    "withdrawalsRoot",
];

/// Slots that `parity_listStorageKeys` gives at most.
const KEYS_MAX: u64 = 10_000;

/// Erigon's own methods.
#[rpc(server, namespace = "erigon")]
pub trait ErigonApi {
    /// Number of the block that a tag means; of the head when there is none.
    #[method(name = "blockNumber")]
    async fn block_number(&self, block: Option<LenientBlockNumber>) -> RpcResult<U64>;

    /// A header.
    #[method(name = "getHeaderByNumber")]
    async fn get_header_by_number(&self, block: LenientBlockNumber) -> RpcResult<Value>;

    /// A header.
    #[method(name = "getHeaderByHash")]
    async fn get_header_by_hash(&self, hash: B256) -> RpcResult<Value>;

    /// The first block at or after a time, in seconds since 1970; the head when there is none.
    #[method(name = "getBlockByTimestamp")]
    async fn get_block_by_timestamp(&self, timestamp: Timestamp, full: bool) -> RpcResult<RpcBlock>;

    /// The logs of a block, by transaction.
    #[method(name = "getLogsByHash")]
    async fn get_logs_by_hash(&self, hash: B256) -> RpcResult<Vec<Vec<RpcLog>>>;

    /// The newest logs that match: those of the newest block that has any, unless more are asked for.
    #[method(name = "getLatestLogs")]
    async fn get_latest_logs(&self, filter: FilterArgument, options: LatestLogs) -> RpcResult<Vec<RpcLog>>;

    /// Accounts whose balance a block changed, with their balance after it.
    #[method(name = "getBalanceChangesInBlock")]
    async fn get_balance_changes_in_block(&self, block: LenientBlockId)
    -> RpcResult<BTreeMap<Address, U256>>;

    /// All receipts of a block.
    #[method(name = "getBlockReceiptsByBlockHash")]
    async fn get_block_receipts_by_block_hash(&self, hash: B256) -> RpcResult<Vec<RpcReceipt>>;

    /// Genesis, and when the rules change.
    #[method(name = "forks")]
    async fn forks(&self) -> RpcResult<Forks>;

    /// What peers see of this node, once for each network protocol; there is none.
    #[method(name = "nodeInfo")]
    fn node_info(&self) -> RpcResult<Vec<Value>>;
}

/// OpenEthereum's list of an account's slots, and of pending transactions.
#[rpc(server, namespace = "parity")]
pub trait ParityApi {
    /// Slots of an account that are set, in order, after `offset`.
    #[method(name = "listStorageKeys")]
    async fn list_storage_keys(
        &self,
        address: Address,
        quantity: Number,
        offset: Option<Bytes>,
        block: Option<BlockId>,
    ) -> RpcResult<Vec<B256>>;

    /// Transactions that could be in the next block, by sender and nonce: the first `limit`.
    #[method(name = "pendingTransactions")]
    async fn pending_transactions(&self, limit: Option<Number>) -> RpcResult<Vec<RpcTransaction>>;
}

/// Seconds since 1970: a number, also quoted, in decimal or hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawTimestamp")]
pub struct Timestamp(u64);

#[derive(Deserialize)]
#[serde(untagged)]
enum RawTimestamp {
    Number(u64),
    Text(String),
}

impl TryFrom<RawTimestamp> for Timestamp {
    type Error = String;

    fn try_from(raw: RawTimestamp) -> Result<Self, String> {
        let text = match raw {
            RawTimestamp::Number(number) => return Ok(Self(number)),
            RawTimestamp::Text(text) => text,
        };
        let number = match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        number.map(Self).map_err(|_| format!("{text:?} is no time in seconds"))
    }
}

/// How many logs are wanted: of the newest blocks, or the newest ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LatestLogs {
    log_count: Option<u64>,
    block_count: Option<u64>,
    ignore_topics_order: bool,
}

/// When the rules change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forks {
    genesis: B256,
    height_forks: Vec<u64>,
    time_forks: Vec<u64>,
}

fn header_json(snapshot: &Snapshot<'_>, block_number: u64) -> Result<Value, QueryError> {
    let header = snapshot.header(block_number)?.ok_or(QueryError::BlockNotFound(block_number.into()))?;
    let header = RpcHeader::from_consensus(header, None, None);
    let mut shown = serde_json::to_value(header).expect("headers have string keys and no failing parts");
    for member in OPTIONAL_MEMBERS {
        if shown.get(member).is_none() {
            shown[member] = Value::Null;
        }
    }
    Ok(shown)
}

/// The first block at or after `timestamp`; the head when there is none.
fn block_at(snapshot: &Snapshot<'_>, timestamp: u64) -> Result<u64, QueryError> {
    let (mut low, mut high) = (0, snapshot.head());
    while low < high {
        let middle = low + (high - low) / 2;
        let header = snapshot.header(middle)?.ok_or(QueryError::BlockNotFound(middle.into()))?;
        if header.timestamp >= timestamp {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(low)
}

/// The logs of the newest blocks, newest block first; no older blocks are looked at than are needed.
fn latest(
    snapshot: &Snapshot<'_>,
    filter: &LogFilter,
    options: LatestLogs,
    topics: &[Vec<B256>],
) -> Result<Vec<LogAt>, QueryError> {
    let size =
        |count: Option<u64>| count.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX));
    let blocks_max = match (options.block_count, options.log_count) {
        (None, None) => 1,
        (blocks, _) => size(blocks),
    };
    let logs_max = size(options.log_count);
    let has_all = |log: &LogAt| {
        topics.iter().all(|any| any.is_empty() || log.log.topics().iter().any(|topic| any.contains(topic)))
    };
    let (mut found, mut blocks) = (Vec::new(), 0);
    if blocks_max == 0 || logs_max == 0 {
        return Ok(found);
    }
    snapshot.visit_newest_logs(filter, |logs| {
        let before = found.len();
        found.extend(logs.into_iter().filter(has_all));
        blocks += usize::from(found.len() > before);
        match blocks < blocks_max && found.len() < logs_max {
            true => ControlFlow::Continue(found.len()),
            false => ControlFlow::Break(()),
        }
    })?;
    found.truncate(logs_max);
    Ok(found)
}

#[derive(Debug)]
pub(crate) struct Erigon {
    workers: Workers,
}

impl Erigon {
    pub fn new(workers: Workers) -> Self {
        Self { workers }
    }

    async fn read<T: Send + 'static>(
        &self,
        class: Class,
        answer: impl FnOnce(&Snapshot<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> RpcResult<T> {
        self.workers.read(class, answer).await.map_err(with_general_code)
    }
}

#[async_trait]
impl ErigonApiServer for Erigon {
    async fn block_number(&self, block: Option<LenientBlockNumber>) -> RpcResult<U64> {
        let block = block.map_or_else(BlockId::default, |block| block.0.into());
        self.read(Class::Light, move |snapshot| Ok(U64::from(snapshot.require(block)?))).await
    }

    async fn get_header_by_number(&self, block: LenientBlockNumber) -> RpcResult<Value> {
        self.read(Class::Light, move |snapshot| header_json(snapshot, snapshot.require(block.0.into())?))
            .await
    }

    async fn get_header_by_hash(&self, hash: B256) -> RpcResult<Value> {
        self.read(Class::Light, move |snapshot| header_json(snapshot, snapshot.require(hash.into())?)).await
    }

    async fn get_block_by_timestamp(&self, timestamp: Timestamp, full: bool) -> RpcResult<RpcBlock> {
        let detail = if full { TransactionDetail::Full } else { TransactionDetail::Hashes };
        self.read(Class::Light, move |snapshot| {
            let block_number = block_at(snapshot, timestamp.0)?;
            let block =
                snapshot.block(block_number)?.ok_or(QueryError::BlockNotFound(block_number.into()))?;
            Ok(convert::block(block, detail))
        })
        .await
    }

    async fn get_logs_by_hash(&self, hash: B256) -> RpcResult<Vec<Vec<RpcLog>>> {
        self.read(Class::Light, move |snapshot| {
            let block_number = snapshot.require(hash.into())?;
            let receipts = snapshot.block_receipts(block_number)?.into_iter();
            Ok(receipts.map(|receipt| convert::receipt(receipt).logs().to_vec()).collect())
        })
        .await
    }

    async fn get_latest_logs(&self, filter: FilterArgument, options: LatestLogs) -> RpcResult<Vec<RpcLog>> {
        if options.log_count.is_some() && options.block_count.is_some() {
            return Err(invalid_input("logCount and blockCount exclude each other".to_owned()));
        }
        self.read(Class::Range, move |snapshot| {
            let FilterArgument(filter) = filter;
            let (filter, topics) = if options.ignore_topics_order {
                (LogFilter { topics: Vec::new(), ..filter.clone() }, filter.topics)
            } else {
                (filter, Vec::new())
            };
            let logs = latest(snapshot, &filter, options, &topics)?;
            Ok(logs.into_iter().map(convert::log).collect())
        })
        .await
    }

    async fn get_balance_changes_in_block(
        &self,
        block: LenientBlockId,
    ) -> RpcResult<BTreeMap<Address, U256>> {
        self.read(Class::Range, move |snapshot| {
            Ok(snapshot.balance_changes(snapshot.require(block.0)?)?.into_iter().collect())
        })
        .await
    }

    async fn get_block_receipts_by_block_hash(&self, hash: B256) -> RpcResult<Vec<RpcReceipt>> {
        self.read(Class::Light, move |snapshot| {
            let receipts = snapshot.block_receipts(snapshot.require(hash.into())?)?;
            Ok(receipts.into_iter().map(convert::receipt).collect())
        })
        .await
    }

    async fn forks(&self) -> RpcResult<Forks> {
        self.read(Class::Light, |snapshot| {
            let spec = snapshot.spec();
            let mut forks =
                Forks { genesis: spec.genesis_hash(), height_forks: Vec::new(), time_forks: Vec::new() };
            for (_, activation) in spec.fork_schedule().iter() {
                match activation {
                    Activation::Block(number) if number > 0 => forks.height_forks.push(number),
                    Activation::Timestamp(time) if time > spec.genesis_header().timestamp => {
                        forks.time_forks.push(time);
                    }
                    _ => {}
                }
            }
            forks.height_forks.dedup();
            forks.time_forks.dedup();
            Ok(forks)
        })
        .await
    }

    fn node_info(&self) -> RpcResult<Vec<Value>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl ParityApiServer for Erigon {
    async fn list_storage_keys(
        &self,
        address: Address,
        quantity: Number,
        offset: Option<Bytes>,
        block: Option<BlockId>,
    ) -> RpcResult<Vec<B256>> {
        let limit = usize::try_from(quantity.get().min(KEYS_MAX)).unwrap_or(usize::MAX);
        let first = offset.map_or(B256::ZERO, |offset| {
            let len = offset.len().min(B256::len_bytes());
            B256::right_padding_from(&offset[..len])
        });
        self.read(Class::Range, move |snapshot| {
            let block_number = snapshot.require(block.unwrap_or_default())?;
            let mut keys = Vec::new();
            snapshot.visit_slots(block_number, &address, first, |slot, _| {
                if keys.len() == limit {
                    return ControlFlow::Break(());
                }
                keys.push(slot);
                ControlFlow::Continue(())
            })?;
            Ok(keys)
        })
        .await
    }

    async fn pending_transactions(&self, limit: Option<Number>) -> RpcResult<Vec<RpcTransaction>> {
        let limit = limit.and_then(|limit| usize::try_from(limit.get()).ok()).unwrap_or(usize::MAX);
        self.read(Class::Range, move |snapshot| {
            let pending = snapshot.pending_transactions();
            Ok(pending.iter().take(limit).map(|transaction| convert::pooled(transaction)).collect())
        })
        .await
    }
}
