//! Blocks that were refused: what they are, what was wrong with them, and their transactions' traces.

use std::{cell::OnceCell, fmt::Debug, io::Write, sync::Arc};

use alloy_consensus::transaction::SignerRecoverable;
use alloy_primitives::{Address, B256};
use alloy_rpc_types_trace::geth::GethDebugTracingOptions;
use portico_chain::{BlockParts, block_number_of, read_checkpoint};
use portico_db::RoTxn;
use portico_evm::ExecutionError;

use crate::{FullBlock, Query, QueryError, Snapshot, error::unwritable};

/// A block that was refused.
#[derive(Debug, Clone)]
pub struct BadBlock {
    /// The block.
    pub parts: Arc<BlockParts>,
    /// What is wrong with it.
    pub reason: String,
}

impl BadBlock {
    /// The block with its senders; zero for those of transactions whose signature is invalid.
    pub fn full(&self) -> FullBlock {
        let parts = BlockParts::clone(&self.parts);
        let senders = parts.transactions.iter().map(|tx| tx.recover_signer().unwrap_or(Address::ZERO));
        FullBlock { senders: senders.collect(), parts }
    }
}

/// Who sees blocks before they are refused.
pub trait BadBlockSource: Debug + Send + Sync {
    /// Those that were refused last, the newest first.
    fn bad_blocks(&self) -> Vec<BadBlock>;

    /// The database as it is after a block that is not canonical, if that is at hand.
    fn begin_at(&self, hash: &B256) -> Option<RoTxn<'_>>;
}

impl Query {
    /// Says who sees bad blocks. Only the first one counts; without any, none are known.
    pub fn set_bad_block_source(&self, source: Arc<dyn BadBlockSource>) {
        let _ = self.inner.bad_block_source.set(source);
    }
}

impl<'q> Snapshot<'q> {
    /// The blocks that were refused last, the newest first.
    pub fn bad_blocks(&self) -> Vec<BadBlock> {
        self.query.inner.bad_block_source.get().map(|source| source.bad_blocks()).unwrap_or_default()
    }

    /// Writes the traces of a bad block's transactions as JSON while they are executed upon its parent's state, as
    /// [`Snapshot::write_block_traces`] does it. At a transaction that cannot be executed the list ends with the reason.
    ///
    /// # Errors
    /// [`QueryError::BadBlockNotFound`]; [`QueryError::BadBlockParentGone`]; [`QueryError::BadBlockNumber`]; those of
    /// [`Snapshot::write_block_traces`].
    pub fn write_bad_block_traces(
        &self,
        hash: &B256,
        options: GethDebugTracingOptions,
        out: &mut dyn Write,
    ) -> Result<(), QueryError> {
        let found = self.bad_blocks().into_iter().find(|bad| bad.parts.hash == *hash);
        let parts = BlockParts::clone(&found.ok_or(QueryError::BadBlockNotFound(*hash))?.parts);
        let parent = parts.header.parent_hash;
        if let Some(number) = block_number_of(&self.txn, &parent)?
            && self.canonical_hash(number)? == Some(parent)
        {
            return self.write_traces_after(number, parts, options, out);
        }
        let side = self.at_side_block(&parent)?;
        let side = side.ok_or(QueryError::BadBlockParentGone { hash: *hash, parent })?;
        side.write_traces_after(side.head, parts, options, out)
    }

    /// A snapshot whose head is a block that is in memory only, and not on the chosen head's chain.
    fn at_side_block(&self, hash: &B256) -> Result<Option<Self>, QueryError> {
        let Some(source) = self.query.inner.bad_block_source.get() else { return Ok(None) };
        let Some(txn) = source.begin_at(hash) else { return Ok(None) };
        let head = read_checkpoint(&txn, "Finish")?;
        Ok(Some(Self {
            query: self.query,
            txn,
            head,
            budget: self.budget(),
            helpers: None,
            is_pending: false,
            pending: OnceCell::new(),
        }))
    }

    /// The traces of a block upon the canonical one with this number.
    fn write_traces_after(
        &self,
        parent: u64,
        mut parts: BlockParts,
        options: GethDebugTracingOptions,
        out: &mut dyn Write,
    ) -> Result<(), QueryError> {
        let (hash, number) = (parts.hash, parts.header.number);
        if parent.checked_add(1) != Some(number) {
            return Err(QueryError::BadBlockNumber { hash, number, parent });
        }
        let mut senders = Vec::with_capacity(parts.transactions.len());
        let mut failure = None;
        for (tx_index, transaction) in parts.transactions.iter().enumerate() {
            self.check_deadline()?;
            match transaction.recover_signer() {
                Ok(sender) => senders.push(sender),
                Err(error) => {
                    failure = Some((tx_index, *transaction.tx_hash(), format!("invalid signature: {error}")));
                    break;
                }
            }
        }
        parts.transactions.truncate(senders.len());
        let block = FullBlock { parts, senders };
        out.write_all(b"[").map_err(unwritable)?;
        match self.write_members(&block, options, out) {
            Ok(()) => {}
            Err(QueryError::Execution(ExecutionError::Invalid { tx_index: Some(tx_index), reason })) => {
                let hash = *block.parts.transactions[tx_index].tx_hash();
                failure = Some((tx_index, hash, reason.to_string()));
            }
            Err(error) => return Err(error),
        }
        if let Some((tx_index, hash, reason)) = failure {
            let comma = if tx_index == 0 { "" } else { "," };
            let reason = serde_json::Value::from(reason);
            write!(out, "{comma}{{\"txHash\":\"{hash}\",\"error\":{reason}}}").map_err(unwritable)?;
        }
        out.write_all(b"]").map_err(unwritable)
    }
}
