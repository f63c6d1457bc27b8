//! A transaction and, where a field needs it, its receipt.

use alloy_consensus::Transaction as _;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, U256};
use async_graphql::{Context, Object, Result, SimpleObject};
use portico_query::{BlockPosition, LogAt, PoolTransaction, ReceiptAt, TransactionAt};
use tokio::sync::OnceCell;

use crate::{
    GraphqlError, Reader,
    account::Account,
    block::Block,
    log::Log,
    nullable::or_null,
    scalars::{Address, BigInt, Bytes, Bytes32, Long},
};

/// An Ethereum transaction.
#[derive(Debug)]
pub struct Transaction {
    /// A pending one's position means nothing.
    at: TransactionAt,
    is_pending: bool,
    receipt: OnceCell<ReceiptAt>,
}

/// EIP-2930.
#[derive(Debug, SimpleObject)]
pub struct AccessTuple {
    address: Address,
    storage_keys: Vec<Bytes32>,
}

impl Transaction {
    pub(crate) fn new(at: TransactionAt) -> Self {
        Self { at, is_pending: false, receipt: OnceCell::new() }
    }

    /// One that waits for a block.
    pub(crate) fn pending(transaction: &PoolTransaction) -> Self {
        let nowhere = BlockPosition { block_number: 0, block_hash: B256::ZERO, timestamp: 0, base_fee: None };
        let (transaction, sender) = (transaction.transaction().clone(), transaction.sender());
        let at = TransactionAt { transaction, sender, block: nowhere, tx_index: 0 };
        Self { is_pending: true, ..Self::new(at) }
    }

    /// `None` while it waits for a block.
    async fn receipt(&self, context: &Context<'_>) -> Result<Option<&ReceiptAt>> {
        if self.is_pending {
            return Ok(None);
        }
        let reader = context.data::<Reader>()?;
        let hash = *self.at.transaction.tx_hash();
        let (block_number, tx_index) = (self.at.block.block_number, self.at.tx_index);
        let load = || async move {
            let found =
                reader.read(move |snapshot| snapshot.receipt_in_block(block_number, tx_index)).await?;
            let receipt = found.filter(|receipt| *receipt.transaction.transaction.tx_hash() == hash);
            receipt.ok_or(GraphqlError::Lost)
        };
        Ok(Some(self.receipt.get_or_try_init(load).await?))
    }
}

fn wei(value: u128) -> BigInt {
    BigInt(U256::from(value))
}

/// Transaction is an Ethereum transaction.
#[Object]
impl Transaction {
    /// Hash is the hash of this transaction.
    async fn hash(&self) -> Bytes32 {
        Bytes32(*self.at.transaction.tx_hash())
    }

    /// Nonce is the nonce of the account this transaction was generated with.
    async fn nonce(&self) -> Long {
        Long(self.at.transaction.nonce())
    }

    /// Index is the index of this transaction in the parent block. This will be null if the transaction has not yet
    /// been mined.
    async fn index(&self) -> Option<Long> {
        (!self.is_pending).then_some(Long(self.at.tx_index))
    }

    /// From is the account that sent this transaction - this will always be an externally owned account.
    async fn from(&self, context: &Context<'_>, block: Option<Long>) -> Result<Account> {
        Account::at(context, self.at.sender, block).await
    }

    /// To is the account the transaction was sent to. This is null for contract-creating transactions.
    async fn to(&self, context: &Context<'_>, block: Option<Long>) -> Option<Account> {
        or_null(
            context,
            async {
                match self.at.transaction.to() {
                    Some(to) => Account::at(context, to, block).await.map(Some),
                    None => Ok(None),
                }
            }
            .await,
        )
    }

    /// Value is the value, in wei, sent along with this transaction.
    async fn value(&self) -> BigInt {
        BigInt(self.at.transaction.value())
    }

    /// GasPrice is the price offered to miners for gas, in wei per unit.
    async fn gas_price(&self) -> BigInt {
        wei(self.at.effective_gas_price())
    }

    /// MaxFeePerGas is the maximum fee per gas offered to include a transaction, in wei.
    async fn max_fee_per_gas(&self) -> Option<BigInt> {
        let transaction = &self.at.transaction;
        transaction.is_dynamic_fee().then(|| wei(transaction.max_fee_per_gas()))
    }

    /// MaxPriorityFeePerGas is the maximum miner tip per gas offered to include a transaction, in wei.
    async fn max_priority_fee_per_gas(&self) -> Option<BigInt> {
        self.at.transaction.max_priority_fee_per_gas().map(wei)
    }

    /// MaxFeePerBlobGas is the maximum blob gas fee cap per blob the sender is willing to pay for blob transaction,
    /// in wei.
    async fn max_fee_per_blob_gas(&self) -> Option<BigInt> {
        self.at.transaction.max_fee_per_blob_gas().map(wei)
    }

    /// EffectiveTip is the actual amount of reward going to miner after considering the max fee cap.
    async fn effective_tip(&self) -> Option<BigInt> {
        if self.is_pending {
            return None;
        }
        let base_fee = self.at.block.base_fee.unwrap_or_default();
        self.at.transaction.effective_tip_per_gas(base_fee).map(wei)
    }

    /// Gas is the maximum amount of gas this transaction can consume.
    async fn gas(&self) -> Long {
        Long(self.at.transaction.gas_limit())
    }

    /// InputData is the data supplied to the target of the transaction.
    async fn input_data(&self) -> Bytes {
        Bytes(self.at.transaction.input().clone())
    }

    /// Block is the block this transaction was mined in. This will be null if the transaction has not yet been
    /// mined.
    async fn block(&self, context: &Context<'_>) -> Option<Block> {
        if self.is_pending {
            return None;
        }
        or_null(context, async { Block::canonical(context, self.at.block.block_number).await }.await)
    }

    /// Status is the return status of the transaction. This will be 1 if the transaction succeeded, or 0 if it failed
    /// (due to a revert, or due to running out of gas). If the transaction has not yet been mined, or was mined before
    /// Byzantium, this field will be null.
    async fn status(&self, context: &Context<'_>) -> Option<Long> {
        or_null(
            context,
            async {
                let receipt = self.receipt(context).await?.filter(|receipt| receipt.commits_to_status);
                Ok(receipt.map(|receipt| Long(receipt.receipt.success.into())))
            }
            .await,
        )
    }

    /// GasUsed is the amount of gas that was used processing this transaction. If the transaction has not yet been
    /// mined, this field will be null.
    async fn gas_used(&self, context: &Context<'_>) -> Option<Long> {
        or_null(
            context,
            async { Ok(self.receipt(context).await?.map(|receipt| Long(receipt.gas_used))) }.await,
        )
    }

    /// CumulativeGasUsed is the total gas used in the block up to and including this transaction. If the transaction
    /// has not yet been mined, this field will be null.
    async fn cumulative_gas_used(&self, context: &Context<'_>) -> Option<Long> {
        or_null(
            context,
            async {
                let receipt = self.receipt(context).await?;
                Ok(receipt.map(|receipt| Long(receipt.receipt.cumulative_gas_used)))
            }
            .await,
        )
    }

    /// EffectiveGasPrice is actual value per gas deducted from the sender's account.
    async fn effective_gas_price(&self) -> Option<BigInt> {
        (!self.is_pending).then(|| wei(self.at.effective_gas_price()))
    }

    /// BlobGasUsed is the amount of blob gas used by this transaction.
    async fn blob_gas_used(&self) -> Option<Long> {
        self.at.transaction.blob_gas_used().map(Long)
    }

    /// BlobGasPrice is the actual value per blob gas deducted from the senders account.
    async fn blob_gas_price(&self, context: &Context<'_>) -> Option<BigInt> {
        or_null(
            context,
            async { Ok(self.receipt(context).await?.and_then(|receipt| receipt.blob_gas_price).map(wei)) }
                .await,
        )
    }

    /// CreatedContract is the account that was created by a contract creation transaction. If the transaction was not
    /// a contract creation transaction, or it has not yet been mined, this field will be null.
    async fn created_contract(&self, context: &Context<'_>, block: Option<Long>) -> Option<Account> {
        or_null(
            context,
            async {
                match self.receipt(context).await?.and_then(ReceiptAt::created_address) {
                    Some(address) => Account::at(context, address, block).await.map(Some),
                    None => Ok(None),
                }
            }
            .await,
        )
    }

    /// Logs is a list of log entries emitted by this transaction. If the transaction has not yet been mined, this
    /// field will be null.
    #[graphql(complexity = "10 * child_complexity")]
    async fn logs(&self, context: &Context<'_>) -> Option<Vec<Log>> {
        or_null(
            context,
            async {
                let Some(receipt) = self.receipt(context).await? else { return Ok(None) };
                let logs = (receipt.first_log_index..).zip(&receipt.receipt.logs).map(|(log_index, log)| {
                    Log(LogAt {
                        log: log.clone(),
                        block: self.at.block,
                        transaction_hash: *self.at.transaction.tx_hash(),
                        tx_index: self.at.tx_index,
                        log_index,
                    })
                });
                Ok(Some(logs.collect()))
            }
            .await,
        )
    }

    /// R is the first part of the signature.
    async fn r(&self) -> BigInt {
        BigInt(self.at.transaction.signature().r())
    }

    /// S is the second part of the signature.
    async fn s(&self) -> BigInt {
        BigInt(self.at.transaction.signature().s())
    }

    /// V is the parity of the signature, with the chain id in transactions without a type.
    async fn v(&self) -> BigInt {
        let transaction = &self.at.transaction;
        let parity = u64::from(transaction.signature().v());
        let offset = match (transaction.is_legacy(), transaction.chain_id()) {
            (false, _) => U256::ZERO,
            (true, None) => U256::from(27),
            (true, Some(chain_id)) => U256::from(chain_id) * U256::from(2) + U256::from(35),
        };
        BigInt(offset + U256::from(parity))
    }

    /// YParity is the parity of the signature, of transactions with a type.
    async fn y_parity(&self) -> Option<BigInt> {
        let transaction = &self.at.transaction;
        (!transaction.is_legacy()).then(|| wei(u128::from(transaction.signature().v())))
    }

    /// Type is the envelope type (EIP-2718).
    #[graphql(name = "type")]
    async fn transaction_type(&self) -> Option<Long> {
        Some(Long(u8::from(self.at.transaction.tx_type()).into()))
    }

    /// AccessList is what the transaction declares to access (EIP-2930).
    async fn access_list(&self) -> Option<Vec<AccessTuple>> {
        let tuples = self.at.transaction.access_list()?.iter().map(|item| AccessTuple {
            address: Address(item.address),
            storage_keys: item.storage_keys.iter().copied().map(Bytes32).collect(),
        });
        Some(tuples.collect())
    }

    /// Raw is the canonical encoding of the transaction. For legacy transactions, it returns the RLP encoding. For
    /// EIP-2718 typed transactions, it returns the type and payload.
    async fn raw(&self) -> Bytes {
        Bytes(self.at.transaction.encoded_2718().into())
    }

    /// RawReceipt is the canonical encoding of the receipt. For post EIP-2718 typed transactions this is equivalent to
    /// TxType || ReceiptEncoding.
    async fn raw_receipt(&self, context: &Context<'_>) -> Result<Bytes> {
        Ok(Bytes(self.receipt(context).await?.map(ReceiptAt::encoded).unwrap_or_default()))
    }

    /// BlobVersionedHashes is a set of hash outputs from the blobs in the transaction.
    async fn blob_versioned_hashes(&self) -> Option<Vec<Bytes32>> {
        Some(self.at.transaction.blob_versioned_hashes()?.iter().copied().map(Bytes32).collect())
    }
}
