//! Building a block upon one in memory.
//!
//! The transactions are executed once, in a transaction in memory into which goes what the stages would have written;
//! the state root then comes from the same trie stage, while another thread encodes and hashes the rest. So a block that was built is one that was executed: when it
//! comes back as the next one, it is known ([`Tip::adopt`]).

use std::{cell::RefCell, rc::Rc, sync::Arc};

use alloy_consensus::{
    EMPTY_OMMER_ROOT_HASH, Header, Transaction as _,
    constants::EMPTY_WITHDRAWALS,
    proofs::{calculate_transaction_root, calculate_withdrawals_root},
};
use alloy_eips::{eip2718::Encodable2718, eip4895::Withdrawal, eip7685::Requests};
use alloy_primitives::{Address, B256, Bloom, Bytes, U256, keccak256};
use portico_chain::{
    BlockParts, ChainError, NewHeader, StoredBody, Transaction, append_bodies, append_headers,
    append_senders, append_transactions, encode_row, read_header, read_total_difficulty, tx_number_limit,
    write_checkpoint,
};
use portico_chainspec::{BlobParams, Fork};
use portico_consensus::{
    BodyView, Parent, RLP_BLOCK_SIZE_MAX, next_base_fee, next_excess_blob_gas, receipts_root_and_bloom,
    total_difficulty, validate_body, validate_header_with,
};
use portico_db::{Layer, RwTxn};
use portico_evm::{
    BlockExecution, BlockInput, BlockOutcome, BlockRules, ExecutionError, NoOpInspector, Overlay,
    OverlayWrites,
};
use portico_state::{BlockChanges, PlainReader, write_changes};

use super::{Tip, tree::Made, worker::Work};
use crate::{
    BlockRange, Pipeline, SharedSource, StageError, StageId,
    execution::{check::write_receipts, load_block_hashes, write_overlay},
    held_blocks::HeldBlocks,
};

/// What is asked of a block that is to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildAttributes {
    /// Seconds since 1970; later than the parent's.
    pub timestamp: u64,
    /// Randomness of the beacon chain.
    pub prev_randao: B256,
    /// Who gets the fees.
    pub fee_recipient: Address,
    /// From Shanghai on.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// From Cancun on.
    pub parent_beacon_block_root: Option<B256>,
    /// From Amsterdam on.
    pub slot_number: Option<u64>,
    /// The gas limit that is aimed at; a block can only go a step towards it.
    pub gas_limit_target: u64,
    /// At most 32 bytes.
    pub extra_data: Bytes,
}

/// Room that is left in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Gas.
    pub gas: u64,
    /// Blobs.
    pub blobs: u64,
    /// Bytes of RLP.
    pub bytes: usize,
}

/// A transaction for a block.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The transaction.
    pub transaction: Transaction,
    /// Who signed it.
    pub sender: Address,
}

/// Where a block's transactions come from.
pub trait CandidateSource {
    /// The next one to try; none when the block is to be closed.
    fn next(&mut self, room: Room) -> Option<Candidate>;

    /// It cannot be in this block, at least not here; those of its sender after it hardly can.
    ///
    /// # Errors
    /// To give the block up.
    fn refused(&mut self, candidate: &Candidate, reason: &Refusal) -> Result<(), StageError>;
}

/// Why a transaction is not in a block.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It needs more than is left.
    #[error("there is no room left for it")]
    NoRoom,
    /// Execution refuses it.
    #[error(transparent)]
    Invalid(#[from] ExecutionError),
}

/// A block that was built.
#[derive(Debug, Clone)]
pub struct BuiltBlock {
    /// The block.
    pub block: BlockParts,
    /// What the fee recipient gets of the transactions' fees, in wei.
    pub fees: U256,
    /// Requests by type, from Prague on.
    pub requests: Option<Requests>,
    /// RLP of the block access list, from Amsterdam on.
    pub access_list: Option<Bytes>,
    made: Made,
}

impl BuiltBlock {
    /// The rows that executing the block writes, upon its parent's: all but those that make it findable.
    pub fn into_layer(self) -> Layer {
        self.made.layer
    }
}

impl Tip {
    /// Builds a block upon an executed one; none when that is not at hand.
    ///
    /// # Errors
    /// [`StageError::Execution`] or [`StageError::InvalidBlock`] when no such block can be valid; what `source` gives
    /// up with; internal faults.
    pub fn build(
        &self,
        parent: &B256,
        attributes: &BuildAttributes,
        source: &mut dyn CandidateSource,
    ) -> Result<Option<BuiltBlock>, StageError> {
        let (tree, known) = self.wait_indexed(self.lock(), parent)?;
        if !known {
            return Ok(None);
        }
        let number = tree.number_of(parent).unwrap_or_default();
        // Within the lock: the base does not move under the view.
        let txn = self.live().database().begin_in_memory(&tree.view_of(parent))?;
        let base = tree.base;
        drop(tree);
        let missing = |what| ChainError::Missing { what, block_number: number };
        let parent_header = read_header(&txn, number)?.ok_or_else(|| missing("header"))?;
        let parent_total = read_total_difficulty(&txn, number)?.ok_or_else(|| missing("total difficulty"))?;
        let parent = Parent { header: &parent_header, hash: *parent, total_difficulty: parent_total };
        let mut header = template(self.spec(), parent, attributes);
        let work = Builder { tip: self, txn: &txn, parent, attributes };
        let Filled { transactions, senders, outcome, changes, writes, fees } = work.fill(&header, source)?;
        let body = Body { transactions: &transactions, senders: &senders, outcome: &outcome };
        let number = header.number;
        let (rest, root) =
            rayon::join(|| work.rest(number, body), || work.state_root(number, &changes, &writes));
        let rest = rest?;
        header.state_root = root?;
        header.receipts_root = rest.receipts_root;
        header.logs_bloom = rest.logs_bloom;
        header.gas_used = outcome.gas_used;
        header.transactions_root = rest.transactions_root;
        header.blob_gas_used = header.blob_gas_used.map(|_| outcome.blob_gas_used);
        header.requests_hash = outcome.requests.as_ref().map(Requests::requests_hash);
        header.block_access_list_hash = rest.access_list.as_ref().map(keccak256);
        let block = BlockParts {
            hash: header.hash_slow(),
            header,
            transactions,
            ommers: Vec::new(),
            withdrawals: attributes.withdrawals.clone(),
        };
        work.finish(&block)?;
        let (view, layer) = txn.into_layer()?;
        let made = Made { parent: block.header.parent_hash, layer, view, base };
        Ok(Some(BuiltBlock {
            block,
            fees,
            requests: outcome.requests,
            access_list: rest.access_list.map(Bytes::from),
            made,
        }))
    }

    /// Takes a block that was built here as one that was executed; says whether its parent is still at hand.
    pub fn adopt(&self, built: &BuiltBlock) -> bool {
        let hash = built.block.hash;
        let mut tree = self.lock();
        if tree.number_of(&hash).is_some() {
            return true;
        }
        if !tree.attach(&built.block.header, hash, built.made.clone()) {
            return false;
        }
        tree.keep(Arc::new(built.block.clone()));
        drop(tree);
        self.send(Work::Index(hash));
        true
    }
}

/// What filling a block gave.
struct Filled {
    transactions: Vec<Transaction>,
    senders: Vec<Address>,
    outcome: BlockOutcome,
    changes: BlockChanges,
    writes: OverlayWrites,
    fees: U256,
}

/// What a block consists of, and what it gave besides the state.
#[derive(Clone, Copy)]
struct Body<'a> {
    transactions: &'a [Transaction],
    senders: &'a [Address],
    outcome: &'a BlockOutcome,
}

/// What a header commits to besides the state.
struct Commitments {
    transactions_root: B256,
    receipts_root: B256,
    logs_bloom: Bloom,
    /// RLP.
    access_list: Option<Vec<u8>>,
}

/// Bytes of RLP that a block has besides its transactions and withdrawals, at most.
const BLOCK_FRAME_BYTES: usize = 4096;
/// Bytes of RLP of a withdrawal, at most.
const WITHDRAWAL_BYTES: usize = 64;

struct Builder<'a> {
    tip: &'a Tip,
    txn: &'a RwTxn<'a>,
    parent: Parent<'a>,
    attributes: &'a BuildAttributes,
}

impl Builder<'_> {
    /// Executes what `source` gives.
    fn fill(&self, header: &Header, source: &mut dyn CandidateSource) -> Result<Filled, StageError> {
        let spec = self.tip.spec();
        let context = spec.block_context(header.number, header.timestamp, self.parent.total_difficulty);
        let rules = BlockRules::new(spec, context);
        let failed = |reason| StageError::Execution { number: header.number, reason: Box::new(reason) };
        let mut overlay = Overlay::new(PlainReader::new(self.txn)?);
        load_block_hashes(self.txn, self.parent.header.number, &mut overlay)?;
        overlay.begin_block(header.number);
        let input = BlockInput {
            header,
            transactions: &[],
            senders: &[],
            ommers: &[],
            withdrawals: self.attributes.withdrawals.as_deref(),
        };
        let mut execution =
            BlockExecution::begin(&mut overlay, rules, input, NoOpInspector).map_err(failed)?;
        let (mut transactions, mut senders) = (Vec::new(), Vec::new());
        let mut fees = U256::ZERO;
        let mut room = self.room(header, rules.fork());
        while let Some(candidate) = source.next(room) {
            self.tip.0.stop.check()?;
            let transaction = &candidate.transaction;
            let bytes = transaction.encode_2718_len() + 8;
            let blobs = transaction.blob_versioned_hashes().map_or(0, <[B256]>::len) as u64;
            if transaction.gas_limit() > room.gas || blobs > room.blobs || bytes > room.bytes {
                source.refused(&candidate, &Refusal::NoRoom)?;
                continue;
            }
            match execution.transaction(transaction, candidate.sender) {
                Ok(outcome) => {
                    let tip = transaction.effective_tip_per_gas(header.base_fee_per_gas.unwrap_or_default());
                    fees += U256::from(tip.unwrap_or_default()) * U256::from(outcome.gas_used());
                    room = Room {
                        gas: header.gas_limit.saturating_sub(execution.gas_used()),
                        blobs: room.blobs - blobs,
                        bytes: room.bytes - bytes,
                    };
                    senders.push(candidate.sender);
                    transactions.push(candidate.transaction);
                }
                Err(error) if error.is_invalid_block() => source.refused(&candidate, &error.into())?,
                Err(error) => return Err(failed(error)),
            }
        }
        let outcome = execution.finish().map_err(failed)?;
        let changes = overlay.end_block();
        let writes = overlay.into_writes();
        Ok(Filled { transactions, senders, outcome, changes, writes, fees })
    }

    fn room(&self, header: &Header, fork: Fork) -> Room {
        let withdrawals = self.attributes.withdrawals.as_ref().map_or(0, Vec::len) * WITHDRAWAL_BYTES;
        let bytes = if fork >= Fork::Osaka {
            RLP_BLOCK_SIZE_MAX.saturating_sub(BLOCK_FRAME_BYTES + withdrawals)
        } else {
            usize::MAX
        };
        let blobs =
            self.tip.spec().blob_params_at(header.timestamp).map_or(0, |params| params.max_blob_count);
        Room { gas: header.gas_limit, blobs, bytes }
    }

    /// Writes what the stages up to Execution would have written besides the header and the state.
    fn rest(&self, number: u64, block: Body<'_>) -> Result<Commitments, StageError> {
        let txn = self.txn;
        let first_tx_number = tx_number_limit(txn, self.parent.header.number)?;
        let rows: Vec<Vec<u8>> = block.transactions.iter().map(encode_row).collect();
        append_transactions(txn, first_tx_number, &rows)?;
        let body = StoredBody {
            first_tx_number,
            tx_count: rows.len() as u64,
            ommers: Vec::new(),
            withdrawals: self.attributes.withdrawals.clone(),
        };
        append_bodies(txn, number, &body)?;
        append_senders(txn, first_tx_number, block.senders)?;
        let access_list = block.outcome.access_list.as_ref().map(alloy_rlp::encode);
        write_receipts(txn, number, first_tx_number, &block.outcome.receipts, access_list.as_deref())?;
        for stage in [StageId::Headers, StageId::Bodies, StageId::Senders] {
            write_checkpoint(txn, stage.name(), number)?;
        }
        let (receipts_root, logs_bloom) = receipts_root_and_bloom(&block.outcome.receipts);
        let transactions_root = calculate_transaction_root(block.transactions);
        Ok(Commitments { transactions_root, receipts_root, logs_bloom, access_list })
    }

    /// Writes the state as the stages would have done; gives its root.
    fn state_root(
        &self,
        number: u64,
        changes: &BlockChanges,
        writes: &OverlayWrites,
    ) -> Result<B256, StageError> {
        write_changes(self.txn, number, changes)?;
        write_overlay(self.txn, writes)?;
        write_checkpoint(self.txn, StageId::Execution.name(), number)?;
        let source: SharedSource = Rc::new(RefCell::new(HeldBlocks::default()));
        let mut pipeline = Pipeline::new(self.tip.pipeline_config(), &source);
        pipeline.forward_within(self.txn, &[StageId::AccountHashing, StageId::StorageHashing], number)?;
        let root = pipeline.update_root(self.txn, BlockRange { done: number - 1, to: number })?;
        write_checkpoint(self.txn, StageId::Trie.name(), number)?;
        Ok(root)
    }

    /// Checks the finished block by the rules that others will hold against it, and writes its header.
    fn finish(&self, block: &BlockParts) -> Result<(), StageError> {
        let (spec, header) = (self.tip.spec(), &block.header);
        let checks = self.tip.0.config.stages.header_checks;
        let context = spec.block_context(header.number, header.timestamp, self.parent.total_difficulty);
        let body = BodyView {
            transactions: &block.transactions,
            ommers: &block.ommers,
            withdrawals: block.withdrawals.as_deref(),
        };
        let total = validate_header_with(checks, spec, self.parent, header)
            .and_then(|()| validate_body(spec, context, header, body))
            .and_then(|()| total_difficulty(self.parent.total_difficulty, header.difficulty))
            .map_err(|error| StageError::InvalidBlock {
                number: header.number,
                hash: block.hash,
                reason: Box::new(error.into()),
            })?;
        let new = NewHeader { hash: block.hash, header: header.clone(), total_difficulty: total };
        Ok(append_headers(self.txn, &[new])?)
    }
}

/// The header as far as it is known before anything is executed.
fn template(spec: &portico_chainspec::ChainSpec, parent: Parent<'_>, attributes: &BuildAttributes) -> Header {
    let number = parent.header.number + 1;
    let context = spec.block_context(number, attributes.timestamp, parent.total_difficulty);
    let fork = spec.fork_at(context);
    let blobs = spec.blob_params_at(attributes.timestamp).filter(|_| fork >= Fork::Cancun);
    let withdrawals_root = attributes.withdrawals.as_deref().map(|withdrawals| match withdrawals {
        [] => EMPTY_WITHDRAWALS,
        withdrawals => calculate_withdrawals_root(withdrawals),
    });
    Header {
        parent_hash: parent.hash,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: attributes.fee_recipient,
        number,
        gas_limit: next_gas_limit(parent.header.gas_limit, attributes.gas_limit_target),
        timestamp: attributes.timestamp,
        extra_data: attributes.extra_data.clone(),
        mix_hash: attributes.prev_randao,
        base_fee_per_gas: next_base_fee(spec, parent.header),
        withdrawals_root,
        blob_gas_used: blobs.as_ref().map(|_| 0),
        excess_blob_gas: blobs
            .as_ref()
            .map(|params: &BlobParams| next_excess_blob_gas(params, parent.header)),
        parent_beacon_block_root: attributes.parent_beacon_block_root,
        slot_number: attributes.slot_number,
        ..Header::default()
    }
}

/// A step from the parent's gas limit towards the target, as large as the rule allows: less than a 1024th.
fn next_gas_limit(parent: u64, target: u64) -> u64 {
    let step = (parent / 1024).saturating_sub(1);
    let target = target.max(portico_consensus::GAS_LIMIT_MIN);
    target.clamp(parent.saturating_sub(step), parent.saturating_add(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gas_limit_goes_towards_its_target_by_less_than_a_1024th() {
        assert_eq!(next_gas_limit(30_000_000, 30_000_000), 30_000_000);
        assert_eq!(next_gas_limit(30_000_000, 60_000_000), 30_000_000 + 29_295);
        assert_eq!(next_gas_limit(30_000_000, 0), 30_000_000 - 29_295);
        assert_eq!(next_gas_limit(30_000_000, 30_000_100), 30_000_100);
        assert_eq!(next_gas_limit(u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(next_gas_limit(5_000, 0), 5_000);
    }
}
