//! From the query layer's answers to the shapes of the wire.

use alloy_consensus::{
    Block as ConsensusBlock, Eip658Value, Header, Receipt as ReceiptBody, ReceiptEnvelope, ReceiptWithBloom,
    Transaction as _, TxType, transaction::Recovered,
};
use alloy_primitives::{Sealed, U256, logs_bloom};
use alloy_rlp::Encodable;
use alloy_rpc_types_eth::{
    Block, BlockTransactions, Header as RpcHeader, Log, Transaction as PositionedTransaction,
    TransactionReceipt,
};
use portico_query::{FullBlock, LogAt, PoolTransaction, ReceiptAt, Transaction, TransactionAt};

/// A transaction with its position.
pub type RpcTransaction = PositionedTransaction<Transaction>;
/// A block with transactions or their hashes.
pub type RpcBlock = Block<RpcTransaction>;
/// A receipt with its position.
pub type RpcReceipt = TransactionReceipt;
/// A log with its position.
pub type RpcLog = Log;

/// How a block shows its transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransactionDetail {
    Full,
    Hashes,
}

pub(crate) fn transaction(at: TransactionAt) -> RpcTransaction {
    PositionedTransaction {
        block_hash: Some(at.block.block_hash),
        block_number: Some(at.block.block_number),
        transaction_index: Some(at.tx_index),
        effective_gas_price: Some(at.effective_gas_price()),
        block_timestamp: Some(at.block.timestamp),
        inner: Recovered::new_unchecked(at.transaction, at.sender),
    }
}

/// A transaction that waits for a block. What it will pay is not known: its price is the most that it pays.
pub(crate) fn pooled(transaction: &PoolTransaction) -> RpcTransaction {
    PositionedTransaction {
        block_hash: None,
        block_number: None,
        transaction_index: None,
        effective_gas_price: Some(transaction.fee_cap()),
        block_timestamp: None,
        inner: Recovered::new_unchecked(transaction.transaction().clone(), transaction.sender()),
    }
}

pub(crate) fn block(full: FullBlock, detail: TransactionDetail) -> RpcBlock {
    let position = full.position();
    let FullBlock { parts, senders } = full;
    let block = parts.into_block();
    let size = U256::from(block.length());
    let ConsensusBlock { header, body } = block;
    let header = Sealed::new_unchecked(header, position.block_hash);
    let transactions = match detail {
        TransactionDetail::Hashes => BlockTransactions::Hashes(
            body.transactions.iter().map(|transaction| *transaction.tx_hash()).collect(),
        ),
        TransactionDetail::Full => {
            let positioned = TransactionAt::of_block(position, body.transactions, senders);
            BlockTransactions::Full(positioned.map(transaction).collect())
        }
    };
    Block {
        header: RpcHeader::from_consensus(header, None, Some(size)),
        uncles: body.ommers.iter().map(Header::hash_slow).collect(),
        transactions,
        withdrawals: body.withdrawals,
    }
}

/// An ommer has neither transactions nor ommers here: only its header is in the chain.
pub(super) fn uncle(header: Header) -> RpcBlock {
    let block = ConsensusBlock::<Transaction>::uncle(header);
    let size = U256::from(block.length());
    Block {
        header: RpcHeader::from_consensus(Sealed::new(block.header), None, Some(size)),
        uncles: Vec::new(),
        transactions: BlockTransactions::Uncle,
        withdrawals: None,
    }
}

/// A receipt as clients get it.
pub fn receipt(at: ReceiptAt) -> RpcReceipt {
    let contract_address = at.created_address();
    let logs_bloom = logs_bloom(&at.receipt.logs);
    let ReceiptAt {
        receipt,
        transaction,
        gas_used,
        first_log_index,
        blob_gas_price,
        commits_to_status: _,
        state_root,
    } = at;
    let effective_gas_price = transaction.effective_gas_price();
    let TransactionAt { transaction, sender, block, tx_index } = transaction;
    let transaction_hash = *transaction.tx_hash();
    let logs = (first_log_index..)
        .zip(receipt.logs)
        .map(|(log_index, inner)| log(LogAt { log: inner, block, transaction_hash, tx_index, log_index }));
    let body = ReceiptBody {
        // Where the state root was not computed, the status is known all the same.
        status: state_root.map_or(Eip658Value::Eip658(receipt.success), Eip658Value::PostState),
        cumulative_gas_used: receipt.cumulative_gas_used,
        logs: logs.collect(),
    };
    TransactionReceipt {
        inner: envelope(receipt.tx_type, ReceiptWithBloom { receipt: body, logs_bloom }),
        transaction_hash,
        transaction_index: Some(tx_index),
        block_hash: Some(block.block_hash),
        block_number: Some(block.block_number),
        gas_used,
        effective_gas_price,
        blob_gas_used: transaction.blob_gas_used(),
        blob_gas_price,
        from: sender,
        to: transaction.to(),
        contract_address,
    }
}

fn envelope(tx_type: TxType, receipt: ReceiptWithBloom<ReceiptBody<Log>>) -> ReceiptEnvelope<Log> {
    match tx_type {
        TxType::Legacy => ReceiptEnvelope::Legacy(receipt),
        TxType::Eip2930 => ReceiptEnvelope::Eip2930(receipt),
        TxType::Eip1559 => ReceiptEnvelope::Eip1559(receipt),
        TxType::Eip4844 => ReceiptEnvelope::Eip4844(receipt),
        TxType::Eip7702 => ReceiptEnvelope::Eip7702(receipt),
    }
}

pub(crate) fn log(at: LogAt) -> RpcLog {
    Log {
        inner: at.log,
        block_hash: Some(at.block.block_hash),
        block_number: Some(at.block.block_number),
        block_timestamp: Some(at.block.timestamp),
        transaction_hash: Some(at.transaction_hash),
        transaction_index: Some(at.tx_index),
        log_index: Some(at.log_index),
        removed: false,
    }
}
