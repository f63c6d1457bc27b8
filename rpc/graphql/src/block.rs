//! A block.

use alloy_consensus::Header;
use alloy_primitives::{Sealed, U256};
use alloy_rlp::Encodable;
use async_graphql::{Context, Object, Result, SimpleObject};
use portico_query::FullBlock;

use crate::{
    GraphqlError, Reader,
    account::Account,
    call::{self, CallData, CallResult},
    criteria::BlockFilterCriteria,
    log::Log,
    nullable::or_null,
    reader::StateAfter,
    scalars::{Address, BigInt, Bytes, Bytes32, Long},
    transaction::Transaction,
};

/// An Ethereum block.
#[derive(Debug, Clone)]
pub struct Block {
    header: Sealed<Header>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Canonical,
    /// Only the header is in the chain.
    Ommer,
}

/// A withdrawal of a validator (EIP-4895).
#[derive(Debug, SimpleObject)]
pub struct Withdrawal {
    /// Index is a monotonically increasing identifier issued by consensus layer.
    index: Long,
    /// Validator is index of the validator associated with withdrawal.
    validator: Long,
    /// Recipient address of the withdrawn amount.
    address: Address,
    /// Amount is the withdrawal value in Gwei.
    amount: Long,
}

impl Block {
    pub(crate) fn new(header: Sealed<Header>) -> Self {
        Self { header, kind: Kind::Canonical }
    }

    fn ommer(header: Header) -> Self {
        Self { header: Sealed::new(header), kind: Kind::Ommer }
    }

    pub(crate) async fn canonical(context: &Context<'_>, block_number: u64) -> Result<Option<Self>> {
        let header = context.data::<Reader>()?.read(move |snapshot| snapshot.header(block_number)).await?;
        Ok(header.map(Self::new))
    }

    /// The number under which the database has the body; none for an ommer.
    fn body_number(&self) -> Option<u64> {
        (self.kind == Kind::Canonical).then_some(self.header.number)
    }

    async fn full(&self, context: &Context<'_>) -> Result<Option<FullBlock>> {
        let Some(block_number) = self.body_number() else { return Ok(None) };
        Ok(context.data::<Reader>()?.read(move |snapshot| snapshot.block(block_number)).await?)
    }

    async fn ommer_headers(&self, context: &Context<'_>) -> Result<Option<Vec<Header>>> {
        let Some(block_number) = self.body_number() else { return Ok(None) };
        Ok(Some(context.data::<Reader>()?.read(move |snapshot| snapshot.ommers(block_number)).await?))
    }
}

/// Block is an Ethereum block.
#[Object]
impl Block {
    /// Number is the number of this block, starting at 0 for the genesis block.
    async fn number(&self) -> Long {
        Long(self.header.number)
    }

    /// Hash is the block hash of this block.
    async fn hash(&self) -> Bytes32 {
        Bytes32(self.header.hash())
    }

    /// Parent is the parent block of this block.
    async fn parent(&self, context: &Context<'_>) -> Option<Self> {
        or_null(
            context,
            async {
                let Some(number) = self.header.number.checked_sub(1) else { return Ok(None) };
                let parent = Self::canonical(context, number).await?;
                Ok(parent.filter(|parent| parent.header.hash() == self.header.parent_hash))
            }
            .await,
        )
    }

    /// Nonce is the block nonce, an 8 byte sequence determined by the miner.
    async fn nonce(&self) -> Bytes {
        Bytes(self.header.nonce.into())
    }

    /// TransactionsRoot is the keccak256 hash of the root of the trie of transactions in this block.
    async fn transactions_root(&self) -> Bytes32 {
        Bytes32(self.header.transactions_root)
    }

    /// TransactionCount is the number of transactions in this block. If transactions are not available for this
    /// block, this field will be null.
    async fn transaction_count(&self, context: &Context<'_>) -> Option<Long> {
        or_null(
            context,
            async {
                let Some(block_number) = self.body_number() else { return Ok(None) };
                let reader = context.data::<Reader>()?;
                Ok(Some(Long(reader.read(move |snapshot| snapshot.transaction_count(block_number)).await?)))
            }
            .await,
        )
    }

    /// StateRoot is the keccak256 hash of the state trie after this block was processed.
    async fn state_root(&self) -> Bytes32 {
        Bytes32(self.header.state_root)
    }

    /// ReceiptsRoot is the keccak256 hash of the trie of transaction receipts in this block.
    async fn receipts_root(&self) -> Bytes32 {
        Bytes32(self.header.receipts_root)
    }

    /// Miner is the account that mined this block.
    async fn miner(&self, context: &Context<'_>, block: Option<Long>) -> Result<Account> {
        let block = block.or(self.body_number().map(Long));
        Account::at(context, self.header.beneficiary, block).await
    }

    /// ExtraData is an arbitrary data field supplied by the miner.
    async fn extra_data(&self) -> Bytes {
        Bytes(self.header.extra_data.clone())
    }

    /// GasLimit is the maximum amount of gas that was available to transactions in this block.
    async fn gas_limit(&self) -> Long {
        Long(self.header.gas_limit)
    }

    /// GasUsed is the amount of gas that was used executing transactions in this block.
    async fn gas_used(&self) -> Long {
        Long(self.header.gas_used)
    }

    /// BaseFeePerGas is the fee per unit of gas burned by the protocol in this block.
    async fn base_fee_per_gas(&self) -> Option<BigInt> {
        self.header.base_fee_per_gas.map(|fee| BigInt(U256::from(fee)))
    }

    /// NextBaseFeePerGas is the fee per unit of gas which needs to be burned in the next block.
    async fn next_base_fee_per_gas(&self, context: &Context<'_>) -> Option<BigInt> {
        or_null(
            context,
            async {
                let header = self.header.clone();
                let reader = context.data::<Reader>()?;
                let fee = reader.read(move |snapshot| Ok(snapshot.base_fee_after(&header))).await?;
                Ok(fee.map(|fee| BigInt(U256::from(fee))))
            }
            .await,
        )
    }

    /// Timestamp is the unix timestamp at which this block was mined.
    async fn timestamp(&self) -> Long {
        Long(self.header.timestamp)
    }

    /// LogsBloom is a bloom filter that can be used to check if a block may contain log entries matching a filter.
    async fn logs_bloom(&self) -> Bytes {
        Bytes(self.header.logs_bloom.as_slice().to_vec().into())
    }

    /// MixHash is the hash that was used as an input to the PoW process.
    async fn mix_hash(&self) -> Bytes32 {
        Bytes32(self.header.mix_hash)
    }

    /// Difficulty is a measure of the difficulty of mining this block.
    async fn difficulty(&self) -> BigInt {
        BigInt(self.header.difficulty)
    }

    /// TotalDifficulty is the sum of all difficulty values up to and including this block. Null for ommers.
    async fn total_difficulty(&self, context: &Context<'_>) -> Option<BigInt> {
        or_null(
            context,
            async {
                let Some(block_number) = self.body_number() else { return Ok(None) };
                let reader = context.data::<Reader>()?;
                Ok(reader.read(move |snapshot| snapshot.total_difficulty(block_number)).await?.map(BigInt))
            }
            .await,
        )
    }

    /// OmmerCount is the number of ommers (AKA uncles) associated with this block. If ommers are unavailable, this
    /// field will be null.
    async fn ommer_count(&self, context: &Context<'_>) -> Option<Long> {
        or_null(
            context,
            async { Ok(self.ommer_headers(context).await?.map(|ommers| Long(ommers.len() as u64))) }.await,
        )
    }

    /// Ommers is a list of ommer (AKA uncle) blocks associated with this block. If ommers are unavailable, this field
    /// will be null. The transactions, transactionAt, transactionCount, ommers, ommerCount and ommerAt fields are not
    /// available on ommer blocks.
    #[graphql(complexity = "2 * child_complexity")]
    async fn ommers(&self, context: &Context<'_>) -> Option<Vec<Option<Self>>> {
        or_null(
            context,
            async {
                let ommers = self.ommer_headers(context).await?;
                Ok(ommers.map(|ommers| ommers.into_iter().map(|header| Some(Self::ommer(header))).collect()))
            }
            .await,
        )
    }

    /// OmmerAt returns the ommer (AKA uncle) at the specified index. If ommers are unavailable, or the index is out
    /// of bounds, this field will be null.
    async fn ommer_at(&self, context: &Context<'_>, index: Long) -> Option<Self> {
        or_null(
            context,
            async {
                let index = usize::try_from(index.0).unwrap_or(usize::MAX);
                let ommers = self.ommer_headers(context).await?.unwrap_or_default();
                Ok(ommers.into_iter().nth(index).map(Self::ommer))
            }
            .await,
        )
    }

    /// OmmerHash is the keccak256 hash of all the ommers (AKA uncles) associated with this block.
    async fn ommer_hash(&self) -> Bytes32 {
        Bytes32(self.header.ommers_hash)
    }

    /// Transactions is a list of transactions associated with this block. If transactions are unavailable for this
    /// block, this field will be null.
    #[graphql(complexity = "100 * child_complexity")]
    async fn transactions(&self, context: &Context<'_>) -> Option<Vec<Transaction>> {
        or_null(
            context,
            async {
                let block = self.full(context).await?;
                Ok(block.map(|block| block.into_transactions().map(Transaction::new).collect()))
            }
            .await,
        )
    }

    /// TransactionAt returns the transaction at the specified index. If transactions are unavailable for this block,
    /// or if the index is out of bounds, this field will be null.
    async fn transaction_at(&self, context: &Context<'_>, index: Long) -> Option<Transaction> {
        or_null(
            context,
            async {
                let Some(block_number) = self.body_number() else { return Ok(None) };
                let reader = context.data::<Reader>()?;
                let found =
                    reader.read(move |snapshot| snapshot.transaction_in_block(block_number, index.0)).await?;
                Ok(found.map(Transaction::new))
            }
            .await,
        )
    }

    /// Logs returns a filtered set of logs from this block.
    #[graphql(complexity = "100 * child_complexity")]
    async fn logs(&self, context: &Context<'_>, filter: BlockFilterCriteria) -> Result<Vec<Log>> {
        let Some(block_number) = self.body_number() else { return Ok(Vec::new()) };
        let filter = filter.into_filter(block_number)?;
        let logs = context.data::<Reader>()?.read(move |snapshot| snapshot.logs(&filter)).await?;
        Ok(logs.into_iter().map(Log).collect())
    }

    /// Account fetches an Ethereum account at the current block's state.
    async fn account(&self, context: &Context<'_>, address: Address) -> Result<Account> {
        Account::at(context, address.0, Some(Long(self.header.number))).await
    }

    /// Call executes a local call operation at the current block's state.
    #[graphql(complexity = "100 + child_complexity")]
    async fn call(&self, context: &Context<'_>, data: CallData) -> Option<CallResult> {
        let block_number = self.body_number()?;
        or_null(context, call::run(context, data, StateAfter::Block(block_number)).await.map(Some))
    }

    /// EstimateGas estimates the amount of gas that will be required for successful execution of a transaction at the
    /// current block's state.
    #[graphql(complexity = "500 + child_complexity")]
    async fn estimate_gas(&self, context: &Context<'_>, data: CallData) -> Result<Long> {
        let after = StateAfter::Block(self.body_number().ok_or(GraphqlError::Ommer)?);
        call::estimate(context, data, after).await
    }

    /// RawHeader is the RLP encoding of the block's header.
    async fn raw_header(&self) -> Bytes {
        Bytes(alloy_rlp::encode(self.header.inner()).into())
    }

    /// Raw is the RLP encoding of the block. An ommer's has no body.
    async fn raw(&self, context: &Context<'_>) -> Result<Bytes> {
        let mut rlp = Vec::new();
        match self.full(context).await? {
            Some(block) => block.parts.into_block().encode(&mut rlp),
            None => alloy_consensus::Block::<portico_query::Transaction>::uncle(self.header.inner().clone())
                .encode(&mut rlp),
        }
        Ok(Bytes(rlp.into()))
    }

    /// WithdrawalsRoot is the withdrawals trie root in this block. If withdrawals are unavailable for this block,
    /// this field will be null.
    async fn withdrawals_root(&self) -> Option<Bytes32> {
        self.header.withdrawals_root.map(Bytes32)
    }

    /// Withdrawals is a list of withdrawals associated with this block. If withdrawals are unavailable for this
    /// block, this field will be null.
    #[graphql(complexity = "16 * child_complexity")]
    async fn withdrawals(&self, context: &Context<'_>) -> Option<Vec<Withdrawal>> {
        or_null(
            context,
            async {
                let Some(block_number) = self.body_number() else { return Ok(None) };
                let reader = context.data::<Reader>()?;
                let withdrawals = reader.read(move |snapshot| snapshot.withdrawals(block_number)).await?;
                let convert = |withdrawal: alloy_eips::eip4895::Withdrawal| Withdrawal {
                    index: Long(withdrawal.index),
                    validator: Long(withdrawal.validator_index),
                    address: Address(withdrawal.address),
                    amount: Long(withdrawal.amount),
                };
                Ok(withdrawals.map(|withdrawals| withdrawals.into_iter().map(convert).collect()))
            }
            .await,
        )
    }

    /// BlobGasUsed is the total amount of gas used by the transactions.
    async fn blob_gas_used(&self) -> Option<Long> {
        self.header.blob_gas_used.map(Long)
    }

    /// ExcessBlobGas is a running total of blob gas consumed in excess of the target, prior to the block.
    async fn excess_blob_gas(&self) -> Option<Long> {
        self.header.excess_blob_gas.map(Long)
    }
}
